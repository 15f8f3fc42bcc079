"""The state inside a training: whenever it is stopped, and however, what continues is the training that never was."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors import safe_open
from safetensors.numpy import save_file

from kerastickets.errors import RecipeError
from kerastickets.foundations.termination import EXIT_CODE, Terminated
from kerastickets.testing import toy_ticket
from kerastickets.training.checkpoint import Checkpoint, Keeper, Pace
from kerastickets.training.session import Start
from kerastickets.training.train_ticket import train
from kerastickets.transferring.transfer_ticket import transfer
from tests.helpers.training import cosine, doubled, find, masks, noisy, piped, plain, same, start, trainer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stop_at(monkeypatch):
    """Calls of three steps. The state is written at every visit; the training ends at the visit of a given number."""
    visits, visit = [0], Keeper.visit

    def watched(self, state):
        visits[0] -= 1
        self._checkpoint._written = -1e9  # it is always time
        visit(self, state)
        if not visits[0]:
            raise Terminated

    monkeypatch.setattr(Pace, "until", lambda self, at, stop: min(stop, at + 3))
    monkeypatch.setattr(Keeper, "visit", watched)
    return lambda number: visits.__setitem__(0, number)


def averaged():
    config = keras.optimizers.serialize(keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9))
    return {"optimizer": {"class_name": config["class_name"], "config": config["config"]}, "lr": None}


def half():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, dtype="mixed_bfloat16"), keras.layers.Dense(3)]
    )


#: What a state must hold: (the net, its data, its recipe).
KINDS = {
    "random layers and statistics": (noisy, None, {}),
    "XLA, schedule": (plain, None, cosine(jit="on", warmup="4it")),
    "averages": (plain, None, averaged()),
    "patience, the last weights": (plain, None, {"keep": "last", "patience": 2, "lr": 0.3}),
    "own train_step with a counter": (doubled, None, {}),
    "batches made by the data": (plain, piped, {}),
    "bfloat16": (half, None, {}),
}


#: Those that a fast run of the tests leaves out: the others hold what these hold.
SLOW = (
    *("averages", "patience, the last weights", "batches made by the data", "bfloat16"),
    *("XLA, schedule", "own train_step with a counter"),
)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind in SLOW else []) for kind in KINDS]
)
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path, stop_at, kind):
    build, on, dials = KINDS[kind]
    on = on() if on else None
    dials = {"train": "16it", "eval_every": "5it"} | dials
    rows: list = []
    begin = Start(start(build), masks(), 3, snapshot_at={7}, on_row=rows.append, identity="mine")
    whole = trainer(build, on=on, **dials).train_many([begin])[0]
    seen, rows[:] = [dict(row) for row in rows], []
    # Visits: after steps 3, 5 (an evaluation), 7 (a pause for a snapshot is none), 8, 10, ...
    for number in (1, 2, 4):
        kept = replace(begin, checkpoint=Checkpoint(tmp_path / f"{number}.checkpoint"))
        stop_at(number)
        with pytest.raises(Terminated):
            trainer(build, on=on, **dials).train_many([kept])
        stop_at(0)
        rows[:] = []
        other = trainer(build, on=on, **dials)
        other.train(start(build, seed=9), masks(1), seed=4)  # nothing of another training matters
        done = other.train_many([kept])[0]
        assert same(done.final, whole.final)
        assert done.metrics == whole.metrics
        assert done.snapshots.keys() == whole.snapshots.keys()
        assert all(same(done.snapshots[step], whole.snapshots[step]) for step in whole.snapshots)
        assert without_time(rows) == without_time(seen) == without_time(done.rows)


GRADUAL = {"schedule": "gradual:end=8it,every=2it", "sparsity": 0.75}
DISTILLED = {"levels": 1, "rate": 0.5, "distil": 0.7}


@pytest.mark.parametrize("dials", [GRADUAL, pytest.param(DISTILLED, marks=pytest.mark.slow)])
def test_masks_that_change_and_teachers_are_part_of_the_state(tmp_path, stop_at, dials):
    runs = [tmp_path / "whole", tmp_path / "stopped"]
    dials = dials | {"train": "12it", "eval_every": "5it"}
    find(out=runs[0], **dials)
    # Visits of a gradual training, cut after steps 2, 4, 6 and 8, are after 5 and 10: no call lasts three steps.
    stopped = 0
    for _ in range(20):
        stop_at(1)
        try:
            find(out=runs[1], **dials)
            break
        except Terminated:
            stopped += 1
    assert stopped >= 2
    for file in runs[0].glob("level-*"):
        assert file.read_bytes() == (runs[1] / file.name).read_bytes()


def without_time(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.slow
def test_a_run_and_a_transfer_that_were_stopped_give_the_same_bytes(tmp_path, stop_at):
    runs = [tmp_path / "whole", tmp_path / "stopped"]
    dials = {"levels": 1, "train": "12it", "eval_every": "4it", "rewind_to": "5it"}
    find(out=runs[0], **dials)
    # Level 0 is visited after the steps 3, 4, 8, 11 and 12, level 1 after 8, 11 and 12.
    for number in (2, 4, 1):
        stop_at(number)
        with pytest.raises(Terminated):
            find(out=runs[1], **dials)
    assert (runs[1] / "level-01.checkpoint").exists()
    stop_at(0)
    find(out=runs[1], **dials)
    assert sorted(path.name for path in runs[1].iterdir()) == sorted(path.name for path in runs[0].iterdir())
    for file in runs[0].glob("level-*"):
        assert file.read_bytes() == (runs[1] / file.name).read_bytes()
    rows = [[json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()] for run in runs]
    assert without_time(rows[0]) == without_time(rows[1])

    checkpoint = Checkpoint(tmp_path / "moved.checkpoint")
    asked = {"train": "12it", "eval_every": "4it", "jit": "off", "seed": 1}
    whole = transfer("frozen-then-all", toy_ticket(), "digits", **asked)
    for number in (2, 3):
        stop_at(number)
        with pytest.raises(Terminated):
            transfer("frozen-then-all", toy_ticket(), "digits", checkpoint=checkpoint, **asked)
    stop_at(0)
    with checkpoint:
        assert (
            transfer("frozen-then-all", toy_ticket(), "digits", checkpoint=checkpoint, **asked).ticket
            == whole.ticket
        )
    assert checkpoint.files() == []


def test_the_order_of_a_state_is_the_same_in_every_process(tmp_path):
    """TensorFlow lists what a compiled call touches in any order. Masks of one shape must not be exchanged."""
    made = trainer(doubled, **cosine())
    made.load(start(doubled), masks(), seed=0)
    engine = made.engine
    order, touched = [id(variable) for variable in engine.state], list(engine.steps.variables)
    assert len({*order} & {id(variable) for variable in touched}) > 5
    for number in range(3):
        mixed = np.random.default_rng(number).permutation(len(touched))
        engine.__dict__["steps"] = SimpleNamespace(variables=[touched[n] for n in mixed])
        assert [id(variable) for variable in engine.state] == order
    assert engine.ordered
    twins = [tf.Variable(0.0, name="twin") for _ in range(2)]
    engine.__dict__["steps"] = SimpleNamespace(variables=twins)
    assert not engine.ordered
    kept = Start(start(doubled), masks(), 0, checkpoint=Checkpoint(tmp_path / "a"))
    assert made._keeper(kept) is None


ACROSS = """
import sys
from dataclasses import replace
import keras
from kerastickets.foundations.termination import Terminated
from kerastickets.training.checkpoint import Checkpoint, Keeper, Pace
from kerastickets.training.session import Start
from kerastickets.training.trainer import Trainer
from tests.helpers.training import data, digest, generator, recipe, start

