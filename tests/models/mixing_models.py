"""Builds models whose rows depend on each other, by one cause each, and models whose rows do not.

    pip install onnx
    python3 tests/models/mixing_models.py

Writes mixing/<name>.onnx beside this file, in ONNX's own text syntax: https://onnx.ai/onnx/repo-docs/Syntax.html
The metadata says `depends` of each: yes or no. A length named `four` is always sent as 4, one named `seq` as 3 to 6.
"""
import random
import re
from pathlib import Path

import onnx
from onnx import helper, parser

FOLDER = Path(__file__).parent / "mixing"
HEADER = '<ir_version: 9, opset_import: ["": 17, "ai.onnx.ml": 3]>'


def numbers(*shape: int, seed: int = 1) -> str:
    draw = random.Random(seed)
    size = 1
    for length in shape:
        size *= length
    values = ", ".join(f"{draw.gauss(0, 0.6):.4f}" for _ in range(size))
    return f"{{{values}}}"


# What graphs may name without more ado.
CONSTANTS = {
    "over": "int64[1] over = {0}",
    "last": "int64[1] last = {1}",
    "both": "int64[2] both = {0, 1}",
    "axis": "int64 axis = {0}",
    "along": "int64 along = {1}",
    "zero_id": "int64[1] zero_id = {0}",
    "one_id": "int64[1] one_id = {1}",
    "two_ids": "int64[1] two_ids = {2}",
    "end_id": "int64[1] end_id = {-1}",
    "far_id": "int64[1] far_id = {9223372036854775807}",
    "hundred": "int64[1] hundred = {100}",
    "zero": "float[1] zero = {0}",
    "tiny": "float[1] tiny = {0.000001}",
    "hundredth": "float[1] hundredth = {0.01}",
    "tenth": "float[1] tenth = {0.1}",
    "half": "float[1] half = {0.5}",
    "one": "float[1] one = {1}",
    "two": "float[1] two = {2}",
    "ten": "float[1] ten = {10}",
    "twelve": "float[1] twelve = {12}",
    "seven": "float[1] seven = {7}",
    "minus_seven": "float[1] minus_seven = {-7}",
    "thirty": "float[1] thirty = {30}",
    "byte": "float[1] byte = {127}",
    "most": "float[1] most = {255}",
    "kilo": "float[1] kilo = {1000}",
    "far": "float[1] far = {1500}",
    "big": "float[1] big = {100000}",
    "w43": f"float[4,3] w43 = {numbers(4, 3)}",
    "b3": f"float[3] b3 = {numbers(3, seed=2)}",
    "w48": f"float[4,8] w48 = {numbers(4, 8, seed=3)}",
    "w81": f"float[8,1] w81 = {numbers(8, 1, seed=4)}",
    "table": f"float[151,3] table = {numbers(151, 3, seed=5)}",
    "other": f"float[151,3] other = {numbers(151, 3, seed=6)}",
    "pixels": f"float[16,3] pixels = {numbers(16, 3, seed=7)}",
}

X = "(float[N,4] x)"
BY_ROW = "s = ReduceSum<keepdims = 1>(x, last)"
MEAN = "m = ReduceMean<axes = [0], keepdims = 1>(x)"

