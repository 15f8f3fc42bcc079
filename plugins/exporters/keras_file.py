"""Exporter to Keras's own `.keras` file."""

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
    """Write a `.keras` file that `keras.saving.load_model` can load wherever Keras 3 is installed.

    The loaded model can run and can be trained further. The file holds the plain model and all its weights,
    including zeros. It holds no optimizer and no masks.

    Raises:
        KerasTicketsError: the model needs a class that is not Keras's own. The message names the class, and
            the formats that do not need it.

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
