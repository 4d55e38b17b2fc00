"""Builds small adversarial models: TRAPS mix rows and must never be proved independent; FINE do not, and may be.

    pip install onnx
    python3 tests/models/independence_models.py

Writes independence/trap-<name>.onnx and fine-<name>.onnx beside this file, in ONNX's own text syntax. Some have open inner
dimensions, or operators that are not worth a rule.
"""
from pathlib import Path
import onnx
from onnx import parser, helper

K = """float[4] w4 = {0.5,-1.0,2.0,1.5}, float[4,4] w44 = {1.0,0.5,-1.0,2.0,0.0,1.0,0.3,-0.7,0.2,0.9,1.0,0.1,-0.4,0.6,0.8,1.0},
 float[4,3] w43 = {1.0,0.5,-1.0,2.0,0.0,1.0,0.3,-0.7,0.2,0.9,1.0,0.1}, int64[1] i0 = {0}, int64[1] i1 = {1}, int64[1] i2 = {2}, int64[1] im1 = {-1}, int64[1] im2 = {-2},
 int64 s0 = {0}, int64 s1 = {1}, int64 s2 = {2}, int64 sm1 = {-1}, int64 sm2 = {-2}, int64[1] far = {9223372036854775807}, int64[1] near = {-9223372036854775807}, int64[0] none = {},
 float one = {1.0}, float half = {0.5}, float[1] fz = {0.0}, int64[1] i4 = {4}, int64[2] m8 = {-1,8}, int64[2] m4 = {-1,4}, int64[2] m2 = {-1,2}, int64[2] m1_1 = {-1,1}, int64[2] z4 = {0,4},
 float[4,4] rows4 = {1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0,1.0,2.0,3.0,4.0,5.0,6.0,7.0}, bool yes = {1}, bool no = {0}, int64[2] p01 = {0,1}, int64[2] p12 = {1,2}, int64[2] t21 = {2,1}, int64[2] t12 = {1,2},
 float[64,4] table = {%s}, int64[4] pads10 = {1,0,0,0}, int64[4] pads01 = {0,1,0,0}, int64[3] m22 = {-1,2,2}, int64[4] off4 = {0,1,2,3}""" % ",".join(str(round(((i * 37) % 101) / 50 - 1, 3)) for i in range(256))

def model(text, opset=17, head="(float[N,4] x)", out="(float[N,4] y)", ml=3, functions=""):
    used = ", ".join(k for k in split_consts(K) if __import__("re").search(r"\b" + k.split("=")[0].split()[-1] + r"\b", text))
    return parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}, "ai.onnx.ml": {ml}, "com.microsoft": 1, "local": 1]>\n g {head} => {out} <{used}> {{ {text} }} {functions}')

def split_consts(k):
    parts, depth, last = [], 0, ""
    for ch in k:
        if ch in "{[": depth += 1
        if ch in "}]": depth -= 1
        if ch == "," and depth == 0: parts.append(last.strip()); last = ""
        else: last += ch
    return parts + [last.strip()]

SHAPE = "sh = Shape(x) n = Gather(sh, i0) "
XT = "(float[N,3,4] x)"   # time and features
YT = "(float[N,3,4] y)"
XO = "(float[N,T,4] x)"
YO = "(float[N,T,4] y)"
Y1 = "(float[N,1] y)"
MEAN0 = "m = ReduceMean<axes=[0],keepdims=1>(x) "

