"""Makes golden/vit.npz: what ViTs answer with seeded weights, in float64 and written down anew with numpy alone.

    python test/models/vit_golden.py test/models/golden/vit.npz

Written from the description of big_vision's `vit.py`, and sharing nothing with vit.ts but names and shapes.
"""

import sys

import numpy as np
from seeded_weights import numbers, seeded_weights

CLASSES = 7
MODELS = {  # width, depth, mlp, heads, patch, positions, pool, (height, width)
    "learn_gap": (48, 2, 96, 3, 8, "learn", "gap", (32, 24)),
    "sincos_map": (32, 3, 128, 4, 4, "sincos2d", "map", (14, 20)),
    "learn_tok": (64, 2, 64, 2, 16, "learn", "tok", (48, 48)),
}


def shapes(c, depth, mlp, heads, patch, positions, pool, size):
    dense = lambda name, kernel, bias: {f"{name}/kernel": kernel, f"{name}/bias": bias}
    norm = lambda name: {f"{name}/scale": [c], f"{name}/bias": [c]}
    split = [heads, c // heads]

    def attention(name):
        inputs = [dense(f"{name}/{part}", [c, *split], split) for part in ("query", "key", "value")]
        return inputs[0] | inputs[1] | inputs[2] | dense(f"{name}/out", [*split, c], [c])

    def two_layers(name):
        return dense(f"{name}/Dense_0", [c, mlp], [mlp]) | dense(f"{name}/Dense_1", [mlp, c], [c])

    all_shapes = dense("embedding", [patch, patch, 3, c], [c]) | dense("head", [c, CLASSES], [CLASSES])
    for layer in range(depth):
        block = f"Transformer/encoderblock_{layer}"
        all_shapes |= norm(f"{block}/LayerNorm_0") | norm(f"{block}/LayerNorm_1")
        all_shapes |= attention(f"{block}/MultiHeadDotProductAttention_0") | two_layers(f"{block}/MlpBlock_0")
    all_shapes |= norm("Transformer/encoder_norm")
    if positions == "learn":
        all_shapes["pos_embedding"] = [1, (size[0] // patch) * (size[1] // patch), c]
    if pool == "tok":
        all_shapes["cls"] = [1, 1, c]
    if pool == "map":
        all_shapes |= {"MAPHead_0/probe": [1, 1, c]} | norm("MAPHead_0/LayerNorm_0")
        all_shapes |= attention("MAPHead_0/MultiHeadDotProductAttention_0") | two_layers("MAPHead_0/MlpBlock_0")
    return all_shapes


def layer_norm(p, x):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * p("scale") + p("bias")


def attend(p, q, kv):
    query, key, value = (
        np.einsum("ntc,chd->nthd", x, p(f"{name}/kernel")) + p(f"{name}/bias")
        for name, x in (("query", q), ("key", kv), ("value", kv))
    )
    scores = np.einsum("nqhd,nthd->nhqt", query, key) / np.sqrt(query.shape[-1])
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return np.einsum("nhqt,nthd,hdc->nqc", weights, value, p("out/kernel")) + p("out/bias")


def mlp_block(p, x):
    h = x @ p("Dense_0/kernel") + p("Dense_0/bias")
    h = h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3))) / 2
    return h @ p("Dense_1/kernel") + p("Dense_1/bias")


def sincos(h, w, c):
    y, x = np.mgrid[:h, :w].reshape(2, -1, 1)
    omega = 10_000.0 ** -(np.arange(c // 4) / (c // 4 - 1))
    return np.concatenate([np.sin(x * omega), np.cos(x * omega), np.sin(y * omega), np.cos(y * omega)], 1)


def forward(weights, x, depth, patch, positions, pool):
    at = lambda prefix: lambda name: weights[f"{prefix}/{name}"]
    n, height, width, _ = x.shape
    h, w = height // patch, width // patch
    cut = x[:, : h * patch, : w * patch].reshape(n, h, patch, w, patch, 3)
    tokens = np.einsum("nhiwjk,ijkc->nhwc", cut, weights["embedding/kernel"]) + weights["embedding/bias"]
    c = tokens.shape[-1]
    tokens = tokens.reshape(n, h * w, c)
    tokens = tokens + (weights["pos_embedding"] if positions == "learn" else sincos(h, w, c))
    if pool == "tok":
        tokens = np.concatenate([np.repeat(weights["cls"], n, 0), tokens], 1)
    for layer in range(depth):
        block = f"Transformer/encoderblock_{layer}"
        y = layer_norm(at(f"{block}/LayerNorm_0"), tokens)
        tokens = tokens + attend(at(f"{block}/MultiHeadDotProductAttention_0"), y, y)
        y = layer_norm(at(f"{block}/LayerNorm_1"), tokens)
        tokens = tokens + mlp_block(at(f"{block}/MlpBlock_0"), y)
    tokens = layer_norm(at("Transformer/encoder_norm"), tokens)
    if pool == "map":
        probe = np.repeat(weights["MAPHead_0/probe"], n, 0)
        y = attend(at("MAPHead_0/MultiHeadDotProductAttention_0"), probe, tokens)
        y = y + mlp_block(at("MAPHead_0/MlpBlock_0"), layer_norm(at("MAPHead_0/LayerNorm_0"), y))
        features = y[:, 0]
    else:
        features = tokens[:, 0] if pool == "tok" else tokens.mean(1)
    return features, features @ weights["head/kernel"] + weights["head/bias"]


def main() -> None:
    arrays = {}
    for name, (c, depth, mlp, heads, patch, positions, pool, size) in MODELS.items():
        made = seeded_weights(shapes(c, depth, mlp, heads, patch, positions, pool, size))
        weights = {k: v.astype(np.float64) for k, v in made.items()}
        x = numbers(99, 2 * size[0] * size[1] * 3).reshape(2, *size, 3)
        features, logits = forward(weights, x, depth, patch, positions, pool)
        arrays |= {f"{name}/pre_logits": features, f"{name}/logits": logits}
        print(name, logits.std(), sum(v.size for v in weights.values()))
    np.savez(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()
