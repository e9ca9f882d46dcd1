"""What the networks of bench/step in PyTorch share."""
import numpy as np
import torch
import torch.nn.functional as F


def parameter(values: np.ndarray) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(values)))


class Dense(torch.nn.Module):
    """A kernel [I,O], or one with axes of size 1 before, kept as torch's linear layers have it."""

    def __init__(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self.kernel = parameter(kernel.reshape(kernel.shape[-2:]).T)
        self.bias = parameter(bias.reshape(-1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.kernel, self.bias)
