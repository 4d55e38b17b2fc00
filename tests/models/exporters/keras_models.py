"""Keras by its own export, and by a SavedModel and tf2onnx. Run by exporters.ts."""
import subprocess
import sys
import tempfile

import keras
import numpy as np

from answers import HERE, rows_of, save

random = np.random.default_rng(0)


def rows(*shape):
    return random.normal(size=shape).astype(np.float32)


def export(name, model, asked, output="Identity:0"):
    """By Keras' own export, which wants a model that was called before."""
    answer(name, model, asked, output)
    model.export(str(HERE / f"{name}.onnx"), format="onnx", verbose=False)


def answer(name, model, asked, output):
    values = list(asked.values())
    save(name, rows_of(asked), {output: model.predict(values if len(values) > 1 else values[0], verbose=0)})


keras.utils.set_random_seed(0)
layers = keras.layers
wide, deep = keras.Input((3,), name="wide"), keras.Input((5,), name="deep")
hidden = layers.Dense(4, activation="relu")(layers.Concatenate()([wide, deep]))
two = keras.Model([wide, deep], layers.Dense(2, activation="softmax")(hidden))
pair = {"wide": rows(12, 3), "deep": rows(12, 5)}
export("keras-two-inputs", two, pair)

dense = keras.Sequential([keras.Input((4,), name="x"), layers.Dense(8, activation="relu"), layers.Dense(3)])
export("keras-dense", dense, {"x": rows(12, 4)})
series = keras.Sequential([keras.Input((None, 2), name="x"), layers.LSTM(4), layers.Dense(2)])
export("keras-lstm", series, {"x": rows(8, 7, 2)})
photo = keras.Sequential([
    keras.Input((12, 12, 3), name="x"), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)])
export("keras-photo", photo, {"x": rows(3, 12, 12, 3)})

# Keras' own export makes inputs of what Normalization has learnt.
scale = layers.Normalization()
scale.adapt(rows(50, 4) * 3 + 1)
scaled = keras.Sequential([keras.Input((4,), name="x"), scale, layers.Dense(1)])
with tempfile.TemporaryDirectory() as folder:
    scaled.export(folder, verbose=False)
    subprocess.run([sys.executable, "-m", "tf2onnx.convert", "--saved-model", folder, "--output",
                    str(HERE / "tf2onnx.onnx")], check=True)
answer("tf2onnx", scaled, {"x": rows(12, 4)}, "output_0")
