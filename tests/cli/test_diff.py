"""`kt diff`, on tickets made by hand."""

import json

from kerastickets import Ticket, compare


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


def test_diff_of_three_says_what_any_and_what_all_keep(kt, folder):
    half, third = folder / "half.safetensors", folder / "deep" / "third.safetensors"
    assert kt("diff", half, third, half).stdout.splitlines()[4:] == [
        "",
        "layer     total  union  density  intersection  density",
        "a/kernel      4      2   50.00%             1   25.00%",
        "b/kernel      2      2  100.00%             0    0.00%",
        "total         6      4   66.67%             1   16.67%",
    ]
    facts = json.loads(kt("diff", half, third, half, "--json").stdout)
    assert facts.keys() == {"pairs", "layers", "total"}
    row = {"total": 6, "union": 4, "union_density": 4 / 6, "intersection": 1, "intersection_density": 1 / 6}
    assert facts["total"] == row
    assert [row["key"] for row in facts["layers"]] == ["a/kernel", "b/kernel"]


def test_diff_needs_two_tickets_of_one_architecture(kt, folder, run_folder):
    half = folder / "half.safetensors"
    assert "Two tickets or more are needed. Received: 1." in kt("diff", half, code=2).stderr
    assert "Keys must be equal" in kt("diff", half, run_folder / "level-01.safetensors", code=1).stderr
