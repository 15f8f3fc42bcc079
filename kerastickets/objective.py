"""What training minimises and reports: the data's loss and metrics, or those a model was compiled with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from kerastickets.data import Data
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
        units = model.outputs[0].shape[-1] if getattr(model, "outputs", None) else None
        if units is not None and units != data.outputs:
            raise DataError(
                f"A model for {data.name} needs {data.outputs} outputs. Received: a model with {units}"
            )
        loss = data.loss
        if (
            isinstance(loss, dict)
            and loss.get("config", {}).get("from_logits")
            and gives_probabilities(model)
        ):
            loss = loss | {"config": loss["config"] | {"from_logits": False}}
        return cls(keras.losses.get(loss), lambda: [_metric(metric) for metric in data.metrics])

    @classmethod
    def compiled(cls, model: keras.Model, data: Data) -> "Objective | None":
        """The objective a user compiled `model` with (metrics of `data` where it has none), or None."""
        if not getattr(model, "compiled", False) or getattr(model, "loss", None) is None:
            return None
        metrics = (model.get_compile_config() or {}).get("metrics") or data.metrics
        return cls(model.loss, lambda: [_metric(metric) for metric in metrics])

    def describe(self) -> Any:
        """The loss as JSON; a function of one's own by its name alone."""
        loss = self.loss
        try:
            known = keras.losses.serialize(loss) if isinstance(loss, keras.losses.Loss) else loss
            return json.loads(json.dumps(known))
        except (TypeError, ValueError, NotImplementedError):
            return str(getattr(loss, "__qualname__", type(loss).__qualname__))


def _metric(metric: Any) -> Any:
    if callable(metric):
        return metric()
    return metric if isinstance(metric, str) else keras.metrics.get(metric)


def gives_probabilities(model: keras.Model) -> bool:
    """Whether the model ends in softmax or sigmoid, so that its outputs are no logits."""
    last = getattr(model, "layers", [None])[-1]
    activation = getattr(last, "activation", None)
    return activation in (keras.activations.softmax, keras.activations.sigmoid) or isinstance(
        last, keras.layers.Softmax
    )