def build():
    return keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4) for _ in range(4)), keras.layers.Dense(3)])

visits, visit = [int(sys.argv[2])], Keeper.visit
def watched(self, state):
    visits[0] -= 1
    self._checkpoint._written = -1e9
    visit(self, state)
    if not visits[0]:
        raise Terminated
Keeper.visit = watched
Pace.until = lambda self, at, stop: min(stop, at + 3)
weights = start(build)
masks = {key: generator("m", key).random(w.shape) < 0.6 for key, w in weights.items() if w.ndim == 2}
begin = Start(weights, masks, 3, identity="mine")
if sys.argv[1]:
    begin = replace(begin, checkpoint=Checkpoint(sys.argv[1]))
rows = []
try:
    done = Trainer(build, data(), recipe(train="16it", eval_every="5it"), masks).train_many([begin])[0]
    print("digest", digest(done.final))
except Terminated:
    print("digest", "stopped")
"""


@pytest.mark.slow
def test_a_training_of_equal_layers_goes_on_in_other_processes(tmp_path):
    def run(path, visits):
        command = [sys.executable, "-c", ACROSS, str(path), str(visits)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    whole = run("", 0)
    for number in range(4):
        path = tmp_path / f"{number}.checkpoint"
        assert run(path, 1 + number) == "stopped"
        assert path.is_file()
        assert run(path, 0) == whole


@pytest.fixture
def stopped(tmp_path, stop_at):
    """The checkpoint of a training of the toy ticket, and how to go on."""
    checkpoint = Checkpoint(tmp_path / "net.checkpoint")
    stop_at(2)
    asked = {"train": "12it", "eval_every": "4it", "jit": "off"}
    with pytest.raises(Terminated):
        train(toy_ticket(), "digits", checkpoint=checkpoint, **asked)
    stop_at(0)

    def go_on(**changes):
        rows = []
        done = train(toy_ticket(), "digits", checkpoint=checkpoint, on_row=rows.append, **(asked | changes))
        fresh = train(toy_ticket(), "digits", **(asked | changes))
        return done.ticket == fresh.ticket

    return checkpoint, go_on


@pytest.mark.parametrize("changes", [{"seed": 5}, {"lr": 0.5}, {"train": "13it"}, {"start": "random-reinit"}])
def test_the_state_of_another_training_is_not_taken(stopped, changes):
    assert stopped[1](**changes)


def test_a_damaged_file_is_not_taken(stopped):
    checkpoint, go_on = stopped
    sound = checkpoint.path.read_bytes()
    with safe_open(checkpoint.path, "np") as file:
        facts = json.loads(file.metadata()["kerastickets checkpoint"])
    fits = facts["identity"], toy_ticket().weights(), [np.zeros(*one[::-1]) for one in facts["variables"]]
    assert checkpoint.read(*fits).at == facts["at"]
    rng = np.random.default_rng(0)
    for _ in range(200):
        content = bytearray(sound)
        for at in rng.integers(len(sound), size=rng.integers(1, 4)):
            content[at] ^= 1 << rng.integers(8)
        checkpoint.path.write_bytes(content[: rng.integers(len(content))] if rng.random() < 0.2 else content)
        assert checkpoint.read(*fits) is None
    assert go_on()


@pytest.mark.parametrize("kind", ["text", "folder", "other tensors", "nothing"])
def test_other_things_at_its_path(tmp_path, kind):
    path = tmp_path / "net.checkpoint"
    if kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "folder":
        path.mkdir()
    elif kind == "other tensors":
        save_file({"a": np.zeros(3)}, path)
    assert Checkpoint(path).read("", {}, []) is None


@pytest.mark.parametrize("minutes", [-1, float("nan"), float("inf"), "ten", None, True])
def test_minutes_are_checked(minutes):
    with pytest.raises(RecipeError, match="minutes between checkpoints must be at least 0"):
        Checkpoint(Path("a"), minutes)


def test_an_error_leaves_the_file(tmp_path):
    path = tmp_path / "a"
    path.touch()
    with pytest.raises(ZeroDivisionError), Checkpoint(path):
        1 / 0  # noqa: B018
    assert path.exists()
    with Checkpoint(path):
        pass
    assert not path.exists()


def test_calls_get_as_long_as_they_should():
    pace = Pace()
    assert pace.until(10, 50) == 50
    assert pace.until(0, 10**6) == 64
    pace.took(64, 0.5)
    assert pace.until(0, 10**6) == 384
    pace.took(384, 300.0)
    assert pace.until(0, 10**6) == 3
    pace.took(1, 1000.0)
    assert pace.until(0, 10**6) == 1


LONG = [
    "--train",
    "40000it",
    "--eval-every",
    "20000it",
    "--patience",
    "9",
    "--batch-size",
    "10",
    "--jit",
    "off",
]


def test_sigterm_writes_the_state_says_so_and_ends_with_143(tmp_path, request):
    source = tmp_path / "toy.safetensors"
    toy_ticket().save(source)
    command = ["train", source, "--dataset", "digits", *LONG, "--out", tmp_path / "done.safetensors"]
    command += ["--checkpoint-every", "0.001"]
    kept = tmp_path / "done.checkpoint"
    code = "from kerastickets_cli.start import kt; kt()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, command)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    request.addfinalizer(process.kill)
    until = time.monotonic() + 60
    while not kept.exists() and time.monotonic() < until:
        time.sleep(0.02)
    before = kept.stat().st_mtime_ns
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)
    assert (process.returncode, said[0]) == (EXIT_CODE, ""), said
    assert said[1].strip().endswith("Terminated. Its state is kept: the same command continues.")
    assert kept.stat().st_mtime_ns >= before  # equal if no step was made since
