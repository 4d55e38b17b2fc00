"""Builds small ONNX models by hand, in ONNX's own text syntax, one for each thing to show.

    pip install onnx numpy
    python3 tests/models/hand_models.py

Writes <name>.onnx and hand.json beside this file. The JSON holds, for the models that NumPy can
check, whole input tensors and the outputs that they must give.
https://onnx.ai/onnx/repo-docs/Syntax.html describes the syntax.
"""
from pathlib import Path

import numpy as np
from onnx import TensorProto, TypeProto, helper, numpy_helper, parser

from answers import write

HERE = Path(__file__).parent

# Element types, as the file's name and as ONNX's syntax call them.
TYPES = {
    "float16": "float16", "float32": "float", "float64": "double",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
    "bool": "bool", "string": "string",
}

# Types newer than some onnx packages know, by their number in onnx.proto.
FLOAT, BFLOAT16, FLOAT8, UINT4, INT4 = 1, 16, 17, 21, 22

TABLE = np.arange(20, dtype=np.float32).reshape(10, 2)
CLASSES = np.array([10, -20, 30])


def f32(*rows):
    return np.array(rows, dtype=np.float32)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(1, keepdims=True)


def zipped(rows):
    return [dict(zip(CLASSES, row)) for row in rows]


# name: (graph, inputs for it, a function that gives its outputs for them)
CHECKED = {
    # Batched.
    # A product that the runtime's MatmulTransposeFusion computes wrongly.
    "transposed": (
        """(float[N,3,2] x) => (float[N,2] y) {
            weights = Constant<value = float[3] {1, 2, 3}>()
            turned = Transpose<perm = [0, 2, 1]>(x)
            y = MatMul(turned, weights)
        }""",
        {"x": np.arange(12, dtype=np.float32).reshape(2, 3, 2)},
        lambda x: {"y": x.transpose(0, 2, 1) @ f32(1, 2, 3)},
    ),
    "add": (
        """(float[N,1] feature1, float[N,1] feature2) => (float[N,1] sum) {
            sum = Add(feature1, feature2)
        }""",
        {"feature1": f32([1], [2.5]), "feature2": f32([3], [-4])},
        lambda feature1, feature2: {"sum": feature1 + feature2},
    ),
    "unnamed": (
        """(float[?,1] feature1, float[?,1] feature2) => (float[?,1] sum) {
            sum = Add(feature1, feature2)
        }""",
        {"feature1": f32([1], [2.5]), "feature2": f32([3], [-4])},
        lambda feature1, feature2: {"sum": feature1 + feature2},
    ),
    "two-outputs": (
        """(float[N,3] x) => (float[N,3] doubled, float[N,1] total) {
            doubled = Add(x, x)
            total = ReduceSum<keepdims = 1>(x, last)
        }""",
        {"x": f32([1, 2, 3], [4, 5, 6])},
        lambda x: {"doubled": 2 * x, "total": x.sum(1, keepdims=True)},
    ),
    "no-batch-output": (
        """(float[N,3] x) => (float[N,3] rows, float[3] mean) {
            rows = Identity(x)
            mean = ReduceMean<axes = [0], keepdims = 0>(x)
        }""",
        {"x": f32([1, 2, 3], [3, 4, 8])},
        lambda x: {"rows": x, "mean": x.mean(0)},
    ),
    # Nothing but a run tells which output follows the rows.
    "unnamed-outputs": (
        """(float[?,3] x) => (float[?,3] rows, float[?] mean) {
            rows = Identity(x)
            each = ReduceMean<axes = [0], keepdims = 0>(x)
            mean = Compress<axis = 0>(each, all)
        }""",
        {"x": f32([1, 2, 3], [3, 4, 8])},
        lambda x: {"rows": x, "mean": x.mean(0)},
    ),
    "twice": (
        "(float[N,2] x) => (float[M,2] y) { y = Concat<axis = 0>(x, x) }",
        {"x": f32([1, 2], [3, 4])},
        lambda x: {"y": np.concatenate([x, x])},
    ),
    "prediction-second": (
        """(float[N,2] x) => (float[N] score, int64[N] prediction) {
            score = ReduceMax<axes = [1], keepdims = 0>(x)
            prediction = ArgMax<axis = 1, keepdims = 0>(x)
        }""",
        {"x": f32([1, 2], [4, 3])},
        lambda x: {"score": x.max(1), "prediction": x.argmax(1)},
    ),
    "wrapper-name": (
        "(float[N,2] inputs) => (float[N,2] y) { y = Add(inputs, inputs) }",
        {"inputs": f32([1, 2])},
        lambda inputs: {"y": 2 * inputs},
    ),
    # More inputs than a message shows.
    "many-inputs": (
        f"({', '.join(f'float[N,1] x{i}' for i in range(8))}) => (float[N,1] sum) {{ sum = Sum({', '.join(f'x{i}' for i in range(8))}) }}",
        {f"x{i}": f32([i], [2 * i]) for i in range(8)},
        lambda **inputs: {"sum": sum(inputs.values())},
    ),
    "log": (
        "(float[N,1] x) => (float[N,1] y) { y = Log(x) }",
        {"x": f32([1], [0], [-1], [np.inf])},
        lambda x: {"y": np.log(x)},
    ),
    "column": (
        "(string[N,1] x) => (string[N,1] y) { y = Identity(x) }",
        {"x": np.array([["a"], ["é"]])},
        lambda x: {"y": x},
    ),
    "trailing": (
        "(float[N,3,1] x) => (float[N,3,1] y) { y = Identity(x) }",
        {"x": f32([[1], [2], [3]])},
        lambda x: {"y": x},
    ),
    "zero-width": (
        "(float[N,0] x) => (float[N,0] y) { y = Identity(x) }",
        {"x": np.zeros((2, 0), np.float32)},
        lambda x: {"y": x},
    ),
    "ids": (
        """(int64[batch,seq] input_ids, int64[batch,seq] attention_mask) => (float[batch,2] pooled) {
            tokens = Gather(table, input_ids)
            flags = Cast<to = 1>(attention_mask)
            mask = Unsqueeze(flags, last)
            kept = Mul(tokens, mask)
            sum = ReduceSum<keepdims = 0>(kept, middle)
            count = ReduceSum<keepdims = 0>(mask, middle)
            pooled = Div(sum, count)
        }""",
        {
            "input_ids": np.array([[1, 2, 0], [9, 3, 4]]),
            "attention_mask": np.array([[1, 1, 0], [1, 1, 1]]),
        },
        lambda input_ids, attention_mask: {
            "pooled": (TABLE[input_ids] * attention_mask[..., None]).sum(1)
            / attention_mask.sum(1, keepdims=True)},
    ),
    "image": (
        "(float[N,3,8,8] x) => (float[N,3] y) { y = ReduceMean<axes = [2, 3], keepdims = 0>(x) }",
        {"x": np.arange(192, dtype=np.float32).reshape(1, 3, 8, 8)},
        lambda x: {"y": x.mean((2, 3))},
    ),
    # Runs from 3 x 3 on.
    "conv-open": (
        "(float[N,1,H,W] x) => (float[N,1,P,Q] y) { y = Conv(x, ones3x3) }",
        {"x": np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)},
        lambda x: {"y": np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3)).sum((4, 5))},
    ),
    "default-input": (
        "(float[N,1] x, float[1] two) => (float[N,1] y) { y = Mul(x, two) }",
        {"x": f32([1], [4])},
        lambda x: {"y": 2 * x},
    ),
    # ZipMap fed by an operator, and by a tensor that is an output anyway.
    "zipmap-hand": (
        """(float[N,3] x) => (int64[N] label, float[N] probabilities) {
            scores = Softmax(x)
            best = ArgMax<axis = 1, keepdims = 0>(scores)
            label = Gather(classes, best)
            probabilities = ai.onnx.ml.ZipMap<classlabels_int64s = [10, -20, 30]>(scores)
        }""",
        {"x": f32([0, 0, 0], [1, 2, 3])},
        lambda x: {"label": CLASSES[x.argmax(1)], "probabilities": zipped(softmax(x))},
    ),
    "zipmap-shown": (
        """(float[N,3] x) => (float[N,3] scores, float[N] probabilities) {
            scores = Softmax(x)
            probabilities = ai.onnx.ml.ZipMap<classlabels_int64s = [10, -20, 30]>(scores)
        }""",
        {"x": f32([0, 0, 0], [1, 2, 3])},
        lambda x: {"scores": softmax(x), "probabilities": zipped(softmax(x))},
    ),
    "zipmap-only": (
        """(float[N,3] x) => (float[N] y) {
            y = ai.onnx.ml.ZipMap<classlabels_int64s = [10, -20, 30]>(x)
        }""",
        {"x": f32([0, 1, 2], [1, 2, 3])},
        lambda x: {"y": zipped(x)},
    ),
    # The sequence is left out.
    "sequence-and-tensor": (
        """(float[N,2] x) => (float[N,2] y, float[] parts) {
            y = Add(x, x)
            parts = SplitToSequence<axis = 1>(y)
        }""",
        {"x": f32([1, 2])},
        lambda x: {"y": 2 * x},
    ),
    "optional-output": (
        "(float[N,2] x) => (float[N,2] y, float[N,2] maybe) { y = Add(x, x) maybe = Optional(x) }",
        {"x": f32([1, 2])},
        lambda x: {"y": 2 * x},
    ),
    # Single and whole.
    "single": (
        "(float[1,3] x) => (float[1,3] y) { y = Add(x, x) }",
        {"x": f32([1, 2, 3])},
        lambda x: {"y": 2 * x},
    ),
    "whole": (
        "(float[2,3] a, float[3,2] b) => (float[2,2] product) { product = MatMul(a, b) }",
        {"a": f32([1, 2, 3], [4, 5, 6]), "b": f32([1, 0], [0, 1], [2, 2])},
        lambda a, b: {"product": a @ b},
    ),
    "matmul-open": (
        "(float[M,K] a, float[K,L] b) => (float[M,L] product) { product = MatMul(a, b) }",
        {"a": f32([1, 2]), "b": f32([3, 4, 5], [6, 7, 8])},
        lambda a, b: {"product": a @ b},
    ),
    "scalar": (
        "(float x) => (float y) { y = Add(x, x) }",
        {"x": np.float32(1.5)},
        lambda x: {"y": 2 * x},
    ),
    "unknown-rank": (
        "(float[] x) => (float[] y) { y = Add(x, x) }",
        {"x": f32([1, 2], [3, 4])},
        lambda x: {"y": 2 * x},
    ),
    "no-inputs": (
        "() => (float[2] y) { y = Constant<value = float[2] {1.0, 2.0}>() }",
        {},
        lambda: {"y": f32(1, 2)},
    ),
    # Rows that depend on each other.
    "softmax0": (
        "(float[N,2] x) => (float[N,2] y) { y = Softmax<axis = 0>(x) }",
        {"x": f32([0, 1], [0, 2])},
        lambda x: {"y": np.exp(x) / np.exp(x).sum(0)},
    ),
    "cumsum0": (
        "(float[N,2] x) => (float[N,2] y) { y = CumSum(x, first) }",
        {"x": f32([1, 2], [3, 4], [5, 6])},
        lambda x: {"y": x.cumsum(0)},
    ),
    "center": (
        """(float[N,2] x) => (float[N,2] y) {
            mean = ReduceMean<axes = [0], keepdims = 1>(x)
            y = Sub(x, mean)
        }""",
        {"x": f32([1, 2], [3, 8])},
        lambda x: {"y": x - x.mean(0)},
    ),
    # Alike in every row, which proves nothing.
    "saturated": (
        "(float[N,2] x) => (float[N,2] y) { e = Exp(x) y = Sign(e) }",
        {"x": f32([1, 2], [3, 8])},
        lambda x: {"y": np.sign(np.exp(x))},
    ),
    # Fails for a value that is no fault of the caller's: a branch joins the tensors of an empty sequence.
    "fails": (
        """(float[N,1] x) => (float[N,1] y) {
            most = ReduceMax<keepdims = 0>(x)
            bad = Greater(most, thousand)
            zero = If<
                then_branch = then () => (float t) {
                    none = SequenceEmpty()
                    joined = ConcatFromSequence<axis = 0>(none)
                    t = ReduceSum<keepdims = 0>(joined)
                },
                else_branch = else () => (float e) { e = Constant<value = float {0.0}>() }
            >(bad)
            twice = Add(x, x)
            y = Add(twice, zero)
        }""",
        {"x": f32([1], [2])},
        lambda x: {"y": 2 * x},
    ),
    # 0 in b fails the run; on x64, -2147483648 by -1 is a signal that kills the process.
    "divide": (
        "(int32[N,1] a, int32[N,1] b) => (int32[N,1] quotient) { quotient = Div(a, b) }",
        {"a": np.array([[7], [9]], np.int32), "b": np.array([[2], [3]], np.int32)},
        lambda a, b: {"quotient": a // b},
    ),
    "parse-number": (
        "(string[N,1] x) => (float[N,1] y) { y = Cast<to = 1>(x) }",
        {"x": np.array([["1.5"], ["-2"]])},
        lambda x: {"y": x.astype(np.float32)},
    ),
    # n decides how long it takes: a product of two 256 x 256 matrices for each.
    "slow-single": (
        """(int64[1] n) => (int64[1] echo, float[1] y) {
            mean = ConstantOfShape<value = float[1] {0.00390625}>(shape256x256)
            last = Loop<body = step (int64 i, bool go, float[256,256] v) => (bool on, float[256,256] w) {
                on = Identity(go)
                w = MatMul(v, mean)
            }>(n, , mean)
            sum = ReduceSum<keepdims = 0>(last)
            y = Reshape(sum, one)
            echo = Identity(n)
        }""",
        {"n": np.array([3])},
        lambda n: {"echo": n, "y": f32(256)},
    ),
    "slow-batched": (
        """(float[N,1] x) => (float[N,1] y) {
            mean = ConstantOfShape<value = float[1] {0.00390625}>(shape256x256)
            last = Loop<body = step (int64 i, bool go, float[256,256] v) => (bool on, float[256,256] w) {
                on = Identity(go)
                w = MatMul(v, mean)
            }>(trips, , mean)
            sum = ReduceSum<keepdims = 0>(last)
            nothing = Mul(sum, none)
            twice = Add(x, x)
            y = Add(twice, nothing)
        }""",
        {"x": f32([1], [2])},
        lambda x: {"y": 2 * x},
    ),
    # Rows that depend on nothing else, and take little more time together than one alone.
    "slow-shared": (
        """(float[N,1] x) => (float[N,1] y) {
            wide = ConstantOfShape<value = float[1] {1}>(shape1x2048)
            mean = ConstantOfShape<value = float[1] {0.00048828125}>(shape2048x2048)
            h0 = MatMul(x, wide)
            {layers}
            sum = ReduceMean<axes = [1], keepdims = 1>(h24)
            y = Add(sum, sum)
        }""".replace("{layers}", " ".join(f"h{i + 1} = MatMul(h{i}, mean)" for i in range(24))),
        {"x": f32([1], [2])},
        lambda x: {"y": 2 * x},
    ),
}

