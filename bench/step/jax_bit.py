"""BiT ResNet v2 in JAX as in big_vision's models/bit.py: shared/models/bit.ts."""
import jax
import jax.numpy as jnp
from jax import lax
from jax_layers import Parameters, convolve, normalise

GROUPS = 32


def bit(model: dict, params: Parameters, x, dtype):
    """float32 [N,H,W,3] in -1..1 -> what the head reads, [N,C]; and no statistics."""
    x = standardised(params, "root_block/conv_root", x, 2, dtype)
    window, strides = (1, 3, 3, 1), (1, 2, 2, 1)
    padding = ((0, 0), (1, 1), (1, 1), (0, 0))
    x = lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)
    for stage, units in enumerate(model["blocks"], 1):
        for number in range(1, units + 1):
            stride = 2 if number == 1 and stage > 1 else 1
            x = unit(params, f"block{stage}/unit{number:02}", x, stride, dtype)
    return norm(params, "norm-pre-head", x).mean((1, 2)), {}


def unit(params: Parameters, name: str, x, stride: int, dtype):
    """Pre-activation bottleneck."""
    active = norm(params, f"{name}/gn1", x)
    shortcut = x
    if f"{name}/conv_proj/kernel" in params:
        shortcut = standardised(params, f"{name}/conv_proj", active, stride, dtype)
    y = standardised(params, f"{name}/conv1", active, 1, dtype)
    y = standardised(params, f"{name}/conv2", norm(params, f"{name}/gn2", y), stride, dtype)
    return shortcut + standardised(params, f"{name}/conv3", norm(params, f"{name}/gn3", y), 1, dtype)


def standardised(params: Parameters, name: str, x, stride: int, dtype):
    kernel, _, _ = normalise(params[f"{name}/kernel"], (0, 1, 2), 1e-10)
    pad = kernel.shape[0] // 2
    return convolve(x, kernel, stride, ((pad, pad), (pad, pad)), dtype)


def norm(params: Parameters, name: str, x):
    """GroupNorm, then ReLU."""
    images, height, width, channels = x.shape
    groups = x.reshape(images, height, width, GROUPS, channels // GROUPS)
    normal, _, _ = normalise(groups, (1, 2, 4), 1e-5)
    y = normal.reshape(x.shape) * params[f"{name}/scale"] + params[f"{name}/bias"]
    return jax.nn.relu(y).astype(x.dtype)
