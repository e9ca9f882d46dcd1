"""ViT in JAX as in big_vision's vit.py, positions learned, all tokens averaged: shared/models/vit.ts."""
import jax
import jax.numpy as jnp
from jax_layers import Parameters, convolve, dense, normalise


def vit(model: dict, params: Parameters, x, dtype):
    """float32 [N,H,W,3] in -1..1 -> what the head reads, [N,C]; and no statistics."""
    patches = convolve(x, params["embedding/kernel"], model["patch"], "VALID", dtype)
    x = patches.reshape(patches.shape[0], -1, patches.shape[-1])
    x = x + params["embedding/bias"].astype(dtype) + params["pos_embedding"].astype(dtype)
    for layer in range(model["depth"]):
        name = f"Transformer/encoderblock_{layer}"
        before = norm(params, f"{name}/LayerNorm_0", x)
        x = x + attention(params, f"{name}/MultiHeadDotProductAttention_0", before, model["heads"], dtype)
        hidden = dense(params, f"{name}/MlpBlock_0/Dense_0", norm(params, f"{name}/LayerNorm_1", x), dtype)
        x = x + dense(params, f"{name}/MlpBlock_0/Dense_1", jax.nn.gelu(hidden), dtype)
    return norm(params, "Transformer/encoder_norm", x).mean(1), {}


def attention(params: Parameters, name: str, x, heads: int, dtype):
    images, tokens, width = x.shape

    def split(part: str):
        return dense(params, f"{name}/{part}", x, dtype).reshape(images, tokens, heads, width // heads)

    query = split("query") * (width // heads) ** -0.5
    scores = jnp.einsum("nqhd,nkhd->nhqk", query, split("key"))
    seen = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), split("value"))
    return dense(params, f"{name}/out", seen.reshape(x.shape), dtype)


def norm(params: Parameters, name: str, x):
    normal, _, _ = normalise(x, (2,), 1e-6)
    return (normal * params[f"{name}/scale"] + params[f"{name}/bias"]).astype(x.dtype)
