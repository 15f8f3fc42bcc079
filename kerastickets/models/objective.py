"""Choose the loss and the metrics of training: from the data set, or from the compiled model."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

import kerastickets.data.losses  # noqa: F401 - registers the losses that a data set may name
from kerastickets.data.dataset import Data, Loss
from kerastickets.data.metrics import task_metrics
from kerastickets.errors import DataError


@dataclass(frozen=True)
class Objective:
    """A loss and its metrics.

    Args:
        loss: any value that `compile(loss=)` accepts.
        metrics: a function that makes new metrics.
    """

    loss: Any
    metrics: Callable[[], list[Any]]

    @classmethod
    def of(cls, data: Data, model: keras.Model) -> "Objective":
        """The objective of a data set, adapted to the outputs of the model.

        Args:
            data: the data set; its `loss` and `metrics` are used.
            model: must have one output layer, with as many units as the data set has outputs. If it ends in
                softmax or sigmoid, its outputs are probabilities, and the loss gets `from_logits=False`.

        Raises:
            DataError: the model has more than one output layer or another number of units; or it gives
                probabilities although the data set has several tasks.
        """
        outputs = getattr(model, "outputs", None) or ()
        if len(outputs) > 1:
            raise DataError(
                f"A model for {data.name} needs one output layer. Received: {len(outputs)} of them"
            )
        _check_targets(data, outputs[0].shape if outputs else None)
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
        """The loss and metrics that `model` was compiled with; None if it is not compiled or has no loss.

        Without metrics of its own, the model gets the metrics of `data`.

        Raises:
            DataError: the model was compiled with more than one loss.
        """
        if not getattr(model, "compiled", False) or getattr(model, "loss", None) is None:
            return None
        losses = keras.tree.flatten(model.loss)
        if len(losses) > 1:
            raise DataError(f"A model for {data.name} needs one loss. Received: {len(losses)}, from compile")
        # Use the objects passed to compile: their serialized form lacks unregistered functions and classes.
        given = keras.tree.flatten(getattr(model._compile_metrics, "_user_metrics", None) or [])
        if not given:
            return cls(losses[0], lambda: _metrics(data))
        return cls(losses[0], lambda: [_again(metric) for metric in given])

    def describe(self) -> Any:
        """The loss as JSON. A function, or a loss that cannot be serialized, is described by its name."""
        loss = self.loss
        try:
            known = keras.losses.serialize(loss) if isinstance(loss, keras.losses.Loss) else loss
            return json.loads(json.dumps(known))
        except (TypeError, ValueError, NotImplementedError):
            return str(getattr(loss, "__qualname__", type(loss).__qualname__))


def fitting_loss(loss: Loss, model: keras.Model) -> Any:
    """The loss of a data set or task, with `from_logits=False` if the model gives probabilities.

    Args:
        loss: a Keras identifier.
        model: the model to train. If it ends in softmax or sigmoid, it gives probabilities.

    Example:
        >>> layers = [keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")]
        >>> fitting_loss({"class_name": "BinaryCrossentropy", "config": {"from_logits": True}},
        ...              keras.Sequential(layers)).from_logits
        False
    """
    if isinstance(loss, dict) and loss.get("config", {}).get("from_logits") and gives_probabilities(model):
        loss = loss | {"config": loss["config"] | {"from_logits": False}}
    return keras.losses.get(loss)


def _check_targets(data: Data, shape: Sequence[int | None] | None) -> None:
    """Refuse outputs that a loss would broadcast to targets of another shape."""
    wanted = data.train[1].shape[1:] or (1,)
    if data.classes is not None or shape is None or (len(wanted) < 2 and len(shape) == 2):
        return  # the number of units is checked apart, with an error of its own
    given = tuple(shape[1:])
    if len(given) != len(wanted) or any(
        own not in (None, whole) for own, whole in zip(given, wanted, strict=True)
    ):
        raise DataError(
            f"A model for {data.name} must give outputs of the shape of its targets, {wanted}. Received: a model that "
            f"gives {given}"
        )


def _metrics(data: Data) -> list[Any]:
    """The metrics of the data set, and the metrics of its tasks unless a metric has the same name already."""
    own = [_metric(metric) for metric in data.metrics]
    names = {getattr(metric, "name", metric) for metric in own}
    return [*own, *(metric for metric in task_metrics(data) if metric.name not in names)]


def _metric(metric: Any) -> Any:
    if callable(metric):
        return metric()
    return metric if isinstance(metric, str) else keras.metrics.get(metric)


def _again(metric: Any) -> Any:
    """A new copy of a metric, without the values that the user's metric has accumulated."""
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def gives_probabilities(model: keras.Model) -> bool:
    """Whether the model ends in softmax or sigmoid, so that its outputs are probabilities and not logits.

    Example:
        >>> layers = [keras.Input((4,)), keras.layers.Dense(2), keras.layers.Softmax()]
        >>> gives_probabilities(keras.Sequential(layers))
        True
    """
    last = _last(model)
    # `keras.ops.softmax` in a Functional model is an operation of the class `Softmax`.
    if type(last).__name__ in ("Softmax", "Sigmoid"):
        return True
    return getattr(last, "activation", None) in (keras.activations.softmax, keras.activations.sigmoid)


def _last(model: Any) -> Any:
    """The layer or operation that makes the model's output; in a subclassed model, the layer made last."""
    if getattr(model, "outputs", None):
        operation = model.outputs[0]._keras_history.operation
    else:
        layers = getattr(model, "layers", None)
        operation = layers[-1] if layers else model
    return operation if operation is model or not isinstance(operation, keras.Model) else _last(operation)
