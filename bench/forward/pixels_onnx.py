"""The ONNX files that the peer onnxruntime computes: uint8 [N,S,S,3] in, the way from pixels to -1..1 in the graph.

    python pixels_onnx.py OUT.onnx NETWORK.npz | NETWORK.onnx SIDE
"""
import os
import sys

import onnx
from onnx import TensorProto, compose, helper, numpy_helper


def of_onnx(path: str, out: str, side: int) -> None:
    import numpy as np

    network = onnx.load(path)
    name = network.graph.input[0].name
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "one"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["ready"], perm=[0, 3, 1, 2]),
    ]
    constants = [numpy_helper.from_array(np.float32(2 / 255), "scale"), numpy_helper.from_array(np.float32(1), "one")]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", side, side, 3])
    ready = helper.make_tensor_value_info("ready", TensorProto.FLOAT, ["N", 3, side, side])
    graph = helper.make_graph(nodes, "pixels", [pixels], [ready], constants)
    before = helper.make_model(graph, opset_imports=network.opset_import, ir_version=network.ir_version)
    before = compose.add_prefix(before, "pixels/", rename_inputs=False, rename_outputs=False)
    onnx.save(compose.merge_models(before, network, [("ready", name)]), out)


def of_npz(path: str, out: str, side: int) -> None:
    import torch
    from networks import torch_network

    pixels = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    names = {"input_names": ["pixels"], "output_names": ["logits"]}
    axes = {"pixels": {0: "N"}, "logits": {0: "N"}}
    torch.onnx.export(torch_network(path), (pixels,), out, dynamic_axes=axes, dynamo=False, **names)


out_path, network_path, resolution = sys.argv[1:]
convert = of_npz if os.path.splitext(network_path)[1] == ".npz" else of_onnx
convert(network_path, out_path, int(resolution))