# name: graph
UNCHECKED = {
    # Values that the runtime refuses, each in words of its own.
    "best-of-k": """(float[4] x, int64[1] k) => (float[K] y) { y, places = TopK<axis = 0>(x, k) }""",
    "reversed": """(float[N,4] x, int64[N] lengths) => (float[N,4] y) {
        y = ReverseSequence<batch_axis = 0, time_axis = 1>(x, lengths)
    }""",
    "scattered": """(int64[1,1] place) => (float[3] y) {
        zeros = Constant<value_floats = [0.0, 0.0, 0.0]>()
        one = Constant<value_floats = [1.0]>()
        y = ScatterND(zeros, place, one)
    }""",
    # Their values are sizes.
    "filled": "(int64[2] shape) => (float[a,b] y) { y = ConstantOfShape(shape) }",
    "reshaped": """(int64[2] shape) => (float[a,b] y) {
        four = Constant<value_floats = [1.0, 2.0, 3.0, 4.0]>()
        y = Reshape(four, shape)
    }""",
    # The runtime ends the process where the second input has no rows.
    "top-of-second": """(float[N,1] a, float[N,4] b) => (float[N,1] y, float[N,1] z) {
        one = Constant<value_ints = [1]>()
        y = Identity(a)
        z, place = TopK(b, one)
    }""",
    # As skl2onnx leaves a OneHotEncoder: a category that it does not know is an error.
    "onehot": """(string[N,1] city, int64[N,1] code) => (float[N,1,4] y) {
        cities = ai.onnx.ml.OneHotEncoder<cats_strings = ["Oslo", "Rome"], zeros = 0>(city)
        codes = ai.onnx.ml.OneHotEncoder<cats_int64s = [7, 9], zeros = 0>(code)
        y = Concat<axis = 2>(cities, codes)
    }""",
    # One batch under two names, one of whose inputs takes only the categories that it knows.
    "unlike-categories": """(int64[A,1] code, float[B,1] x) => (float[C,1,2] codes, float[B,1] y) {
        codes = ai.onnx.ml.OneHotEncoder<cats_int64s = [7, 9], zeros = 0>(code)
        y = Add(x, x)
    }""",
    # No run fits but of a category that it knows, beside 5 values or more.
    "city-and-sound": """(string[N,1] city, float[N,1,T] x) => (float[N,1,T] y) {
        code = ai.onnx.ml.OneHotEncoder<cats_strings = ["Oslo", "Rome"], zeros = 0>(city)
        means = AveragePool<kernel_shape = [5]>(x)
        y = Concat<axis = 2>(code, means)
    }""",
    # As many as the values lie apart.
    "span": """(int64[4] x) => (int64[K] y) {
        one = Constant<value_int = 1>()
        least = ReduceMin<keepdims = 0>(x)
        largest = ReduceMax<keepdims = 0>(x)
        end = Add(largest, one)
        y = Range(least, end, one)
    }""",
    # A detector: of its outputs one has no batch dimension.
    "box-and-mask": """(float[1,h,w] image) => (float[1] box, float[h,w] mask) {
        box = ReduceMax<axes = [1, 2], keepdims = 0>(image)
        mask = ReduceMax<axes = [0], keepdims = 0>(image)
    }""",
    # The runtime finds a NaN or not, as the row lies in memory.
    "largest-of-8": "(float[N,8] x) => (float[N] y) { y = ReduceMax<axes = [1], keepdims = 0>(x) }",
    # What has a row for each, and what has not.
    "mean-of-all": """(float[N,3] x) => (float[N,3] y, float[3] mean) {
        y = Add(x, x)
        mean = ReduceMean<axes = [0], keepdims = 0>(x)
    }""",
    # An output as long as its largest value says.
    "as-many": """(float[N,3] x) => (float[N,K] y) {
        sums = ReduceSum<keepdims = 1>(x, one)
        largest = ReduceMax<keepdims = 0>(x)
        count = Cast<to = 7>(largest)
        wider = Add(count, one)
        repeats = Concat<axis = 0>(one, wider)
        y = Tile(sums, repeats)
    }""",
    "fixed-rows": "(float[4,2] x) => (float[4,2] y) { y = Identity(x) }",
    # An older exporter's name for an input.
    "named-0": "(float[N,4] \"0\") => (float[N,4] y) { y = Identity(\"0\") }",
    "empty-beside": "(float[N,0,3] a, float[N] b) => (float[N,0,3] y, float[N] z) { y = Identity(a) z = Identity(b) }",
    # As torch exports padding of images and sound, which must be larger than what is added.
    "reflect": """(float[N,width] x) => (float[N,wider] y) {
        pads = Constant<value = int64[4] {0, 2, 0, 2}>()
        y = Pad<mode = "reflect">(x, pads)
    }""",
    # As BERT's token types, which are as many as its longest text is long.
    "longest": """(int64[N,seq] ids) => (float[N,length] y) {
        types = Constant<value = float[1,4] {1, 2, 3, 4}>()
        shape = Shape(ids)
        y = Expand(types, shape)
    }""",
    "lstm-seq": """(float[N,1,2] x) => (float[N,1,1,2] y) {
        y = LSTM<hidden_size = 2>(x, lstm_w, lstm_r)
    }""",
    # The runtime ends the process where an image of these has no pixels, a row no values.
    "style": """(float[N,2,H,W] x) => (float[N,2,H,W] y) {
        scale = Constant<value = float[2] {1, 1}>()
        bias = Constant<value = float[2] {0, 0}>()
        y = InstanceNormalization(x, scale, bias)
    }""",
    "largest": """(float[N,W] x) => (float[N,1] y) {
        one = Constant<value = int64[1] {1}>()
        y, place = TopK(x, one)
    }""",
    # As scikit-learn's models over a matrix whose width was left open.
    "linear-open": """(float[N,W] x) => (float[N,1] y) {
        y = ai.onnx.ml.LinearRegressor<coefficients = [1.0, 2.0, 3.0], intercepts = [0.0]>(x)
    }""",
    "scaler-open": """(float[N,W] x) => (float[N,W] y) {
        y = ai.onnx.ml.Scaler<offset = [1.0, 2.0], scale = [1.0, 1.0]>(x)
    }""",
    "pick-open": """(float[N,W] x) => (float[N,1] y) {
        place = Constant<value = int64[1] {5}>()
        y = ai.onnx.ml.ArrayFeatureExtractor(x, place)
    }""",
    # Five open lengths, which are 1 or 5: of longer ones memory would not hold a row.
    "five-open": """(float[N,A,B,C,D,E] x) => (float[N,F,G,H,I,J] y) {
        fives = Constant<value = int64[5] {5, 5, 5, 5, 5}>()
        zeros = ConstantOfShape(fives)
        y = Add(x, zeros)
    }""",
    "both": """(float[N,W] x) => (float[N,W] same, float[N,W] twice) {
        same = Identity(x)
        twice = Add(x, x)
    }""",
    # As CLIP's export: any number of images against any number of texts, under one name.
    "images-texts": """(float[batch,2] image, int64[batch,2] text) => (float[batch,batch] logits) {
        numbers = Cast<to = 1>(text)
        turned = Transpose(numbers)
        logits = MatMul(image, turned)
    }""",
    # As skl2onnx renames "sepal length (cm)".
    "renamed": """(float[N,1] sepal_length__cm_) => (float[N,1] y) {
        y = Add(sepal_length__cm_, sepal_length__cm_)
    }""",
    # A classifier that has seen one class.
    "zipmap-one": """(float[N,1] x) => (float[N] y) {
        y = ai.onnx.ml.ZipMap<classlabels_int64s = [7]>(x)
    }""",
    # A sequence that another node reads, too.
    "sequence-used": """(float[N,2] x) => (float[] parts, float[N,2] second) {
        twice = Add(x, x)
        parts = SequenceConstruct(x, twice)
        one = Constant<value = int64 {1}>()
        second = SequenceAt(parts, one)
    }""",
    # More rows than four are cut.
    "four-rows": """(float[N,1] x) => (float[M,1] y) {
        from = Constant<value = int64[1] {0}>()
        to = Constant<value = int64[1] {4}>()
        y = Slice(x, from, to)
    }""",
    "random": """(float[N,2] x) => (float[N,2] y) {
        noise = RandomNormalLike(x)
        y = Add(x, noise)
    }""",
    # Too little noise for a comparison to find, in a subgraph.
    "random-inside": """(float[N,2] x) => (float[N,2] y) {
        most = ReduceMax<keepdims = 0>(x)
        big = Greater(most, thousand)
        y = If<
            then_branch = then () => (float[N,2] t) { t = Identity(x) },
            else_branch = else () => (float[N,2] e) {
                noise = RandomNormalLike<scale = 0.0000001>(x)
                e = Add(x, noise)
            }
        >(big)
    }""",
    "dynamic-quant": """(float[N,4] x) => (float[N,2] y) {
        quantized, scale, zero = DynamicQuantizeLinear(x)
        product = MatMulInteger(quantized, weights4x2, zero)
        sum = Cast<to = 1>(product)
        y = Mul(sum, scale)
    }""",
    # Kills the process on x64, whatever the input: the quotient is one too many for an int32.
    "crash": """(int32[N,1] x) => (int32[N,1] y) {
        zero = Sub(x, x)
        low = Add(zero, lowest)
        y = Div(low, minus_one)
    }""",
    # Refused.
    "sequence-input": "(float[] x) => (float[] y) { y = ConcatFromSequence<axis = 0>(x) }",
    "sequence-only": "(float[N,2] x) => (float[] y) { y = SplitToSequence<axis = 1>(x) }",
    "map-input": """(float x) => (float[1,2] y) {
        y = ai.onnx.ml.DictVectorizer<string_vocabulary = ["a", "b"]>(x)
    }""",
    "unknown-domain": "(float[N,1] x) => (float[N,1] y) { y = com.example.Magic(x) }",
    "unknown-op": "(float[N,1] x) => (float[N,1] y) { y = Magic(x) }",
}

