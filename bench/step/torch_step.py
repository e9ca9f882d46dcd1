"""The training step of bench/step in PyTorch."""
import numpy as np
import torch
import torch.nn.functional as F
from torch_bit import Bit
from torch_layers import Dense
from torch_mobilenetv3 import MobileNetV3
from torch_vit import ViT

NETWORKS = {"bit": Bit, "mobilenetv3": MobileNetV3, "vit": ViT}


class Student(torch.nn.Module):
    """uint8 [N,3,H,W] and the teacher's logits [N,K] -> the distillation loss."""

    def __init__(self, weights, model, bfloat16: bool) -> None:
        super().__init__()
        self.network = NETWORKS[model["kind"]](weights, model)
        self.head = Dense(weights["head/kernel"], weights["head/bias"])
        self.bfloat16 = bfloat16

    def forward(self, images: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        x = images.to(torch.float32) / 255 * 2 - 1
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            features = self.network(x)
        target = F.softmax(teacher, 1)
        entropy = target * target.clamp(min=1e-8).log()
        logits = self.head(features.to(torch.float32))
        return (entropy - target * F.log_softmax(logits, 1)).sum(1).mean()


class TorchStep:
    """Loss, gradients, clipping by the global norm, Adam, weight decay, in the way that `configuration` says."""

    def __init__(self, task: dict, weights: dict[str, np.ndarray]) -> None:
        configuration = task["configuration"]
        torch.set_num_threads(configuration["threads"])
        self.layout = getattr(torch, configuration["layout"])
        student = Student(weights, task["model"], task["dtype"] == "bfloat16")
        student.to(memory_format=self.layout)
        self.parameters = list(student.parameters())
        self.clip = task["clip"]
        way = configuration["optimizer"]
        self.optimizer = torch.optim.AdamW(
            decayed(student, task["weightDecay"] / task["learningRate"]),
            lr=torch.tensor(task["learningRate"]) if way == "compiled" else task["learningRate"],
            fused=way == "fused",
            foreach=way != "fused",
        )
        self.loss, self.update = student, self.clip_and_update
        if configuration["compile"] != "no":
            self.loss = torch.compile(student, mode=configuration["compile"], dynamic=False)
        if way == "compiled":
            self.update = torch.compile(self.clip_and_update, dynamic=False)

    def clip_and_update(self) -> torch.Tensor:
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        self.optimizer.step()
        return norm

    def __call__(self, images: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        # [N,H,W,3] as it lies in memory is channels_last.
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)
        loss = self.loss(pixels, torch.from_numpy(targets))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = self.update()
        return loss.item(), norm.item()


def decayed(student: torch.nn.Module, rate: float) -> list[dict]:
    """AdamW takes its learning rate times `rate` away from kernels, nothing from the rest."""
    kernels = [value for name, value in student.named_parameters() if name.endswith("kernel")]
    others = [value for name, value in student.named_parameters() if not name.endswith("kernel")]
    return [{"params": kernels, "weight_decay": rate}, {"params": others, "weight_decay": 0.0}]
