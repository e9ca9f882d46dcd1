"""torchvision: decode_jpeg of torchvision.io and the v2 transforms on uint8 tensors."""

import random

import torch
from orders import AREA, ASPECT, mixup_share, serve, shuffled
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

torch.set_num_threads(1)
BILINEAR = InterpolationMode.BILINEAR


def make_batches(order):
    if order.pictures == "photographs":
        count, load = len(order.paths), lambda i: decode(order.paths[i])
    else:
        gray = torch.from_numpy(order.gray.copy()).unsqueeze(1)
        count, load = len(gray), lambda i: gray[i].expand(3, -1, -1)
    crop = v2.RandomResizedCrop(order.side, scale=AREA, ratio=ASPECT, interpolation=BILINEAR, antialias=False)
    if order.configuration == "functions":
        view = lambda image: by_functions(image, crop, order.side)
    else:
        view = v2.Compose([crop, v2.RandomHorizontalFlip()])
    numbers = shuffled(count)
    with torch.inference_mode():
        while True:
            batch = torch.stack([view(load(next(numbers))) for _ in range(order.batch)])
            yield mixed(batch.permute(0, 2, 3, 1), mixup_share()).contiguous().numpy()


def decode(path):
    return decode_jpeg(read_file(path), mode=ImageReadMode.RGB)


def by_functions(image, crop, side):
    """The same without the transforms' own bookkeeping."""
    box = crop.make_params([image])
    view = functional.resized_crop_image(image, **box, size=[side, side], interpolation=BILINEAR, antialias=False)
    return functional.horizontal_flip_image(view) if random.random() < 0.5 else view


def mixed(batch, share):
    own = batch.to(torch.float32)
    other = own.roll(1, 0)
    return own.mul_(share).add_(other.mul_(1 - share)).round_().clamp_(0, 255).to(torch.uint8)


def view_of_box(path, box, side):
    y, x, height, width = box
    view = functional.resized_crop_image(
        decode(path), y, x, height, width, size=[side, side], interpolation=BILINEAR, antialias=False
    )
    return view.permute(1, 2, 0).contiguous().numpy()


serve(make_batches, view_of_box)
