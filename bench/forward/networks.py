"""The networks of bench/forward in torch, by their files."""
import os
import sys

import numpy as np
import torch
from from_onnx import from_onnx

# Behind bench/forward's own modules, of which one has the name of one of bench/serve's.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../serve"))
from torch_networks import FromPixels, bit  # noqa: E402


def torch_network(path: str, dtype: str = "float32") -> torch.nn.Module:
    """uint8 [N,S,S,3] -> float32 [N,K], computed in `dtype`."""
    network = bit(np.load(path)) if path.endswith(".npz") else from_onnx(path)
    return FromPixels(network if dtype == "float32" else Within(network.to(torch.bfloat16), torch.bfloat16)).eval()


class Within(torch.nn.Module):
    """A network of another element type between float32 images and float32 logits."""

    def __init__(self, network: torch.nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x.to(self.dtype)).float()
