"""Writes the MATLAB files of test/data/golden: `python3 mat_golden.py FOLDER`, with scipy 1.17 of PyPI.

They are shaped like those that Flowers102 and ImageNet's devkit ship, for a few pictures.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.io import savemat

WNIDS = ["n01440764", "n02007558", "n01443537"]  # of which the second has the last place by name


def main(folder):
  folder.mkdir(parents=True, exist_ok=True)
  labels = np.array([[1, 2, 3] * 6], np.uint8)
  setid = {
      "trnid": np.array([[18, 1, 2, 3, 4, 5, 6, 7, 8]], np.uint16),
      "valid": np.array([[9, 10, 11, 12]], np.uint16),
      "tstid": np.array([[13, 14, 15, 16, 17]], np.uint16),
  }
  savemat(folder / "imagelabels.mat", {"labels": labels}, do_compression=True)
  savemat(folder / "setid.mat", setid, do_compression=True)
  synsets = np.array(
      [([[i + 1]], wnid, f"words of {wnid}", [[0.5 * i]], np.zeros((1, 0))) for i, wnid in enumerate(WNIDS)],
      dtype=[(name, object) for name in ["ILSVRC2012_ID", "WNID", "words", "num", "children"]]).reshape(-1, 1)
  savemat(folder / "meta.mat", {"synsets": synsets}, do_compression=True)
  # Every kind of number, stored plainly; what is passed over between them.
  numbers = {kind: np.array([[0, 1, 100], [5, 6, 7]], kind) for kind in [
      "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]}
  numbers["negative"] = np.array([[-1.5, -2e300]])
  numbers["cells"] = np.array([[1, "two"]], object)
  numbers["text"] = "a text: caffè 日"
  numbers["empty"] = np.zeros((0, 0))
  savemat(folder / "numbers.mat", numbers, do_compression=False)


if __name__ == "__main__":
  main(Path(sys.argv[1]))
