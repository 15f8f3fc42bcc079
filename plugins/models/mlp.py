"""Fully connected nets: multi-layer perceptrons of any widths, and LeNet-300-100."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from kerastickets.plugin import Data, PluginError, extend_network
from kerastickets_plugins.models.parts import check_layers


@dataclass(frozen=True)
class Mlp:
    """A multi-layer perceptron whose last layer gives logits, with one unit per class or target.

    Biases start at zero. Its recipe is Adam with learning rate 1e-3, epsilon 1e-8 and batches of 64. Each
    level prunes 20 % of every layer.

    Args:
        widths: number of units of each hidden layer, from input to output; at least one layer, each number
            above 0.
        activation: name of a Keras activation, used in the hidden layers.
        initializer: initial weights: `glorot` (normal, scaled by the average of fan-in and fan-out) or
            `kaiming` (normal, scaled by fan-in); both are untruncated.

    Raises:
        PluginError: Keras does not know the activation.
        RecipeError: the net does not fit into memory.

    Example:
        >>> import numpy as np
        >>> x, y = np.eye(3), np.array([0, 1, 1])
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=2)
        >>> Mlp(widths=(4, 5))(data).count_params()  # 3*4+4 + 4*5+5 + 5*2+2
        53

    Reference:
        X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks,
        section 4.2.1. K. He et al., Delving Deep into Rectifiers, section 2.2.
    """

    widths: tuple[int, ...] = (300, 100)
    activation: str = "relu"
    initializer: Literal["glorot", "kaiming"] = "glorot"

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"optimizer": "adam", "lr": 1e-3, "epsilon": 1e-8, "batch_size": 64, "rate": {"*": 0.2}}
    )

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"`widths` must be one or more numbers above 0. Received: widths={self.widths}")

    def __call__(self, data: Data) -> Any:
        import keras

        scale, fan = {"glorot": (1.0, "fan_avg"), "kaiming": (2.0, "fan_in")}[self.initializer]
        # Keras's own Glorot and He normal are truncated; the papers' are not.
        normal = keras.initializers.VarianceScaling(scale, fan, "untruncated_normal")
        try:
            activation = keras.activations.get(self.activation)
        except ValueError as error:
            raise PluginError(
                f"`activation` must be a Keras activation. Received: activation={self.activation!r}"
            ) from error
        layers = [keras.layers.Flatten()]
        for width in self.widths:
            layers.append(keras.layers.Dense(width, activation, kernel_initializer=normal.clone()))
        layers.append(keras.layers.Dense(data.outputs, kernel_initializer=normal.clone()))
        check_layers("mlp", data.input_shape, layers)
        return keras.Sequential([keras.Input(data.input_shape), *layers])

    def extended(self, data: Data, rate: float, levels: int) -> list[tuple["Mlp", int]]:
        """Ever wider versions of this net, each with its number of weights.

        See `kerastickets.extend_network`.

        Raises:
            RecipeError: the hidden layers have different widths.
        """
        shape = (math.prod(data.input_shape), *self.widths, data.outputs)
        steps = extend_network(shape, rate, levels)
        return [(replace(self, widths=wider[1:-1]), weights) for wider, weights in steps]


@dataclass(frozen=True)
class LeNet300100:
    """LeNet-300-100: dense layers of 300 and 100 and the logits, with ReLU, Glorot normal and zero biases.

    Its recipe is Adam with learning rate 1.2e-3, epsilon 1e-8 and batches of 60. Each level prunes 20 % of
    the hidden layers and 10 % of the output layer.

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((10, 28, 28, 1)), np.arange(10)
        >>> data = Data("toy", (x, y), (x, y), (x, y), "mse", (), classes=10)
        >>> LeNet300100()(data).count_params()  # 266200 weights and 410 biases
        266610

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, figure 2.
    """

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "optimizer": "adam",
            "lr": 1.2e-3,
            "epsilon": 1e-8,
            "batch_size": 60,
            "rate": {"dense": 0.2, "output": 0.1},
        }
    )

    def __call__(self, data: Data) -> Any:
        return Mlp(widths=(300, 100))(data)
