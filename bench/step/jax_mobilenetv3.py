"""MobileNetV3-large in JAX: shared/models/mobilenetv3.ts."""
import jax
from jax_layers import Parameters, convolve, dense, normalise

# Stride and activation of each block; all else is told by the weights.
LARGE = [(1, "relu"), (2, "relu"), (1, "relu"), (2, "relu"), (1, "relu"), (1, "relu"), (2, "hard_swish")]
LARGE += [(1, "hard_swish")] * 5 + [(2, "hard_swish")] + [(1, "hard_swish")] * 2
ACTIVATIONS = {"none": lambda x: x, "relu": jax.nn.relu, "hard_swish": jax.nn.hard_swish}


def mobilenetv3(model: dict, params: Parameters, x, dtype):
    """float32 [N,H,W,3] in -1..1 -> what the head reads, [N,C]; and the new running statistics."""
    statistics: Parameters = {}

    def norm(name: str, x, activation: str):
        """BatchNorm by the batch's own statistics."""
        normal, mean, variance = normalise(x, (0, 1, 2), 1e-3)
        for part, value in (("mean", mean), ("variance", variance)):
            kept = params[f"{name}/{part}"] * model["momentum"]
            statistics[f"{name}/{part}"] = kept + value.reshape(-1) * (1 - model["momentum"])
        y = normal * params[f"{name}/scale"] + params[f"{name}/bias"]
        return ACTIVATIONS[activation](y).astype(x.dtype)

    def layer(name: str, x, activation: str, stride: int = 1):
        x = convolve(x, params[f"{name}/kernel"], stride, "SAME", dtype)
        return norm(f"{name}_bn", x, activation)

    x = layer("conv", x, "hard_swish", 2)
    for i, (stride, activation) in enumerate(LARGE):
        name = f"block{i:02}"
        y = layer(f"{name}/expand", x, activation) if i > 0 else x
        kernel = params[f"{name}/depthwise/kernel"].transpose(0, 1, 3, 2)
        y = convolve(y, kernel, stride, "SAME", dtype, groups=y.shape[-1])
        y = norm(f"{name}/depthwise_bn", y, activation)
        if f"{name}/squeeze/kernel" in params:
            squeezed = jax.nn.relu(dense(params, f"{name}/squeeze", y.mean((1, 2)), dtype))
            gate = jax.nn.hard_sigmoid(dense(params, f"{name}/excite", squeezed, dtype))
            y = y * gate[:, None, None, :]
        y = layer(f"{name}/project", y, "none")
        x = x + y if stride == 1 and x.shape == y.shape else y
    pooled = layer("conv_1", x, "hard_swish").mean((1, 2))
    return jax.nn.hard_swish(dense(params, "conv_2", pooled, dtype)), statistics