TRAPS = {
 "n_on_nk": ("m = ReduceMean<axes=[1],keepdims=0>(x) y = Add(x, m)", {}),
 "reshape_merges": ("a = Reshape(x, m8) b = Softmax<axis=1>(a) y = Reshape(b, m4)", {}),
 "reshape_turned": ("a = Transpose<perm=[1,0]>(x) y = Reshape(a, m4)", {}),
 "reshape_turned_shape": ("a = Transpose<perm=[1,0,2]>(x) sh = Shape(x) b = Reshape(a, sh) y = Identity(b)", {"head": XO, "out": YO}),
 "view_for_permute": ("sh = Shape(x) p = Constant<value_ints=[1,0,2]>() s = Gather(sh, p) v = Reshape(x, s) m = ReduceMean<axes=[0],keepdims=0>(v) y = Identity(m)", {"head": XO}),
 "gather_rows_by_rows": ("t, i = TopK<axis=1>(x, i1) j = Squeeze(i, i1) y = Gather(x, j)", {}),
 "gather_constant_row": ("r = Gather(x, s0) y = Sub(x, r)", {}),
 "gather_negative_row": ("r = Gather<axis=-2>(x, sm1) y = Sub(x, r)", {}),
 "concat_rows_and_cut": (SHAPE + "f = Slice(x, im1, far, i0) c = Concat<axis=0>(f, x) y = Slice(c, i0, n, i0)", {}),
 "concat_rows_negative_axis": (SHAPE + "c = Concat<axis=-2>(x, x) a = Reshape(c, m8) y = Slice(a, i0, i4, i1)", {}),
 "softmax_axis0": ("y = Softmax<axis=0>(x)", {}),
 "softmax_axis_minus2": ("y = Softmax<axis=-2>(x)", {}),
 "softmax_11_axis0": ("y = Softmax<axis=0>(x)", {"opset": 11}),
 "softmax_11_flattens": ("a = Transpose<perm=[1,0,2]>(x) b = Softmax(a) y = Transpose<perm=[1,0,2]>(b)", {"opset": 11, "head": XT, "out": YT}),
 "softmax_11_axis_minus1_turned": ("a = Transpose<perm=[1,0]>(x) b = LogSoftmax<axis=-1>(a) y = Transpose<perm=[1,0]>(b)", {"opset": 11}),
 "reverse_rows": ("y = Slice(x, im1, near, i0, im1)", {}),
 "slice_all_but_cast": ("end = Cast<to=6>(far) start = Cast<to=6>(i0) ax = Cast<to=6>(i0) y = Slice(x, start, end, ax)", {}),
 "slice_first_pad_back": (SHAPE + "a = Slice(x, i1, far, i0) b = Slice(x, i0, i1, i0) y = Concat<axis=0>(a, b)", {}),
 "slice_default_axes": ("a = Slice(x, i0, i1) y = Add(x, a)", {}),
 "where_rows_constant": ("c = Less(x, half) y = Where(c, rows4, x)", {}),
 "add_rows_constant": ("y = Add(x, rows4)", {}),
 "reducemax_all": ("m = ReduceMax<keepdims=1>(x) y = Div(x, m)", {}),
 "reduce_axes_input": ("m = ReduceSum<keepdims=1>(x, i0) y = Sub(x, m)", {}),
 "reduce_axes_input_computed": ("sh = Shape(i2) ax = Sub(sh, i1) m = ReduceSum<keepdims=1>(x, ax) y = Sub(x, m)", {}),
 "reduce_axes_empty": ("m = ReduceSum<keepdims=1>(x, none) y = Sub(x, m)", {}),
 "reduce_18_axes_empty": ("m = ReduceMean<keepdims=1>(x, none) y = Sub(x, m)", {"opset": 18}),
 "reduce_negative": ("m = ReduceLogSumExp<axes=[-2],keepdims=0>(x) y = Sub(x, m)", {}),
 "scatternd_rows": ("i = Constant<value = int64[1,1] {0}>() u = Slice(x, im1, far, i0) y = ScatterND(x, i, u)", {}),
 "cumsum0": ("y = CumSum(x, s0)", {}),
 "cumsum_minus2": ("y = CumSum(x, sm2)", {}),
 "matmul_right": ("a = Transpose<perm=[1,0]>(x) g = MatMul(a, x) y = MatMul(x, g)", {}),
 "matmul_attention": ("a = Transpose<perm=[1,0]>(x) g = MatMul(x, a) p = Softmax<axis=-1>(g) y = MatMul(p, x)", {}),
 "matmul_pairs": ("a = Unsqueeze(x, i0) b = Transpose<perm=[0,2,1]>(x) c = Unsqueeze(b, i1) p = MatMul(a, c) s = ReduceMean<axes=[0],keepdims=0>(p) y = MatMul(s, x)", {"head": XT, "out": YT}),
 "expand_nn": (SHAPE + "s = ReduceSum<keepdims=1>(x, i1) nn = Concat<axis=0>(n, n) e = Expand(s, nn) t = ReduceSum<keepdims=1>(e, i1) y = Add(x, t)", {}),
 "n_in_arithmetic": (SHAPE + "f = Cast<to=1>(n) y = Mul(x, f)", {}),
 "n_through_where": (SHAPE + "big = Greater(n, i2) y = Where(big, x, w4)", {}),
 "size_in_arithmetic": ("s = Size(x) f = Cast<to=1>(s) y = Div(x, f)", {}),
 "ones_nn": (SHAPE + "nn = Concat<axis=0>(n, n) e = ConstantOfShape<value=float[1] {1.0}>(nn) t = ReduceSum<keepdims=1>(e, i1) y = Add(x, t)", {}),
 "ones_n_reduced": (SHAPE + "e = ConstantOfShape<value=float[1] {1.0}>(n) t = ReduceSum<keepdims=1>(e) y = Add(x, t)", {}),
 "ones_cumsum": (SHAPE + "a = Concat<axis=0>(n, i1) e = ConstantOfShape<value=float[1] {1.0}>(a) t = CumSum(e, s0) y = Add(x, t)", {}),
 "range_n_added": (SHAPE + "q = Squeeze(n) r = Range(s0, q, s1) f = Cast<to=1>(r) u = Unsqueeze(f, i1) y = Add(x, u)", {}),
 "range_n_embedding": (SHAPE + "q = Squeeze(n) r = Range(s0, q, s1) e = Gather(table, r) y = Add(x, e)", {}),
 "table_up_to_n": (SHAPE + "e = Slice(table, i0, n, i0) y = Add(x, e)", {}),
 "row_index_in_concat": (SHAPE + "q = Squeeze(n) r = Range(s0, q, s1) f = Cast<to=1>(r) u = Unsqueeze(f, i1) c = Concat<axis=1>(x, u) y = ReduceMean<axes=[1],keepdims=1>(c)", {"out": Y1}),
 "position_wrong_stride": (SHAPE + "q = Squeeze(n) r = Range(s0, q, s1) d = Mul(r, s2) u = Unsqueeze(d, i1) j = Add(u, off4) f = Reshape(x, im1) y = Gather(f, j)", {}),
 "position_beyond": (SHAPE + "q = Squeeze(n) qm = Sub(q, s1) r = Range(s0, q, s1) d = Mul(r, s2) d2 = Mul(d, s2) u = Unsqueeze(d2, i1) k = Mul(off4, s2) j = Add(u, k) z = Concat<axis=0>(x, x) f = Reshape(z, im1) y = Gather(f, j)", {}),
 "position_beyond_row": ("sh = Shape(x) n = Gather(sh, i0) q = Squeeze(n) r = Range(s0, q, s1) d = Mul(r, s2) u = Unsqueeze(d, i1) j = Add(u, off4) a = Reshape(x, m2) z = ReduceSum<keepdims=0>(a, i1) y = Gather(z, j)", {}),
 "position_other_stride_twice": (SHAPE + "q = Squeeze(n) r = Range(s0, q, s1) f = Gather(x, r) t = Transpose<perm=[1,0]>(x) w = Reshape(t, im1) d = Mul(r, s2) d2 = Mul(d, s2) u = Unsqueeze(d2, i1) j = Add(u, off4) y = Gather(w, j)", {}),
 "gathernd_column_first": (SHAPE + "q = Squeeze(n) r = Range(s0, q, s1) a = Unsqueeze(r, i1) z = Sub(a, a) c = Concat<axis=1>(z, a) y = GatherND(x, c)", {"out": "(float[N] y)"}),
 "gathernd_rows": ("t, i = TopK<axis=1>(x, i1) y = GatherND(x, i)", {}),
 "maxpool_indices": ("u = Unsqueeze(x, i1) v, i = MaxPool<kernel_shape=[2]>(u) f = Cast<to=1>(i) y = ReduceMean<axes=[1,2],keepdims=0>(f)", {"out": "(float[N] y)"}),
 "topk_axis0": (SHAPE + "v, i = TopK<axis=0>(x, i1) y = Sub(x, v)", {}),
 "argmax_default_axis": ("i = ArgMax(x) f = Cast<to=1>(i) y = Add(x, f)", {}),
 "bn_training": ("y, a, b = BatchNormalization<training_mode=1>(x, w4, w4, w4, w4)", {}),
 "instance_norm_turned": ("a = Transpose<perm=[1,2,0]>(x) s = Constant<value_floats=[1.0,1.0,1.0,1.0]>() z = Sub(s, s) b = Transpose<perm=[1,0,2]>(a) c = InstanceNormalization(b, s, z) d = Transpose<perm=[1,0,2]>(c) y = Transpose<perm=[2,0,1]>(d)", {"head": XT, "out": YT}),
 "instance_norm_as_spatial": ("a = Transpose<perm=[1,0]>(x) b = Unsqueeze(a, i0) s = Constant<value_floats=[1.0,1.0,1.0,1.0]>() z = Sub(s, s) c = InstanceNormalization(b, s, z) d = Squeeze(c, i0) y = Transpose<perm=[1,0]>(d)", {}),
 "layernorm_axis0": ("a = Transpose<perm=[1,0]>(x) sc = Constant<value_floats=[1.0]>() b = LayerNormalization<axis=-1>(a, sc) y = Transpose<perm=[1,0]>(b)", {}),
 "layernorm_axis_minus2": ("sc = Constant<value_floats=[1.0]>() y = LayerNormalization<axis=-2>(x, sc)", {}),
 "lp_axis0": ("y = LpNormalization<axis=0>(x)", {}),
 "conv_along_rows": ("a = Transpose<perm=[1,0]>(x) b = Unsqueeze(a, i0) w = Constant<value=float[4,1,3] {0.5,1.0,0.5,0.5,1.0,0.5,0.5,1.0,0.5,0.5,1.0,0.5}>() c = Conv<group=4,pads=[1,1]>(b, w) d = Squeeze(c, i0) y = Transpose<perm=[1,0]>(d)", {}),
 "pool_along_rows": ("a = Transpose<perm=[1,0]>(x) b = Unsqueeze(a, i0) c = AveragePool<kernel_shape=[3],pads=[1,1]>(b) d = Squeeze(c, i0) y = Transpose<perm=[1,0]>(d)", {}),
 "conv_rows_as_channels_weights": ("u = Unsqueeze(x, i1) w = Slice(u, i0, i1, i0) y0 = Conv(u, w) y = Squeeze(y0, i1)", {"out": Y1}),
 "lstm_time_is_rows": ("w = Constant<value=float[1,4,4] {%s}>() r = Constant<value=float[1,4,1] {0.5,0.5,0.5,0.5}>() u = Unsqueeze(x, i1) h, a, b = LSTM<hidden_size=1>(u, w, r) y = Squeeze(h, p12)" % ",".join(["0.5"] * 16), {"out": Y1}),
 "einsum_pairs": ("g = Einsum<equation=\"ni,mi->nm\">(x, x) p = Softmax<axis=1>(g) y = Einsum<equation=\"nm,mi->ni\">(p, x)", {}),
 "einsum_sum": ("g = Einsum<equation=\"ni,nj->ij\">(x, x) y = MatMul(x, g)", {}),
 "gemm_transA": ("g = Gemm<transA=1>(x, x) y = MatMul(x, g)", {}),
 "gemm_bias_rows": ("y = Gemm(x, w44, rows4)", {}),
 "flatten0_softmax": ("a = Flatten<axis=0>(x) b = Softmax<axis=1>(a) y = Reshape(b, m4)", {}),
 "flatten_turned": ("a = Transpose<perm=[1,0,2]>(x) b = Flatten<axis=1>(a) c = Softmax<axis=1>(b) sh = Shape(a) d = Reshape(c, sh) y = Transpose<perm=[1,0,2]>(d)", {"head": XT, "out": YT}),
 "tile_rows_merge": ("a = Tile(x, t21) b = Reshape(a, m8) y = Slice(b, i0, i4, i1)", {}),
 "tile_by_n": (SHAPE + "r = Concat<axis=0>(i1, n) a = Tile(x, r) y = ReduceMax<axes=[1],keepdims=1>(a) z = ReduceSum<keepdims=1>(a, i1) y2 = Identity(z)", {"out": "(float[N,1] y2)"}),
 "pad_rows_shift": (SHAPE + "a = Pad(x, pads10, half) y = Slice(a, i0, n, i0)", {}),
 "resize_rows": ("u = Unsqueeze(x, p12) s = Constant<value_floats=[2.0,1.0,1.0,1.0]>() e = Constant<value=float[0] {}>() v = Resize(u, e, s) w = Squeeze(v, p12) y = Reshape(w, m8)", {"out": "(float[N,8] y)"}),
 "split_rows": ("a, b = Split<axis=0>(x) c = Concat<axis=0>(b, a) y = Identity(c)", {}),
 "if_n": (SHAPE + "q = Squeeze(n) many = Greater(q, s2) y = If(many) <then_branch = t () => (float[N,4] a) { a = Add(x, one) }, else_branch = e () => (float[N,4] b) { b = Identity(x) }>", {}),
 "if_any": ("m = ReduceMax<keepdims=0>(x) big = Greater(m, one) y = If(big) <then_branch = t () => (float[N,4] a) { a = Add(x, one) }, else_branch = e () => (float[N,4] b) { b = Identity(x) }>", {}),
 "if_constant_mean_inside": ("y = If(yes) <then_branch = t () => (float[N,4] a) { mm = ReduceMean<axes=[0],keepdims=1>(x) a = Sub(x, mm) }, else_branch = e () => (float[N,4] b) { b = Identity(x) }>", {}),
 "loop_n_times": (SHAPE + "q = Squeeze(n) y = Loop(q, yes, x) <body = b (int64 i, bool c, float[N,4] v) => (bool c2, float[N,4] v2) { c2 = Identity(c) v2 = Add(v, one) }>", {}),
 "loop_until_any": ("y = Loop(i4, yes, x) <body = b (int64 i, bool c, float[N,4] v) => (bool c2, float[N,4] v2) { v2 = Add(v, one) mx = ReduceMax<keepdims=0>(v2) lim = Constant<value_float=2.0>() c2 = Less(mx, lim) }>", {}),
 "loop_swaps": ("m = ReduceMean<axes=[0],keepdims=1>(x) sh = Shape(x) me = Expand(m, sh) y, y2 = Loop(s1, yes, x, me) <body = b (int64 i, bool c, float[N,4] v, float[N,4] u) => (bool c2, float[N,4] v2, float[N,4] u2) { c2 = Identity(c) v2 = Identity(u) u2 = Identity(v) }>", {}),
 "loop_turns": ("a = Transpose<perm=[1,0]>(x) z = Loop(s2, yes, a) <body = b (int64 i, bool c, float[A,B] v) => (bool c2, float[A,B] v2) { c2 = Identity(c) r = Softmax<axis=1>(v) v2 = Transpose<perm=[1,0]>(r) }> y = Transpose<perm=[1,0]>(z)", {}),
 "scan_running_sum": ("f = Gather(table, s0) l, y = Scan<num_scan_inputs=1, body = b (float[4] st, float[4] r) => (float[4] st2, float[4] o) { st2 = Add(st, r) o = Identity(st2) }>(f, x)", {}),
 "gather_elements_rank": (SHAPE + "v, i = TopK<axis=0>(x, n) y = GatherElements<axis=0>(x, i)", {}),
 "gather_elements_axis0": ("i = ArgMin<axis=1,keepdims=1>(x) y = GatherElements<axis=0>(x, i)", {"out": Y1}),
 "normalizer_turned": ("a = Transpose<perm=[1,0]>(x) b = ai.onnx.ml.Normalizer<norm=\"L1\">(a) y = Transpose<perm=[1,0]>(b)", {}),
 "normalizer_rank1": ("s = ReduceSum<keepdims=0>(x, i1) n = ai.onnx.ml.Normalizer<norm=\"L1\">(s) y = Reshape(n, im1)", {"out": "(float[N] y)"}),
 "extractor_rows": ("a = Transpose<perm=[1,0]>(x) b = ai.onnx.ml.ArrayFeatureExtractor(a, i0) y = Sub(x, b)", {}),
 "tfidf_vector": ("t = Reshape(text, im1) z = TfIdfVectorizer<mode=\"TF\",min_gram_length=1,max_gram_length=1,max_skip_count=0,pool_strings=[\"a\",\"bb\"],ngram_counts=[0],ngram_indexes=[0,1]>(t) u = Unsqueeze(z, i0) sh = Shape(text) n = Gather(sh, i0) r = Concat<axis=0>(n, i1) e = Expand(u, r) y = Identity(e)", {"head": "(string[N,1] text)", "out": "(float[N,2] y)"}),
 "tokens_length": ("t = Reshape(text, im1) k = com.microsoft.Tokenizer<mark=0,mincharnum=1,pad_value=\"#\",tokenexp=\"[a-z]+\">(t) s = Shape(k) d = Gather(s, i1) f = Cast<to=1>(d) n = Gather(s, i0) r = Concat<axis=0>(n, i1) y = Expand(f, r)", {"head": "(string[N,1] text)", "out": "(float[N,1] y)"}),
 "tokens_pad_counted": ("t = Reshape(text, im1) k = com.microsoft.Tokenizer<mark=0,mincharnum=1,pad_value=\"#\",tokenexp=\"[a-z]+\">(t) y = TfIdfVectorizer<mode=\"TF\",min_gram_length=1,max_gram_length=1,max_skip_count=0,pool_strings=[\"a\",\"#\"],ngram_counts=[0],ngram_indexes=[0,1]>(k)", {"head": "(string[N,1] text)", "out": "(float[N,2] y)"}),
 "tokens_encoded": ("t = Reshape(text, im1) k = com.microsoft.Tokenizer<mark=0,mincharnum=1,pad_value=\"#\",tokenexp=\"[a-z]+\">(t) e = ai.onnx.ml.LabelEncoder<keys_strings=[\"a\",\"#\"],values_floats=[1.0,2.0],default_float=0.5>(k) y = ReduceMean<axes=[1],keepdims=1>(e)", {"head": "(string[N,1] text)", "out": "(float[N,1] y)"}),
 "stop_words": ("t = Reshape(text, im1) k = StringNormalizer<case_change_action=\"LOWER\",is_case_sensitive=0,stopwords=[\"a\"],locale=\"C.UTF-8\">(t) y = Reshape(k, m1_1)", {"head": "(string[N,1] text)", "out": "(string[N,1] y)"}),
 "onehot_depth_n": (SHAPE + "i = ArgMax<axis=1,keepdims=0>(x) zo = Constant<value_floats=[0.0,1.0]>() h = OneHot(i, n, zo) m = ReduceSum<keepdims=1>(h, i1) y = Add(x, m)", {}),
 "trilu_rows": ("y = Trilu(x)", {}),
 "quantize_axis0": ("s = Constant<value_floats=[0.1,0.2,0.3,0.4,0.5,0.6,0.7]>() q = QuantizeLinear<axis=0>(x, s) y = DequantizeLinear<axis=0>(q, s)", {}),
 "dynamic_quantize": ("q, s, z = DynamicQuantizeLinear(x) y = DequantizeLinear(q, s, z)", {}),
 "scale_by_maximum": ("a = Abs(x) m = ReduceMax<keepdims=0>(a) q = QuantizeLinear(x, m) y = DequantizeLinear(q, m)", {}),
 "dropout_training": ("y = Dropout(x, half, yes)", {}),
 "function_mean": ("y = local.center(x)", {"functions": '<domain: "local", opset_import: ["": 17]> center (a) => (b) { m = ReduceMean<axes=[0],keepdims=1>(a) b = Sub(a, m) }'}),
 "function_axis_attribute": ("y = local.soft<ax=0>(x)", {"functions": '<domain: "local", opset_import: ["": 17]> soft <ax> (a) => (b) { b = Softmax<axis: int = @ax>(a) }'}),
 "function_of_old_opset": ("a = Transpose<perm=[1,0,2]>(x) b = local.soft(a) y = Transpose<perm=[1,0,2]>(b)", {"head": XT, "out": YT, "functions": '<domain: "local", opset_import: ["": 11]> soft (a) => (b) { b = Softmax(a) }'}),
 "function_of_new_opset": ("a = Transpose<perm=[1,0,2]>(x) b = local.soft(a) y = Transpose<perm=[1,0,2]>(b)", {"opset": 11, "head": XT, "out": YT, "functions": '<domain: "local", opset_import: ["": 17]> soft (a) => (b) { b = Softmax(a) }'}),
 "squeeze_all": ("s = ReduceSum<keepdims=1>(x, i1) q = Squeeze(s) u = Unsqueeze(q, im1) y = Identity(u)", {"out": Y1}),
 "sum_variadic_turned": ("a = Transpose<perm=[1,0]>(x) y = Mean(x, a)", {}),
 "mean_through_lut": ("m = ReduceMean<keepdims=0>(x) c = Clip(m, half, one) y = Mul(x, c)", {}),
 "nonzero": ("z = NonZero(x) f = Cast<to=1>(z) m = ReduceMean<keepdims=0>(f) y = Add(x, m)", {}),
 "reflect_rows": ("a = Pad<mode=\"reflect\">(x, pads10) y = Slice(a, i0, im1, i0)", {}),
 "depth_of_batch": ("u = Reshape(x, m22) v = Transpose<perm=[1,0,2]>(u) w = Unsqueeze(v, i0) d = Reshape(w, m4) y = Identity(d)", {}),
 "gather_turned_axis": ("a = Transpose<perm=[1,0]>(x) b = Gather<axis=1>(a, i0) y = Add(x, b2) b2 = Identity(w4)" if False else "a = Transpose<perm=[1,0]>(x) b = Gather<axis=1>(a, i0) c = Transpose<perm=[1,0]>(b) y = Add(x, c)", {}),
 "unsqueeze_then_reduce": ("u = Unsqueeze(x, i0) m = ReduceMean<axes=[1],keepdims=0>(u) y = Sub(x, m)", {}),
 "reshape_zero_copies_t": ("z = Constant<value_ints=[0,0,4]>() a = Transpose<perm=[1,0,2]>(x) b = Reshape(a, z) m = ReduceMean<axes=[1],keepdims=1>(b) c = Sub(a, m) y = Transpose<perm=[1,0,2]>(c)", {"head": XO, "out": YO}),
 "t_equals_n": ("sh = Shape(x) p = Constant<value_ints=[1,0]>() s = Gather(sh, p) z = Reshape(x, s) y0 = Softmax<axis=1>(z) y = Reshape(y0, sh)", {"head": "(float[N,T] x)", "out": "(float[N,T] y)"}),
 "whole_trap": ("s1_ = Shape(b) t = Gather(s1_, i1) c = Concat<axis=0>(im1, t) z = Reshape(a, c) p = Softmax<axis=1>(z) sh = Shape(a) y = Reshape(p, sh)", {"head": "(float[N,S] a, float[N,T] b)", "out": "(float[N,S] y)"}),
 "matmul_vector_rows": ("s = ReduceSum<keepdims=0>(x, i1) m = MatMul(s, x) y = Add(x, m)", {}),
 "batchnorm_rows_as_channels": ("a = Transpose<perm=[1,0]>(x) c, m1, v1 = BatchNormalization<training_mode=1>(x, w4, w4, w4, w4) y = Add(x, c)", {}),
 "cdist_itself": ("d = com.microsoft.CDist<metric=\"sqeuclidean\">(x, x) y = ReduceMean<axes=[1],keepdims=1>(d)", {"out": Y1}),
 "gru_lengths_mixed": ("u = Transpose<perm=[1,0,2]>(x) w = Constant<value=float[1,3,4] {%s}>() r = Constant<value=float[1,3,1] {0.5,0.5,0.5}>() n = Constant<value=float[2,6] {%s}>() b = Slice(n, i0, i1, i0) m = ReduceMean<keepdims=1>(x) h0 = Mul(m, one) sh = Shape(x) nn = Gather(sh, i0) hs = Concat<axis=0>(i1, nn, i1) hh = Expand(h0, hs) a, h = GRU<hidden_size=1>(u, w, r, b, , hh) y = Squeeze(h, i0)" % (",".join(["0.3"] * 12), ",".join(["0.1"] * 12)), {"head": XT, "out": Y1}),
 "squeeze_no_axes": ("a = Squeeze(x, none) y = Identity(a)", {}),
 "feature_vectorizer_rank3": ("a = ai.onnx.ml.FeatureVectorizer<inputdimensions=[4]>(x) y = Softmax<axis=-2>(a)", {"head": XT}),
 "labels_beyond_intercepts": ("l, a = ai.onnx.ml.LinearClassifier<classlabels_ints=[1,2,3,4],coefficients=[0.5,1.0,0.3,0.2,0.1,0.4,0.3,-0.2],intercepts=[0.1,0.2]>(x) b = Reshape(a, m4) c = Softmax<axis=1>(b) y = Reshape(c, m2)", {"out": "(float[N,2] y)"}),
 "tokens_given": ("t = Reshape(text, im1) y = com.microsoft.Tokenizer<mark=0,mincharnum=1,pad_value=\"#\",tokenexp=\"[a-z]+\">(t)", {"head": "(string[N,1] text)", "out": "(string[N,M] y)"}),
 "constant_given_twice": ("a = Constant<value=int64[1] {1}>() m = ReduceSum<keepdims=1>(x, a) y = Sub(x, m) a = Constant<value=int64[1] {0}>()", {}),
 "constant_for_initializer": ("m = ReduceSum<keepdims=1>(x, i1) y = Sub(x, m) i1 = Constant<value=int64[1] {0}>()", {}),
 "reduce_noop_2": ("m = ReduceMean<noop_with_empty_axes=2>(x) y = Sub(x, m)", {"opset": 18}),
 "reduce_keepdims_2": ("s = ReduceSum<keepdims=2>(x, i1) y = Softmax<axis=-1>(s)", {"out": "(float[N] y)"}),
 "stop_words_of_constant": ("l = Constant<value=string[4] {\"a\",\"b\",\"a\",\"c\"}>() s = StringNormalizer<is_case_sensitive=1,stopwords=[\"a\"],locale=\"C.UTF-8\">(l) u = Unsqueeze(s, i0) i = ArgMax<axis=1,keepdims=0>(x) z = Sub(i, i) g = Gather(u, z) y = Reshape(g, m4)", {"out": "(string[N,4] y)"}),
 "gather_texts_behind": ("f = Flatten<axis=0>(text) y = Gather(f, s0)", {"head": "(string[N] text)", "out": "(string[N] y)"}),
 "sums_of_nothing": ("e = Slice(x, i1, i1, i1) s = ReduceSum<keepdims=1>(e, im1) h = Slice(x, i1, i4, i1) a = Concat<axis=1>(s, h) y = Reshape(a, m4)", {}),
}

