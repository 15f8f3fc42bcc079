"""`kt show`, `kt diff` and `kt rewind`, on tickets made by hand."""

import json

import pytest

from kerastickets import Ticket, compare


def test_show_prints_facts_and_layers(kt, folder):
    ticket = Ticket.load(folder / "half.safetensors")
    assert kt("show", folder / "half.safetensors").stdout.splitlines() == [
        f"ticket     {folder / 'half.safetensors'}",
        "kept       3 of 6 (50.00%)",
        "criterion  magnitude",
        "level      1",
        "model      toy",
        "metrics    early_stop_iteration=7 test_accuracy=0.25 val_accuracy=0.5",
        "start      init",
        "snapshots  init rewind@10 final",
        f"digest     {ticket.digest}",
        "format     kerastickets.ticket 1",
        "",
        "layer     shape  kept  total  density",
        "a/kernel  2x2       2      4   50.00%",
        "b/kernel  2x1       1      2   50.00%",
        "total               3      6   50.00%",
    ]


def test_show_json_is_the_facts(kt, folder):
    facts = json.loads(kt("show", folder / "half.safetensors", "--json").stdout)
    assert facts == Ticket.load(folder / "half.safetensors").facts()
    known = "format version digest criterion level density kept total layers snapshots provenance"
    assert facts.keys() == set(known.split())
    assert facts["layers"][0] == {"key": "a/kernel", "shape": [2, 2], "kept": 2, "total": 4, "density": 0.5}


def test_show_names_what_is_wrong(kt, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    for name in ("a.safetensors", "missing.safetensors"):
        result = kt("show", tmp_path / name, code=1)
        assert result.stdout == ""
        assert result.stderr.startswith(f"Error: {tmp_path / name}: ")
        assert result.stderr.count("\n") == 1


def test_diff_prints_counts_by_layer(kt, folder):
    shown = kt("diff", folder / "half.safetensors", folder / "deep" / "third.safetensors").stdout
    assert shown.splitlines() == [
        "layer     kept_a  kept_b  overlap  only_a  only_b     iou",
        "a/kernel       2       1        1       1       0  0.5000",
        "b/kernel       1       1        0       1       1  0.0000",
        "total          3       2        1       2       1  0.2500",
    ]


def test_diff_json_is_the_comparison(kt, folder):
    files = [folder / "half.safetensors", folder / "deep" / "third.safetensors"]
    a, b = (Ticket.load(file).masks for file in files)
    facts = json.loads(kt("diff", *files, "--json").stdout)
    assert facts == compare(a, b)
    assert facts["total"] == {"kept_a": 3, "kept_b": 2, "overlap": 1, "only_a": 2, "only_b": 1, "iou": 0.25}


def test_diff_of_three_compares_every_pair(kt, folder):
    files = [
        str(folder / name) for name in ("dense.safetensors", "half.safetensors", "deep/third.safetensors")
    ]
    pairs = json.loads(kt("diff", *files, "--json").stdout)["pairs"]
    assert [(pair["a"], pair["b"]) for pair in pairs] == [
        (files[0], files[1]),
        (files[0], files[2]),
        (files[1], files[2]),
    ]
    assert [pair["total"]["iou"] for pair in pairs] == [3 / 6, 2 / 6, 1 / 4]
    assert kt("diff", *files).stdout.splitlines()[3].split()[2:] == ["3", "2", "1", "2", "1", "0.2500"]


def test_diff_needs_two_tickets_of_one_architecture(kt, folder, run_folder):
    half = folder / "half.safetensors"
    assert "Two tickets or more are needed. Received: 1." in kt("diff", half, code=2).stderr
    assert "Keys must be equal" in kt("diff", half, run_folder / "level-01.safetensors", code=1).stderr


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
