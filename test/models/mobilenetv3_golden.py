"""Makes golden/mobilenetv3.npz: what Keras's MobileNetV3 answers with seeded weights. Needs tensorflow-cpu 2.21.

    python test/models/mobilenetv3_golden.py test/models/golden/mobilenetv3.npz
"""

import re
import sys

import keras
import numpy as np
from seeded_weights import numbers, seeded_weights

NAMES = {"gamma": "scale", "beta": "bias", "moving_mean": "mean", "moving_variance": "variance"}
MODELS = {
    "small": (keras.applications.MobileNetV3Small, 1.0, [2, 64, 64, 3]),
    "large": (keras.applications.MobileNetV3Large, 1.0, [2, 64, 64, 3]),
    "small_odd": (keras.applications.MobileNetV3Small, 0.75, [2, 49, 75, 3]),
    "large_wide": (keras.applications.MobileNetV3Large, 1.25, [2, 33, 48, 3]),
}
CLASSES = 11


def our_name(variable: str) -> str:
    """`expanded_conv_3_squeeze_excite_conv/bias` -> `block03/squeeze/bias`."""
    layer, kind = variable.split("/")[-2:]
    found = re.fullmatch(r"expanded_conv(?:_(\d+))?_(\D.*)", layer)
    if found:
        layer = f"block{int(found[1] or 0):02d}/{found[2]}"
    layer = layer.replace("squeeze_excite_conv_1", "excite").replace("squeeze_excite_conv", "squeeze")
    return f"{layer.replace('logits', 'head')}/{NAMES.get(kind, kind)}"


def answers(make, alpha: float, shape: list[int]) -> dict[str, np.ndarray]:
    options = dict(alpha=alpha, weights=None, include_preprocessing=False, classifier_activation=None)
    counted = make(**options, classes=1000).count_params()
    model = make(**options, classes=CLASSES, input_shape=(*shape[1:],), dropout_rate=0)
    names = [our_name(v.path) for v in model.variables]
    shapes = {n: list(v.shape[2:] if n == "head/kernel" else v.shape) for n, v in zip(names, model.variables)}
    weights = seeded_weights(shapes)
    for name, variable in zip(names, model.variables):
        variable.assign(weights[name].reshape(variable.shape))
    x = numbers(99, int(np.prod(shape))).astype(np.float32).reshape(shape)
    eval_logits = np.asarray(model(x, training=False))
    train_logits = np.asarray(model(x, training=True))  # this also moves the statistics
    after = {n: np.asarray(v) for n, v in zip(names, model.variables)}
    kept = ["conv_bn/mean", "conv_bn/variance", "block02/depthwise_bn/variance", "conv_1_bn/mean", "conv_1_bn/variance"]
    return {
        "shape": np.array(shape, np.int32),
        "alpha": np.array(alpha, np.float32),
        "parameters": np.array(counted, np.int32),
        "logits": eval_logits,
        "training_logits": train_logits,
        **{f"after/{name}": after[name] for name in kept},
    }


arrays = {f"{name}/{k}": v for name, spec in MODELS.items() for k, v in answers(*spec).items()}
np.savez(sys.argv[1], **arrays)
for name, value in arrays.items():
    if name.endswith(("parameters", "logits")):
        print(name, value if value.ndim == 0 else (value.std(), np.abs(value).max()))
