"""Keep the state of a training in a file every few minutes, so that a killed process repeats minutes, not days.

The state is all that decides the rest of the training: every variable that its compiled steps touch, its place in the
order of the data, its evaluations so far, and the best weights among them. Continued from there, a training gives the
same bits as one that was never stopped.
"""

import glob
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from kerastickets.errors import RecipeError
from kerastickets.foundations.files import named_refusals, write_whole
from kerastickets.foundations.reading import is_regular
from kerastickets.foundations.rows import Row
from kerastickets.foundations.strangers import is_count, is_number, parse_json
from kerastickets.foundations.termination import Terminated, asked
from kerastickets.foundations.tree import Tree

_ENTRY = "kerastickets checkpoint"
_VERSION = 1
# A call of the compiled steps lasts about this long, in seconds: short enough to answer SIGTERM in time.
_CALL = 3.0
_FIRST_CALL = 64


@dataclass(frozen=True, eq=False)
class TrainingState:
    """The state of a training between two steps.

    Args:
        at: the step that comes next.
        since: the step of the last evaluation. The metrics of the steps from there to `at` are in `variables`.
        rows: the rows of the evaluations so far.
        best: the number of the best of these rows; None before the first that can be the best.
        waited: the number of evaluations since the best one.
        best_weights: the weights of the best evaluation, as a ticket keeps them; empty without one.
        snapshots: copies of the weights, by the step after which they were taken.
        seconds: how long the training took so far.
        variables: the values of the trainer's variables.
    """

    at: int
    since: int
    rows: Sequence[Row]
    best: int | None
    waited: int
    best_weights: Tree
    snapshots: Mapping[int, Tree]
    seconds: float
    variables: Sequence[np.ndarray]


@dataclass
class Checkpoint:
    """A file that keeps the state of one training. Use it as a context manager: the end of the body removes the file.

    If the body fails or the process is killed, the file stays, and the same training with the same file continues from
    there. A file of another training is ignored, and replaced.

    Args:
        path: the file.
        minutes: how often to write it, in minutes of training; 0 never.

    Raises:
        RecipeError: `minutes` is not a number of at least 0.

    Example:
        >>> import tempfile
        >>> from kerastickets.testing import toy_ticket
        >>> from kerastickets.training import train
        >>> with Checkpoint(tempfile.mkdtemp() + "/net.checkpoint", minutes=5) as checkpoint:
        ...     trained = train(toy_ticket(), "digits", train="1ep", jit="off", checkpoint=checkpoint)
    """

    path: Path
    minutes: float = 10.0
    _written: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        check_minutes(self.minutes)

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.remove()

    def remove(self) -> None:
        """Remove the file and those of phases, because their training is finished and saved."""
        for path in self.files():
            with suppress(OSError):
                path.unlink()

    def files(self) -> list[Path]:
        """The files of this checkpoint and of its phases that exist."""
        phases = self.path.parent.glob(f"{glob.escape(self.path.stem)}-[0-9]*{glob.escape(self.path.suffix)}")
        return [path for path in (self.path, *phases) if is_regular(path)]

    def phase(self, number: int) -> "Checkpoint":
        """The checkpoint of one phase of a training that has several."""
        path = self.path.with_name(f"{self.path.stem}-{number}{self.path.suffix}")
        return Checkpoint(path, self.minutes)

    def begin(self) -> None:
        """Start the clock."""
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write the file again."""
        return bool(self.minutes) and time.monotonic() - self._written >= 60 * self.minutes

    def write(self, state: TrainingState, identity: str) -> None:
        """Write the state. `identity` describes the training that it belongs to.

        Raises:
            RecipeError: the file cannot be written.
        """
        tensors = {f"best/{key}": value for key, value in state.best_weights.items()}
        for step, weights in state.snapshots.items():
            tensors |= {f"snapshot/{step}/{key}": value for key, value in weights.items()}
        tensors |= {f"variable/{n:06d}": _raw(value) for n, value in enumerate(state.variables)}
        names = ("at", "since", "rows", "best", "waited", "seconds")
        facts = {"version": _VERSION, "identity": identity} | {name: getattr(state, name) for name in names}
        facts["variables"] = [[value.dtype.name, list(value.shape)] for value in state.variables]
        facts["rows"] = [dict(row) for row in state.rows]
        facts["digest"] = _digest(tensors, facts)
        with named_refusals(self.path):
            write_whole(self.path, serialize(tensors, {_ENTRY: json.dumps(facts)}))
        self.begin()

    def read(self, identity: str, weights: Tree, variables: Sequence[np.ndarray]) -> TrainingState | None:
        """Read the state of a training.

        Args:
            identity: describes the training.
            weights: the weights that it starts from. Those in the state must have the same keys and shapes.
            variables: the present values of the trainer's variables. Those in the state must have the same shapes.

        Returns:
            The state; None if there is no file, or it is damaged, or it belongs to another training.
        """
        if not is_regular(self.path):
            return None
        try:
            with safe_open(self.path, framework="np") as file:
                facts = parse_json((file.metadata() or {})[_ENTRY])
                if facts["version"] != _VERSION or facts["identity"] != identity:
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            said = facts.pop("digest")
            return _state(facts, tensors, weights, variables) if said == _digest(tensors, facts) else None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, MemoryError):
            return None


class Keeper:
    """Keeps the state of one training: it writes the checkpoint when it is time, or when SIGTERM asks for it.

    Args:
        checkpoint: the file.
        identity: describes the training.
        engine: holds the trainer's variables.
        weights: the weights that the training starts from.
        pace: how many steps to run in one call; None for all steps up to an evaluation.
    """

    def __init__(
        self, checkpoint: Checkpoint, identity: str, engine: "Variables", weights: Tree, pace: "Pace | None"
    ) -> None:
        self._checkpoint, self._identity, self._engine = checkpoint, identity, engine
        self._weights, self._pace = weights, pace
        checkpoint.begin()

    def until(self, at: int, stop: int) -> int:
        """The step at which the call that begins at `at` ends. It is at most `stop`."""
        return stop if self._pace is None else self._pace.until(at, stop)

    def resume(self) -> TrainingState | None:
        """Put the state that the file holds into the trainer, and return it; None if the file holds none."""
        if not is_regular(self._checkpoint.path):  # and no variable needs to be read
            return None
        state = self._checkpoint.read(self._identity, self._weights, self._engine.values())
        if state is not None:
            self._engine.restore(state.variables)
        return state

    def visit(self, state: Callable[[Sequence[np.ndarray]], TrainingState]) -> None:
        """Write the state if it is time.

        Args:
            state: makes the state from the values of the trainer's variables.

        Raises:
            Terminated: SIGTERM was received, and the state is written.
        """
        if asked() or self._checkpoint.due:
            self._checkpoint.write(state(self._engine.values()), self._identity)
        if asked():
            raise Terminated


class Variables(Protocol):
    """What holds a trainer's variables."""

    def values(self) -> list[np.ndarray]:
        """Their values."""

    def restore(self, values: Sequence[np.ndarray]) -> None:
        """Set them."""


