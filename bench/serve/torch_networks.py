"""The networks of bench/serve in torch."""
import torch
import torch.nn.functional as F

TORCHVISION = {"mobilenetv3-small": "mobilenet_v3_small", "resnet50": "resnet50"}


class FromPixels(torch.nn.Module):
    """A network behind its preprocessing: uint8 [N,H,W,3], of which -1..1 is made."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        # [N,H,W,3] as it lies in memory is channels_last, which torch's convolutions like best.
        return self.network(pixels.permute(0, 3, 1, 2).to(torch.float32) / 255 * 2 - 1)


def torchvision_network(name: str, images: torch.Tensor) -> torch.nn.Module:
    """Random weights; norms that know the statistics of `images`, or numbers would grow from layer to layer."""
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(TORCHVISION[name], weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train()
    with torch.no_grad():
        model(images)
    return model.eval()


class Norm(torch.nn.Module):
    def __init__(self, weights, name: str) -> None:
        super().__init__()
        self.scale = parameter(weights[f"{name}/scale"].reshape(-1))
        self.bias = parameter(weights[f"{name}/bias"].reshape(-1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(F.group_norm(x, 32, self.scale, self.bias, 1e-5))


class Convolution(torch.nn.Module):
    """With its kernel standardised once, as for inference."""

    def __init__(self, weights, name: str, stride: int) -> None:
        super().__init__()
        kernel = torch.from_numpy(weights[f"{name}/kernel"]).double()
        variance, mean = torch.var_mean(kernel, (0, 1, 2), correction=0, keepdim=True)
        kernel = (kernel - mean) / torch.sqrt(variance + 1e-10)
        self.kernel = parameter(kernel.permute(3, 2, 0, 1).float().contiguous())
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.kernel, stride=self.stride, padding=self.kernel.shape[-1] // 2)


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
    def __init__(self, weights) -> None:
        super().__init__()
        self.root = Convolution(weights, "root_block/conv_root", 2)
        names = sorted({"/".join(key.split("/")[:2]) for key in weights if key.startswith("block")})
        strides = [2 if "/unit01" in name and not name.startswith("block1/") else 1 for name in names]
        self.units = torch.nn.ModuleList(Unit(weights, name, stride) for name, stride in zip(names, strides))
        self.norm = Norm(weights, "norm-pre-head")
        self.kernel = parameter(weights["head/kernel"])
        self.bias = parameter(weights["head/bias"].reshape(-1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.root(x), 3, 2, 1)
        for unit in self.units:
            x = unit(x)
        return self.norm(x).mean((2, 3)) @ self.kernel + self.bias


def bit(weights) -> torch.nn.Module:
    """BiT ResNet v2 with the weights of one of our .npz files."""
    return Bit(weights).eval()


def parameter(values) -> torch.nn.Parameter:
    values = values if isinstance(values, torch.Tensor) else torch.from_numpy(values)
    return torch.nn.Parameter(values, requires_grad=False)
