"""What plugins are: the Protocols behind the entry-point groups. Imports nothing heavy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from kerastickets.steps import Duration
from kerastickets.ticket import Ticket
from kerastickets.tree import Tree

if TYPE_CHECKING:
    import keras

    from kerastickets.data import Data
    from kerastickets.scoring import Scoring


class Criterion(Protocol):
    """Scores weights: higher means keep. It must leave the model unchanged.

    A frozen dataclass whose fields are its options. It may have a class attribute `defaults`, dials of the
    pruning loop that it implies (`between`, `levels`, `scope`, `sparsity`).
    """

    def __call__(self, scoring: "Scoring") -> Tree:
        """Scores by prunable key, in the shape of the masks; finite wherever a weight is kept.

        `kerastickets.scoring.Scores` are a Tree with facts about it.
        """
        ...


class Operation(Protocol):
    """Tickets in, ticket out; pure.

    A frozen dataclass whose fields are its options. It may have a class attribute `takes`, how many tickets it
    wants; that and more to write one with is in `kerastickets.combining`.
    """

    def __call__(self, *tickets: Ticket) -> Ticket:
        """A new ticket, whose provenance names the operation and the parents' digests."""
        ...


@dataclass(frozen=True)
class Phase:
    """One phase of a transfer: a ticket to train on the target.

    Args:
        ticket: what to train.
        frozen: keys that do not train.
        duration: how long.
        start: the snapshot to start from.
        loss: instead of the target's own, or None.
    """

    ticket: Ticket
    frozen: tuple[str, ...]
    duration: Duration
    start: str
    loss: Any = None


class Transfer(Protocol):
    """A ticket and a target task in, phases of training out."""

    def __call__(self, ticket: Ticket, target: "Data", seed: int) -> Iterator[Phase]:
        """Phases, in order; a generator is sent each phase's trained ticket."""
        ...


class Analyzer(Protocol):
    """Tickets in, JSON-ready facts out; it may have `figure(facts)`."""

    def __call__(self, *tickets: Ticket, data: "Data | None" = None) -> Mapping[str, Any]:
        """Facts that `json.dumps` takes."""
        ...


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
            model: the model to export; None takes `kerastickets.shipping.trained_model(ticket)`.
            data: what the ticket was found on: classes, preprocessing, examples to calibrate with.
        """
        ...
