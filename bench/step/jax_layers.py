"""What the networks of bench/step in JAX share. Parameters keep our names and layouts, which are flax's."""
import jax
import jax.numpy as jnp
from jax import lax

Parameters = dict[str, jax.Array]


def convolve(x, kernel, stride: int, padding, dtype, groups: int = 1):
    """[N,H,W,I] by [k,k,I/groups,O], computed in `dtype`."""
    return lax.conv_general_dilated(
        x.astype(dtype),
        kernel.astype(dtype),
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def dense(params: Parameters, name: str, x, dtype):
    """The last axis by a kernel [I,O], or one whose other axes flatten to these."""
    bias = params[f"{name}/bias"].reshape(-1)
    kernel = params[f"{name}/kernel"].reshape(x.shape[-1], bias.shape[0])
    return x.astype(dtype) @ kernel.astype(dtype) + bias.astype(dtype)


def normalise(x, axes: tuple[int, ...], epsilon: float):
    """To mean 0 and variance 1 over these axes, in float32; and the two."""
    x = x.astype(jnp.float32)
    mean = x.mean(axes, keepdims=True)
    variance = jnp.square(x - mean).mean(axes, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + epsilon), mean, variance
