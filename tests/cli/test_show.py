"""`kt show`, on tickets made by hand."""

import json

from kerastickets import Ticket


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
