"""Keras's own file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kerastickets.plugin import Data, KerasTicketsError, Ticket
from kerastickets_plugins.exporters.parts import READERS, Served, quiet
from kerastickets_plugins.exporters.plain import plain_copy

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class KerasFile:
    """A `.keras` file that `keras.saving.load_model` loads wherever Keras 3 is, to run or to train on.

    It holds the plain model and all its weights, zeros included: no optimizer, no masks.

    Raises:
        KerasTicketsError: the model needs a class besides Keras's own; names it, and the formats that do not.

    Example:
        >>> import tempfile
        >>> from kerastickets.testing import toy_ticket
        >>> file = Path(tempfile.mkdtemp(), "toy.keras")
        >>> KerasFile()(toy_ticket(), file)["weights"], file.is_file()
        (4, True)
    """

    suffix: ClassVar[str] = ".keras"
    reader: ClassVar[Path] = READERS / "keras_file.py"

    def __call__(
        self, ticket: Ticket, path: Path, *, model: "keras.Model | None" = None, data: Data | None = None
    ) -> Mapping[str, Any]:
        if path.suffix != self.suffix:
            raise KerasTicketsError(
                f"The name of a Keras file must end in {self.suffix}. Received: {path.name}"
            )
        served = Served.of(ticket, model, data)
        copy, _ = plain_copy(served.model)
        with quiet():
            copy.save(path)
        return {**served.facts(), "weights": len(copy.weights)}
