"""Makes the models to measure, with random weights: make_models.py folder"""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)


def weights(name, *shape):
    values = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array(values.astype(np.float32), name)


def save(file, nodes, initializers, shape):
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(sys.argv[1], file))


def mlp(file, *sizes):
    nodes, initializers, last = [], [], len(sizes) - 2
    for i in range(last + 1):
        initializers += [weights(f"w{i}", sizes[i + 1], sizes[i]), weights(f"b{i}", sizes[i + 1])]
        out = "y" if i == last else f"h{i}"
        source = "x" if i == 0 else f"r{i - 1}"
        nodes.append(helper.make_node("Gemm", [source, f"w{i}", f"b{i}"], [out], transB=1))
        if i < last:
            nodes.append(helper.make_node("Relu", [f"h{i}"], [f"r{i}"]))
    save(file, nodes, initializers, sizes[:1])


def cnn(file):
    nodes = [
        helper.make_node("Conv", ["x", "k0"], ["c0"], kernel_shape=[7, 7], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "k1"], ["c1"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("GlobalAveragePool", ["r1"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], transB=1),
    ]
    initializers = [
        weights("k0", 32, 3, 7, 7),
        weights("k1", 64, 32, 3, 3),
        weights("w", 10, 64),
        weights("b", 10),
    ]
    save(file, nodes, initializers, [3, 224, 224])


mlp("mlp-64-1024-1024-10.onnx", 64, 1024, 1024, 10)
mlp("mlp-256-4096-4096-10.onnx", 256, 4096, 4096, 10)
cnn("cnn-224.onnx")
