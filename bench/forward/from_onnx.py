"""An ONNX network of convolutions in torch, with the same weights: what PyTorch computes it with."""
import onnx
import torch
from onnx import numpy_helper


def from_onnx(path: str) -> torch.nn.Module:
    """float32 [N,3,H,W] -> [N,K]; raises NotImplementedError for an operation that EfficientNet-lite0 has no use for."""
    graph = onnx.load(path).graph
    weights = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer}
    modules, traced = torch.nn.ModuleDict(), torch.fx.Graph()
    values = {graph.input[0].name: traced.placeholder("images")}
    for i, node in enumerate(graph.node):
        inputs = [values[name] for name in node.input if name in values]
        parameters = [weights[name] for name in node.input if name in weights]
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type == "Add":
            values[node.output[0]] = traced.call_function(torch.add, tuple(inputs))
            continue
        name = f"{node.op_type.lower()}{i}"
        modules[name] = module_of(node.op_type, parameters, attributes)
        values[node.output[0]] = traced.call_module(name, tuple(inputs))
    traced.output(values[graph.output[0].name])
    return torch.fx.GraphModule(modules, traced).eval()


def module_of(kind: str, parameters: list[torch.Tensor], attributes: dict) -> torch.nn.Module:
    if kind == "Conv":
        return convolution(*parameters, attributes)
    if kind == "Clip" and [float(each) for each in parameters] == [0, 6]:
        return torch.nn.ReLU6()
    if kind == "ReduceMean" and parameters[0].tolist() in ([2, 3], [-2, -1], [-1, -2]):
        return torch.nn.AdaptiveAvgPool2d(1)
    if kind == "Reshape":
        return torch.nn.Flatten()
    if kind == "Gemm" and attributes["transB"] == 1:
        linear = torch.nn.Linear(parameters[0].shape[1], parameters[0].shape[0])
        return filled(linear, *parameters)
    raise NotImplementedError(f"{kind} {attributes}")


def convolution(weight: torch.Tensor, bias: torch.Tensor, attributes: dict) -> torch.nn.Module:
    groups, stride = attributes["group"], attributes["strides"]
    top, left, bottom, right = attributes["pads"]
    even = top == bottom and left == right
    conv = torch.nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        tuple(stride),
        (top, left) if even else 0,
        groups=groups,
    )
    filled(conv, weight, bias)
    return conv if even else torch.nn.Sequential(torch.nn.ZeroPad2d((left, right, top, bottom)), conv)


def filled(module: torch.nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> torch.nn.Module:
    module.weight = torch.nn.Parameter(weight, requires_grad=False)
    module.bias = torch.nn.Parameter(bias, requires_grad=False)
    return module
