"""Mask-aware layers: Keras layers that hold their own masks.

The masks are non-trainable weights: `summary()` shows them, `.keras` files save them, and the trainer finds
them. `aware` makes a mask-aware version of any layer class, and `convert` a model of such layers.

A plain `fit` keeps pruned weights at zero. Adding `kerastickets.callbacks.KeepMasks()` also keeps the
gradients of pruned weights out of the optimizer's moments and clipping. It is required if the optimizer
averages weights (`use_ema`).
"""

import keras

from kerastickets.models.mask_aware import Masks as Masks, aware as aware, convert as convert

Dense = aware(keras.layers.Dense)
EinsumDense = aware(keras.layers.EinsumDense)
Embedding = aware(keras.layers.Embedding)
Conv1D = aware(keras.layers.Conv1D)
Conv2D = aware(keras.layers.Conv2D)
Conv3D = aware(keras.layers.Conv3D)
Conv1DTranspose = aware(keras.layers.Conv1DTranspose)
Conv2DTranspose = aware(keras.layers.Conv2DTranspose)
Conv3DTranspose = aware(keras.layers.Conv3DTranspose)
DepthwiseConv1D = aware(keras.layers.DepthwiseConv1D)
DepthwiseConv2D = aware(keras.layers.DepthwiseConv2D)
SeparableConv1D = aware(keras.layers.SeparableConv1D)
SeparableConv2D = aware(keras.layers.SeparableConv2D)
MultiHeadAttention = aware(keras.layers.MultiHeadAttention)
SimpleRNN = aware(keras.layers.SimpleRNN)
LSTM = aware(keras.layers.LSTM)
GRU = aware(keras.layers.GRU)
