"""MobileNetV3-large in PyTorch, with our weights: shared/models/mobilenetv3.ts, which is Keras's."""
import torch
import torch.nn.functional as F
from torch_layers import Dense, parameter

# Stride and activation of each block; all else is told by the weights.
LARGE = [(1, "relu"), (2, "relu"), (1, "relu"), (2, "relu"), (1, "relu"), (1, "relu"), (2, "hardswish")]
LARGE += [(1, "hardswish")] * 5 + [(2, "hardswish")] + [(1, "hardswish")] * 2
ACTIVATIONS = {"none": torch.nn.Identity(), "relu": F.relu, "hardswish": F.hardswish}


class Norm(torch.nn.Module):
    """BatchNorm by the batch's statistics. Running ones take the unbiased variance; no step reads them."""

    def __init__(self, weights, name: str, momentum: float, activation: str) -> None:
        super().__init__()
        self.scale = parameter(weights[f"{name}/scale"])
        self.bias = parameter(weights[f"{name}/bias"])
        for part in ("mean", "variance"):
            self.register_buffer(part, torch.from_numpy(weights[f"{name}/{part}"].copy()))
        self.taken = 1 - momentum
        self.activate = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.batch_norm(x, self.mean, self.variance, self.scale, self.bias, True, self.taken, 1e-3)
        return self.activate(y)


class Convolution(torch.nn.Module):
    """Padded as TensorFlow's SAME: what is odd goes to the right and to the bottom."""

    def __init__(self, weights, name: str, stride: int = 1, depthwise: bool = False) -> None:
        super().__init__()
        kernel = weights[f"{name}/kernel"]
        self.kernel = parameter(kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)))
        self.stride = stride
        self.groups = self.kernel.shape[0] if depthwise else 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = self.kernel.shape[-1]
        before, after = zip(*(same_padding(extent, side, self.stride) for extent in x.shape[2:]))
        if before != after:
            x = F.pad(x, (before[1], after[1], before[0], after[0]))
            before = (0, 0)
        return F.conv2d(x, self.kernel, stride=self.stride, padding=before, groups=self.groups)


def same_padding(extent: int, side: int, stride: int) -> tuple[int, int]:
    total = max((-(-extent // stride) - 1) * stride + side - extent, 0)
    return total // 2, total - total // 2


class Block(torch.nn.Module):
    """Inverted residual."""

    def __init__(self, weights, name: str, stride: int, activation: str, momentum: float) -> None:
        super().__init__()

        def norm(which: str, after: str) -> Norm:
            return Norm(weights, f"{name}/{which}_bn", momentum, after)

        self.expand = None
        if f"{name}/expand/kernel" in weights:
            expand = Convolution(weights, f"{name}/expand")
            self.expand = torch.nn.Sequential(expand, norm("expand", activation))
        depthwise = Convolution(weights, f"{name}/depthwise", stride, depthwise=True)
        self.depthwise = torch.nn.Sequential(depthwise, norm("depthwise", activation))
        self.squeeze = None
        if f"{name}/squeeze/kernel" in weights:
            self.squeeze, self.excite = (
                Dense(weights[f"{name}/{part}/kernel"], weights[f"{name}/{part}/bias"])
                for part in ("squeeze", "excite")
            )
        project = Convolution(weights, f"{name}/project")
        self.project = torch.nn.Sequential(project, norm("project", "none"))
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.depthwise(self.expand(x) if self.expand else x)
        if self.squeeze:
            gate = F.hardsigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3))))))
            y = y * gate[:, :, None, None]
        y = self.project(y)
        return x + y if self.stride == 1 and x.shape == y.shape else y


class MobileNetV3(torch.nn.Module):
    """float32 [N,3,H,W] in -1..1 -> what the head reads, [N,C]."""

    def __init__(self, weights, model) -> None:
        super().__init__()
        momentum = model["momentum"]

        def layer(name: str, stride: int) -> torch.nn.Module:
            norm = Norm(weights, f"{name}_bn", momentum, "hardswish")
            return torch.nn.Sequential(Convolution(weights, name, stride), norm)

        self.root = layer("conv", 2)
        self.blocks = torch.nn.ModuleList(
            Block(weights, f"block{i:02}", stride, activation, momentum)
            for i, (stride, activation) in enumerate(LARGE)
        )
        self.last = layer("conv_1", 1)
        self.hidden = Dense(weights["conv_2/kernel"], weights["conv_2/bias"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.root(x)
        for block in self.blocks:
            x = block(x)
        return F.hardswish(self.hidden(self.last(x).mean((2, 3))))
