"""Writes the SavedModel of savedmodel.test.ts and Keras's own answers beside it (golden/savedmodel).

    pip install tensorflow-cpu==2.21.0 && python test/teacher-service/savedmodel_golden.py test/teacher-service/golden
"""
import os
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(1)
images = keras.Input((16, 16, 3), name="images")
x = layers.Rescaling(1 / 127.5, offset=-1)(images)
x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
norm = layers.BatchNormalization(momentum=0.0)
x = layers.ReLU(max_value=6)(norm(x))
x = layers.DepthwiseConv2D(3, padding="same")(x)
x = layers.GlobalAveragePooling2D()(x)
logits = layers.Dense(5, name="logits")(x)
model = keras.Model(images, {"logits": logits, "probabilities": layers.Softmax()(logits)})

pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype("uint8")
model(pixels.astype("float32"), training=True)  # gives the norm statistics that are not 0 and 1
answers = model(pixels.astype("float32"), training=False)

folder = os.path.join(sys.argv[1], "savedmodel")
shutil.rmtree(folder, ignore_errors=True)
model.export(folder)
np.savez(os.path.join(sys.argv[1], "savedmodel.npz"), pixels=pixels, **{k: np.asarray(v) for k, v in answers.items()})
