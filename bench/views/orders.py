"""The loop that every Python side runs: orders come as lines of JSON on stdin, an answer for each goes to stdout."""

import hashlib
import json
import random
import sys
import time

AREA = (0.05, 1.0)
ASPECT = (0.75, 1.33)


class Order:
    """What to make batches of: `pictures` is "photographs" or "decoded"; a batch holds `batch` views of `side` pixels."""

    def __init__(self, fields, data):
        self.configuration = fields.get("configuration")
        self.pictures = fields["pictures"]
        self.side = fields["side"]
        self.batch = fields["batch"]
        self.paths = data["paths"]
        self.gray = data["gray"]


def mixup_share():
    """One share of the own image for a batch, 0.5 to 1."""
    b = random.random()
    return max(b, 1 - b)


def shuffled(count):
    """Numbers below count, epoch after epoch, each in another order."""
    while True:
        order = list(range(count))
        random.shuffle(order)
        yield from order


def read_gray(path):
    """Decoded pictures: a file of uint8, behind its three sizes as int32."""
    import numpy

    with open(path, "rb") as file:
        shape = numpy.frombuffer(file.read(12), numpy.int32)
        return numpy.frombuffer(file.read(), numpy.uint8).reshape(shape)


def serve(make_batches, view_of_box):
    """
    make_batches(order) yields mixed batches, uint8 arrays of numpy or of its kind; each is hashed here.
    view_of_box(path, box, side) is the crop and resize alone, uint8 [side, side, 3], for comparing.
    """
    data = json.loads(sys.stdin.readline())
    data["gray"] = read_gray(data["gray"])
    answer({"ready": True})
    for line in sys.stdin:
        fields = json.loads(line)
        if "boxes" in fields:
            with open(fields["out"], "wb") as out:
                for path, box in fields["boxes"]:
                    out.write(bytes(memoryview(view_of_box(path, box, fields["side"])).cast("B")))
            answer({"written": len(fields["boxes"])})
        else:
            answer(measure(make_batches(Order(fields, data)), fields))


def measure(batches, fields):
    until(batches, fields["warmUpSeconds"])
    cpu = time.process_time()
    images, seconds = until(batches, fields["seconds"])
    return {"images": images, "seconds": seconds, "cpuSeconds": time.process_time() - cpu}


def until(batches, seconds):
    images = 0
    began = time.perf_counter()
    for batch in batches:
        hashlib.sha256(memoryview(batch).cast("B")).hexdigest()
        images += len(batch)
        passed = time.perf_counter() - began
        if passed >= seconds:
            return images, passed


def answer(fields):
    print(json.dumps(fields), flush=True)
