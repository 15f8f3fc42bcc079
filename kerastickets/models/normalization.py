"""Normalisation layers that Keras lacks.

A ticket with such a layer rebuilds without `custom_objects`, because `models.untrusted` knows these layers.
"""

from typing import Any

import keras


@keras.saving.register_keras_serializable("kerastickets")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each channel by a value computed from it and its neighbouring channels at the same pixel.

    `y[c] = x[c] / (bias + alpha * sum(x[c - depth_radius : c + depth_radius + 1] ** 2)) ** beta`, computed by
    TensorFlow's `tf.nn.local_response_normalization`. The layer has no weights. The defaults come from
    TensorFlow's CIFAR-10 tutorial.

    Args:
        depth_radius: number of neighbouring channels on each side; at least 0.
        bias: constant added to the scaled sum.
        alpha: factor for the sum of squares.
        beta: the exponent.
        **kwargs: arguments of `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> layer = LocalResponseNormalization(depth_radius=1, bias=1.0, alpha=1.0, beta=1.0)
        >>> made = layer(np.array([[[[1.0, 2.0, 0.0]]]], "float32"))
        >>> [round(float(value), 4) for value in made[0, 0, 0]]  # 1/(1 + 1 + 4), 2/(1 + 1 + 4), 0
        [0.1667, 0.3333, 0.0]

    Reference:
        A. Krizhevsky, I. Sutskever, G. Hinton, ImageNet Classification with Deep Convolutional Neural
        Networks, section 3.3.
    """

    __module__ = "kerastickets.normalizing"  # `.keras` files name this module

    def __init__(
        self,
        depth_radius: int = 4,
        bias: float = 1.0,
        alpha: float = 0.001 / 9.0,
        beta: float = 0.75,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.depth_radius, self.bias, self.alpha, self.beta = depth_radius, bias, alpha, beta
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The normalised images; shape `(n, height, width, channels)`, as the inputs."""
        import tensorflow as tf

        # Some devices support float32 only, and a sum of squares in half precision could overflow.
        x = tf.cast(inputs, "float32")
        y = tf.nn.local_response_normalization(x, self.depth_radius, self.bias, self.alpha, self.beta)
        return tf.cast(y, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The same shape as the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The config that rebuilds this layer."""
        own = {name: getattr(self, name) for name in ("depth_radius", "bias", "alpha", "beta")}
        return {**super().get_config(), **own}
