"""Exporters for tests: two dense layers as arrays, which NumPy alone runs, and what can go wrong with them."""

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from kerastickets.models.variables import snapshot

READERS = Path(__file__).parent / "readers"


def wrong(arrays):
    return arrays | {"dense_1|bias": arrays["dense_1|bias"] + np.float32(0.5)}


@dataclass(frozen=True)
class Npz:
    """Weights by key.

    Args:
        sparse: whether zeros are left out.
        fault: what goes wrong.
        tenfold: whether it takes inputs ten times as large.
    """

    suffix: ClassVar[str] = ".npz"
    reader: ClassVar[Path] = READERS / "dense.py"
    sparse: bool = False
    fault: str = ""
    tenfold: bool = False

    def inputs(self, x, data):
        return x * 10 if self.tenfold else x

    def __call__(self, ticket, path, *, model=None, data=None):
        assert not path.exists()
        assert path.parent.is_dir()
        arrays = {key.replace("/", "|"): value for key, value in snapshot(model).items()}
        names = [name for name in arrays if name.endswith("kernel")]
        arrays |= {"factor": np.float32(0.1 if self.tenfold else 1)}
        if self.fault == "nothing":
            return {}
        if self.fault in ("full", "interrupted"):
            path.write_bytes(b"half")
            raise (
                OSError(errno.ENOSPC, "No space left on device")
                if self.fault == "full"
                else KeyboardInterrupt
            )
        if self.fault == "lie":
            arrays = wrong(arrays)
        if self.fault == "unreadable":
            del arrays["dense|bias"]
        if self.sparse:
            places = {f"at|{name}": np.flatnonzero(arrays[name]).astype("uint16") for name in names}
            shapes = {f"shape|{name}": np.array(arrays[name].shape) for name in names}
            arrays |= {name: arrays[name].ravel()[places[f"at|{name}"]] for name in names} | places | shapes
        with path.open("wb") as file:
            np.savez(file, **arrays)
        return {"layers": 2}


@dataclass(frozen=True)
class Folder:
    """The same in a folder, and no options."""

    suffix: ClassVar[str] = ""
    reader: ClassVar[Path] = READERS / "dense.py"
    tolerance: ClassVar[float] = 10.0

    def __call__(self, ticket, path, *, model=None, data=None):
        path.mkdir()
        Npz(fault="lie")(ticket, path / "weights.npz", model=model)
        (path / "deep").mkdir()
        (path / "deep" / "note.txt").write_text("five!")
        return {}