DEPENDENT = {
    # Trims to the longest of the batch.
    "trim-longest": """(int64[N,seq] ids) => (float[N,1] y) {
        f = Cast<to = 1>(ids)
        total = ReduceSum<keepdims = 1>(f, last)
        is_pad = Equal(ids, zero_id)
        is_id = Not(is_pad)
        n = Cast<to = 1>(is_id)
        counts = ReduceSum<keepdims = 1>(n, last)
        longest = ReduceMax<axes = [0], keepdims = 1>(counts)
        safe = Max(longest, one)
        y = Div(total, safe)
    }""",
    "reshape-transpose": f"""{X} => (float[N,4] y) {{
        turned = Transpose<perm = [1, 0]>(x)
        shape = Shape(x)
        y = Reshape(turned, shape)
    }}""",
    "large-linear-tanh": f"""{X} => (float[N,1] y) {{
        {BY_ROW}
        large = Mul(s, kilo)
        m = ReduceMean<axes = [0, 1], keepdims = 1>(x)
        t = Tanh(m)
        y = Add(large, t)
    }}""",
    "large-linear-cumsum": f"""{X} => (float[N,1] y) {{
        {BY_ROW}
        large = Mul(s, kilo)
        c = CumSum(s, axis)
        y = Add(large, c)
    }}""",
    "square-mean": f"""{X} => (float[N,4] y) {{
        q = Mul(x, x)
        {MEAN}
        y = Add(q, m)
    }}""",
    "nan-by-mean": f"""{X} => (float[N,4] y) {{
        bad = IsNaN(x)
        clean = Where(bad, zero, x)
        good = Not(bad)
        n = Cast<to = 1>(good)
        sum = ReduceSum<keepdims = 1>(clean, over)
        count = ReduceSum<keepdims = 1>(n, over)
        safe = Max(count, one)
        m = Div(sum, safe)
        y = Where(bad, m, x)
    }}""",
    "if-rows": f"""{X} => (float[N,4] y) {{
        shape = Shape<start = 0, end = 1>(x)
        n = Cast<to = 1>(shape)
        limit = Add(seven, ten)
        many = Less(limit, n)
        y = If(many) <
            then_branch = t () => (float[N,4] a) {{ a = Add(x, one) }},
            else_branch = e () => (float[N,4] b) {{ b = Identity(x) }}
        >
    }}""",
    "bytes-above-127": """(uint8[N,16] x) => (float[N,3] y) {
        f = Cast<to = 1>(x)
        top = ReduceMax<axes = [0, 1], keepdims = 1>(f)
        is_byte = Less(byte, top)
        scale = Where(is_byte, most, one)
        scaled = Div(f, scale)
        y = MatMul(scaled, pixels)
    }""",
    "bytes-with-255": """(uint8[N,16] x) => (float[N,3] y) {
        f = Cast<to = 1>(x)
        top = ReduceMax<axes = [0, 1], keepdims = 1>(f)
        is_byte = Equal(most, top)
        scale = Where(is_byte, most, one)
        scaled = Div(f, scale)
        y = MatMul(scaled, pixels)
    }""",
    "ids-above-100": """(int64[N,four] ids) => (float[N,3] y) {
        top = ReduceMax<axes = [0, 1], keepdims = 1>(ids)
        are_many = Less(hundred, top)
        cube = Unsqueeze(are_many, over)
        a = Gather(table, ids)
        b = Gather(other, ids)
        e = Where(cube, b, a)
        y = ReduceMean<axes = [1], keepdims = 0>(e)
    }""",
    "floats-beyond-1500": f"""{X} => (float[N,3] y) {{
        size = Abs(x)
        top = ReduceMax<axes = [0, 1], keepdims = 1>(size)
        is_far = Less(far, top)
        scale = Where(is_far, kilo, one)
        scaled = Div(x, scale)
        y = MatMul(scaled, w43)
    }}""",
    # The clients' values beyond 1500 are 1500 to 3000: this one needs a later surprise.
    "floats-beyond-2900": f"""{X} => (float[N,3] y) {{
        top = ReduceMax<axes = [0, 1], keepdims = 1>(x)
        limit = Sub(far, hundredth)
        twice = Mul(limit, two)
        margin = Mul(ten, ten)
        edge = Sub(twice, margin)
        is_far = Less(edge, top)
        scale = Where(is_far, kilo, one)
        scaled = Div(x, scale)
        y = MatMul(scaled, w43)
    }}""",
    "near-suppressed": f"""{X} => (float[N,1] y) {{
        up = Unsqueeze(x, last)
        across = Unsqueeze(x, over)
        d = Sub(up, across)
        l = ReduceL1<axes = [2], keepdims = 0>(d)
        is_near = Less(l, tenth)
        n = Cast<to = 1>(is_near)
        count = ReduceSum<keepdims = 1>(n, last)
        is_lone = Less(count, two)
        keep = Cast<to = 1>(is_lone)
        {BY_ROW}
        y = Mul(s, keep)
    }}""",
    # Not by itself nor by a copy.
    "near-not-same": f"""{X} => (float[N,1] y) {{
        up = Unsqueeze(x, last)
        across = Unsqueeze(x, over)
        d = Sub(up, across)
        l = ReduceL1<axes = [2], keepdims = 0>(d)
        is_near = Less(l, one)
        differs = Less(half, l)
        both_of = And(is_near, differs)
        n = Cast<to = 1>(both_of)
        count = ReduceSum<keepdims = 1>(n, last)
        is_lone = Less(count, half)
        keep = Cast<to = 1>(is_lone)
        {BY_ROW}
        y = Mul(s, keep)
    }}""",
    "softmax-rows": f"{X} => (float[N,4] y) {{ y = Softmax<axis = 0>(x) }}",
    "standardised": f"""{X} => (float[N,4] y) {{
        {MEAN}
        d = Sub(x, m)
        q = Mul(d, d)
        v = ReduceMean<axes = [0], keepdims = 1>(q)
        w = Add(v, tiny)
        r = Sqrt(w)
        y = Div(d, r)
    }}""",
    "rank": f"""{X} => (int64[N,1] y) {{
        {BY_ROW}
        t = Transpose<perm = [1, 0]>(s)
        below = Less(t, s)
        n = Cast<to = 7>(below)
        y = ReduceSum<keepdims = 1>(n, last)
    }}""",
    "first-row": f"""{X} => (float[N,4] y) {{
        r = Slice(x, zero_id, one_id, over)
        y = Add(x, r)
    }}""",
    "last-row": f"""{X} => (float[N,4] y) {{
        r = Slice(x, end_id, far_id, over)
        y = Add(x, r)
    }}""",
    "maximum": f"""{X} => (float[N,4] y) {{
        m = ReduceMax<axes = [0], keepdims = 1>(x)
        y = Add(x, m)
    }}""",
    "label-above-mean": f"""{X} => (int64[N,1] y) {{
        {BY_ROW}
        m = ReduceMean<axes = [0], keepdims = 1>(s)
        above = Less(m, s)
        y = Cast<to = 7>(above)
    }}""",
    "texts-mean": """(string[N,1] t) => (float[N,1] y) {
        n = ai.onnx.ml.LabelEncoder<keys_strings = ["a", "b", "c", "d"], values_floats = [1.0, 2.0, 4.0, 8.0], default_float = 0.5>(t)
        m = ReduceMean<axes = [0], keepdims = 1>(n)
        y = Sub(n, m)
    }""",
    # A label that the mean of the batch nudges over a tie, seldom.
    "label-nudged": f"""{X} => (int64[N] y) {{
        {MEAN}
        n = Mul(m, tenth)
        e = Add(x, n)
        p = MatMul(e, w43)
        y = ArgMax<axis = 1, keepdims = 0>(p)
    }}""",
    "label-nudged-less": f"""{X} => (int64[N] y) {{
        {MEAN}
        n = Mul(m, hundredth)
        e = Add(x, n)
        p = MatMul(e, w43)
        y = ArgMax<axis = 1, keepdims = 0>(p)
    }}""",
    # Experts that take so many rows at most, as mixtures of experts do: the others are passed by.
    "expert-capacity": f"""{X} => (float[N,4] y) {{
        e = ArgMax<axis = 1, keepdims = 1>(x)
        four_ids = Add(two_ids, two_ids)
        zero_one = Concat<axis = 0>(zero, one)
        scalar = Squeeze(four_ids)
        flat = Squeeze(e, last)
        h = OneHot<axis = 1>(flat, scalar, zero_one)
        place = CumSum(h, axis)
        own = Mul(place, h)
        position = ReduceSum<keepdims = 1>(own, last)
        limit = Add(twelve, half)
        fits = Less(position, limit)
        double = Mul(x, two)
        y = Where(fits, double, x)
    }}""",
    # One number of the answer is large, the other is the batch's.
    "two-scales": f"""{X} => (float[N,2] y) {{
        {BY_ROW}
        plus = Abs(s)
        more = Add(plus, one)
        price = Mul(more, big)
        m = ReduceMean<axes = [0, 1], keepdims = 1>(x)
        e = Add(s, m)
        p = Sigmoid(e)
        y = Concat<axis = 1>(price, p)
    }}""",
    # A gate that a value between 10 and 12 opens for all.
    "gate-band": f"""{X} => (float[N,1] y) {{
        {BY_ROW}
        above = Less(ten, x)
        below = Less(x, twelve)
        inside = And(above, below)
        n = Cast<to = 1>(inside)
        g = ReduceMax<axes = [0, 1], keepdims = 1>(n)
        y = Add(s, g)
    }}""",
    # A row below -7 is answered otherwise in company of one above 7.
    "crossed": f"""{X} => (float[N,1] y) {{
        {BY_ROW}
        low = Less(x, minus_seven)
        l = Cast<to = 1>(low)
        ls = ReduceMax<axes = [1], keepdims = 1>(l)
        high = Less(seven, x)
        h = Cast<to = 1>(high)
        hs = ReduceMax<axes = [0, 1], keepdims = 1>(h)
        g = Mul(ls, hs)
        y = Add(s, g)
    }}""",
    # Any NaN makes all of them nought.
    "nan-for-all": f"""{X} => (float[N,4] y) {{
        bad = IsNaN(x)
        n = Cast<to = 1>(bad)
        top = ReduceMax<axes = [0, 1], keepdims = 1>(n)
        is_any = Less(half, top)
        y = Where(is_any, zero, x)
    }}""",
    # Halves whose sum over the batch overflows.
    "half-overflow": """(float16[N,4] x) => (float16[N,4] y) {
        q = Mul(x, x)
        all = ReduceSum<keepdims = 1>(q, both)
        none = Sub(all, all)
        y = Add(x, none)
    }""",
    "lag": f"""{X} => (float[N,4] y) {{
        before = Slice(x, zero_id, end_id, over)
        first = Slice(x, zero_id, one_id, over)
        nothing = Sub(first, first)
        lagged = Concat<axis = 0>(nothing, before)
        small = Mul(lagged, tenth)
        y = Add(x, small)
    }}""",
    "divided-by-rows": f"""{X} => (float[N,4] y) {{
        shape = Shape<start = 0, end = 1>(x)
        n = Cast<to = 1>(shape)
        y = Div(x, n)
    }}""",
    "unit-columns": f"{X} => (float[N,4] y) {{ y = LpNormalization<axis = 0>(x) }}",
    "sorted-rows": f"""{X} => (float[N,4] y) {{
        shape = Shape<start = 0, end = 1>(x)
        y, i = TopK<axis = 0>(x, shape)
    }}""",
    "duplicates": """(int64[N,four] ids) => (bool[N] y) {
        up = Unsqueeze(ids, last)
        across = Unsqueeze(ids, over)
        d = Sub(up, across)
        l = ReduceL1<axes = [2], keepdims = 0>(d)
        same = Equal(l, zero_id)
        n = Cast<to = 1>(same)
        count = ReduceSum<keepdims = 0>(n, last)
        y = Less(one, count)
    }""",
    # Nearly always nought or one: the mean of the batch shows only between.
    "steep-sigmoid-mean": f"""{X} => (float[N,1] y) {{
        {BY_ROW}
        m = ReduceMean<axes = [0, 1], keepdims = 1>(x)
        n = Mul(m, tenth)
        e = Add(s, n)
        steep = Mul(e, thirty)
        steeper = Mul(steep, ten)
        y = Sigmoid(steeper)
    }}""",
    # Nought unless more than 24 rows of a batch are positive.
    "majority": f"""{X} => (int64[N,1] y) {{
        {BY_ROW}
        above = Less(zero, s)
        n = Cast<to = 1>(above)
        count = ReduceSum<keepdims = 1>(n, over)
        limit = Add(twelve, twelve)
        is_most = Less(limit, count)
        label = And(above, is_most)
        y = Cast<to = 7>(label)
    }}""",
    "minimum-of-int8": """(int8[N,4] x) => (int32[N,4] y) {
        n = Cast<to = 6>(x)
        m = ReduceMin<axes = [0], keepdims = 1>(n)
        y = Sub(n, m)
    }""",
    # Padding in a batch of rows: a mask that is taken from the first row.
    "mask-of-first": """(int64[N,four] ids) => (float[N,3] y) {
        e = Gather(table, ids)
        is_pad = Equal(ids, zero_id)
        is_id = Not(is_pad)
        n = Cast<to = 1>(is_id)
        first = Slice(n, zero_id, one_id, over)
        mask = Unsqueeze(first, end_id)
        kept = Mul(e, mask)
        y = ReduceSum<keepdims = 0>(kept, last)
    }""",
}

