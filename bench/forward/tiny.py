"""Means of the channels times a matrix, as ONNX: enough to see that the comparison runs. python tiny.py OUT.onnx"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

kernel = np.random.default_rng(1).normal(size=(3, 10)).astype("float32")
nodes = [
    helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
    helper.make_node("Flatten", ["pooled"], ["means"]),
    helper.make_node("MatMul", ["means", "kernel"], ["logits"]),
]
images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 32, 32])
logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])
graph = helper.make_graph(nodes, "tiny", [images], [logits], [numpy_helper.from_array(kernel, "kernel")])
opset = [helper.make_opsetid("", 20)]
onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), sys.argv[1])
