"""Choose the loss and the metrics of training: from the data set, from the compiled model, or from the ticket."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import keras

import kerastickets.data.losses  # noqa: F401 - registers the losses that a data set may name
from kerastickets.data.dataset import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, Data, Loss
from kerastickets.data.metrics import LogitAccuracy, task_metrics
from kerastickets.errors import DataError, RecipeError
from kerastickets.foundations.structure import is_nested
from kerastickets.models.label_fit import check_broadcast, check_fit, check_inputs, has_one_unit
from kerastickets.models.recorded_objective import again, read_part, record_part

_PARTS = ("loss", "loss_weights", "metrics", "weighted_metrics")


@dataclass(frozen=True)
class Objective:
    """A loss and its metrics, as `compile` takes them.

    Args:
        loss: any value that `compile(loss=)` accepts; None if the model's layers add their own losses.
        metrics: a function that makes new metrics.
        loss_weights: the weights of several losses.
        weighted_metrics: a function that makes new metrics that sample weights apply to.
    """

    loss: Any
    metrics: Callable[[], Any]
    loss_weights: Any = None
    weighted_metrics: Callable[[], Any] = lambda: None

    @classmethod
    def of(cls, data: Data, model: keras.Model) -> "Objective":
        """The objective of a data set, adapted to the outputs of the model.

        Args:
            data: the data set; its `loss` and `metrics` are used.
            model: its outputs must fit the labels: a unit for each class, one unit for two classes, or the shape of
                the targets. If it ends in softmax or sigmoid, its outputs are probabilities, and the loss gets
                `from_logits=False`.

        Raises:
            DataError: the outputs do not fit; the data set has no loss; or the model gives probabilities although the
                data set has several tasks.
        """
        if data.loss is None:
            raise DataError(
                f"A model for {data.name} must be compiled with a loss, or the data set must name one. Received: "
                "neither. Call model.compile(...), or give Data(loss=...)."
            )
        check_inputs(data, model)
        check_fit(data, model)
        if isinstance(data.classes, tuple) and gives_probabilities(model):
            raise DataError(
                f"A model for {data.name} must end in logits, without softmax or sigmoid: its outputs serve "
                f"{len(data.classes)} tasks. Received: a model that gives probabilities"
            )
        one_unit = has_one_unit(data, model)
        loss = BINARY_CROSS_ENTROPY if one_unit and data.loss == CROSS_ENTROPY else data.loss
        logits = one_unit and not gives_probabilities(model)
        return cls(fitting_loss(loss, model), lambda: _metrics(data, logits))

    @classmethod
    def compiled(cls, model: keras.Model, data: Data | None = None) -> "Objective | None":
        """The losses and metrics that `model` was compiled with.

        It is None if the model is not compiled, or was compiled without a loss for data that names one. Without
        metrics of its own, the model gets the metrics of `data`. Without `data`, nothing is checked, and metrics that
        are not given are left open.

        Raises:
            DataError: a loss of Keras would broadcast the labels to outputs of another shape.
        """
        if not getattr(model, "compiled", False):
            return None
        loss = getattr(model, "loss", None)
        if data is not None:
            if loss is None and data.declared:
                return None
            _check(model, data, loss)
        single = len(getattr(model, "outputs", None) or [None]) == 1
        loss = loss[0] if single and isinstance(loss, list) and len(loss) == 1 else loss
        # Use the objects passed to compile: their serialized form lacks unregistered functions and classes.
        given, weighted = (
            getattr(model._compile_metrics, name, None)
            for name in ("_user_metrics", "_user_weighted_metrics")
        )
        given = keras.tree.flatten(given) if single and given else given
        own = given or weighted or data is None
        metrics = (lambda: _again(given)) if own else lambda: _metrics(cast(Data, data))
        weights = getattr(model._compile_loss, "_user_loss_weights", None)
        return cls(loss, metrics, weights, lambda: _again(weighted))

    @classmethod
    def recorded(
        cls, facts: Mapping[str, Any], custom_objects: Mapping[str, Any], data: Data | None = None
    ) -> "Objective | None":
        """The objective that `record` described.

        Args:
            facts: the entry of a ticket, which may come from anybody.
            custom_objects: the caller's losses and metrics by name.
            data: the data set to use it on. As in `compiled`, it decides what the record leaves open: the metrics, and
                all if there is no loss.

        Raises:
            RecipeError: a loss or a metric is one that no file can hold, or one of the caller's own that is not among
                `custom_objects`.
        """
        parts = {name: read_part(facts.get(name), name, custom_objects) for name in _PARTS}
        if data is not None and data.declared and parts["loss"] is None:
            return None
        is_open = data is not None and parts["metrics"] is None and parts["weighted_metrics"] is None
        return cls(
            parts["loss"],
            lambda: _metrics(cast(Data, data)) if is_open else _again(parts["metrics"]),
            parts["loss_weights"],
            lambda: _again(parts["weighted_metrics"]),
        )

    def compile(self, model: keras.Model, data: Data, optimizer: Any = "rmsprop") -> None:
        """Compile a model with new metrics of this objective, without XLA.

        Args:
            model: the model.
            data: the data that the model is for.
            optimizer: an optimizer of Keras.

        Raises:
            DataError: a loss of Keras would broadcast the labels to outputs of another shape.
            RecipeError: the model's class has a `compile` of its own that does not take these arguments.
        """
        _check(model, data, self.loss)
        # Left out where they are not given: a `compile` of one's own may not take them.
        further = {"loss_weights": self.loss_weights, "weighted_metrics": self.weighted_metrics()}
        further = {name: value for name, value in further.items() if value is not None}
        try:
            model.compile(optimizer, self.loss, metrics=self.metrics(), jit_compile=False, **further)
        except TypeError as error:
            raise RecipeError(
                f"The class {type(model).__name__} must take compile(optimizer, loss, metrics=..., jit_compile=...). "
                f"Received: {' '.join(str(error).split())[:200]}"
            ) from error

    def describe(self) -> Any:
        """The loss as JSON. A function, or a loss that cannot be serialized, is described by its name."""
        loss = self.loss
        try:
            known = keras.losses.serialize(loss) if isinstance(loss, keras.losses.Loss) else loss
            return json.loads(json.dumps(known))
        except (TypeError, ValueError, NotImplementedError):
            if is_nested(loss):
                return record_part(loss)
            return str(getattr(loss, "__qualname__", type(loss).__qualname__))

    def key(self) -> str | None:
        """A text that is equal for equal objectives; None if a part of it is not one of Keras's own."""
        text = json.dumps(self.record(), sort_keys=True)
        modules = re.findall(r'"module": "(\w+)', text)
        own = '"by_name"' in text or not {"keras", "kerastickets", "builtins"}.issuperset(modules)
        return None if own else text

    def record(self) -> dict[str, Any]:
        """The objective as JSON, for a ticket. `recorded` reads it back.

        What no file can hold, such as a lambda, is recorded by its name, and asked for when it is needed.
        """
        parts = {
            "loss": self.loss,
            "loss_weights": self.loss_weights,
            "metrics": self.metrics(),
            "weighted_metrics": self.weighted_metrics(),
        }
        return {name: record_part(part) for name, part in parts.items() if part is not None}


