"""A tiny data set made up from a compiled model alone: inputs by its specs, labels by its losses."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerastickets.data.dataset import Data
from kerastickets.errors import RecipeError
from kerastickets.models.label_fit import elementwise
from kerastickets.models.proof import example_batch


def made_up(model: keras.Model, loss: Any) -> Data:
    """Two examples that a model can train on. What is learned from them means nothing.

    Args:
        model: a built model. It is called once, so that its state may change.
        loss: what it is compiled with: a loss, or a list or dict of losses by output.

    Returns:
        A `Data` whose three splits are the same two examples.

    Raises:
        RecipeError: the model does not tell its inputs, or takes texts.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> made_up(model, "sparse_categorical_crossentropy")
        Data('a made-up batch', train=2, validation=2, test=2, inputs=(4,), labels=())
    """
    batch = example_batch(model)
    if batch is None:
        raise RecipeError("The model does not tell the shapes of its inputs. Give a data set.")
    if any(keras.backend.standardize_dtype(one.dtype) == "string" for one in keras.tree.flatten(batch)):
        raise RecipeError("The model takes texts, and training in this library takes numbers.")
    found = model(batch, training=False)
    x = keras.tree.map_structure(keras.ops.convert_to_numpy, batch)
    split = (x, _labels(loss, found, list(getattr(model, "output_names", []))))
    return Data("a made-up batch", split, split, split)


def _labels(loss: Any, outputs: Any, names: list[str]) -> Any:
    """Labels in the structure of the losses, or of the outputs if there is one loss for all."""
    if isinstance(loss, Mapping):
        by_name = outputs if isinstance(outputs, Mapping) else dict(zip(names, _flat(outputs), strict=True))
        return {name: _label(one, by_name[name]) for name, one in loss.items()}
    if isinstance(loss, list | tuple):
        labels = [_label(one, output) for one, output in zip(loss, _flat(outputs), strict=True)]
        return labels if len(labels) > 1 else labels[0]
    return keras.tree.map_structure(lambda output: _label(loss, output), outputs)


def _flat(outputs: Any) -> list[Any]:
    return list(keras.tree.flatten(outputs))


def _label(loss: Any, output: Any) -> np.ndarray:
    shape = tuple(output.shape)
    # A loss that refuses labels of the shape of the outputs takes the numbers of classes.
    if loss is None or len(shape) < 2 or elementwise(loss, shape[1:]):
        return np.zeros(shape, "float32")
    return np.zeros(shape[:-1], "int64")
