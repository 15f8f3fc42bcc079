"""Running `kt` in this process, and tickets to run it on."""

import numpy as np
import pytest
from click.testing import CliRunner

from kerastickets import Ticket
from kerastickets_cli.main import kt as program

#: Small enough that a run takes a second: 592 weights, two epochs of 18 steps.
SMALL = ("--model", "mlp:8", "--train", "2ep", "--jit", "off")


@pytest.fixture(scope="session")
def kt():
    """`kt("show", path)`: the click result of a command, run in this process."""

    def run(*arguments, code=0):
        result = CliRunner().invoke(program, [str(argument) for argument in arguments], prog_name="kt")
        assert result.exit_code == code, f"{result.exit_code}: {result.stderr}{result.exception!r}"
        return result

    return run


@pytest.fixture(scope="session")
def small():
    """The arguments of a run that takes a second."""
    return SMALL


def made(masks, level, accuracy=None, **changes):
    """A ticket of two layers (4 and 2 weights), made by hand."""
    init = {"a/kernel": np.arange(4, dtype="float32").reshape(2, 2), "b/kernel": np.ones((2, 1), "float32")}
    masks = {key: np.array(mask, bool).reshape(init[key].shape) for key, mask in masks.items()}
    snapshots = {"init": init, "rewind@10": {key: value + 1 for key, value in init.items()}}
    metrics = {}
    if accuracy is not None:
        snapshots["final"] = {key: np.where(masks[key], value, 0) for key, value in init.items()}
        metrics = {"val_accuracy": accuracy, "test_accuracy": accuracy / 2, "early_stop_iteration": 7}
    provenance = {
        "criterion": "magnitude",
        "level": level,
        "model": "toy",
        "metrics": metrics,
        "start": "init",
    }
    return Ticket({}, masks, snapshots, provenance | changes)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder of three tickets: dense and untrained, half, and a third below `deep`."""
    folder = tmp_path_factory.mktemp("tickets")
    made({"a/kernel": [1, 1, 1, 1], "b/kernel": [1, 1]}, 0).save(folder / "dense.safetensors")
    made({"a/kernel": [1, 1, 0, 0], "b/kernel": [1, 0]}, 1, 0.5).save(folder / "half.safetensors")
    made({"a/kernel": [0, 1, 0, 0], "b/kernel": [0, 1]}, 2, 0.75).save(folder / "deep" / "third.safetensors")
    return folder


@pytest.fixture(scope="session")
def run_folder(kt, small, tmp_path_factory):
    """A run of two levels: 592, 296 and 148 weights."""
    out = tmp_path_factory.mktemp("run") / "out"
    kt("prune", *small, "--levels", 2, "--rate", 0.5, "--rewind-to", "5it", "--out", out)
    return out
