"""What training minimises and reports: the data's loss and metrics, or those a model was compiled with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

import kerastickets.data.losses  # noqa: F401 - registers what a data set's loss may name
from kerastickets.data.dataset import Data, Loss
from kerastickets.data.metrics import task_metrics
from kerastickets.errors import DataError


@dataclass(frozen=True)
class Objective:
    """A loss and its metrics.

    Args:
        loss: what `compile(loss=)` takes.
        metrics: makes fresh metrics.
    """

    loss: Any
    metrics: Callable[[], list[Any]]

    @classmethod
    def of(cls, data: Data, model: keras.Model) -> "Objective":
        """The objective of a data set, fitted to how the model's outputs end.

        Args:
            data: its `loss` and `metrics`.
            model: checked for enough outputs; one that ends in softmax or sigmoid gives probabilities, so
                the loss is then told that its inputs are not logits.

        Raises:
            DataError: the model's output does not fit the labels.
        """
        outputs = getattr(model, "outputs", None) or ()
        if len(outputs) > 1:
            raise DataError(
                f"A model for {data.name} needs one output layer. Received: {len(outputs)} of them"
            )
        units = outputs[0].shape[-1] if outputs else None
        if units is not None and units != data.outputs:
            raise DataError(
                f"A model for {data.name} needs {data.outputs} outputs. Received: a model with {units}"
            )
        if isinstance(data.classes, tuple) and gives_probabilities(model):
            raise DataError(
                f"A model for {data.name} must end in logits, without softmax or sigmoid: its outputs serve "
                f"{len(data.classes)} tasks. Received: a model that gives probabilities"
            )
        return cls(fitting_loss(data.loss, model), lambda: _metrics(data))

    @classmethod
    def compiled(cls, model: keras.Model, data: Data) -> "Objective | None":
        """The objective a user compiled `model` with (metrics of `data` where it has none), or None."""
        if not getattr(model, "compiled", False) or getattr(model, "loss", None) is None:
            return None
        losses = keras.tree.flatten(model.loss)
        if len(losses) > 1:
            raise DataError(f"A model for {data.name} needs one loss. Received: {len(losses)}, from compile")
        # What was passed to compile: its serialized form lacks functions and classes that are not registered.
        given = keras.tree.flatten(getattr(model._compile_metrics, "_user_metrics", None) or [])
        if not given:
            return cls(losses[0], lambda: _metrics(data))
        return cls(losses[0], lambda: [_again(metric) for metric in given])

    def describe(self) -> Any:
        """The loss as JSON; a function of one's own by its name alone."""
        loss = self.loss
        try:
            known = keras.losses.serialize(loss) if isinstance(loss, keras.losses.Loss) else loss
            return json.loads(json.dumps(known))
        except (TypeError, ValueError, NotImplementedError):
            return str(getattr(loss, "__qualname__", type(loss).__qualname__))


def fitting_loss(loss: Loss, model: keras.Model) -> Any:
    """A data set's loss, or a task's, told whether the model's outputs are logits.

    Args:
        loss: a Keras identifier.
        model: one that ends in softmax or sigmoid gives probabilities.

    Example:
        >>> layers = [keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")]
        >>> fitting_loss({"class_name": "BinaryCrossentropy", "config": {"from_logits": True}},
        ...              keras.Sequential(layers)).from_logits
        False
    """
    if isinstance(loss, dict) and loss.get("config", {}).get("from_logits") and gives_probabilities(model):
        loss = loss | {"config": loss["config"] | {"from_logits": False}}
    return keras.losses.get(loss)


def _metrics(data: Data) -> list[Any]:
    """The data's own, and those of its tasks that it does not make itself."""
    own = [_metric(metric) for metric in data.metrics]
    names = {getattr(metric, "name", metric) for metric in own}
    return [*own, *(metric for metric in task_metrics(data) if metric.name not in names)]


def _metric(metric: Any) -> Any:
    if callable(metric):
        return metric()
    return metric if isinstance(metric, str) else keras.metrics.get(metric)


def _again(metric: Any) -> Any:
    """A metric without what the user's own has counted."""
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def gives_probabilities(model: keras.Model) -> bool:
    """Whether the model ends in softmax or sigmoid, so that its outputs are no logits.

    Example:
        >>> layers = [keras.Input((4,)), keras.layers.Dense(2), keras.layers.Softmax()]
        >>> gives_probabilities(keras.Sequential(layers))
        True
    """
    last = _last(model)
    # `keras.ops.softmax` on a model's tensors is an operation of that name.
    if type(last).__name__ in ("Softmax", "Sigmoid"):
        return True
    return getattr(last, "activation", None) in (keras.activations.softmax, keras.activations.sigmoid)


def _last(model: Any) -> Any:
    """The layer or operation that makes a model's output; for a subclassed one the layer made last."""
    if getattr(model, "outputs", None):
        operation = model.outputs[0]._keras_history.operation
    else:
        layers = getattr(model, "layers", None)
        operation = layers[-1] if layers else model
    return operation if operation is model or not isinstance(operation, keras.Model) else _last(operation)
