"""Conv-2, the smallest of the convolutional nets in the lottery-ticket papers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from kerastickets.data import Data
from kerastickets.errors import DataError


@dataclass(frozen=True)
class Conv2:
    """Conv-2: two convolutions of 64 3x3 filters, max-pool 2, dense 256, 256 and the logits.

    ReLU, Glorot normal (untruncated), zero biases. On 32x32x3 images with ten classes it has
    4,300,992 weights with `same` padding and 3,317,952 with `valid`. Its recipe is Adam 2e-4, epsilon
    1e-8, batches of 60; a level prunes 10 % of convolutions and output, 20 % of the other dense layers.

    Args:
        padding: `same`, or `valid`, as the counts in a comparison with SNIP require.

    Raises:
        DataError: if the examples are no images `(height, width, channels)`, or too small ones.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 8, 8, 1)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> Conv2(padding="valid")(data).layers[2].output.shape
        (None, 2, 2, 64)

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, figure 2.
    """

    padding: Literal["same", "valid"] = "same"

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "optimizer": "adam",
            "lr": 2e-4,
            "epsilon": 1e-8,
            "batch_size": 60,
            "rate": {"conv": 0.1, "dense": 0.2, "output": 0.1},
        }
    )

    def __call__(self, data: Data) -> Any:
        import keras
        from keras import layers

        least = 6 if self.padding == "valid" else 2
        if len(data.input_shape) != 3 or min(data.input_shape[:2]) < least:
            raise DataError(
                f"conv-2 with padding={self.padding} must have images (height, width, channels) of at least "
                f"{least}x{least}. Received: data set '{data.name}' with inputs {data.input_shape}"
            )

        def normal() -> Any:
            # Keras's own Glorot normal is truncated; the paper's is not.
            return keras.initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal")

        def conv() -> Any:
            return layers.Conv2D(64, 3, padding=self.padding, activation="relu", kernel_initializer=normal())

        def dense(units: int, activation: str | None = "relu") -> Any:
            return layers.Dense(units, activation=activation, kernel_initializer=normal())

        body = [conv(), conv(), layers.MaxPooling2D(2), layers.Flatten(), dense(256), dense(256)]
        return keras.Sequential([keras.Input(data.input_shape), *body, dense(data.outputs, None)])
