"""`kt transfer`."""

import json
import os
from pathlib import Path

import pytest

from kerastickets import Ticket


def test_json_is_as_the_folder_holds_it(kt, run_folder, tmp_path):
    out, source = tmp_path / "new" / "moved", run_folder / "level-01.safetensors"
    arguments = ("--dataset", "digits[7,8,9]", "--train-size", 90, "-o", "density=layer", "--out", out)
    result = kt("transfer", "new-head", source, *arguments, "--json", "--quiet")
    assert result.stderr == ""
    facts = json.loads(result.stdout)
    assert list(facts) == [
        *("protocol", "source", "target", "train_size", "val_accuracy", "test_accuracy"),
        *("early_stop_iteration", "curve", "ticket"),
    ]
    assert facts["protocol"] == "new-head"
    assert (facts["source"], facts["target"], facts["train_size"]) == ("digits", "digits[7,8,9]", 90)
    assert sorted(path.name for path in out.iterdir()) == ["metrics.jsonl", "ticket.safetensors"]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert facts["curve"] == [[row["iteration"], row["val_accuracy"]] for row in rows]
    ticket = Ticket.load(facts["ticket"])
    assert ticket.provenance["parents"] == [Ticket.load(source).digest]
    assert ticket.provenance["options"]["density"] == "layer"
    assert facts["test_accuracy"] == ticket.provenance["metrics"]["test_accuracy"]


def test_one_line_and_a_note(kt, run_folder, tmp_path):
    source, out = run_folder / "level-01.safetensors", tmp_path / "moved"
    result = kt("transfer", "late-reset", source, "--dataset", "digits", "--train", "20it", "--out", out)
    file = out / "ticket.safetensors"
    assert result.stdout.startswith(f"{file}: late-reset on 1197 examples of digits, validation ")
    assert result.stderr == f"Carried by late-reset from digits to digits. Its facts: kt show {file}\n"


@pytest.mark.parametrize(
    ("protocol", "arguments", "code", "said"),
    [
        ("tickets", ["--dataset", "digits"], 1, "Did you mean 'ticket'?"),
        ("ticket", ["--dataset", "digit"], 1, "Did you mean 'digits'?"),
        ("ticket", [], 2, "Missing option '--dataset'"),
        ("ticket", ["--dataset", "digits", "-o", "head=new"], 1, "head"),
        ("ticket", ["--dataset", "digits", "--adapt", "grey"], 2, "`adapt` must be resize, gray, rgb"),
        ("ticket", ["--dataset", "digits", "--lr", "-1"], 2, "`lr` must be positive"),
        ("ticket", ["--dataset", "digits[0,1]"], 1, "Use the protocol new-head"),
        ("ticket", ["--dataset", "moons-circles"], 1, "No adaptation makes these fit"),
        ("late-reset", ["--dataset", "digits", "-o", "step=7"], 1, "starts from the weights rewind@7"),
    ],
)
def test_transfer_refuses(kt, run_folder, tmp_path, protocol, arguments, code, said):
    source, out = run_folder / "level-01.safetensors", tmp_path / "out"
    assert said in kt("transfer", protocol, source, *arguments, "--out", out, code=code).stderr
    assert not out.exists()


def test_a_ticket_is_replaced_only_with_force(kt, run_folder, tmp_path):
    (tmp_path / "ticket.safetensors").write_text("mine")
    source = run_folder / "level-01.safetensors"
    said = kt("transfer", "ticket", source, "--dataset", "digits", "--out", tmp_path, code=1).stderr
    assert "Use --force to replace it" in said
    assert (tmp_path / "ticket.safetensors").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("old", [False, True], ids=["new folder", "with --force"])
@pytest.mark.parametrize("moment", ["temporary", "metrics.jsonl", "ticket.safetensors"])
def test_a_transfer_that_is_cut_off_goes_on_with_the_same_command(
    kt, run_folder, tmp_path, monkeypatch, old, moment
):
    source, out = run_folder / "level-01.safetensors", tmp_path / "moved"
    arguments = ("transfer", "late-reset", source, "--dataset", "digits", "--out", out, "--quiet")
    if old:
        kt(*arguments, "--train", "10it")
        arguments = (*arguments, "--force")
    arguments, real = (*arguments, "--train", "20it"), os.replace
    before = {path.name: path.read_bytes() for path in out.iterdir()} if old else {}

    def cut_off(one, other, **folders):
        staging = "src_dir_fd" in folders
        if staging if moment == "temporary" else Path(other) == out / moment:
            raise KeyboardInterrupt
        real(one, other, **folders)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", cut_off)
        kt(*arguments, code=130)
    if moment == "temporary":
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    else:
        assert not (out / "ticket.safetensors").exists()
        arguments = [word for word in arguments if word != "--force"]
    kt(*arguments)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    metrics = Ticket.load(out / "ticket.safetensors").provenance["metrics"]
    assert rows[-1]["iteration"] == metrics["stopped_iteration"] == 20
    assert sorted(path.name for path in out.iterdir()) == ["metrics.jsonl", "ticket.safetensors"]
