"""Prints the path of the jemalloc that ray brings."""
from importlib.util import find_spec
from pathlib import Path

print(Path(find_spec("ray").origin).parent / "core" / "libjemalloc.so")