# name: (graph, the number of the element type of x, of y)
NEW_TYPES = {
    "bfloat16": ("(float[N,2] x) => (float[N,2] y) { y = Identity(x) }", BFLOAT16, BFLOAT16),
    "float8": ("(float[N,2] x) => (float[N,2] y) { y = Identity(x) }", FLOAT8, FLOAT8),
    "int4-input": ("(float[N,2] x) => (float[N,2] y) { y = Cast<to = 1>(x) }", INT4, FLOAT),
    "int4-output": ("(float[N,2] x) => (float[N,2] y) { y = Cast<to = 22>(x) }", FLOAT, INT4),
    "uint4-output": ("(float[N,2] x) => (float[N,2] y) { y = Cast<to = 21>(x) }", FLOAT, UINT4),
}

# What the graphs above use under a name that they do not define.
CONSTANTS = {
    "table": TABLE,
    "table2x2": TABLE[:2],
    "classes": CLASSES,
    "first": np.array(0),
    "middle": np.array([1]),
    "last": np.array([-1]),
    "all": np.array([True, True, True]),
    "one": np.array([1]),
    "two": f32(2),
    "none": np.float32(0),
    "thousand": np.float32(1000),
    "trips": np.array(640),
    "lowest": np.array(-(2**31), np.int32),
    "minus_one": np.array(-1, np.int32),
    "ones3x3": np.ones((1, 1, 3, 3), np.float32),
    "shape256x256": np.array([256, 256]),
    "shape4x4000": np.array([4, 4000]),
    "shape1x2048": np.array([1, 2048]),
    "shape2048x2048": np.array([2048, 2048]),
    "weights4x2": np.arange(-4, 4, dtype=np.int8).reshape(4, 2),
    "lstm_w": np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 8, 2),
    "lstm_r": np.linspace(1, -1, 16, dtype=np.float32).reshape(1, 8, 2),
}

