"""A peer of bench/forward: one network in one configuration, in a process of its own.

    python side.py CONFIGURATION THREADS NETWORK PIXELS SIDE

CONFIGURATION: words such as `onnxruntime`, or `torch compile channels_last freezing`. NETWORK: its weights for torch,
the file of pixels_onnx.py for onnxruntime. PIXELS: the images, uint8, one after the other. Each line of the input
is an order {"images": N, "seconds": S}; each line of the output the answer {"milliseconds": [...], "logits": base64}.
"""
import base64
import json
import sys
import time
from collections.abc import Callable

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]


def with_onnxruntime(words: list[str], path: str, threads: int) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    if "sleeping" in words:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["logits"], {"pixels": pixels})[0]


def with_torch(words: list[str], path: str, threads: int) -> Forward:
    import torch
    from networks import torch_network

    torch.set_num_threads(threads)
    model = torch_network(path, "bfloat16" if "bfloat16" in words else "float32")
    if "channels_last" in words:
        model = model.to(memory_format=torch.channels_last)
    if "compile" in words:
        import torch._inductor.config

        torch._inductor.config.freezing = "freezing" in words
        torch._dynamo.config.cache_size_limit = 64
        mode = "max-autotune" if "max-autotune" in words else "default"
        model = torch.compile(model, mode=mode, dynamic=False)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled="autocast" in words)

    def forward(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), autocast:
            return model(torch.from_numpy(pixels)).float().numpy()

    return forward


def timed(forward: Forward, pixels: np.ndarray, seconds: float) -> dict:
    # Not timed: what it compiles, the memory that it asks for, and caches that another side has filled.
    logits = forward(pixels)
    forward(pixels)
    milliseconds = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(milliseconds) < 2:
        began = time.perf_counter()
        forward(pixels)
        milliseconds.append((time.perf_counter() - began) * 1000)
    return {
        "milliseconds": milliseconds,
        "logits": base64.b64encode(np.ascontiguousarray(logits, "float32").tobytes()).decode(),
    }


configuration, threads_text, network, pixels_path, side_text = sys.argv[1:]
open_forward = with_torch if configuration.startswith("torch") else with_onnxruntime
compute = open_forward(configuration.split(), network, int(threads_text))
side = int(side_text)
images = np.fromfile(pixels_path, "uint8").reshape(-1, side, side, 3)
for line in sys.stdin:
    order = json.loads(line)
    answer = timed(compute, images[: order["images"]], order["seconds"])
    print(json.dumps(answer), flush=True)
