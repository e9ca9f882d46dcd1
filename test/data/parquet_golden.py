"""Writes the Parquet files of test/data/golden: `python3 parquet_golden.py FOLDER`, with pyarrow 26, datasets 5.2,
numpy and pillow of PyPI.

Pictures are 12 pixels wide and of one shade, 10 times their number in the file, so that a test knows which one it reads.
"""

import io
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

NAMES = ["lynx", "wolf", "yak"]


def picture(i):
  image = Image.fromarray(np.full((9 + i % 3, 12, 3), 10 * i, np.uint8))
  file = io.BytesIO()
  image.save(file, "PNG")
  return file.getvalue()


def table(first, count, label=lambda i: i % 3, struct=True, noise=0):
  rng = np.random.default_rng(first)
  rows = range(first, first + count)
  # What follows a PNG's end is passed over: noise makes large pictures, of which Snappy leaves a fraction.
  pictures = [picture(i) + 40 * rng.bytes(noise) for i in rows]
  images = [{"bytes": b, "path": f"{i}.png"} for i, b in zip(rows, pictures)] if struct else pictures
  return pa.table({"image": images, "label": [label(i) for i in rows]})


def write(path, columns, **options):
  options = dict(compression="none", use_dictionary=False, store_schema=False) | options
  pq.write_table(columns, path, **options)


def main(folder):
  folder.mkdir(parents=True, exist_ok=True)
  # Two files as the datasets library uploads them, with the names of the classes.
  features = datasets.Features({"img": datasets.Image(), "fine": datasets.ClassLabel(names=NAMES)})
  for shard in range(2):
    rows = range(6 * shard, 6 * shard + 6)
    data = datasets.Dataset.from_dict(
        {"img": [{"bytes": picture(i), "path": None} for i in rows], "fine": [i % 3 for i in rows]}, features)
    data.to_parquet(folder / f"hf-{shard:05}-of-00002.parquet", batch_size=4)
  # Every codec, with a dictionary (pyarrow's default) and without, in several row groups and pages.
  for codec in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]:
    write(folder / f"{codec}.parquet", table(0, 12), compression=codec, row_group_size=5, use_dictionary=True)
  write(folder / "pages.parquet", table(0, 12), data_page_size=1, write_batch_size=2, compression="zstd")
  write(folder / "second.parquet", table(0, 12), data_page_version="2.0", compression="snappy", row_group_size=7)
  write(folder / "checked.parquet", table(0, 12), write_page_checksum=True, write_page_index=True)
  write(folder / "delta.parquet", table(0, 12), column_encoding={
      "image.bytes": "DELTA_LENGTH_BYTE_ARRAY", "image.path": "PLAIN", "label": "DELTA_BINARY_PACKED"})
  # Plain bytes, labels of text and of 32 bits; nulls.
  write(folder / "text.parquet", table(0, 12, label=lambda i: NAMES[i % 3], struct=False), use_dictionary=["label"])
  narrow = table(0, 12, struct=False)
  write(folder / "int32.parquet", narrow.set_column(1, "label", narrow["label"].cast(pa.int32())))
  nulls = table(0, 12)
  images = nulls["image"].to_pylist()
  images[3] = None
  images[7] = {"bytes": None, "path": "7.png"}
  write(folder / "nulls.parquet", nulls.set_column(0, "image", pa.array(images, nulls["image"].type)))
  unlabelled = table(0, 3, label=lambda i: None if i == 1 else i)
  write(folder / "unlabelled.parquet", unlabelled)
  write(folder / "hidden.parquet", table(0, 3, label=lambda i: -1))
  # A page of several of Snappy's blocks: 12 pictures of 40 kB, in the data page and in the dictionary.
  for dictionary in [False, True]:
    name = "large-dictionary.parquet" if dictionary else "large.parquet"
    write(folder / name, table(0, 12, noise=1_000), compression="snappy", use_dictionary=dictionary)


if __name__ == "__main__":
  main(Path(sys.argv[1]))