FLOATS = helper.make_tensor_type_proto(FLOAT, None)
SEQUENCE = helper.make_sequence_type_proto(FLOATS)


def map_type(key):
    return TypeProto(map_type=TypeProto.Map(key_type=key, value_type=FLOATS))


# The text syntax has no words for these types: operators that take or make them tell.
TAKES = {"ConcatFromSequence": SEQUENCE, "DictVectorizer": map_type(TensorProto.STRING)}
MAKES = {
    "SplitToSequence": SEQUENCE,
    "SequenceConstruct": SEQUENCE,
    "Optional": helper.make_optional_type_proto(FLOATS),
    "ZipMap": helper.make_sequence_type_proto(map_type(TensorProto.INT64)),
}


def build(name, text, opset=17, ir=8):
    graph = parser.parse_graph(f"{name.replace('-', '_')} {text}")
    nodes = list(every_node(graph))
    defined = {output for node in nodes for output in node.output}
    used = {input for node in nodes for input in node.input}
    for constant in sorted((used & CONSTANTS.keys()) - defined):
        graph.initializer.append(numpy_helper.from_array(np.asarray(CONSTANTS[constant]), constant))
    for node in nodes:
        retype(graph.input, node.input, TAKES.get(node.op_type))
        retype(graph.output, node.output, MAKES.get(node.op_type))
    opsets = {**dict.fromkeys((node.domain for node in nodes), 1), "ai.onnx.ml": 3, "": opset}
    opsets = [helper.make_opsetid(*domain) for domain in opsets.items()]
    return helper.make_model(graph, ir_version=ir, opset_imports=opsets)


