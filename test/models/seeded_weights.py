"""Weights that a seed stands for, the same here and in seeded-weights.ts, so that golden files need not hold them."""

import numpy as np


def numbers(seed: int, count: int) -> np.ndarray:
    """`count` float64 numbers in [-1, 1): a 32-bit mixing function of seed and index."""
    h = np.uint32((seed + 1) * 0x9E3779B1 & 0xFFFFFFFF) ^ (np.arange(1, count + 1, dtype=np.uint32) * np.uint32(0x85EBCA6B))
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    return ((h ^ (h >> np.uint32(16))) >> np.uint32(8)) / 2**23 - 1


def seeded_weights(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """float32 parameters by name. The seed of each is its place among the sorted names.

    Kernels have variance 1 / fan-in (fan-in: all axes but the last; of a depthwise kernel, its height times width),
    scales lie in 0.5..1.5, variances in 0.5..1.5 too, the rest in -0.2..0.2.
    """
    return {name: _values(seed, name, shapes[name]) for seed, name in enumerate(sorted(shapes))}


def _values(seed: int, name: str, shape: list[int]) -> np.ndarray:
    drawn = numbers(seed, int(np.prod(shape)))
    if name.endswith("/kernel"):
        fan_in = np.prod(shape[:2]) if name.endswith("depthwise/kernel") else np.prod(shape[:-1])
        drawn = drawn * np.sqrt(3 / fan_in)
    elif name.endswith(("/scale", "/variance")):
        drawn = 1 + drawn / 2
    else:
        drawn = drawn / 5
    return drawn.astype(np.float32).reshape(shape)
