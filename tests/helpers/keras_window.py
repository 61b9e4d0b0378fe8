"""Make a random Keras network over windows and its ONNX file: run by the Python of the Keras environment.

    python tests/helpers/keras_window.py {gru,gru-classic,lstm} {last,mean} {own,tf2onnx} OUT.onnx

OUT.onnx.npz holds a batch of windows (B,12,32,32,1) and what Keras itself answers.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

kind, head, exporter, out = sys.argv[1:]
keras.utils.set_random_seed(1)


def recurrent(units, **options):
    if kind == "lstm":
        return layers.LSTM(units, **options)
    return layers.GRU(units, reset_after=kind == "gru", bias_initializer="random_normal", **options)


frames = keras.Input((12, 32, 32, 1))
x = layers.TimeDistributed(layers.Conv2D(8, 3, strides=2, activation="relu"))(frames)
x = layers.TimeDistributed(layers.Conv2D(8, 3, strides=2, activation="relu"))(x)
x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(x)
x = recurrent(16, return_sequences=True)(x)
x = recurrent(12, return_sequences=head == "mean")(x)
if head == "mean":
    x = layers.GlobalAveragePooling1D()(x)
model = keras.Model(frames, layers.Dense(4, activation="softmax")(x))

windows = np.random.default_rng(0).standard_normal((2, 12, 32, 32, 1)).astype("float32")
answers = model.predict(windows, verbose=0)
if exporter == "own":
    model.export(out, format="onnx", verbose=False)
else:
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, 12, 32, 32, 1), tf.float32, name="frames")]
    tf2onnx.convert.from_keras(model, input_signature=signature, opset=17, output_path=out)
np.savez(out + ".npz", windows=windows, answers=answers)
