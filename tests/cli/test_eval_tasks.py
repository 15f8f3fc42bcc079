"""`kt eval` on data sets of tasks: a line for each, of classes and of targets, by the spec that was pruned on."""

import json

import pytest

from kerastickets import evaluate

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_each_task_has_its_line": ("symbolic*",),
}


def pruned(kt, folder, dataset, *more):
    out = folder / "run"
    dials = ("--model", "mlp:8", "--train", "2ep", "--jit", "off", "--levels", 1, "--rate", 0.2)
    kt("prune", "--dataset", dataset, *dials, "--out", out, *more)
    return out / "level-01.safetensors"


@pytest.mark.parametrize(
    ("dataset", "tasks", "kind"),
    [
        ("digits[0,1]+digits[2,3]+digits[4,5]", ["digits-0-1", "digits-2-3", "digits-4-5"], "accuracy"),
        ("symbolic:feature-sharing,train=64", ["y1", "y2", "y3"], "mean_squared_error"),
    ],
)
def test_each_task_has_its_line(kt, tmp_path, dataset, tasks, kind):
    more = ["--monitor", "val_loss"] if kind != "accuracy" else []
    ticket = pruned(kt, tmp_path, dataset, *more)
    facts = evaluate(ticket)
    assert facts["dataset"] == dataset
    lines = kt("eval", ticket).stdout.splitlines()
    assert lines[-4].split() == ["task", "loss", *kind.split("_")]
    for name, line in zip(tasks, lines[-3:], strict=True):
        own = facts["tasks"][name]
        value = f"{own[kind]:.2%}" if kind == "accuracy" else f"{own[kind]:.4f}"
        assert line.split() == [name, f"{own['loss']:.4f}", value]
    assert json.loads(kt("eval", ticket, "--json").stdout)["tasks"] == facts["tasks"]


def test_sets_that_cannot_be_joined_are_named(kt, tmp_path):
    said = kt("prune", "--dataset", "digits+symbolic", "--out", tmp_path / "run", code=1).stderr
    assert "Received: 'digits' of classes, 'symbolic:independent' of targets" in said