class Pace:
    """How many steps to run in one call, so that a call lasts a few seconds."""

    def __init__(self) -> None:
        self._steps = _FIRST_CALL

    def until(self, at: int, stop: int) -> int:
        """The step at which the call that begins at `at` ends. It is at most `stop`."""
        return min(stop, at + self._steps)

    def took(self, steps: int, seconds: float) -> None:
        """Learn from a call."""
        if seconds > 0:
            self._steps = max(1, min(10**9, int(steps * _CALL / seconds)))


def check_minutes(minutes: float) -> None:
    """Refuse a time between checkpoints that is not a number of at least 0.

    Raises:
        RecipeError: it is not.
    """
    if not is_number(minutes) or not 0 <= minutes < float("inf"):
        raise RecipeError(f"The minutes between checkpoints must be at least 0. Received: {minutes!r}.")


def _raw(value: np.ndarray) -> np.ndarray:
    """The bytes of an array, whatever its type: safetensors does not know all of them."""
    return np.frombuffer(np.ascontiguousarray(value).tobytes(), "uint8")


def _digest(tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> str:
    sha = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(np.ascontiguousarray(tensors[name]).tobytes())
    return sha.hexdigest()


def _state(
    facts: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    weights: Tree,
    variables: Sequence[np.ndarray],
) -> TrainingState:
    """The state in a file. Raises ValueError, KeyError or TypeError if it does not fit."""
    expected = [[value.dtype.name, list(value.shape)] for value in variables]
    rows = facts["rows"]
    counts, best_row = ("at", "since", "waited"), facts["best"]
    if facts["variables"] != expected or not all(is_count(facts[name]) for name in counts):
        raise ValueError("variables or counts of another kind")
    if not all(is_number(value) for row in rows for value in row.values()):
        raise ValueError("rows of another kind")
    if best_row is not None and not (is_count(best_row) and best_row < len(rows)):
        raise ValueError("a best row of another kind")
    trees: dict[str, dict[str, np.ndarray]] = {}
    for name, value in tensors.items():
        group, _, key = name.partition("/")
        if group == "snapshot":
            step, _, key = key.partition("/")
            group = f"snapshot/{int(step)}"
        trees.setdefault(group, {})[key] = value
    read = trees.pop("variable", {})
    best = trees.pop("best", {})
    for tree in (*([] if best_row is None else [best]), *trees.values()):
        if {key: value.shape for key, value in tree.items()} != {k: v.shape for k, v in weights.items()}:
            raise ValueError("weights of another kind")
    values = [
        np.frombuffer(read[f"{n:06d}"].tobytes(), value.dtype).reshape(value.shape)
        for n, value in enumerate(variables)
    ]
    snapshots = {int(name.partition("/")[2]): tree for name, tree in trees.items()}
    at, since, waited = (facts[name] for name in counts)
    return TrainingState(at, since, rows, best_row, waited, best, snapshots, float(facts["seconds"]), values)
