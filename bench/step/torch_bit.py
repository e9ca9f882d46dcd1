"""BiT ResNet v2 in PyTorch, with our weights: shared/models/bit.ts."""
import torch
import torch.nn.functional as F
from torch_layers import parameter


class Norm(torch.nn.Module):
    """GroupNorm with 32 groups, then ReLU."""

    def __init__(self, weights, name: str) -> None:
        super().__init__()
        self.scale = parameter(weights[f"{name}/scale"].reshape(-1))
        self.bias = parameter(weights[f"{name}/bias"].reshape(-1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(F.group_norm(x, 32, self.scale, self.bias, 1e-5))


class Convolution(torch.nn.Module):
    """With its kernel standardised at each step as timm does it: by a batch_norm of one image."""

    def __init__(self, weights, name: str, stride: int) -> None:
        super().__init__()
        self.kernel = parameter(weights[f"{name}/kernel"].transpose(3, 2, 0, 1))
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernels = self.kernel.reshape(1, self.kernel.shape[0], -1)
        standard = F.batch_norm(kernels, None, None, training=True, momentum=0.0, eps=1e-10)
        kernel = standard.reshape_as(self.kernel)
        return F.conv2d(x, kernel, stride=self.stride, padding=self.kernel.shape[-1] // 2)


class Unit(torch.nn.Module):
    """Pre-activation bottleneck."""

    def __init__(self, weights, name: str, stride: int) -> None:
        super().__init__()
        self.norms = torch.nn.ModuleList(Norm(weights, f"{name}/gn{i}") for i in (1, 2, 3))
        strides = (1, stride, 1)
        self.convolutions = torch.nn.ModuleList(
            Convolution(weights, f"{name}/conv{i + 1}", strides[i]) for i in range(3)
        )
        projected = f"{name}/conv_proj/kernel" in weights
        self.projection = Convolution(weights, f"{name}/conv_proj", stride) if projected else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norms[0](x)
        shortcut = self.projection(y) if self.projection else x
        y = self.convolutions[0](y)
        y = self.convolutions[1](self.norms[1](y))
        return shortcut + self.convolutions[2](self.norms[2](y))


class Bit(torch.nn.Module):
    """float32 [N,3,H,W] in -1..1 -> what the head reads, [N,C]."""

    def __init__(self, weights, model) -> None:
        super().__init__()
        self.root = Convolution(weights, "root_block/conv_root", 2)
        self.units = torch.nn.ModuleList(
            Unit(weights, f"block{stage}/unit{unit:02}", 2 if unit == 1 and stage > 1 else 1)
            for stage, units in enumerate(model["blocks"], 1)
            for unit in range(1, units + 1)
        )
        self.norm = Norm(weights, "norm-pre-head")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.root(x), 3, 2, 1)
        for unit in self.units:
            x = unit(x)
        return self.norm(x).mean((2, 3))
