"""Builds models that give other shapes than their files declare, or say more than others about themselves.

    pip install onnx
    python3 tests/models/shape_models.py

Writes <name>.onnx beside this file, in ONNX's own text syntax: https://onnx.ai/onnx/repo-docs/Syntax.html
"""
from pathlib import Path

import onnx
from onnx import helper, parser

HERE = Path(__file__).parent
HEADER = '<ir_version: 9, opset_import: ["": 17]>'

MODELS = {
    # As OCR models are exported: a fixed first dimension that the output does not have.
    "ocr": """(float[1,seqlen] x) => (float[1,seqlen,2] y) {
        axes = Constant<value = int64[1] {0}>()
        upright = Unsqueeze(x, axes)
        times = Constant<value = int64[3] {20, 1, 1}>()
        y = Tile(upright, times)
    }""",
    # As an RNN exported with dynamic_axes={'y': {0: 'batch'}} that gives time first.
    "time-first": """(float[batch,time,2] x) => (float[batch,rows,2] y) {
        y = Transpose<perm = [1, 0, 2]>(x)
    }""",
    # The sum of each row, by a squeeze() that drops the batch of one as well.
    "squeeze": """(float[batch,4] x) => (float[batch] y) {
        total = ReduceSum<keepdims = 1>(x, last)
        y = Squeeze(total)
    }""",
    # An output as long as the input is.
    "open-width": "(float[N,width] x) => (float[N,k] y) { y = Add(x, x) }",
    # Open in the file, but always one.
    "open-one": """(float[N,width] x) => (float[N,k] y) { y = ReduceSum<keepdims = 1>(x, last) }""",
    # What LightGBM declares of its label.
    "label-of-one": """(float[N,2] x) => (int64[1] label) {
        label = ArgMax<axis = 1, keepdims = 0>(x)
    }""",
    # As Keras and tf2onnx name the batch of each input for itself.
    "unlike-names": """(float[unk__11,2] a, float[unk__12,2] b) => (float[unk__13,2] sum) {
        sum = Add(a, b)
    }""",
    # Open under different names, and no batch: each row of one beside each of the other.
    "similarity": """(float[Q,2] q, float[D,2] d) => (float[Q,D] y) {
        turned = Transpose<perm = [1, 0]>(d)
        y = MatMul(q, turned)
    }""",
    # An output with the reply's own name, behind another.
    "named-predictions": """(float[N,2] x) => (float[N] score, int64[N] predictions) {
        score = ReduceMax<axes = [1], keepdims = 0>(x)
        predictions = ArgMax<axis = 1, keepdims = 0>(x)
    }""",
    # An embedding: one id becomes 768 numbers.
    "embedding": """(int64[batch,seq] ids) => (float[batch,seq,768] y) {
        axes = Constant<value = int64[1] {2}>()
        upright = Unsqueeze(ids, axes)
        numbers = Cast<to = 1>(upright)
        times = Constant<value = int64[3] {1, 1, 768}>()
        y = Tile(numbers, times)
    }""",
    # Takes as many weights a row as there are rows, and declares a single one.
    "batch-inside": """(float[batch,2] x, float[batch,batch] weights) => (float[1,2] y) {
        y = MatMul(weights, x)
    }""",
    # Leaves out a row for each above a thousand, which none is that is made up.
    "drops-rows": """(float[N,1] x) => (float[N,1] y) {
        thousand = Constant<value = float {1000.0}>()
        keeps = LessOrEqual(x, thousand)
        numbers = Cast<to = 7>(keeps)
        rows = Constant<value = int64[1] {0}>()
        column = Constant<value = int64[1] {1}>()
        each = Squeeze(numbers, column)
        count = ReduceSum<keepdims = 1>(each, rows)
        y = Slice(x, rows, count, rows)
    }""",
    # Says by itself what its columns are, and which outputs to give.
    "own-metadata": """(float[N,2] x) => (float[N] largest, float[N] smallest, float[N,2] same) {
        largest = ReduceMax<axes = [1], keepdims = 0>(x)
        smallest = ReduceMin<axes = [1], keepdims = 0>(x)
        same = Identity(x)
    }""",
}

METADATA = {"own-metadata": {"features": "height, width", "outputs": "smallest,largest"}}

for name, graph in MODELS.items():
    text = f"{HEADER}\n{name.replace('-', '_')} {graph}"
    if "last" in graph:
        text = text.replace("{", "<int64[1] last = {1}> {", 1) if "<int64" not in text else text
    model = parser.parse_model(text)
    if name in METADATA:
        helper.set_model_props(model, METADATA[name])
    onnx.save(model, HERE / f"{name}.onnx")
