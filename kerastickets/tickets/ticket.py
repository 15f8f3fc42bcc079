"""`Ticket`: a sparse network as one frozen value, made of NumPy arrays and JSON.

Making, saving, loading and comparing tickets needs neither Keras nor TensorFlow. Only `Ticket.build` needs
them.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.cutting import cut_scores as mask
from kerastickets.errors import TicketError
from kerastickets.foundations import tree
from kerastickets.foundations.tree import Tree
from kerastickets.tickets import file as ticketfile, file_header as header
from kerastickets.tickets.provenance import check_provenance

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False, repr=False)
class Ticket:
    """A lottery ticket: a sparse trainable network, with its masks, its weights and how it was made.

    A ticket is immutable: all parts are read-only, and writable arrays are copied. Keys are sorted, and
    bfloat16 becomes float32. Two tickets are equal if their digests are equal, and then their files are equal
    byte for byte.

    Args:
        architecture: the model's Keras configuration as JSON. Empty if the model cannot be rebuilt from one.
        masks: one boolean array per prunable weight, by key. True means kept.
        snapshots: weight Trees by name: `"init"` (required), `"rewind@<step>"` and `"final"`. All have the
            same keys and shapes. `init` and rewind points are stored unmasked; `final` is zero where pruned.
        provenance: how the ticket was made, as JSON. Its entry `start` names the snapshot that training
            starts from; without it, training starts from `init`.

    Raises:
        TicketError: the parts do not fit together. The message names the first part that does not fit.

    Example:
        >>> weights = {"dense/kernel": np.ones((2, 2), "float32"), "dense/bias": np.zeros(2, "float32")}
        >>> ticket = Ticket({}, {"dense/kernel": np.eye(2, dtype=bool)}, {"init": weights}, {"level": 1})
        >>> ticket
        <Ticket: 2 of 4 weights kept (50.00%), init>
        >>> ticket == ticket.replace(provenance={"level": 2})
        False

    Reference:
        Frankle & Carbin, "The Lottery Ticket Hypothesis" (ICLR 2019), section 1.
    """

    architecture: Mapping[str, Any]
    masks: Tree
    snapshots: Mapping[str, Tree]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("architecture", "provenance"):
            object.__setattr__(self, name, MappingProxyType(_json(name, getattr(self, name))))
        check_provenance(self.provenance)
        if not self.snapshots.get("init"):
            raise TicketError(f"A ticket must have weights named `init`. Received: {[*self.snapshots]}.")
        object.__setattr__(self, "masks", _frozen("mask", self.masks))
        trees = {name: _frozen(name, self.snapshots[name]) for name in sorted(self.snapshots, key=_step)}
        object.__setattr__(self, "snapshots", MappingProxyType(trees))
        _check(self.masks, self.snapshots)
        self.weights(self.start)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the content, in hexadecimal. The saved file contains the same value."""
        return ticketfile.digest(self.architecture, self.masks, self.snapshots, self.provenance)

    @property
    def kept(self) -> int:
        """The number of kept weights."""
        return tree.kept(self.masks)

    @property
    def total(self) -> int:
        """The number of weights that have a mask, kept or pruned."""
        return tree.total(self.masks)

    @property
    def density(self) -> float:
        """The fraction of kept weights, `kept / total`, in [0, 1]. It is 1 if no weight has a mask."""
        return tree.density(self.masks)

    @property
    def layers(self) -> list[dict[str, Any]]:
        """One row per mask, with `key`, `shape`, `kept`, `total` and `density`."""
        return mask.layers(self.masks)

    @property
    def start(self) -> str:
        """The name of the snapshot that training starts from."""
        return self.provenance.get("start") or "init"

    @property
    def rewinds(self) -> tuple[int, ...]:
        """The steps (training iterations) of the stored rewind points, ascending."""
        return tuple(int(_step(name)) for name in self.snapshots if name.startswith("rewind@"))

    def weights(self, name: str = "init") -> Tree:
        """The weights of one snapshot.

        Args:
            name: `"init"`, `"rewind@<step>"` or `"final"`. `"rewind@0"` means `"init"`.

        Returns:
            A read-only Tree with all variables of the model by key.

        Raises:
            TicketError: the ticket has no such snapshot. The message lists the snapshots that it has.
        """
        name = "init" if name == "rewind@0" else name
        if not isinstance(name, str) or name not in self.snapshots:
            raise TicketError(
                f"The ticket has the snapshots {', '.join(self.snapshots)}. Received: {name!r}."
            )
        return self.snapshots[name]

    def replace(self, **changes: Any) -> "Ticket":
        """A copy of this ticket with a new `architecture`, `masks`, `snapshots` or `provenance`."""
        return replace(self, **changes)

    def facts(self) -> dict[str, Any]:
        """A summary as JSON without the arrays, as `kt show --json` prints it."""
        return {
            "format": header.FORMAT,
            "version": header.VERSION,
            "digest": self.digest,
            "criterion": self.provenance.get("criterion"),
            "level": self.provenance.get("level"),
            "density": self.density,
            "kept": self.kept,
            "total": self.total,
            "layers": self.layers,
            "snapshots": list(self.snapshots),
            "provenance": copy.deepcopy(dict(self.provenance)),
        }

    def save(self, path: str | Path) -> Path:
        """Write the ticket as one safetensors file. Equal tickets give equal bytes.

        Args:
            path: the file to make or replace. Missing folders are created.

        Returns:
            The path.

        Raises:
            TicketError: the file cannot be written. An existing file is unchanged.

        Example:
            >>> import tempfile
            >>> ticket = Ticket({}, {}, {"init": {"bias": np.zeros(2, "float32")}})
            >>> Ticket.load(ticket.save(tempfile.mkdtemp() + "/a.safetensors")) == ticket
            True
        """
        path = Path(path)
        ticketfile.write(path, self.content())
        return path

    def content(self) -> bytes:
        """The bytes of the ticket's file."""
        content, self.__dict__["digest"] = self._encoded()
        return content

    @classmethod
    def of(
        cls,
        ticket: "Ticket | str | Path | keras.Model",
        *,
        zeros: bool = False,
        custom_objects: Mapping[str, Any] | None = None,
    ) -> "Ticket":
        """Return a ticket unchanged, load it from its file, or make it of a live Keras model.

        Args:
            ticket: a ticket, the path of a ticket file, or a built model that holds masks, as after `cut_model`,
                `sparsify` or with mask-aware layers.
            zeros: take exact zeros of a model's prunable weights for pruned where it holds no mask. A plain `.keras`
                file keeps the zeros of a pruned model, and not its masks. A weight that training left at exactly zero
                cannot be told from a pruned one.
            custom_objects: your functions by name, if the model's config names any. Its layer classes are known.

        Returns:
            The ticket. One of a model has the model's weights as `init` and as `final`, and remembers the loss, the
            metrics and the optimizer that the model is compiled with.

        Raises:
            TicketError: the file is missing, damaged or not a ticket; or the model holds no masks.
            RecipeError: the model is not built, or with `zeros`, one of its prunable weights is zero everywhere.
            AlignError: the model rebuilt from its config would differ.

        Example:
            >>> import keras, kerastickets as kt
            >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
            >>> kt.Ticket.of(kt.cut_model(model, 0.75))
            <Ticket: 2 of 8 weights kept (25.00%), init final>
        """
        if isinstance(ticket, Ticket):
            return ticket
        if isinstance(ticket, str | Path):
            return cls.load(ticket)
        from kerastickets.models.live_ticket import ticket_of_model

        return ticket_of_model(ticket, zeros, custom_objects)

    @classmethod
    def load(cls, path: str | Path) -> "Ticket":
        """Read a ticket file.

        Loading never runs code from the file. Only `build` uses the architecture in it.

        Args:
            path: the file.

        Returns:
            The ticket.

        Raises:
            TicketError: the file is missing, truncated, altered, not a ticket, or written by a newer version.
                The message names the file and the reason.
        """
        with ticketfile.errors_with(path):
            parts = ticketfile.decode(path)
            ticket = cls(*parts[:4])
        ticket.__dict__["digest"] = parts.digest
        return ticket

    def build(self, custom_objects: Mapping[str, Any] | None = None, *, aware: bool = False) -> "keras.Model":
        """Build the Keras model with the weights of the snapshot `start`. Pruned weights are zero.

        The architecture may come from an untrusted file. What it names and what it would allocate is
        therefore checked first.

        Args:
            custom_objects: your own layer classes and functions by name.
            aware: build it of mask-aware layers, which hold the ticket's masks; see `kerastickets.layers.convert`.

        Returns:
            A new model, not compiled.

        Raises:
            TicketError: the architecture is empty, names something that is not allowed, or needs more weights
                than are stored.
            AlignError: the model has other keys or shapes than the ticket.
        """
        if not self.architecture:
            raise TicketError(
                "This ticket has no architecture that could be rebuilt. "
                "Build the model yourself and pass it (`--model` on the command line)."
            )
        from kerastickets.models.untrusted import rebuild_untrusted
        from kerastickets.models.variables import assign

        weights = self.weights(self.start)
        # Layers that hold their masks allocate the masks as well.
        model = rebuild_untrusted(self.architecture, tree.total(weights) + self.total, custom_objects)
        assign(model, tree.masked(weights, self.masks))
        if not aware:
            return model
        from kerastickets.models.mask_aware import convert

        return convert(model, custom_objects, self.masks)

    def _encoded(self) -> tuple[bytes, str]:
        return ticketfile.encode(self.architecture, self.masks, self.snapshots, self.provenance)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ticket) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be pickled or deep-copied.
        snapshots = {name: dict(weights) for name, weights in self.snapshots.items()}
        return Ticket, (dict(self.architecture), dict(self.masks), snapshots, dict(self.provenance))

    def __repr__(self) -> str:
        share = f"{self.kept:,} of {self.total:,} weights kept ({self.density:.2%})"
        return f"<Ticket: {share}, {' '.join(self.snapshots)}>"


