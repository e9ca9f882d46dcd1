"""Makes the networks that bench/serve compares services with, for the peers: ONNX Runtime's and torch's.

    python networks.py OUT tiny | bit-r50 OUT/bit-r50.npz | resnet50 | mobilenetv3-small

Writes OUT/<name>.onnx (float32 [N,3,S,S] in -1..1), OUT/<name>-pixels.onnx (uint8 [N,S,S,3]; what the peers serve),
OUT/<name>.pt for torch.compile, and OUT/<name>-pixels.bin and -logits.bin: 32 images and their logits by torch.
"""
import sys

import numpy as np

BATCH = 32


def pictures(side: int) -> np.ndarray:
    """Smooth colours with some noise: more like photographs than noise alone."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (BATCH, 8, 8, 3))
    smooth = np.kron(coarse, np.ones((1, side // 8, side // 8, 1)))
    return np.clip(smooth + rng.normal(0, 10, smooth.shape), 0, 255).astype("uint8")


def with_torch(out: str, name: str, weights: str | None) -> None:
    import torch
    from torch_networks import FromPixels, bit, torchvision_network

    pixels = pictures(128)
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype("float32") / 255 * 2 - 1)
    model = bit(np.load(weights)) if weights else torchvision_network(name, images)
    wrapped = FromPixels(model).eval()
    torch.save(wrapped, f"{out}/{name}.pt")
    exports = [("", model, "images", images), ("-pixels", wrapped, "pixels", torch.from_numpy(pixels))]
    for suffix, module, input_name, example in exports:
        torch.onnx.export(
            module,
            (example,),
            f"{out}/{name}{suffix}.onnx",
            input_names=[input_name],
            output_names=["logits"],
            dynamic_axes={input_name: {0: "N"}, "logits": {0: "N"}},
            dynamo=False,
        )
    with torch.no_grad():
        save(out, name, pixels, wrapped(torch.from_numpy(pixels)).numpy())


def tiny(out: str) -> None:
    """Means of the channels times a matrix: enough to see that everything runs, without torch."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    side, classes = 32, 10
    kernel = np.random.default_rng(1).normal(size=(3, classes)).astype("float32")
    head = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("MatMul", ["means", "kernel"], ["logits"]),
    ]
    scale = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "one"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["images"], perm=[0, 3, 1, 2]),
    ]
    constants = {"kernel": kernel, "scale": np.float32(2 / 255), "one": np.float32(1)}
    tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])
    for suffix, nodes, name, kind, shape in [
        ("", head, "images", TensorProto.FLOAT, ["N", 3, side, side]),
        ("-pixels", scale + head, "pixels", TensorProto.UINT8, ["N", side, side, 3]),
    ]:
        inputs = [helper.make_tensor_value_info(name, kind, shape)]
        graph = helper.make_graph(nodes, "tiny", inputs, [logits], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, f"{out}/tiny{suffix}.onnx")
    pixels = pictures(side)
    save(out, "tiny", pixels, (pixels.mean((1, 2)) / 127.5 - 1).astype("float32") @ kernel)


def save(out: str, name: str, pixels: np.ndarray, logits: np.ndarray) -> None:
    pixels.tofile(f"{out}/{name}-pixels.bin")
    logits.astype("float32").tofile(f"{out}/{name}-logits.bin")


folder, network, *rest = sys.argv[1:]
if network == "tiny":
    tiny(folder)
else:
    with_torch(folder, network, rest[0] if rest else None)
