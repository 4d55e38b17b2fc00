"""Makes the tiny models that the protocol documents' own examples need (see tests/protocols.json).

    pip install onnx
    python3 tests/models/protocol_models.py

Writes <name>.onnx beside this file. A model bears the name that its document uses in the path.
"""
from pathlib import Path

import numpy as np
from onnx import TensorProto as T, checker, helper, numpy_helper, save

HERE = Path(__file__).parent


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def model(name, inputs, outputs, nodes, constants=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    made = helper.make_model(
        graph, ir_version=8, producer_name="tests", opset_imports=[helper.make_opsetid("", 13)])
    checker.check_model(made, full_check=True)
    save(made, HERE / f"{name}.onnx")


def half_plus(name, number):
    """TensorFlow Serving's toys: y = x / 2 + number. Its examples send scalars: x is [N]."""
    model(
        name, [value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT, ["N"])],
        [helper.make_node("Mul", ["x", "half"], ["scaled"]),
         helper.make_node("Add", ["scaled", "number"], ["y"])],
        [constant("half", np.float32(0.5)), constant("number", np.float32(number))])


def identity(name, pairs):
    """pairs: (input, output, element type, shape)"""
    model(
        name, [value(i, kind, shape) for i, _, kind, shape in pairs],
        [value(o, kind, shape) for _, o, kind, shape in pairs],
        [helper.make_node("Identity", [i], [o]) for i, o, _, _ in pairs])


# TensorFlow Serving: docker.md and api_rest.md name the models so.
half_plus("half_plus_two", 2)
half_plus("saved_model_half_plus_three", 3)
# Its request formats: three named inputs, plain strings, tensors of [1, 2], a name that ends in _bytes.
identity("tag_signal_sensor", [
    ("tag", "tag_out", T.STRING, ["N"]),
    ("signal", "signal_out", T.FLOAT, ["N", 5]),
    ("sensor", "sensor_out", T.INT64, ["N", 2, 2])])
identity("strings", [("text", "same", T.STRING, ["N"])])
identity("string_pairs_bytes", [("pair", "pair_bytes", T.STRING, ["N", 2])])
identity("one_by_two", [("x", "y", T.INT64, ["N", 1, 2])])

# Open Inference Protocol: input0 UINT32 [2,2] and input1 BOOL [3] give output0 FP32 [3,2]. From 1, 2, 3, 4
# and three times true it makes the document's 1.0, 1.1, 2.0, 2.1, 3.0, 3.1:
# output0[i][j] = how many of input1[0..i] are true + (the least of input0's column j - 1) / 10.
model(
    "mymodel",
    [value("input0", T.UINT32, [2, 2]), value("input1", T.BOOL, [3])],
    [value("output0", T.FLOAT, [3, 2])],
    [helper.make_node("Cast", ["input0"], ["numbers"], to=T.FLOAT),
     helper.make_node("ReduceMin", ["numbers"], ["least"], axes=[0], keepdims=1),
     helper.make_node("Sub", ["least", "one"], ["less"]),
     helper.make_node("Mul", ["less", "tenth"], ["tenths"]),
     helper.make_node("Cast", ["input1"], ["flags"], to=T.FLOAT),
     helper.make_node("CumSum", ["flags", "axis"], ["counts"]),
     helper.make_node("Reshape", ["counts", "column"], ["rows"]),
     helper.make_node("Add", ["rows", "tenths"], ["output0"])],
    [constant("one", np.float32(1)), constant("tenth", np.float32(0.1)),
     constant("axis", np.int32(0)), constant("column", np.array([3, 1], np.int64))])

# The raw binary request of Triton's extension: 16 bytes in, two outputs FP32 [3,1].
model(
    "raw",
    [value("input0", T.FLOAT, [4])],
    [value("output0", T.FLOAT, [3, 1]), value("output1", T.FLOAT, [3, 1])],
    [helper.make_node("Slice", ["input0", "zero", "three"], ["first"]),
     helper.make_node("Slice", ["input0", "one", "four"], ["last"]),
     helper.make_node("Reshape", ["first", "column"], ["output0"]),
     helper.make_node("Reshape", ["last", "column"], ["output1"])],
    [constant("zero", np.array([0], np.int64)), constant("one", np.array([1], np.int64)),
     constant("three", np.array([3], np.int64)), constant("four", np.array([4], np.int64)),
     constant("column", np.array([3, 1], np.int64))])


def iris(name, kind):
    """KServe's iris classifier, drawn by hand: setosa, else versicolor or virginica by the petal."""
    weights = np.array([[0, 0, 0], [1, 0, 0], [-2, 0, 1], [-2, 0, 1]], np.float32)
    nodes = [helper.make_node("MatMul", ["input-0", "weights"], ["product"]),
             helper.make_node("Add", ["product", "bias"], ["scores"])]
    if kind == T.INT64:
        nodes.append(helper.make_node("ArgMax", ["scores"], ["output-0"], axis=1, keepdims=0))
    else:
        nodes += [helper.make_node("ArgMax", ["scores"], ["class"], axis=1, keepdims=0),
                  helper.make_node("Cast", ["class"], ["output-0"], to=kind)]
    model(
        name, [value("input-0", T.FLOAT, ["N", 4])], [value("output-0", kind, ["N"])], nodes,
        [constant("weights", weights), constant("bias", np.array([3, 0, -6.6], np.float32))])


iris("sklearn-iris", T.INT64)

# MLflow's question and its context. The answer is the context.
model(
    "question_answering",
    [value("question", T.STRING, ["N"]), value("context", T.STRING, ["N"])],
    [value("answer", T.STRING, ["N"])],
    [helper.make_node("Where", ["yes", "context", "question"], ["answer"])],
    [constant("yes", np.array([True]))])
identity("four_features", [("x", "y", T.FLOAT, ["N", 4])])
