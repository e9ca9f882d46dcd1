"""What both Python servers compute with."""
import os
from collections.abc import Callable

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]


def open_forward(engine: str, path: str, threads: int, batches: list[int], side: int) -> Forward:
    """uint8 [N,S,S,3] -> float32 [N,K], warm for each batch size."""
    forward = {"onnxruntime": with_onnxruntime, "torch.compile": with_torch}[engine](path, threads)
    for batch in batches:
        for _ in range(2):
            forward(np.zeros((batch, side, side, 3), "uint8"))
    return forward


def with_onnxruntime(path: str, threads: int) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(f"{path}-pixels.onnx", options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["logits"], {"pixels": pixels})[0]


def with_torch(path: str, threads: int) -> Forward:
    import sys

    import torch

    sys.path.insert(0, os.path.dirname(__file__))
    torch.set_num_threads(threads)
    model = torch.load(f"{path}.pt", weights_only=False).to(memory_format=torch.channels_last)
    compiled = torch.compile(model, dynamic=False)

    def forward(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return compiled(torch.from_numpy(pixels)).numpy()

    return forward