def every_node(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from every_node(attribute.g)


def retype(values, names, type_proto):
    for value in values:
        if type_proto and value.name in names:
            value.type.CopyFrom(type_proto)


def build_new_type(name, text, x, y):
    model = build(name, text, opset=21, ir=10)
    for value, number in [(model.graph.input[0], x), (model.graph.output[0], y)]:
        value.type.tensor_type.elem_type = number
    return model


def build_external(name, location):
    """The weights are bytes of another file, as in models of more than 2 GB."""
    model = build(name, "(float[N,2] x) => (float[N,2] y) { y = MatMul(x, table2x2) }")
    weights = model.graph.initializer[0]
    data = weights.raw_data
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(len(data))}.items():
        weights.external_data.add(key=key, value=value)
    return model, data


def build_numbered_outputs():
    """Outputs that a framework has numbered, out of order."""
    model = build("numbered-outputs", """(float[N,1] x) => (float[N,1] a, float[N,1] b, float[N,1] c) {
        a = Identity(x)
        b = Add(x, x)
        c = Neg(x)
    }""")
    for node, output, number in zip(model.graph.node, model.graph.output, ["56", "24", "54"]):
        node.output[0] = output.name = number
    return model


def save(name, model):
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def main():
    np.seterr(all="ignore")  # The logarithm of 0 and of -1 is meant.
    answers = {}
    for name, (text, inputs, answer) in CHECKED.items():
        save(name, build(name, text))
        answers[name] = {"inputs": inputs, "outputs": answer(**inputs)}
    for name, text in UNCHECKED.items():
        save(name, build(name, text))
    for name, word in TYPES.items():
        name = f"identity-{name}"
        save(name, build(name, f"({word}[N,2] x) => ({word}[N,2] y) {{ y = Identity(x) }}"))
    for name, case in NEW_TYPES.items():
        save(name, build_new_type(name, *case))

    save("numbered-outputs", build_numbered_outputs())
    model, data = build_external("external", "external.onnx.data")
    save("external", model)
    (HERE / "external.onnx.data").write_bytes(data)
    x = f32([1, 2])
    answers["external"] = {"inputs": {"x": x}, "outputs": {"y": x @ TABLE[:2]}}
    save("external-missing", build_external("external-missing", "gone.onnx.data")[0])

    write(HERE / "hand.json", answers)


if __name__ == "__main__":
    main()
