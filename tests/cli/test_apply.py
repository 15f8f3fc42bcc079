"""`kt apply`, `kt merge`, `kt flip` and `kt rewind`, on tickets made by hand."""

import json

import pytest

from kerastickets import Ticket
from tests.helpers.tickets import bits, operate


@pytest.fixture
def files(folder):
    """Two tickets with masks of their own: 3 and 2 of 6 weights, one of them kept by both."""
    return folder / "half.safetensors", folder / "deep" / "third.safetensors"


@pytest.mark.parametrize("method", ["dtm", "atm"])
def test_merge_does_what_python_does(kt, files, tmp_path, method):
    out = tmp_path / "new" / "merged.safetensors"
    said = kt("merge", "--method", method, *files, "--out", out).stdout
    made = Ticket.load(out)
    assert made == operate(method, *map(Ticket.load, files))
    assert said == f"{out}: keeps {made.kept} of 6 weights ({made.density:.2%})\n"
    assert made.kept == {"dtm": 3, "atm": 4}[method]


def test_merge_takes_tickets_in_the_order_given(kt, files, tmp_path):
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    kt("merge", "--method", "dtm", *files, "--out", one)
    kt("merge", *reversed(files), "--method", "dtm", "--out", other)
    parents = [Ticket.load(path).provenance["parents"] for path in (one, other)]
    assert parents[0] == [Ticket.load(path).digest for path in files] == parents[1][::-1]
    assert [Ticket.load(path).kept for path in (one, other)] == [3, 2]


def test_flip_is_short_for_apply(kt, files, tmp_path):
    short, long = tmp_path / "short.safetensors", tmp_path / "long.safetensors"
    said = kt("flip", files[0], "--out", short).stdout
    kt("apply", "flip", files[0], "--out", long)
    assert said == f"{short}: keeps 3 of 6 weights (50.00%)\n"
    assert short.read_bytes() == long.read_bytes()
    masks = Ticket.load(files[0]).masks
    assert bits(Ticket.load(short).masks) == bits({key: ~mask for key, mask in masks.items()})


def test_apply_takes_options_and_prints_json(kt, files, tmp_path):
    out = tmp_path / "out.safetensors"
    words = ("-o", "density=0.9", "-o", "by=random", "-o", "keep-snapshots=true")
    facts = json.loads(kt("apply", "grow", files[0], *words, "--out", out, "--json").stdout)
    assert facts == {"ticket": str(out), **Ticket.load(out).facts()}
    assert (facts["kept"], facts["snapshots"]) == (5, ["init", "rewind@10"])
    assert facts["provenance"]["options"]["by"] == "random"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("merge --method dtm A", 2, "dtm takes two tickets or more. Received: 1."),
        ("merge --method atm", 2, "atm takes two tickets or more. Received: 0."),
        ("merge A B", 2, "Missing option '--method'"),
        ("merge --method dtn A B", 2, "'dtn' is not one of 'dtm', 'atm'"),
        ("flip", 2, "Missing argument 'TICKET'"),
        ("apply flip A B", 2, "flip takes one ticket. Received: 2."),
        ("apply union A", 2, "union takes two tickets or more. Received: 1."),
        ("apply", 2, "Missing argument 'OPERATION'"),
        ("apply grow A -o density", 2, "An option must be written key=value. Received: 'density'"),
        ("apply grow A -o density=1 -o density=1", 2, "density must be given once."),
        (
            "apply uniom A B",
            1,
            "No operation named 'uniom'. Did you mean 'union'? Installed: all-alive, atm, ",
        ),
        ("apply grow A -o densty=1", 1, "No option of Grow named 'densty'. Did you mean 'density'?"),
        (
            "apply grow A -o count=2",
            1,
            "grow must end with at least 3 weights, which the ticket keeps, and at most 6",
        ),
        ("flip DENSE", 1, "flip would leave none in 'a/kernel', 'b/kernel'"),
        ("flip no.safetensors", 1, "no.safetensors: cannot be read: No such file or directory"),
        ("merge --method dtm A RUN", 1, "Tickets must agree in their architecture."),
    ],
)
def test_refusals(kt, files, folder, run_folder, working_folder, words, code, message):
    paths = {"A": files[0], "B": files[1], "DENSE": folder / "dense.safetensors"}
    paths["RUN"] = run_folder / "level-01.safetensors"
    arguments = [paths.get(word, word) for word in words.split()]
    result = kt(*arguments, "--out", "out.safetensors", code=code)
    assert message in result.stderr
    assert result.stdout == ""
    assert not (working_folder / "out.safetensors").exists()


