"""tf.data: what the paper's code does, with the settings that serve one core best."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import tensorflow as tf  # noqa: E402
from orders import AREA, ASPECT, serve  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


def make_batches(order):
    """The configuration: "one by one" or "autotune", then the decoder's transform."""
    calls, dct = order.configuration.split(", ")
    if order.pictures == "photographs":
        source = tf.data.Dataset.from_tensor_slices(order.paths).shuffle(len(order.paths)).repeat()
        view = lambda path: view_of_file(path, order.side, dct)
    else:
        source = tf.data.Dataset.from_tensor_slices(order.gray[..., None]).shuffle(len(order.gray)).repeat()
        view = lambda gray: view_of_gray(gray, order.side)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    options.deterministic = False
    parallel = tf.data.AUTOTUNE if calls == "autotune" else None
    batches = source.map(view, num_parallel_calls=parallel).batch(order.batch, drop_remainder=True).map(mixed)
    if calls == "autotune":
        batches = batches.prefetch(tf.data.AUTOTUNE)
    return batches.with_options(options).as_numpy_iterator()


def random_box(shape):
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        shape,
        tf.zeros([0, 0, 4], tf.float32),
        area_range=AREA,
        aspect_ratio_range=ASPECT,
        min_object_covered=0,
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    return begin, size


def view_of_file(path, side, dct):
    file = tf.io.read_file(path)
    begin, size = random_box(tf.io.extract_jpeg_shape(file))
    window = tf.stack([begin[0], begin[1], size[0], size[1]])
    image = tf.io.decode_and_crop_jpeg(file, window, channels=3, dct_method=dct)
    return tf.image.random_flip_left_right(resized(image, side))


def view_of_gray(gray, side):
    image = tf.image.grayscale_to_rgb(gray)
    begin, size = random_box(tf.shape(image))
    return tf.image.random_flip_left_right(resized(tf.slice(image, begin, size), side))


def resized(image, side):
    return tf.cast(tf.ensure_shape(tf.image.resize(image, [side, side]), [side, side, 3]), tf.uint8)


def mixed(batch):
    b = tf.random.uniform([])
    share = tf.maximum(b, 1 - b)
    own = tf.cast(batch, tf.float32)
    both = share * own + (1 - share) * tf.roll(own, 1, axis=0)
    return tf.cast(tf.clip_by_value(tf.round(both), 0, 255), tf.uint8)


def view_of_box(path, box, side):
    image = tf.io.decode_and_crop_jpeg(tf.io.read_file(path), box, channels=3, dct_method="INTEGER_ACCURATE")
    return resized(image, side).numpy()


serve(make_batches, view_of_box)
