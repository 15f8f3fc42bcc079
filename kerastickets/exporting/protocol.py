"""The interface of exporters, which write a trained ticket to a format that other programs run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    import keras

    from kerastickets.data.dataset import Data


class Exporter(Protocol):
    """Writes a trained ticket to a file or folder that another program runs.

    An exporter is a frozen dataclass; its fields are its options. It may also have:

    - a class attribute `tolerance`: the largest allowed difference from the model's own outputs, as a
      fraction of the largest absolute output (default 1e-4);
    - a method `inputs(x, data)`: converts the inputs of a data set to the inputs of the export (by default
      they are used unchanged);
    - a class attribute `needs`: modules that an optional extra installs. `kt doctor` skips the exporter when
      they are missing.
    """

    suffix: ClassVar[str]
    """How the name of the file ends, such as `.tflite`; empty if the exporter writes a folder."""

    reader: ClassVar[Path]
    """A script that must not import kerastickets. It is called as `python -I READER PATH IN.npy OUT.npy`. It loads
    the export, runs it on the inputs, saves the outputs `(n, outputs)` as float32, and prints one JSON object. For
    several inputs it gets IN.npz, an array for each input's name; several outputs stand side by side, in Keras's order:
    `runtime` (name and version) and `peak_bytes` (peak memory of loading and running, in bytes)."""

    def __call__(
        self,
        ticket: Ticket,
        path: Path,
        *,
        model: "keras.Model | None" = None,
        data: "Data | None" = None,
    ) -> Mapping[str, Any]:
        """Write the export.

        Args:
            ticket: the ticket that the model belongs to.
            path: the file or folder to write; it does not exist yet, but its parent folder does.
            model: the model to export; None takes `kerastickets.models.trained_model.trained_model(ticket)`.
            data: the data set of the ticket; gives classes, preprocessing and examples to calibrate with.

        Returns:
            Facts about the export, which `json.dumps` accepts.
        """
        ...
