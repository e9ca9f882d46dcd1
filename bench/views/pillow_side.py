"""
Pillow: with timm's training transforms, or cropped and resized in one call of Pillow's own; that also with JPEGs
decoded at a half, quarter or eighth of their size (draft) where the crop is so much larger than the view.
"""

import math
import random

import numpy
from orders import AREA, ASPECT, mixup_share, serve, shuffled
from PIL import Image


def make_batches(order):
    if order.pictures == "photographs":
        count, load = len(order.paths), lambda i: Image.open(order.paths[i])
    else:
        count, load = len(order.gray), lambda i: Image.fromarray(order.gray[i])
    if order.configuration == "timm":
        view = timm_view(order.side)
    else:
        draft = order.configuration == "one call, draft"
        view = lambda image: cropped(image, order.side, draft)
    numbers = shuffled(count)
    while True:
        batch = numpy.stack([view(load(next(numbers))) for _ in range(order.batch)])
        yield mixed(batch, numpy.float32(mixup_share()))


def timm_view(side):
    from timm.data import create_transform

    transform = create_transform(
        side, is_training=True, use_prefetcher=True, scale=AREA, ratio=ASPECT, interpolation="bilinear", color_jitter=None
    )
    # It gives [3, side, side]; ours, and what a network of TensorFlow takes, is [side, side, 3].
    return lambda image: numpy.asarray(transform(image.convert("RGB"))).transpose(1, 2, 0)


def cropped(image, side, draft):
    width, height = image.size
    box = random_box(width, height)
    if draft:
        smaller = max(1, min(box[2] - box[0], box[3] - box[1]) // side)
        image.draft("RGB", (width // smaller, height // smaller))
        across, down = image.size[0] / width, image.size[1] / height
        box = (box[0] * across, box[1] * down, box[2] * across, box[3] * down)
    view = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box=box)
    return numpy.asarray(view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else view)


def random_box(width, height):
    """torchvision's and timm's way to draw an inception crop."""
    for _ in range(10):
        area = width * height * random.uniform(*AREA)
        ratio = math.exp(random.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if w <= width and h <= height:
            x, y = random.randint(0, width - w), random.randint(0, height - h)
            return x, y, x + w, y + h
    return 0, 0, width, height


def mixed(batch, share):
    own = batch.astype(numpy.float32)
    other = numpy.roll(own, 1, axis=0)
    own *= share
    other *= 1 - share
    own += other
    return numpy.clip(numpy.rint(own, out=own), 0, 255, out=own).astype(numpy.uint8)


def view_of_box(path, box, side):
    y, x, height, width = box
    image = Image.open(path).convert("RGB")
    view = image.resize((side, side), Image.Resampling.BILINEAR, box=(x, y, x + width, y + height))
    return numpy.ascontiguousarray(view)


serve(make_batches, view_of_box)
