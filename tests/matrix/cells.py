"""What is tried with each model of the matrix: from masks to exports."""

import tempfile
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kerastickets as kt
from kerastickets import registry
from kerastickets.models.masking import sparsify
from kerastickets.models.proof import check_copy
from kerastickets.models.variables import assign, snapshot
from tests.matrix.rows import Row, arrays

_EXPORTERS = ("keras", "saved-model", "onnx", "litert", "safetensors", "tfmot")
_QUICK: dict[str, Any] = {"levels": 1, "train": "1it", "batch_size": 2, "jit": "off", "monitor": "val_loss"}
_SHOWN = 300


class Bench:
    """One model, and everything that is tried with it.

    Args:
        row: the model.
        folder: where exports are written.
    """

    def __init__(self, row: Row, folder: Path) -> None:
        self.row, self.folder = row, folder

    @cached_property
    def data(self) -> kt.Data:
        """Eight training examples, and two for each other split."""
        model = self.row.build()
        return kt.Data(self.row.name, *(arrays(model, count, seed) for seed, count in enumerate((4, 2, 2))))

    def model(self) -> keras.Model:
        """The model, compiled by itself or for fixed targets."""
        model = self.row.build()
        if not model.compiled:
            model.compile("adam", "mse")
        return model

    def masks(self) -> None:
        """Masks on a live model."""
        model = self.row.build()
        sparsify(model)
        assert kt.masks_of(model), "no weight has a mask"

    @cached_property
    def ticket(self) -> kt.Ticket:
        """A ticket by magnitude."""
        return kt.prune(self.model(), self.data, rate=0.5, **_QUICK).tickets[-1]

    def magnitude(self) -> None:
        assert self.ticket.kept < self.ticket.total

    def snip(self) -> None:
        found = kt.prune(self.model(), self.data, "snip", sparsity=0.5, scope="layer", **_QUICK).tickets[-1]
        assert found.kept < found.total

    def load(self) -> None:
        path = self.folder / "ticket.safetensors"
        self.ticket.save(path)
        assert kt.Ticket.load(path).digest == self.ticket.digest

    def build(self) -> None:
        model, twin = self.row.build(), self.ticket.build(self.row.custom())
        weights = self.ticket.weights("final")
        assign(model, weights)
        assign(twin, weights)
        check_copy(model, twin)

    def train(self) -> None:
        kt.train(
            self.ticket,
            self.data,
            train="1it",
            jit="off",
            custom_objects=self.row.custom(),
            monitor="val_loss",
        )

    def compact(self) -> str:
        ticket = kt.prune(self.model(), self.data, rate=0.5, granularity="channel", **_QUICK).tickets[-1]
        net = ticket.build(self.row.custom())
        assign(net, {key: value * ticket.masks.get(key, 1) for key, value in ticket.weights("final").items()})
        x = self.data.test[0]
        small = kt.compact(net, example=keras.tree.map_structure(lambda array: array[:1], x)).model
        expected, found = (keras.tree.flatten(one.predict(x, verbose=0)) for one in (net, small))
        for one, other in zip(expected, found, strict=True):
            assert np.abs(one - other).max() <= 1e-4 * max(1.0, np.abs(one).max()), "the outputs differ"
        before, after = (sum(value.size for value in snapshot(one).values()) for one in (net, small))
        return f"{after / before:.0%}"

    def export(self, exporter: str) -> None:
        path = self.folder / f"net{registry.create('exporters', exporter).suffix}"
        kt.export(self.ticket, exporter, path, data=self.data, custom_objects=self.row.custom())


def tried(row: Row) -> dict[str, str]:
    """Try everything with a model.

    Returns:
        By column: `yes`, a share of weights, or the reason why it does not work. A reason that begins with `FAULT` is
        an error that is not one of ours.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(row, Path(folder))
        steps: dict[str, Callable[[], Any]] = {
            "masks": bench.masks,
            "magnitude": bench.magnitude,
            "SNIP": bench.snip,
            "load": bench.load,
            "build": bench.build,
            "train": bench.train,
            "compact": bench.compact,
        }
        for exporter in _EXPORTERS:
            steps[exporter] = lambda exporter=exporter: bench.export(exporter)  # type: ignore[misc]
        return {name: _outcome(step) for name, step in steps.items()}


def _outcome(step: Callable[[], Any]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return step() or "yes"
    except kt.KerasTicketsError as error:
        return _short(str(error))
    except Exception as error:  # a fault of ours, or of a library
        return f"FAULT {type(error).__name__}: {_short(str(error))}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
