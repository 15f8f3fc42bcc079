"""`kt export`."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from kerastickets import Ticket, export
from kerastickets.testing import toy_ticket
from tests.helpers.fakeexporters import Npz


@pytest.fixture
def formats(tmp_path, monkeypatch):
    """A distribution with two formats that NumPy runs."""
    info = tmp_path / "site" / "formats-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: formats\nVersion: 1.0\n")
    exporters = "arrays = tests.helpers.fakeexporters:Npz\nfolder = tests.helpers.fakeexporters:Folder\n"
    (info / "entry_points.txt").write_text(f"[kerastickets.exporters]\n{exporters}")
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.fixture
def ticket(tmp_path):
    return toy_ticket().save(tmp_path / "run" / "level-01.safetensors")


def test_json_is_what_python_says(kt, formats, ticket, tmp_path):
    out = tmp_path / "a.npz"
    arguments = ("--format", "arrays", "--sparse", "--no-latency", "--json", "--quiet")
    result = kt("export", ticket, *arguments, "--out", out)
    assert result.stderr == ""
    told = json.loads(result.stdout)
    expected = export(ticket, Npz(sparse=True), tmp_path / "b.npz", latency=False).facts()
    assert told == expected | {"path": str(out), "runtime": told["runtime"]}
    assert told["format"] == "arrays"
    assert "at|dense|kernel" in np.load(out)


def test_a_table_and_the_summary_last(kt, formats, ticket, working_folder):
    result = kt("export", ticket, "--format", "arrays")
    path = "saved_models/level-01-arrays.npz"
    assert (working_folder / path).is_file()
    first, *rows, last = result.stdout.splitlines()
    assert re.fullmatch(rf"{path}: arrays, run by .+ on 300 examples", first)
    shown = dict(re.split(r"\s{2,}", row) for row in rows)
    assert list(shown) == [
        "inputs, standardised",
        *("bytes, dense", "bytes, exported", "bytes, gzipped", "bytes, limit", "largest difference"),
        *("accuracy before", "accuracy after"),
        *(
            "multiply-adds, dense",
            "multiply-adds, theoretical",
            "multiply-adds, executed",
            "peak memory, MiB",
        ),
        *("ms for 1, dense", "ms for 64, dense", "ms for 1, masked", "ms for 64, masked"),
    ]
    assert shown["bytes, exported"] == f"{(working_folder / path).stat().st_size:,}"
    assert (shown["bytes, limit"], shown["multiply-adds, executed"]) == ("944", "444")
    assert shown["accuracy before"] == shown["accuracy after"] == "11.33%"
    assert len({len(row) for row in rows}) == 1
    assert last.startswith("The export takes ")
    assert last.endswith(
        "Sparsity made nothing faster: the masked model multiplies by its zeros; try --compact."
    )


def test_an_existing_path_is_replaced_only_with_force(kt, formats, ticket, tmp_path):
    out = tmp_path / "deep" / "a.npz"
    out.parent.mkdir()
    out.write_text("mine")
    arguments = ("export", ticket, "--format", "arrays", "--no-latency", "--out", out)
    said = f"Error: An export must be a new file or folder. Received: {out}, which exists. Use --force"
    assert kt(*arguments, code=1).stderr.startswith(said)
    kt(*arguments, "-o", "fault=lie", "--force", code=1)
    assert out.read_text() == "mine"
    kt(*arguments, "--force")
    assert "dense|kernel" in np.load(out)
    assert [one.name for one in out.parent.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--format", "array"], 1, "No exporter named 'array'. Did you mean 'arrays'?"),
        (["--format", "arrays", "-o", "spars=true"], 1, "Did you mean 'sparse'?"),
        (["--format", "arrays", "--int8"], 2, "arrays has no option int8. Options: sparse, fault, tenfold."),
        (["--format", "folder", "--raw"], 2, "The format folder has no option raw. Options: none."),
        (["--format", "arrays", "--sparse", "-o", "sparse=true"], 2, "sparse must be given once."),
        (["--format", "arrays", "--out", "a.txt"], 2, "must end in .npz. Received: a.txt. Use a.npz"),
        (["--format", "arrays", "--out", "run/level-01.safetensors/a.npz"], 1, "is a file"),
        (["--format", "folder", "--out", "run", "--force"], 1, "must not remove anything else"),
        (["--format", "arrays", "--dataset", "digit"], 1, "Did you mean 'digits'?"),
        (["--format", "arrays", "--model", "no.keras"], 1, "A model file must exist."),
        (["--format", "arrays", "-o", "fault=lie"], 1, "Received: a difference of 0.5."),
        (["--format", "arrays", "-o", "fault=full"], 1, "No space left on device"),
        (["--format", "arrays", "-o", "fault=interrupted"], 130, "Interrupted. Nothing was written."),
    ],
)
def test_refusals_and_failures_leave_nothing(kt, formats, ticket, working_folder, arguments, code, said):
    assert said in kt("export", ticket, *arguments, "--no-latency", code=code).stderr
    left = {one.name for one in working_folder.iterdir()}
    assert left == {"run", "site"}
    assert Ticket.load(ticket) == toy_ticket()


def test_an_untrained_ticket_is_refused(kt, formats, tmp_path):
    whole = toy_ticket()
    path = whole.replace(snapshots={"init": whole.weights("init")}).save(tmp_path / "untrained.safetensors")
    said = kt("export", path, "--format", "arrays", "--out", tmp_path / "a.npz", code=1).stderr
    assert "Train it first: `kt train TICKET`." in said


def test_notes_go_to_stderr(kt, formats, tmp_path):
    whole = toy_ticket()
    path = whole.replace(provenance={}).save(tmp_path / "foundling.safetensors")
    arguments = ("export", path, "--format", "arrays", "--no-latency", "--force", "--out", tmp_path / "a.npz")
    result = kt(*arguments)
    assert result.stderr.startswith("Verified on random inputs, without an accuracy: The ticket does not say")
    assert "accuracy before" in result.stdout
    assert kt(*arguments, "--quiet").stderr == ""


LIGHT = """
import sys
from click.testing import CliRunner
from kerastickets_cli.main import kt

for arguments, code in (
    ([sys.argv[1], "--out", sys.argv[2]], 1),
    ([sys.argv[1], "--sparse"], 2),
    ([sys.argv[1] + "x", "--out", sys.argv[2] + "x"], 1),
    ([sys.argv[1], "--format", "keras", "--out", "a.txt"], 2),
    ([sys.argv[1], "--dataset", "digit", "--out", sys.argv[2] + "x"], 1),
):
    result = CliRunner().invoke(kt, ["export", *arguments])
    assert result.exit_code == code, (arguments, result.stderr)
print(*sorted({"tensorflow", "keras", "sklearn", "rich"} & set(sys.modules)))
"""


def test_refusals_need_no_tensorflow(ticket, tmp_path):
    (tmp_path / "there").mkdir()
    command = [sys.executable, "-c", LIGHT, ticket, tmp_path / "there"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("\n", 0), done.stderr