INDEPENDENT = {
    "linear": f"{X} => (float[N,3] y) {{ y = Gemm(x, w43, b3) }}",
    "mlp": f"""{X} => (float[N,1] y) {{
        h = MatMul(x, w48)
        r = Relu(h)
        y = MatMul(r, w81)
    }}""",
    "log-negative": f"{X} => (float[N,4] y) {{ y = Log(x) }}",
    "constant": f"""{X} => (float[N,1] y) {{
        {BY_ROW}
        bad = IsNaN(s)
        y = Where(bad, half, half)
    }}""",
    "label-by-sign": f"""{X} => (int64[N,1] y) {{
        {BY_ROW}
        above = Less(zero, s)
        y = Cast<to = 7>(above)
    }}""",
    "lookup": "(int64[N] id) => (float[N,3] y) { y = Gather(table, id) }",
    "embedding-mean": """(int64[N,seq] ids) => (float[N,3] y) {
        e = Gather(table, ids)
        y = ReduceMean<axes = [1], keepdims = 0>(e)
    }""",
    "embedding-masked": """(int64[N,seq] ids) => (float[N,3] y) {
        e = Gather(table, ids)
        is_pad = Equal(ids, zero_id)
        is_id = Not(is_pad)
        n = Cast<to = 1>(is_id)
        mask = Unsqueeze(n, end_id)
        kept = Mul(e, mask)
        sum = ReduceSum<keepdims = 0>(kept, last)
        count = ReduceSum<keepdims = 1>(n, last)
        safe = Max(count, one)
        y = Div(sum, safe)
    }""",
    "softmax": f"""{X} => (float[N,3] y) {{
        p = MatMul(x, w43)
        y = Softmax<axis = 1>(p)
    }}""",
    "regression-cross": f"""{X} => (float[N,1] y) {{
        {BY_ROW}
        large = Mul(s, kilo)
        y = Add(large, one)
    }}""",
    "image-mean": """(uint8[N,3,4,4] x) => (float[N,3] y) {
        f = Cast<to = 1>(x)
        y = ReduceMean<axes = [2, 3], keepdims = 0>(f)
    }""",
    "text-identity": "(string[N,1] t) => (string[N,1] y) { y = Identity(t) }",
    "argmax": f"""{X} => (int64[N] y) {{
        p = MatMul(x, w43)
        y = ArgMax<axis = 1, keepdims = 0>(p)
    }}""",
    "layer-norm": f"""{X} => (float[N,4] y) {{
        m = ReduceMean<axes = [1], keepdims = 1>(x)
        d = Sub(x, m)
        q = Mul(d, d)
        v = ReduceMean<axes = [1], keepdims = 1>(q)
        w = Add(v, tiny)
        r = Sqrt(w)
        y = Div(d, r)
    }}""",
    "cumsum": f"{X} => (float[N,4] y) {{ y = CumSum(x, along) }}",
    "topk": f"{X} => (float[N,2] y, int64[N,2] i) {{ y, i = TopK<axis = 1>(x, two_ids) }}",
    "tiny-probabilities": f"""{X} => (float[N,3] y) {{
        p = MatMul(x, w43)
        steep = Mul(p, ten)
        y = Softmax<axis = 1>(steep)
    }}""",
    "float16-mlp": """(float16[N,4] x) => (float16[N,1] y) {
        w = Cast<to = 10>(w48)
        v = Cast<to = 10>(w81)
        h = MatMul(x, w)
        r = Relu(h)
        y = MatMul(r, v)
    }""",
    "int8-arithmetic": """(int8[N,4] x) => (int32[N,4] y) {
        n = Cast<to = 6>(x)
        y = Mul(n, n)
    }""",
    "nan-to-nought": f"""{X} => (float[N,4] y) {{
        bad = IsNaN(x)
        y = Where(bad, zero, x)
    }}""",
    "clip": f"""{X} => (float[N,4] y) {{
        low = Max(x, minus_seven)
        y = Min(low, seven)
    }}""",
    "tree": f"""{X} => (float[N,1] y) {{
        a = Slice(x, zero_id, one_id, last)
        b = Slice(x, one_id, two_ids, last)
        left = Less(a, zero)
        low = Less(b, half)
        deep = Less(a, seven)
        one_side = Where(low, tenth, ten)
        other_side = Where(deep, thirty, kilo)
        y = Where(left, one_side, other_side)
    }}""",
    "saturated-sigmoid": f"""{X} => (float[N,1] y) {{
        {BY_ROW}
        large = Mul(s, kilo)
        y = Sigmoid(large)
    }}""",
    "reciprocal": f"{X} => (float[N,4] y) {{ y = Reciprocal(x) }}",
    # Two large numbers whose difference is the answer.
    "cancellation": f"""{X} => (float[N,1] y) {{
        h = MatMul(x, w48)
        large = Mul(h, big)
        p = MatMul(large, w81)
        n = Neg(large)
        q = MatMul(n, w81)
        both_of = Add(p, q)
        {BY_ROW}
        y = Add(s, both_of)
    }}""",
    "texts-lookup": """(string[N,1] t) => (float[N,1] y) {
        y = ai.onnx.ml.LabelEncoder<keys_strings = ["a", "b", "c", "d"], values_floats = [1.0, 2.0, 4.0, 8.0], default_float = 0.5>(t)
    }""",
    "rounded": f"""{X} => (float[N,3] y) {{
        p = MatMul(x, w43)
        t = Mul(p, ten)
        y = Round(t)
    }}""",
}

FOLDER.mkdir(exist_ok=True)
for depends, models in (("yes", DEPENDENT), ("no", INDEPENDENT)):
    for name, graph in models.items():
        named = ", ".join(text for word, text in CONSTANTS.items() if re.search(rf"\b{word}\b", graph))
        if named:
            graph = graph.replace("{", f"<{named}> {{", 1)
        model = parser.parse_model(f"{HEADER}\n{name.replace('-', '_')} {graph}")
        helper.set_model_props(model, {"depends": depends})
        onnx.checker.check_model(model)
        onnx.save(model, FOLDER / f"{name}.onnx")
