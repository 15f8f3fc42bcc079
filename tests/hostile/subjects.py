"""The sound inputs, made once and small: a mutation of each must be refused by name, or be as good as it.

`python -m tests.hostile.subjects FOLDER` makes them there. It imports TensorFlow.
"""

import json
import re
import sys
import tempfile
from contextlib import chdir, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np

from tests.hostile import archives, arrays, images
from tests.hostile.nodes import Input, read

#: The data set that the tickets were found on. It lies in the working folder of every attempt.
POINTS = "points.npz"
#: The arguments of the run that the sound folder holds. The same command continues it.
RUN = (
    *(
        "prune",
        "--model",
        "mlp:8",
        "--dataset",
        f"npz:{POINTS}",
        "--levels",
        "2",
        "--rate",
        "0.5",
        "--train",
        "4ep",
    ),
    *("--eval-every", "2it", "--batch-size", "16", "--rewind-to", "1it", "--jit", "off", "--quiet"),
)


def make(home: Path) -> None:
    """Make the sound inputs of every kind in a new folder, each in a folder of its own.

    Equal machines and library versions give equal bytes, so that a seed can be repeated.
    """
    home.mkdir(parents=True)
    _arrays(home)
    _run(home)
    _study(home)
    _cache(home)
    _images(home)
    _keras(home)
    _state(home)


def sound(home: Path, kind: str) -> Input:
    """The sound input of a kind, as `make` left it in `home`."""
    return read(home / kind)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _arrays(home: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    members = [
        archives.Member(f"{name}.npy", arrays.saved(array))
        for name, array in {"x": x, "y": np.arange(60) % 3}.items()
    ]
    content = archives.pack(members)
    for name in (POINTS, "npz/data.npz"):
        _write(home / name, content)


def command(*arguments: Any) -> Any:
    """Run `kt` in this process; returns click's result. `EXTRA` are further arguments."""
    from click.testing import CliRunner

    from kerastickets_cli.main import kt as program

    return CliRunner().invoke(program, [*map(str, arguments), *EXTRA], prog_name="kt")


#: Arguments that every command line gets, such as `--debug`.
EXTRA: list[str] = []


def _run(home: Path) -> None:
    """A run of a 4-8-3 net over two levels, the ticket of one of them, and a ticket of a net without a config."""
    from kerastickets import Ticket

    with chdir(home):
        result = command(*RUN, "--out", "run")
    if result.exit_code:
        raise RuntimeError(result.output) from result.exception
    (home / "run" / "run.lock").write_text("")  # it names this process
    metrics = home / "run" / "metrics.jsonl"
    rows = [_timeless(json.loads(line)) for line in metrics.read_text().splitlines()]
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ticket = home / "run" / "level-01.safetensors"
    _write(home / "ticket" / "ticket.safetensors", ticket.read_bytes())
    _write(home / "export" / "x.safetensors", b"an earlier export")
    _write(home / "export" / "notes.txt", b"nothing to do with it")
    Ticket.load(ticket).replace(architecture={}).save(home / "no-architecture.safetensors")


def _study(home: Path) -> None:
    from tests.helpers.folders import make_study

    make_study(home / "study", "several")


class PoolHere:
    """Does the jobs of a study in this process; takes the place of `kerastickets.foundations.process_pool.Pool`."""

    def __init__(self, work: Any, *ignored: Any) -> None:
        self._work, self._waiting = work, list[Any]()

    def __enter__(self) -> "PoolHere":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, key: Any, task: Any) -> None:
        """Do this task when the next event is asked for."""
        self._waiting.append((key, task))

    def next(self) -> Any:
        """Do one task."""
        from kerastickets.foundations.process_pool import Event

        key, task = self._waiting.pop()
        return Event("done", key, self._work(task, lambda kind, content: None))


def tiny() -> Any:
    """A study of four jobs of milliseconds, under the name `tiny`."""
    from kerastickets.studies.reproduce import Reproduction
    from tests.helpers import tinystudy

    return Reproduction("tiny", cast(Any, tinystudy), "smoke", tinystudy.Budget(seeds=1, train="1ep"))


def _cache(home: Path) -> None:
    cache = home / "cache"
    with patch("kerastickets.studies.reproduce.Pool", PoolHere), tempfile.TemporaryDirectory() as out:
        tiny().run(out, cache=cache)
    for path in cache.rglob("result.json"):
        path.write_text(json.dumps(_timeless(json.loads(path.read_text())), sort_keys=True))
    for path in cache.rglob("metrics.jsonl"):
        rows = map(json.loads, path.read_text().splitlines())
        path.write_text("".join(json.dumps(_timeless(row)) + "\n" for row in rows))
    for path in cache.rglob("*.lock"):
        path.write_text("")


def _timeless(facts: Any) -> Any:
    """Facts without what a clock measured, which would make every folder another one."""
    if isinstance(facts, list):
        return [_timeless(one) for one in facts]
    if not isinstance(facts, dict):
        return facts
    return {name: 0.5 if name == "seconds" else _timeless(value) for name, value in facts.items()}


def _images(home: Path) -> None:
    for number in range(12):
        _write(home / "images" / "ab"[number % 2] / f"{number:02d}.png", images.gray(first=7 * number))


def _keras(home: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    file = home / "keras" / "model.keras"
    file.parent.mkdir()
    model.save(file)
    file.write_bytes(
        archives.pack([replace(one, content=_lasting(one)) for one in archives.unpack(file.read_bytes())])
    )


def _lasting(member: archives.Member) -> bytes:
    """What a member holds, without the date and without numbers that are addresses in memory."""
    if member.name == "metadata.json":
        return b'{"keras_version": "3", "date_saved": "2026-01-01@00:00:00"}'
    return re.sub(rb'"shared_object_id": \d+', b'"shared_object_id": 1', member.content)


#: The training whose state the sound folder holds. The same settings go on from it.
TRAIN: dict[str, Any] = {"train": "4ep", "eval_every": "2it", "batch_size": 16, "jit": "off"}


class _Stopped(Exception):  # noqa: N818
    """Ends a training on its way."""


def _state(home: Path) -> None:
    from kerastickets.training import train
    from kerastickets.training.checkpoint import Checkpoint
    from tests.hostile.states import pack, unpack

    def stop(row: Any) -> None:
        if row["iteration"] >= 6:
            raise _Stopped

    file = home / "state" / "net.checkpoint"
    file.parent.mkdir()
    with chdir(home), suppress(_Stopped), Checkpoint(file, minutes=1e-9) as checkpoint:
        train("ticket/ticket.safetensors", f"npz:{POINTS}", on_row=stop, checkpoint=checkpoint, **TRAIN)
    tensors, facts = unpack(file.read_bytes())
    file.write_bytes(pack(tensors, _timeless(facts)))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