def _check(model: keras.Model, data: Data, loss: Any) -> None:
    check_inputs(data, model)
    check_broadcast(data, model, keras.tree.flatten(loss) if loss is not None else [])


def loss_function(model: keras.Model, split: Sequence[Any] | None = None) -> Callable[..., Any]:
    """The loss that a model was compiled with, as a function of labels, predictions and sample weights.

    Regularisation, and losses that layers add, are not part of it.

    Args:
        model: a compiled model.
        split: the `(x, y)` or `(x, y, sample_weight)` that it is for; None for one array of labels.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(loss=keras.losses.MeanSquaredError())
        >>> float(loss_function(model)(keras.ops.ones((2, 1)), keras.ops.zeros((2, 1))))
        1.0
    """
    single = split is None or (len(split) == 2 and not is_nested(split[1]))
    if model.loss is None or (single and not is_nested(model.loss)):
        loss = keras.losses.get(model.loss)
        return _no_loss if loss is None else loss

    def of_all(y: Any, predictions: Any, *weights: Any) -> Any:
        try:
            return model._compile_loss(y, predictions, *weights)
        except (ValueError, TypeError, KeyError) as error:
            raise RecipeError(
                "The labels to score on must have the structure that `fit` takes, a part for each output with a loss. "
                f"Received: {' '.join(str(error).split())[:200]}"
            ) from error

    return of_all


def _no_loss(*given: Any) -> Any:
    raise RecipeError(
        "This criterion scores by the loss that a model is compiled with. Received: a model without one. Take a "
        "criterion that needs none, such as magnitude."
    )


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


def _metrics(data: Data, logits: bool = False) -> Any:
    """The metrics of the data set, and the metrics of its tasks unless a metric has the same name already.

    With `logits`, the model has a single logit for two classes: it predicts 1 above 0, and not above 0.5 as Keras's
    accuracy would have it.
    """
    if is_nested(data.train[1]):
        each = [[_metric(metric) for metric in data.metrics] for _ in keras.tree.flatten(data.train[1])]
        return each if data.metrics else []
    own = [LogitAccuracy() if logits and metric == "accuracy" else _metric(metric) for metric in data.metrics]
    names = {getattr(metric, "name", metric) for metric in own}
    return [*own, *(metric for metric in task_metrics(data) if metric.name not in names)]


def _metric(metric: Any) -> Any:
    if callable(metric):
        return metric()
    return metric if isinstance(metric, str) else keras.metrics.get(metric)


def _again(metrics: Any) -> Any:
    """New copies of metrics in any structure, without the values that the user's metrics have accumulated."""
    if isinstance(metrics, Mapping):
        return {key: _again(value) for key, value in metrics.items()}
    if isinstance(metrics, list | tuple):
        return [_again(value) for value in metrics]
    if isinstance(metrics, keras.metrics.Metric):
        return again(metrics)
    return metrics


def gives_probabilities(model: keras.Model, output: int = 0) -> bool:
    """Whether the model ends in softmax or sigmoid, so that its outputs are probabilities and not logits.

    Args:
        model: the model.
        output: the number of the output, for a model with several.

    Example:
        >>> layers = [keras.Input((4,)), keras.layers.Dense(2), keras.layers.Softmax()]
        >>> gives_probabilities(keras.Sequential(layers))
        True
    """
    last = _last(model, output)
    # `keras.ops.softmax` in a Functional model is an operation of the class `Softmax`.
    if type(last).__name__ in ("Softmax", "Sigmoid"):
        return True
    return getattr(last, "activation", None) in (keras.activations.softmax, keras.activations.sigmoid)


def _last(model: Any, output: int) -> Any:
    """The layer or operation that makes an output of a model; in a subclassed model, the layer made last."""
    if getattr(model, "outputs", None):
        operation, _, output = model.outputs[output]._keras_history
    else:
        layers = getattr(model, "layers", None)
        operation = layers[-1] if layers else model
    return (
        operation
        if operation is model or not isinstance(operation, keras.Model)
        else _last(operation, output)
    )
