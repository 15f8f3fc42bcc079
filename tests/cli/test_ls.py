"""`kt ls`."""

import csv
import json

import pytest

from kerastickets import Ticket, is_winning

HEADER = "file                    criterion  level  kept  density  val_accuracy  test_accuracy  winning"


def files(result):
    return [row["file"] for row in json.loads(result.stdout)]


def test_lists_tickets_below_a_folder(kt, folder):
    assert kt("ls", folder).stdout.splitlines() == [
        HEADER,
        "deep/third.safetensors  magnitude      2     2   33.33%        75.00%         37.50%        -",
        "dense.safetensors       magnitude      0     6  100.00%             -              -        -",
        "half.safetensors        magnitude      1     3   50.00%        50.00%         25.00%        -",
    ]


def test_json(kt, folder):
    rows = json.loads(kt("ls", folder, "--json").stdout)
    assert rows[2] == {
        "file": "half.safetensors", "criterion": "magnitude", "level": 1, "kept": 3, "total": 6, "density": 0.5,
        "val_accuracy": 0.5, "test_accuracy": 0.25, "winning": None,
    }  # fmt: skip
    assert rows[1]["val_accuracy"] is None


def test_csv(kt, folder):
    rows = list(csv.DictReader(kt("ls", folder, "--csv").stdout.splitlines()))
    assert [row["kept"] for row in rows] == ["2", "6", "3"]
    assert rows[1]["val_accuracy"] == ""


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        (["--sort", "level"], ["dense", "half", "deep/third"]),
        (["--sort", "-level"], ["deep/third", "half", "dense"]),
        (["--sort=-val-accuracy"], ["deep/third", "half", "dense"]),
        (["--sort", "val_accuracy"], ["half", "deep/third", "dense"]),
        (["--where", "density<0.5"], ["deep/third"]),
        (["--where", "density <= 50%"], ["deep/third", "half"]),
        (["--where", "level!=1", "--where", "kept>2"], ["dense"]),
        (["--where", "val_accuracy>=0"], ["deep/third", "half"]),
        (["--where", "file=half.safetensors"], ["half"]),
        (["--where", "criterion=snip"], []),
    ],
)
def test_sort_and_where(kt, folder, arguments, order):
    assert files(kt("ls", folder, "--json", *arguments)) == [f"{name}.safetensors" for name in order]


def test_winning_is_said_beside_the_dense_level_of_the_same_folder(kt, run_folder):
    rows = json.loads(kt("ls", run_folder, "--json").stdout)
    run = json.loads((run_folder / "run.json").read_text())
    assert run["recipe"]["levels"] == 2
    assert rows[0]["winning"] is None
    tickets = [Ticket.load(run_folder / row["file"]) for row in rows]
    assert [row["winning"] for row in rows[1:]] == [is_winning(ticket, tickets[0]) for ticket in tickets[1:]]
    wins = [row["file"] for row in rows if row["winning"]]
    assert files(kt("ls", run_folder, "--json", "--where", "winning=yes")) == wins


def test_a_broken_file_is_listed_with_its_error(kt, folder, tmp_path):
    (tmp_path / "good.safetensors").write_bytes((folder / "half.safetensors").read_bytes())
    (tmp_path / "bad.safetensors").write_bytes((folder / "half.safetensors").read_bytes()[:-1])
    result = kt("ls", tmp_path, "--where", "kept=3", code=1)
    _, good, bad = result.stdout.splitlines()
    assert good.startswith("good.safetensors")
    assert bad.startswith(f"bad.safetensors  Error: {tmp_path / 'bad.safetensors'}: ")
    rows = json.loads(kt("ls", tmp_path, "--json", code=1).stdout)
    assert [row.keys() >= {"file", "error"} for row in rows] == [True, False]


def test_an_empty_folder_has_a_header_only(kt, tmp_path):
    assert (
        kt("ls", tmp_path).stdout
        == "file  criterion  level  kept  density  val_accuracy  test_accuracy  winning\n"
    )
    assert kt("ls", tmp_path, "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--sort", "densty"], 2, "No column named 'densty'. Did you mean 'density'?"),
        (["--where", "density"], 2, "A condition must be written like 'density<0.3'. Received: 'density'"),
        (["--where", "density<few"], 2, "density must be compared with a number."),
        (["--csv", "--json"], 2, "Give --csv or --json, not both."),
    ],
)
def test_wrong_usage(kt, folder, arguments, code, said):
    assert said in kt("ls", folder, *arguments, code=code).stderr


def test_a_folder_must_exist(kt, tmp_path):
    assert (
        kt("ls", tmp_path / "no", code=1).stderr
        == f"Error: DIR must be a folder. Received: {tmp_path / 'no'}\n"
    )


@pytest.mark.parametrize("command", ["ls", "report", "fit"])
def test_a_name_too_long_for_the_file_system_is_a_named_error(kt, command):
    assert "name of a file or folder is too long" in kt(command, "a" * 300, code=1).stderr
