"""ViT in PyTorch, with our weights: shared/models/vit.ts with learned positions and a mean of all tokens."""
import numpy as np
import torch
import torch.nn.functional as F
from torch_layers import Dense, parameter


class Norm(torch.nn.Module):
    def __init__(self, weights, name: str) -> None:
        super().__init__()
        self.scale = parameter(weights[f"{name}/scale"])
        self.bias = parameter(weights[f"{name}/bias"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], self.scale, self.bias, 1e-6)


class Attention(torch.nn.Module):
    """With queries, keys and values made by one product, as timm has it."""

    def __init__(self, weights, name: str, heads: int) -> None:
        super().__init__()
        width = weights[f"{name}/out/bias"].shape[0]
        parts = [f"{name}/{part}" for part in ("query", "key", "value")]
        kernel = np.concatenate([weights[f"{part}/kernel"].reshape(width, width) for part in parts], 1)
        bias = np.concatenate([weights[f"{part}/bias"].reshape(width) for part in parts])
        self.inputs = Dense(kernel, bias)
        self.out = Dense(weights[f"{name}/out/kernel"].reshape(width, width), weights[f"{name}/out/bias"])
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images, tokens, width = x.shape
        parts = self.inputs(x).reshape(images, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.out(seen.transpose(1, 2).reshape(images, tokens, width))


class Block(torch.nn.Module):
    def __init__(self, weights, name: str, heads: int) -> None:
        super().__init__()
        self.before = Norm(weights, f"{name}/LayerNorm_0")
        self.attention = Attention(weights, f"{name}/MultiHeadDotProductAttention_0", heads)
        self.between = Norm(weights, f"{name}/LayerNorm_1")
        layers = [f"{name}/MlpBlock_0/Dense_{i}" for i in (0, 1)]
        self.wide, self.narrow = (Dense(weights[f"{each}/kernel"], weights[f"{each}/bias"]) for each in layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.before(x))
        return x + self.narrow(F.gelu(self.wide(self.between(x)), approximate="tanh"))


class ViT(torch.nn.Module):
    """float32 [N,3,H,W] in -1..1 -> what the head reads, [N,C]."""

    def __init__(self, weights, model) -> None:
        super().__init__()
        self.kernel = parameter(weights["embedding/kernel"].transpose(3, 2, 0, 1))
        self.bias = parameter(weights["embedding/bias"])
        self.positions = parameter(weights["pos_embedding"])
        names = [f"Transformer/encoderblock_{layer}" for layer in range(model["depth"])]
        self.blocks = torch.nn.ModuleList(Block(weights, name, model["heads"]) for name in names)
        self.norm = Norm(weights, "Transformer/encoder_norm")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = F.conv2d(x, self.kernel, self.bias, stride=self.kernel.shape[-1])
        x = patches.flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x).mean(1)
