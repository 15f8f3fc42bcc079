"""Metrics that Keras lacks."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerastickets")
class LogitAccuracy(keras.metrics.Mean):
    """The share of yes-or-no outputs that are right, where the model ends in logits.

    An output says yes where its logit is above 0. Each example counts once, with the mean over the
    outputs looked at, so sample weights are one an example.

    Args:
        output: the position of the one output to look at, from 0; None looks at all.
        name: what reports call it.
        dtype: the dtype of the running mean.

    Example:
        >>> accuracy = LogitAccuracy()
        >>> accuracy.update_state([[1.0, 0.0], [0.0, 0.0]], [[3.0, -1.0], [2.0, -4.0]])
        >>> float(accuracy.result())  # right: 2 of 2, then 1 of 2
        0.75
    """

    def __init__(self, output: int | None = None, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.output = output

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch: `y_true` of 0 and 1 and logits `y_pred`, both `(n, outputs)`."""
        y_pred = ops.cast(y_pred, self.dtype)
        y_true = ops.reshape(ops.cast(y_true, self.dtype), ops.shape(y_pred))
        right = ops.cast(ops.equal(y_pred > 0, y_true > 0.5), self.dtype)
        right = ops.mean(right, axis=-1) if self.output is None else right[..., self.output]
        super().update_state(right, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What makes the same metric again."""
        return {**super().get_config(), "output": self.output}
