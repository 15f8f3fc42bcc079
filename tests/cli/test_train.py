"""`kt train` and `kt eval`."""

import json
import re

import pytest

from kerastickets import Ticket, evaluate


@pytest.fixture
def half(run_folder, tmp_path):
    """The run's level 1 in a folder of its own."""
    path = tmp_path / "half.safetensors"
    path.write_bytes((run_folder / "level-01.safetensors").read_bytes())
    return path


def test_train_writes_a_ticket_beside_and_one_line(kt, half):
    out = half.with_name("half-trained.safetensors")
    result = kt("train", half, "--train", "3ep")
    written, _, rest = result.stdout.partition(": ")
    assert written == str(out)
    pattern = r"296 of 592 weights \(50\.00%\), validation .+%, test .+% at iteration (18|36|54)\n"
    assert re.fullmatch(pattern, rest)
    assert result.stderr == f"Trained from rewind@5 on digits. Its facts: kt show {out}\n"
    source, trained = Ticket.load(half), Ticket.load(out)
    assert "final" in trained.snapshots
    assert trained.provenance["parents"] == [source.digest]
    assert trained.provenance["recipe"] == {**source.provenance["recipe"], "train": "3ep"}


def test_train_json(kt, half, tmp_path):
    out = tmp_path / "new" / "control.safetensors"
    arguments = ("--start", "dense", "--freeze", "dense/*", "--seed", 1, "--out", out, "--json", "--quiet")
    result = kt("train", half, *arguments)
    facts = json.loads(result.stdout)
    assert result.stderr == ""
    assert facts.keys() == {
        "ticket", "digest", "start", "dataset", "kept", "total", "density", "early_stop_iteration",
        "stopped_iteration", "val_accuracy", "test_accuracy", "seconds", "metrics",
    }  # fmt: skip
    assert (facts["ticket"], facts["start"], facts["kept"], facts["density"]) == (str(out), "dense", 592, 1.0)
    ticket = Ticket.load(out)
    assert ticket.digest == facts["digest"]
    start = ticket.weights(ticket.start)
    assert (ticket.weights("final")["dense/kernel"] == start["dense/kernel"]).all()
    assert (ticket.weights("final")["dense_1/kernel"] != start["dense_1/kernel"]).any()


def test_train_replaces_only_with_force(kt, half):
    out = half.with_name("out.safetensors")
    out.write_text("mine")
    said = kt("train", half, "--out", out, code=1).stderr
    assert (
        said
        == f"Error: --out must be a new file. Received: {out}, which exists. Use --force to replace it.\n"
    )
    assert out.read_text() == "mine"
    kt("train", half, "--out", out, "--force", "--start", "init")
    assert Ticket.load(out).start == "init"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--start", "dens"], 2, "Did you mean 'dense'?"),
        (["--start", "rewind@x"], 2, "'rewind@x' is not one of init, rewind, rewind@K, final, random-reinit"),
        (
            ["--start", "rewind@7"],
            1,
            "The ticket has the snapshots init, rewind@5, final. Received: 'rewind@7'.",
        ),
        (["--lr", "-1"], 2, "`lr` must be positive and finite. Received: lr=-1.0"),
        (["--dataset", "digit"], 1, "Did you mean 'digits'?"),
        (["--model", "no.keras"], 1, "A model file must exist. Received: no.keras"),
        (["--train", "5it"], 1, "Training must be longer than its start. Received: train=5it"),
    ],
)
def test_train_refuses(kt, half, arguments, code, said):
    assert said in kt("train", half, *arguments, code=code).stderr
    assert [path.name for path in half.parent.iterdir()] == ["half.safetensors"]


def test_eval_prints_what_python_measures(kt, half):
    facts = evaluate(half, "digits")
    lines = kt("eval", half).stdout.splitlines()
    assert lines[0] == "test of digits, final weights, 300 examples"
    shown = {line.split()[0]: line.split()[1] for line in lines[1:4]}
    assert shown["accuracy"] == f"{facts['accuracy']:.2%}"
    assert shown["loss"] == f"{facts['loss']:.4f}"
    assert shown["calibration"] == f"{facts['calibration']['ece']:.4f}"
    assert lines[5] == "class  count  accuracy"
    assert [int(line.split()[0]) for line in lines[6:]] == list(range(10))
    assert sum(int(line.split()[1]) for line in lines[6:]) == 300


def test_eval_json(kt, half):
    facts = json.loads(kt("eval", half, "--dataset", "digits", "--split", "validation", "--json").stdout)
    assert facts == {
        "ticket": str(half),
        "digest": Ticket.load(half).digest,
        **evaluate(half, "digits", split="validation"),
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--split", "tst"], 2, "'tst' is not one of 'train', 'validation', 'test'"),
        (["--dataset", "digit"], 1, "Did you mean 'digits'?"),
    ],
)
def test_eval_refuses(kt, half, arguments, code, said):
    assert said in kt("eval", half, *arguments, code=code).stderr
