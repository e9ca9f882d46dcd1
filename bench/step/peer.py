"""A peer of bench/step: takes a training step whenever it is told its number, and answers what came of it.

    python peer.py '{"library": "PyTorch", "model": {...}, "weights": "weights.npz", ...}'

Reads a step's number from each line of standard input and answers one line of JSON; the first answer comes
unasked, when the step is ready. Batches are `<batches>/images-<step>.bin`, uint8 [N,R,R,3], and
`targets-<step>.bin`, float32 [N,K].
"""
import json
import os
import sys
import time
from collections.abc import Callable

import numpy as np

# Images and the teacher's logits to the loss and the global norm of its gradients.
Step = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


def main() -> None:
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    task = json.loads(sys.argv[1])
    began = time.perf_counter()
    with np.load(task["weights"]) as file:
        step = make(task, dict(file))

    def answer(**figures: float) -> None:
        print(json.dumps({**figures, "peakMemoryMb": peak_memory()}), file=answers)

    answer(milliseconds=(time.perf_counter() - began) * 1000)
    for line in sys.stdin:
        number = int(line)
        images, targets = batch_of(task, number)
        began = time.perf_counter()
        loss, norm = step(images, targets)
        milliseconds = (time.perf_counter() - began) * 1000
        answer(milliseconds=milliseconds, loss=loss, gradientNorm=norm)
        if number == 0:
            forget_peak()


def make(task: dict, weights: dict[str, np.ndarray]) -> Step:
    if task["library"] == "JAX":
        # XLA takes as many threads as there are cores for it.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task["configuration"]["threads"]])
        from jax_step import JaxStep

        return JaxStep(task, weights)
    from torch_step import TorchStep

    return TorchStep(task, weights)


def batch_of(task: dict, number: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.fromfile(f"{task['batches']}/images-{number}.bin", "uint8")
    targets = np.fromfile(f"{task['batches']}/targets-{number}.bin", "float32")
    pixels = (task["batch"], task["resolution"], task["resolution"], 3)
    return images.reshape(pixels), targets.reshape(task["batch"], -1)


def peak_memory() -> float:
    """Most that has been resident at once since the start or the last `forget_peak`, in MB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


if __name__ == "__main__":
    main()
