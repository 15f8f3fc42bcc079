"""LTH against SNIP: exact counts, what shares what, misprints that are marked, and one run on digits."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from kerastickets.cutting.cut_scores import ones
from kerastickets.figures.table import Table
from kerastickets.pruning.method import Method
from kerastickets.studies.reproduce import Reproduction
from kerastickets.studies.study import Cache, Results
from kerastickets_plugins.studies import lth_vs_snip as study
from kerastickets_plugins.studies.lth_vs_snip import masks
from kerastickets_plugins.studies.lth_vs_snip.jobs import NETS, runs
from kerastickets_plugins.studies.lth_vs_snip.published import (
    DIFFERENCE,
    EARLY_STOP,
    KEPT,
    OVERLAP,
    PERCENT,
    TOTAL,
)

#: A run of the whole study at its smallest takes about a minute of processor time.
SLOW_FIXTURES = {"smoke"}

SHAPES = {
    "fc1": {"dense/kernel": (784, 300), "dense_1/kernel": (300, 100), "dense_2/kernel": (100, 10)},
    "conv-2": {
        "conv2d/kernel": (3, 3, 3, 64),
        "conv2d_1/kernel": (3, 3, 64, 64),
        "dense/kernel": (14 * 14 * 64, 256),
        "dense_1/kernel": (256, 256),
        "dense_2/kernel": (256, 10),
    },
}


@pytest.mark.parametrize("net", ["fc1", "conv-2"])
@pytest.mark.parametrize("cuts", [1, 2])
def test_kept_counts_are_the_published_ones(net, cuts):
    masks = ones(SHAPES[net])
    kinds = {key: "conv" if key.startswith("conv") else "dense" for key in masks}
    method = Method.of("magnitude", {"rate": dict(NETS[net].rate), "levels": 10 // cuts, "cuts": cuts})
    totals = method.planned(masks, kinds, {"dense_2/kernel"}).totals
    assert totals[0] == TOTAL[net]
    assert totals[1:] == KEPT[net][cuts - 1 :: cuts]


def test_the_published_numbers_contradict_each_other_where_the_tables_say_so():
    shares = {net: [100 * kept / TOTAL[net] for kept in KEPT[net]] for net in KEPT}
    wrong = {
        net: [
            n
            for n, (a, b) in enumerate(zip(PERCENT[net], shares[net], strict=True), 1)
            if abs(a - b) > 0.0051
        ]
        for net in KEPT
    }
    assert wrong == {"fc1": [1, 2, 5, 8], "conv-2": [6, 7]}
    assert all(
        sum(pair) == kept for *pair, kept in zip(DIFFERENCE["fc1"], OVERLAP["fc1"], KEPT["fc1"], strict=True)
    )
    odd = [
        n for n in range(10) if abs(DIFFERENCE["conv-2"][n] + OVERLAP["conv-2"][n] - KEPT["conv-2"][n]) > 0.5
    ]
    assert odd == [0, 1, 2]
    assert all(DIFFERENCE["conv-2"][n] == TOTAL["conv-2"] - KEPT["conv-2"][n] for n in odd)
    assert [n for values in EARLY_STOP.values() for n in values if n % 250] == [5550]


def test_the_budgets_are_the_issue_s():
    cpu = [*runs(study.BUDGETS["cpu"])]
    assert [(run.net.name, run.seed) for run in cpu] == [("fc1", 0), ("fc1", 1), ("conv-2", 0)]
    assert [*cpu[0].levels] == [*range(1, 11)]
    assert [*cpu[2].levels] == [2, 4, 6, 8, 10]
    assert (cpu[0].flips, cpu[0].flipped, cpu[0].iteratives) == ([7, 8], 10, [7, 8, 9, 10])
    assert (cpu[2].flips, cpu[2].flipped, cpu[2].iteratives) == ([8], 2, [8, 10])
    assert [len([*runs(study.BUDGETS[name])]) for name in ("cpu", "paper")] == [3, 4]


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"seeds": (1,)}, "one entry a net"),
        ({"nets": ("fc1", "conv-9")}, "Received: conv-9"),
        ({"cuts": (1, 3)}, "must be a multiple of `cuts`"),
    ],
)
def test_dials_that_contradict_each_other_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        replace(study.BUDGETS["paper"], **dials)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lth")
    Reproduction.of("lth-vs-snip", "smoke").run(folder / "out", cache=folder / "cache", jobs=2, command="kt")
    return folder


@pytest.fixture(scope="module")
def rows(smoke):
    return [json.loads(line) for line in (smoke / "out" / "results.jsonl").read_text().splitlines()]


def test_there_is_a_row_for_every_net(rows):
    kinds = Counter((row["net"], row["method"]) for row in rows)
    each = {
        "dense": 1,
        "lth": 4,
        "snip": 4,
        "snip-by-layer": 4,
        "iterative-snip": 2,
        "flip-2": 3,
        "flip-4": 3,
    }
    few = {"dense": 1, "lth": 1, "snip": 1, "snip-by-layer": 1, "iterative-snip": 1, "flip-4": 1}
    expected = {("fc1", method): 3 * n for method, n in each.items()}
    assert kinds == expected | {("conv-2", method): n for method, n in few.items()}


def test_every_method_keeps_as_many_weights_after_as_many_prunings(rows):
    same = {}
    for row in rows:
        if "flip" not in row["method"]:
            same.setdefault((row["net"], row["pruning"]), set()).add(row["kept"])
    assert {len(kept) for kept in same.values()} == {1}
    by_layer = [
        row["layers"] for row in rows if row["method"] in ("lth", "snip-by-layer") and row["pruning"] == 4
    ]
    fc1 = [layers for layers in by_layer if len(layers) == 3]
    assert all(layers == fc1[0] for layers in fc1)


def test_a_flipped_ticket_keeps_what_was_pruned_and_is_pruned_on(rows):
    kept = {
        (row["method"], row["pruning"]): row["kept"]
        for row in rows
        if (row["net"], row["seed"]) == ("fc1", 0)
    }
    total = rows[0]["total"]
    assert kept["flip-2", 1] == total - kept["lth", 2]
    assert kept["flip-2", 1] > kept["flip-2", 2] > kept["flip-2", 3]


def test_nets_of_a_seed_share_their_initial_weights(smoke):
    run = next(iter(runs(study.BUDGETS["smoke"])))
    cache = Cache(smoke / "cache")
    counts = {pruning: cache.facts(run.lth())["levels"][pruning]["kept"] for pruning in run.levels}
    inits = [
        cache.ticket(job.ticket("level-01")).weights("init")
        for job in (
            run.lth(),
            run.snip(counts[2]),
            run.snip_by_layer(2),
            run.iterative(3, counts[3]),
            run.flip(2),
        )
    ]
    assert all(np.array_equal(one["dense/kernel"], inits[0]["dense/kernel"]) for one in inits)


def test_masks_of_lth_and_snip_differ_and_are_closer_than_chance(rows):
    snip = [row for row in rows if "snip" in row["method"]]
    assert all(row["difference"] > 0 for row in snip)
    fc1 = [row for row in snip if row["net"] == "fc1"]
    assert all(row["iou"] > row["iou_by_chance"] and row["z"] > 3 for row in fc1)
    assert all(row["overlap"] == sum(row["overlap_by_layer"].values()) for row in snip)


def test_tables_and_figures(smoke):
    tables = {t["name"]: Table.of(t) for t in json.loads((smoke / "out" / "tables.json").read_text())}
    assert {*tables} == {
        *(
            "table-2-flips",
            "table-3-flips",
            "table-4-speed",
            "table-5-speed",
            "table-6-masks",
            "table-6-layers",
            "table-7-masks",
            "table-7-layers",
        ),
        *("accuracy-fc1", "accuracy-conv-2", "questions", "winning"),
    }
    assert all("Not as published" in table.note for table in tables.values())
    # Published numbers stand beside the paper's nets only.
    assert all(row["lth published"] is None for row in tables["table-4-speed"].rows)
    first = tables["questions"].rows[0]
    assert (first["question"], first["pairs"]) == ("LTH against SNIP", 12)
    assert first["difference"] == pytest.approx(first["first"] - first["second"])
    figures = sorted(path.name for path in (smoke / "out" / "figures").glob("*.svg"))
    assert [name[:8] for name in figures] == [f"figure-{n}" for n in range(1, 9)]


def test_masks_by_layer_add_up_to_those_in_total(smoke):
    tables = {t["name"]: Table.of(t) for t in json.loads((smoke / "out" / "tables.json").read_text())}
    total = {row["pruning"]: row for row in tables["table-6-masks"].rows}
    for pruning, whole in total.items():
        layers = [row for row in tables["table-6-layers"].rows if row["pruning"] == pruning]
        assert len(layers) == 3
        assert sum(row["lth"] for row in layers) == pytest.approx(whole["kept"])
        assert sum(row["overlap"] for row in layers) == pytest.approx(whole["overlap"])
        assert sum(row["difference"] for row in layers) == pytest.approx(whole["difference"])


def test_one_layer_beside_chance():
    # Of 8 weights LTH keeps 4 and SNIP 2, one of them in common; random masks would share 4 * 2 / 8.
    rows = [
        {"method": "dense", "pruning": 0, "seed": 0, "layers": {"a": 8}},
        {"method": "lth", "pruning": 1, "seed": 0, "layers": {"a": 4}, "kept": 4, "total": 8},
        {"method": "snip", "pruning": 1, "seed": 0, "layers": {"a": 2}, "overlap_by_layer": {"a": 1}},
    ]
    (row,) = masks._layers(rows)
    expected = {"lth": 4, "snip": 2, "overlap": 1, "expected": 1, "difference": 3, "iou": 0.2}
    assert row == {"pruning": 1, "layer": "a"} | expected


def test_jobs_that_need_counts_come_after_they_are_known(tmp_path):
    first = {job.options["criterion"] for job in study.jobs(study.BUDGETS["smoke"], Results(Cache(tmp_path)))}
    assert first == {"magnitude"}