@pytest.mark.parametrize("command", ["flip", "apply union", "merge --method atm"])
def test_a_file_that_exists_is_replaced_by_force_alone(kt, files, tmp_path, command):
    out = tmp_path / "out.safetensors"
    out.write_text("mine")
    arguments = (*command.split(), *(files[:1] if command == "flip" else files), "--out", out)
    assert "Use --force to replace it." in kt(*arguments, code=1).stderr
    assert out.read_text() == "mine"
    kt(*arguments, "--force")
    assert Ticket.load(out).provenance["operation"] == command.split()[-1]


def test_a_merged_ticket_of_a_run_trains_on_and_prunes_on(kt, run_folder, tmp_path):
    half, quarter = (run_folder / f"level-0{level}.safetensors" for level in (1, 2))
    merged, pruned = tmp_path / "merged.safetensors", tmp_path / "run"
    kt("merge", "--method", "dtm", half, quarter, "--out", merged)
    assert Ticket.load(merged).kept == 296
    out = tmp_path / "trained.safetensors"
    kt("train", merged, "--train", "1ep", "--jit", "off", "--out", out)
    assert Ticket.load(out).provenance["parents"] == [Ticket.load(merged).digest]
    prune = ("prune", "--from", merged, "--train", "1ep", "--jit", "off", "--levels", 1, "--rate", 0.5)
    kt(*prune, "--dataset", "digits", "--out", pruned)
    assert Ticket.load(pruned / "level-01.safetensors").kept == 148


# kt rewind


@pytest.mark.parametrize(
    ("to", "start", "snapshots"),
    [
        ("init", "init", ["init"]),
        ("rewind", "rewind@10", ["init", "rewind@10"]),
        ("rewind@10", "rewind@10", ["init", "rewind@10"]),
        ("final", "final", ["init", "rewind@10", "final"]),
    ],
)
def test_rewind_sets_the_start_and_drops_what_came_later(kt, folder, tmp_path, to, start, snapshots):
    source, out = folder / "half.safetensors", tmp_path / "out.safetensors"
    shown = kt("rewind", source, "--to", to, "--out", out).stdout
    assert shown == f"{out}: starts from {start}, has {' '.join(snapshots)}\n"
    made = Ticket.load(out)
    assert (made.start, list(made.snapshots), made.kept) == (start, snapshots, 3)
    assert made.provenance["parents"] == [Ticket.load(source).digest]


def test_rewind_json(kt, folder, tmp_path):
    out = tmp_path / "out.safetensors"
    facts = json.loads(kt("rewind", folder / "half.safetensors", "--out", out, "--json").stdout)
    assert facts == {"ticket": str(out), **Ticket.load(out).facts()}


def test_rewind_refuses(kt, folder, tmp_path):
    source, out = folder / "half.safetensors", tmp_path / "out.safetensors"
    assert "Did you mean 'rewind'?" in kt("rewind", source, "--to", "rewnd", "--out", out, code=2).stderr
    assert "Missing option '--out'" in kt("rewind", source, code=2).stderr
    assert (
        "snapshots init, rewind@10, final"
        in kt("rewind", source, "--to", "rewind@11", "--out", out, code=1).stderr
    )
    assert not out.exists()
    kt("rewind", source, "--out", out)
    before = out.read_bytes()
    assert "Use --force to replace it." in kt("rewind", source, "--to", "init", "--out", out, code=1).stderr
    assert out.read_bytes() == before
    kt("rewind", source, "--to", "init", "--out", out, "--force")
    assert Ticket.load(out).start == "init"