def _json(name: str, value: Any) -> dict[str, Any]:
    """A copy of `value` in the form that a file returns: text keys, lists instead of tuples, sorted."""
    if not isinstance(value, Mapping):
        raise TicketError(f"`{name}` must be a mapping. Received: {type(value).__name__}.")
    return header.parse(header.canonical(dict(value)), name)


def _step(name: str) -> float:
    """The training step at which a snapshot was taken. Snapshots are sorted by it."""
    if not isinstance(name, str) or not header.SNAPSHOT.fullmatch(name):
        raise TicketError(
            f"A snapshot must be named init, rewind@<step> with a step above 0, or final. Received: {name!r}."
        )
    return {"init": 0, "final": math.inf}[name] if "@" not in name else int(name.partition("@")[2])


def _frozen(what: str, arrays: Tree) -> Tree:
    for key in arrays:
        if not isinstance(key, str) or not header.well_formed(key):
            raise TicketError(f"A key must be a path such as 'dense/kernel'. Received: {key!r} in {what}.")
    return tree.frozen({key: _storable(f"{what}/{key}", arrays[key]) for key in sorted(arrays)})


def _storable(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    array = array.astype(
        "float32" if array.dtype.name == "bfloat16" else array.dtype.newbyteorder("="), copy=False
    )
    if array.dtype not in header.DTYPES.values():
        raise TicketError(f"Arrays must hold numbers or booleans. Received: {name} of {array.dtype}.")
    return array


def _check(masks: Tree, snapshots: Mapping[str, Tree]) -> None:
    init = {key: value.shape for key, value in snapshots["init"].items()}
    for name, weights in snapshots.items():
        shapes = {key: value.shape for key, value in weights.items()}
        for key in sorted(init.keys() | shapes.keys()):
            if init.get(key) != shapes.get(key):
                raise TicketError(
                    f"Snapshots must have equal keys and shapes. Received: {key!r} of shape {init.get(key)} in "
                    f"init and {shapes.get(key)} in {name}."
                )
    for key, value in masks.items():
        if value.dtype != bool:
            raise TicketError(f"Masks must be boolean. Received: the mask of {key!r} of {value.dtype}.")
        if init.get(key) != value.shape:
            raise TicketError(
                f"A mask must have the shape of its weight. Received: {key!r} with a mask of shape {value.shape} "
                f"and a weight of shape {init.get(key)}."
            )
        if "final" in snapshots and snapshots["final"][key][~value].any():
            raise TicketError(f"`final` must be zero where pruned. Received: other values in {key!r}.")
