"""What an exporter is: it writes a trained ticket for something else to run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    import keras

    from kerastickets.data.dataset import Data


class Exporter(Protocol):
    """A trained ticket in, a file or folder out that something else runs.

    A frozen dataclass whose fields are its options. It may have a class attribute `tolerance`, the largest
    difference to the model's own outputs as a share of the largest of them (1e-4 by default), and a method
    `inputs(x, data)`, which makes of a data set's inputs what the export takes (they are taken as they are), and a
    class attribute `needs`, modules that an extra brings and without which `kt doctor` does not try it.
    """

    suffix: ClassVar[str]
    """How the name of the file ends, such as `.tflite`; empty where a folder is written."""

    reader: ClassVar[Path]
    """A script that must not import kerastickets. Called as `python -I READER PATH IN.npy OUT.npy` it loads the
    export, runs it on the inputs, saves the outputs `(n, outputs)` as float32, and prints one JSON object:
    `runtime`, a name and version, and `peak_bytes`, what memory loading and running took at most."""

    def __call__(
        self,
        ticket: Ticket,
        path: Path,
        *,
        model: "keras.Model | None" = None,
        data: "Data | None" = None,
    ) -> Mapping[str, Any]:
        """Write the export; facts that `json.dumps` takes.

        Args:
            ticket: whose model it is.
            path: what to make; it does not exist, and its folder does.
            model: the model to export; None takes `kerastickets.models.trained_model.trained_model(ticket)`.
            data: what the ticket was found on: classes, preprocessing, examples to calibrate with.
        """
        ...
