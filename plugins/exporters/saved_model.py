"""Exporter to TensorFlow's SavedModel, for TensorFlow Serving, C++ and every language that TensorFlow supports."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerastickets.plugin import Data, Ticket
from kerastickets_plugins.exporters.parts import (
    READERS,
    Served,
    named_classes,
    quiet,
    raw_inputs,
    write_archive,
)

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class SavedModel:
    """Write a SavedModel folder with the graph and all weights, including zeros.

    Its signatures take any batch size. `serve` (also called `serving_default`) returns `output_0`, the
    model's output. For data with one classification task there is also `classify`. For each example it
    returns `label` (the name of the most likely class, or its number as text if classes have no names),
    `class` (its number) and `probability`.

    Args:
        raw: whether the export takes raw inputs, as bytes or floats, and standardises them itself.

    Raises:
        DataError: `raw` is set and the data was not made of standardised bytes.

    Example:
        >>> import tempfile
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> folder = Path(tempfile.mkdtemp(), "toy")
        >>> facts = SavedModel()(toy_ticket(), folder, data=toy_data())
        >>> facts["signatures"], (folder / "saved_model.pb").is_file()
        (['serve', 'serving_default', 'classify'], True)
    """

    suffix: ClassVar[str] = ""
    reader: ClassVar[Path] = READERS / "saved_model.py"
    raw: bool = False

    def inputs(self, x: np.ndarray, data: Data) -> np.ndarray:
        """Convert inputs of the data set to inputs of the export."""
        return raw_inputs(x, data) if self.raw else x

    def __call__(
        self, ticket: Ticket, path: Path, *, model: "keras.Model | None" = None, data: Data | None = None
    ) -> Mapping[str, Any]:
        served = Served.of(ticket, model, data, self.raw)
        labels = named_classes(data) if _classifies(served.model) else ()
        with quiet():
            write_archive(served, path, {"classify": _classifier(served, labels)} if labels else {})
        signatures = ["serve", "serving_default", *(["classify"] if labels else [])]
        return {**served.facts(), "signatures": signatures, "labels": [*labels]}


def _classifies(model: "keras.Model") -> bool:
    """Whether a model gives each example one row of outputs, and not one for each word or pixel."""
    outputs = getattr(model, "outputs", None) or ()
    return not outputs or (len(outputs) == 1 and len(outputs[0].shape) == 2)


def _classifier(served: Served, labels: tuple[str, ...]) -> Any:
    import tensorflow as tf

    from kerastickets.plugin import gives_probabilities

    likely = gives_probabilities(served.model)

    def classify(x: Any) -> Any:
        outputs = tf.cast(served(x), "float32")
        if outputs.shape[-1] == 1 and len(labels) == 2:  # one unit for two classes
            one = outputs if likely else tf.sigmoid(outputs)
            probabilities = tf.concat([1 - one, one], axis=-1)
        else:
            probabilities = outputs if likely else tf.nn.softmax(outputs)
        number = tf.argmax(probabilities, axis=-1)
        return {
            "label": tf.gather(tf.constant(labels), number),
            "class": number,
            "probability": tf.reduce_max(probabilities, axis=-1),
        }

    return classify