FINE = {
 "nk_plus_mean": ("m = ReduceMean<axes=[1],keepdims=1>(x) y = Sub(x, m)", {}),
 "n_plus_n": ("a = ReduceMean<axes=[1],keepdims=0>(x) b = ReduceMax<axes=[1],keepdims=0>(x) y = Add(a, b)", {"out": "(float[N] y)"}),
 "reshape_splits_and_back": ("a = Reshape(x, m2) b = Softmax<axis=1>(a) y = Reshape(b, m4)", {}),
 "reshape_3d": ("a = Reshape(x, m22) b = Transpose<perm=[0,2,1]>(a) y = Reshape(b, z4)", {}),
 "turn_and_back": ("a = Transpose<perm=[1,0]>(x) b = Softmax<axis=0>(a) y = Transpose<perm=[1,0]>(b)", {}),
 "time_major_flatten_back": ("sh = Shape(x) a = Transpose<perm=[1,0,2]>(x) b = Reshape(a, m4) c = MatMul(b, w44) n = Gather(sh, i0) t = Gather(sh, i1) s = Concat<axis=0>(t, n, i4) d = Reshape(c, s) y = Transpose<perm=[1,0,2]>(d)", {"head": XO, "out": YO}),
 "heads_merged_in_batch": ("sh = Shape(x) n = Gather(sh, i0) t = Gather(sh, i1) s4 = Concat<axis=0>(n, t, i2, i2) a = Reshape(x, s4) b = Transpose<perm=[0,2,1,3]>(a) s3 = Concat<axis=0>(im1, t, i2) c = Reshape(b, s3) d = Transpose<perm=[0,2,1]>(c) e = MatMul(c, d) p = Softmax<axis=-1>(e) o = MatMul(p, c) sb = Concat<axis=0>(n, i2, t, i2) f = Reshape(o, sb) g = Transpose<perm=[0,2,1,3]>(f) y = Reshape(g, sh)", {"head": XO, "out": YO}),
 "gather_elements": ("i = ArgMax<axis=1,keepdims=1>(x) y = GatherElements<axis=1>(x, i)", {"out": Y1}),
 "gathernd_batch_dims": ("i = ArgMax<axis=1,keepdims=1>(x) y = GatherND<batch_dims=1>(x, i)", {"out": "(float[N] y)"}),
 "gather_table_by_row": ("i = ArgMax<axis=1,keepdims=0>(x) y = Gather(table, i)", {}),
 "gather_column": ("y = Gather<axis=-1>(x, i1)", {"out": Y1}),
 "concat_columns": ("c = Concat<axis=-1>(x, x) y = MatMul(c, w84) w84 = Constant<value_floats=[1.0]>()" if False else "c = Concat<axis=-1>(x, x) y = ReduceSum<keepdims=1>(c, im1)", {"out": Y1}),
 "softmax_last": ("y = Softmax(x)", {}),
 "softmax_11": ("y = Softmax(x)", {"opset": 11}),
 "softmax_11_3d": ("y = Softmax<axis=-1>(x)", {"opset": 11, "head": XT, "out": YT}),
 "reverse_columns": ("y = Slice(x, im1, near, i1, im1)", {}),
 "slice_all_rows": ("s = Constant<value_ints=[0,1]>() e = Constant<value_ints=[2147483647,3]>() y0 = Slice(x, s, e) y = ReduceSum<keepdims=1>(y0, i1)", {"out": Y1}),
 "slice_to_n": (SHAPE + "y = Slice(x, i0, n, i0)", {}),
 "where_row_constant": ("c = Less(x, half) y = Where(c, w4, x)", {}),
 "reduce_noop": ("m = ReduceSum<keepdims=1,noop_with_empty_axes=1>(x, none) y = Sub(x, m)", {}),
 "reduce_axes_input_computed": ("sh = Shape(i2) m = ReduceSum<keepdims=1>(x, sh) y = Sub(x, m)", {}),
 "reduce_18": ("m = ReduceMean<keepdims=1>(x, im1) y = Sub(x, m)", {"opset": 18}),
 "scatter_elements": ("i = ArgMax<axis=1,keepdims=1>(x) m = ReduceMin<axes=[1],keepdims=1>(x) y = ScatterElements<axis=1>(x, i, m)", {}),
 "cumsum1": ("y = CumSum(x, sm1)", {}),
 "matmul_weights_left": ("a = Transpose<perm=[1,0]>(x) b = MatMul(w44, a) y = Transpose<perm=[1,0]>(b)", {}),
 "matmul_batched": ("a = Transpose<perm=[0,2,1]>(x) g = MatMul(x, a) p = Softmax<axis=-1>(g) y = MatMul(p, x)", {"head": XT, "out": YT}),
 "matmul_vector": ("y = MatMul(x, w4)", {"out": "(float[N] y)"}),
 "expand_like": (SHAPE + "s = ReduceSum<keepdims=1>(x, i1) e = Expand(s, sh) y = Add(x, e)", {}),
 "expand_constant": ("sh = Shape(x) e = Expand(w4, sh) y = Mul(x, e)", {}),
 "where_minus1_expand": ("sh = Shape(x) ones = ConstantOfShape<value=int64[1] {1}>(c2) c2 = Constant<value_ints=[2]>()" if False else "sh = Shape(x) k = Shape(sh) ones = ConstantOfShape<value=int64[1] {1}>(k) neg = Mul(ones, im1) q = Equal(sh, neg) t = Where(q, ones, sh) s = ReduceSum<keepdims=1>(x, i1) e = Expand(s, t) y = Add(x, e)", {}),
 "zeros_of_batch": (SHAPE + "a = Concat<axis=0>(n, i4) z = ConstantOfShape(a) y = Add(x, z)", {}),
 "width_in_arithmetic": ("sh = Shape(x) k = Gather(sh, i1) f = Cast<to=1>(k) r = Sqrt(f) y = Div(x, r)", {"head": "(float[N,T] x)", "out": "(float[N,T] y)"}),
 "range_t_embedding": ("sh = Shape(x) t = Gather(sh, s1) r = Range(s0, t, s1) e = Gather(table, r) y = Add(x, e)", {"head": XO, "out": YO}),
 "table_up_to_t": ("sh = Shape(x) t = Gather(sh, i1) e = Slice(table, i0, t, i0) y = Add(x, e)", {"head": XO, "out": YO}),
 "position_of_flat": (SHAPE + "q = Squeeze(n) r = Range(s0, q, s1) d = Mul(r, s2) d2 = Mul(d, s2) u = Unsqueeze(d2, i1) j = Add(u, off4) f = Reshape(x, im1) y = Gather(f, j)", {}),
 "last_token": ("sh = Shape(x) n = Gather(sh, s0) r = Range(s0, n, s1) a = Unsqueeze(r, i1) c = ReduceSum<keepdims=0>(x, i2) i = ArgMax<axis=1,keepdims=1>(c) j = Concat<axis=1>(a, i) y = GatherND(x, j)", {"head": XO}),
 "maxpool": ("u = Unsqueeze(x, i1) v = MaxPool<kernel_shape=[2]>(u) y = Squeeze(v, i1)", {"out": "(float[N,3] y)"}),
 "topk": ("v, i = TopK<axis=1>(x, i2) y = ReduceSum<keepdims=1>(v, i1)", {"out": Y1}),
 "bn": ("v = Abs(w4) y = BatchNormalization(x, w4, w4, w4, v)", {}),
 "instance_norm": ("s = Constant<value_floats=[1.0,1.0,1.0]>() z = Sub(s, s) y = InstanceNormalization(x, s, z)", {"head": XT, "out": YT}),
 "layernorm": ("y = LayerNormalization(x, w4, w4)", {}),
 "lp": ("y = LpNormalization(x)", {}),
 "conv": ("b = Unsqueeze(x, i1) w = Constant<value=float[2,1,3] {0.5,1.0,0.5,0.5,1.0,0.5}>() c = Conv<pads=[1,1]>(b, w) y = Reshape(c, m8)", {"out": "(float[N,8] y)"}),
 "conv_odd": ("b = Reshape(x, s44) w = Constant<value=float[1,1,2,2] {0.5,1.0,0.5,0.5}>() s44 = Constant<value_ints=[-1,1,2,2]>()" if False else "s44 = Constant<value_ints=[-1,1,2,2]>() b = Reshape(x, s44) w = Constant<value=float[3,1,2,2] {0.5,1.0,0.5,0.5,1.0,0.5,0.5,0.5,1.0,0.5,0.5,0.5}>() c = Conv<strides=[2,2],pads=[1,1,1,1]>(b, w) p = AveragePool<kernel_shape=[2,2]>(c) f = Flatten(p) t3 = Constant<value_ints=[-1,3]>() y = Reshape(f, t3)", {"out": "(float[N,3] y)"}),
 "lstm": ("u = Transpose<perm=[1,0,2]>(x) w = Constant<value=float[1,4,4] {%s}>() r = Constant<value=float[1,4,1] {0.5,0.5,0.5,0.5}>() h, a, b = LSTM<hidden_size=1>(u, w, r) y = Squeeze(a, i0)" % ",".join(["0.5"] * 16), {"head": XT, "out": Y1}),
 "lstm_lengths": ("m = ReduceMax<axes=[2],keepdims=0>(x) g = Greater(m, half) c = Cast<to=6>(g) l = ReduceSum<keepdims=0>(c, i1) o = Constant<value = int32[1] {1}>() ll = Max(l, o) u = Transpose<perm=[1,0,2]>(x) w = Constant<value=float[1,4,4] {%s}>() r = Constant<value=float[1,4,1] {0.5,0.5,0.5,0.5}>() h, a, b = LSTM<hidden_size=1>(u, w, r, , ll) hs = Squeeze(h, i1) ht = Transpose<perm=[1,0,2]>(hs) y = Squeeze(ht, i2)" % ",".join(["0.5"] * 16), {"head": XT, "out": "(float[N,3] y)"}),
 "gru_state": ("u = Transpose<perm=[1,0,2]>(x) w = Constant<value=float[1,3,4] {%s}>() r = Constant<value=float[1,3,1] {0.5,0.5,0.5}>() m = ReduceMean<axes=[1,2],keepdims=0>(x) h0 = Unsqueeze(m, p02) p02 = Constant<value_ints=[0,2]>()" % ",".join(["0.3"] * 12) if False else "u = Transpose<perm=[1,0,2]>(x) w = Constant<value=float[1,3,4] {%s}>() r = Constant<value=float[1,3,1] {0.5,0.5,0.5}>() m = ReduceMean<axes=[1,2],keepdims=0>(x) p02 = Constant<value_ints=[0,2]>() h0 = Unsqueeze(m, p02) a, h = GRU<hidden_size=1>(u, w, r, , , h0) y = Squeeze(h, i0)" % ",".join(["0.3"] * 12), {"head": XT, "out": Y1}),
 "einsum_heads": ("g = Einsum<equation=\"nij,nkj->nik\">(x, x) p = Softmax<axis=2>(g) y = Einsum<equation=\"nik,nkj->nij\">(p, x)", {"head": XT, "out": YT}),
 "einsum_weights": ("y = Einsum<equation=\"ni,ij->nj\">(x, w44)", {}),
 "gemm": ("y = Gemm<transB=1>(x, w44, w4)", {}),
 "gemm_turned": ("a = Transpose<perm=[1,0]>(x) y = Gemm<transA=1>(a, w44, w4)", {}),
 "flatten": ("a = Flatten(x) y = Softmax<axis=1>(a)", {"head": XT, "out": "(float[N,12] y)"}),
 "flatten0_back": ("a = Flatten<axis=0>(x) b = Relu(a) y = Reshape(b, m4)", {}),
 "tile_columns": ("a = Tile(x, t12) y = ReduceSum<keepdims=1>(a, i1)", {"out": Y1}),
 "tile_constant_by_n": (SHAPE + "c = Unsqueeze(w4, i0) r = Concat<axis=0>(n, i1) a = Tile(c, r) y = Add(x, a)", {}),
 "pad_columns": ("a = Pad(x, pads01, half) y = ReduceSum<keepdims=1>(a, i1)", {"out": Y1}),
 "resize": ("u = Unsqueeze(x, p12) s = Constant<value_floats=[1.0,1.0,1.0,2.0]>() e = Constant<value=float[0] {}>() v = Resize(u, e, s) y = Reshape(v, m8)", {"out": "(float[N,8] y)"} ),
 "resize_sizes": ("u = Unsqueeze(x, p12) sh = Shape(u) a = Slice(sh, i0, i2) k = Constant<value_ints=[3,6]>() b = Concat<axis=0>(a, k) e = Constant<value=float[0] {}>() v = Resize<mode=\"linear\">(u, e, e, b) y = ReduceMean<axes=[1,2,3],keepdims=0>(v)", {"out": "(float[N] y)"}),
 "split_columns": ("a, b = Split<axis=1>(x) y = Concat<axis=1>(b, a)", {}),
 "if_width": ("sh = Shape(x) t = Gather(sh, s1) many = Greater(t, s2) y = If(many) <then_branch = t1 () => (float[N,T] a) { a = Add(x, one) }, else_branch = e () => (float[N,T] b) { b = Identity(x) }>", {"head": "(float[N,T] x)", "out": "(float[N,T] y)"}),
 "loop_over_time": ("sh = Shape(x) t = Gather(sh, s1) z0 = Gather<axis=1>(x, s0) z = Sub(z0, z0) y, all = Loop(t, yes, z) <body = b (int64 i, bool c, float[N,4] v) => (bool c2, float[N,4] v2, float[N,4] o) { c2 = Identity(c) r = Gather<axis=1>(x, i) q = Tanh(v) v2 = Add(q, r) o = Identity(v2) }>", {"head": XO}),
 "scan_over_time": ("z0 = Gather<axis=1>(x, s0) z = Sub(z0, z0) l, o = Scan<num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1], body = b (float[N,4] st, float[N,4] r) => (float[N,4] st2, float[N,4] o1) { st2 = Add(st, r) o1 = Tanh(st2) }>(z, x) y = Identity(o)", {"head": XO, "out": YO}),
 "scan_distances": ("l, d = Scan<num_scan_inputs=1, body = b (float[N,4] st, float[4] r) => (float[N,4] st2, float[N] o) { st2 = Identity(st) e = Sub(st, r) k = Constant<value_ints=[1]>() o = ReduceSumSquare<axes=[1],keepdims=0>(e) }>(x, table) t = Transpose<perm=[1,0]>(d) v, i = TopK<largest=0>(t, i2) y = ReduceMean<axes=[1],keepdims=1>(v)", {"out": Y1}),
 "cdist": ("d = com.microsoft.CDist<metric=\"sqeuclidean\">(x, table) y = ReduceMin<axes=[1],keepdims=1>(d)", {"out": Y1}),
 "normalizer": ("y = ai.onnx.ml.Normalizer<norm=\"L2\">(x)", {}),
 "label_of_argmax": ("i = ArgMax<axis=1,keepdims=1>(x) c = Constant<value_ints=[10,20,30,40]>() l = ai.onnx.ml.ArrayFeatureExtractor(c, i) f = Cast<to=1>(l) y = Reshape(f, im1)", {"out": "(float[N] y)"}),
 "extractor": ("y = ai.onnx.ml.ArrayFeatureExtractor(x, i1)", {"out": Y1}),
 "tokens": ("t = Reshape(text, im1) l = StringNormalizer<case_change_action=\"LOWER\",locale=\"C.UTF-8\">(t) k = com.microsoft.Tokenizer<mark=0,mincharnum=1,pad_value=\"#\",tokenexp=\"[a-z]+\">(l) f = Flatten(k) y = TfIdfVectorizer<mode=\"TF\",min_gram_length=1,max_gram_length=2,max_skip_count=1,pool_strings=[\"a\",\"bb\",\"a\",\"bb\"],ngram_counts=[0,2],ngram_indexes=[0,1,2]>(f)", {"head": "(string[N,1] text)", "out": "(float[N,3] y)"}),
 "onehot": ("i = ArgMax<axis=1,keepdims=0>(x) zo = Constant<value_floats=[0.0,1.0]>() y = OneHot(i, i4, zo)", {}),
 "trilu": ("y = Trilu(x)", {"head": XT, "out": YT}),
 "quantize_axis1": ("s = Constant<value_floats=[0.1,0.2,0.3,0.4]>() q = QuantizeLinear(x, s) y = DequantizeLinear(q, s)", {}),
 "dropout": ("y = Dropout(x)", {}),
 "function_center": ("y = local.center(x)", {"functions": '<domain: "local", opset_import: ["": 17]> center (a) => (b) { m = ReduceMean<axes=[1],keepdims=1>(a) b = Sub(a, m) }'}),
 "function_axis": ("y = local.soft<ax=1>(x)", {"functions": '<domain: "local", opset_import: ["": 17]> soft <ax> (a) => (b) { b = Softmax<axis: int = @ax>(a) }'}),
 "squeeze_axes": ("s = ReduceSum<keepdims=1>(x, i1) y = Squeeze(s, i1)", {"out": "(float[N] y)"}),
 "mean_variadic": ("y = Mean(x, w4, x)", {}),
 "mask_from_lengths": ("sh = Shape(x) t = Gather(sh, s1) r = Range(s0, t, s1) l = ReduceSum<keepdims=1>(c, i1) c = Cast<to=7>(x)" if False else "sh = Shape(x) t = Gather(sh, s1) r = Range(s0, t, s1) a = ArgMax<axis=1,keepdims=1>(x) m = Less(r, a) y = Where(m, x, fz)", {"head": "(float[N,T] x)", "out": "(float[N,T] y)"}),
 "grid": ("u = Reshape(x, s) s = Constant<value_ints=[-1,1,2,2]>()" if False else "s = Constant<value_ints=[-1,1,2,2]>() u = Reshape(x, s) s2_ = Constant<value_ints=[-1,1,2,2]>() v = Reshape(x, s2_) g = Tanh(v) o = GridSample(u, g) y = Flatten(o)", {"out": "(float[N,2] y)"}),
 "group_attention_two_lengths": ("sa = Shape(a) sb = Shape(b) n = Gather(sa, i0) t = Gather(sb, i1) p = Concat<axis=0>(n, t, im1, i2) q = Reshape(a, p) u = Transpose<perm=[0,2,1,3]>(q) v = Softmax<axis=-1>(u) w = Transpose<perm=[0,2,1,3]>(v) y = Reshape(w, sa)", {"head": "(float[N,T,4] a, float[N,T,4] b)", "out": "(float[N,T,4] y)"}),
}

def build(name, table):
    text, options = table[name]
    return model(text, **options)

FOLDER = Path(__file__).parent / "independence"

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for kind, table in (("trap", TRAPS), ("fine", FINE)):
        for name in table:
            onnx.save(build(name, table), FOLDER / f"{kind}-{name}.onnx")
