"""The transfer study: what shares what, exact counts, its tables by hand-made trials, and one run on digits."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from kerastickets.figures.table import Table
from kerastickets.statistics import holm, paired
from kerastickets.studies.reproduce import Reproduction
from kerastickets.studies.study import Cache, Results, in_order
from kerastickets_plugins.studies import transfer as study
from kerastickets_plugins.studies.transfer.budgets import CLASSES, PARTS
from kerastickets_plugins.studies.transfer.jobs import nets, parted
from kerastickets_plugins.studies.transfer.published import TABLES
from kerastickets_plugins.studies.transfer.tables import QUESTIONS

#: A run of the whole study at its smallest takes half a minute of processor time.
SLOW_FIXTURES = {"smoke"}

PAPER = study.BUDGETS["paper"]


def test_the_budgets_are_the_issue_s():
    cpu, smoke = study.BUDGETS["cpu"], study.BUDGETS["smoke"]
    assert (PAPER.splits, PAPER.widths, PAPER.sparsities) == ((10,), (64,), (0.25, 0.5, 0.75, 0.9))
    assert (cpu.splits, cpu.widths, cpu.sparsities) == ((3, 1), (16, 64), (0.5, 0.9))
    [*pairs] = parted(smoke, 8, 3)
    assert {(pair.source, pair.target) for pair in pairs} == {("digits[0,1,2,3,4]", "digits[5,6,7,8,9]")}
    assert PAPER.parts == PARTS


def test_splits_are_disjoint_distinct_and_the_same_for_every_net():
    pairs = parted(PAPER, 64, 10)
    halves = [
        [set(spec.partition("[")[2].rstrip("]").split(",")) for spec in (pair.source, pair.target)]
        for pair in pairs
    ]
    assert all(len(a) == len(b) == 5 and a | b == {*CLASSES["cifar10"]} for a, b in halves)
    assert len({frozenset(map(frozenset, split)) for split in halves}) == 10
    slim = parted(study.BUDGETS["cpu"], 16, 3)
    assert [(pair.source, pair.target) for pair in slim] == [(p.source, p.target) for p in pairs[:3]]


def test_what_is_paired_differs_in_the_protocol_alone():
    main = [net for net in nets(PAPER) if net.part == "main"]
    assert Counter((net.method, net.sparsity) for net in main) == {
        ("dense", None): 10,
        **{(method, s): 10 for method in ("ticket", "random-reinit") for s in PAPER.sparsities},
    }
    for split in range(10):
        jobs = [net.job for net in main if net.pair.split == split]
        same = {
            json.dumps({k: v for k, v in job.options.items() if k != "protocol"}, sort_keys=True)
            for job in jobs
        }
        assert len(same) == 1
        assert json.loads(same.pop())["watch"] == ["test"]


def test_tickets_are_cut_once_layer_by_layer_and_not_trained_on_the_source():
    sources = [job for job in in_order(study.jobs(PAPER, None)) if job.verb == "prune"]
    for job in sources:
        dials = job.options["dials"]
        assert (dials["levels"], dials["scope"], dials["no_train"]) == (1, "layer", True)
    assert {job.options["criterion"] for job in sources} == {"magnitude", "taylor"}
    assert Counter(job.options["dials"].get("include", [""])[0] for job in sources)["*/bias"] == 40
    paper = next(job for job in sources if job.options["model"] == "krizhevsky-lrn:width=64")
    dials = paper.options["dials"]
    assert [dials[key] for key in ("optimizer", "lr", "batch_size", "keep")] == ["sgd", 0.01, 256, "last"]


def test_parts_can_be_chosen_and_share_their_nets():
    both = replace(PAPER, parts=("main", "late"))
    alone = replace(PAPER, parts=("main",))
    more = {*in_order(study.jobs(both, None))} - {*in_order(study.jobs(alone, None))}
    assert {job.options["protocol"] for job in more} == {"late-reset"}
    assert len(more) == 40
    few = [net.job.options for net in nets(PAPER) if net.part == "small" and net.size == 100]
    assert {(job["dials"]["train_size"], job["dials"]["batch_size"]) for job in few} == {(100, 32)}
    fewer = {net.job.options["dataset"] for net in nets(PAPER) if net.part == "classes"}
    assert {spec.count(",") for spec in fewer} == {2}


def test_pruning_while_fine_tuning_ends_where_the_ticket_begins():
    for net in nets(replace(PAPER, parts=("classical",), splits=(1,))):
        if net.method == "prune-while-fine-tuning":
            options = net.job.options["options"]
            assert (1 - options["rate"]) ** options["steps"] == pytest.approx(1 - net.sparsity)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"parts": ("main", "moon")}, "`parts` must be among"),
        ({"dataset": "mnist"}, "`dataset` must be one of"),
        ({"splits": (1, 2)}, "one entry a width"),
        ({"images": ("mnist",)}, "two data sets"),
        ({"asked": (1.0,)}, "Sparsities must be in"),
        ({"few": 5}, "less than half"),
    ],
)
def test_dials_that_contradict_each_other_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        replace(PAPER, **dials)


def test_published_p_values_are_those_of_their_t():
    """Of |t| with 9 degrees of freedom; printed t has three digits at most, which p takes up to a few percent."""
    for table in TABLES.values():
        for row in table.values():
            assert 2 * stats.t.sf(row.t, 9) == pytest.approx(row.p, rel=0.02)


def made(part, method, sparsity, split, accuracy, **more):
    return {
        "kind": "target",
        "part": part,
        "width": 16,
        "split": split,
        "source": f"s{split}",
        "target": f"t{split}",
        "method": method,
        "sparsity": sparsity,
        "size": None,
        "kept": 10,
        "total": 100,
        "test_accuracy": accuracy,
        "best_test_accuracy": accuracy,
        "val_accuracy": accuracy,
        "early_stop": 20,
        "curve": [[0, 20.0, 20.0], [20, accuracy, accuracy]],
    } | more


ACCURACY = {"ticket": (70.0, 75.0, 74.0), "random-reinit": (70.5, 74.0, 75.0), "dense": (71.0, 77.0, 77.0)}


def by_hand(splits=3):
    rows = [
        made("main", method, s, split, values[split] - (5 * (s == 0.9) if s else 0))
        for method, values in ACCURACY.items()
        for s in ([None] if method == "dense" else [0.5, 0.9])
        for split in range(splits)
    ]
    source = {"kind": "source", "width": 16, "split": 0, "source": "s0", "target": "t0"}
    return [*rows, source | {"test_accuracy": 80.0}]


BUDGET = replace(study.BUDGETS["cpu"], parts=("main",), widths=(16,), splits=(3,))


def test_table_ii_is_a_paired_test_beside_the_published_one():
    table = next(t for t in study.tables(BUDGET, by_hand()) if t.name == "table-ii-width-16")
    half, most = table.rows
    assert "conv width 16" in table.title
    assert [half[key] for key in ("pairs", "first", "second", "difference")] == [3, 73.0, 75.0, -2.0]
    # Differences -1, -2, -3: mean -2, standard deviation 1, so t = -2 * sqrt(3).
    assert half["t"] == pytest.approx(2 * np.sqrt(3))
    assert half["effect"] == pytest.approx(-2.0)
    assert half["p"] == pytest.approx(2 * stats.t.sf(2 * np.sqrt(3), 2))
    expected = holm([paired(a, ACCURACY["dense"]).p for a in ((70.0, 75.0, 74.0), (65.0, 70.0, 69.0))])
    assert [half["p_holm"], most["p_holm"]] == pytest.approx(expected)
    assert [half[f"published {key}"] for key in ("mean", "dense", "t", "p")] == [79.2, 79.6, 1.84, 0.0982]
    assert most["published mean"] == 76.8


def test_fewer_than_three_splits_are_not_tested():
    for table in study.tables(replace(BUDGET, splits=(2,)), by_hand(2)):
        for row in table.rows:
            assert row.get("p") is None
    assert any("fewer than three splits" in note for note in study.notes(replace(BUDGET, splits=(2,)), []))


def test_digits_stand_beside_no_published_number():
    budget = replace(BUDGET, dataset="digits")
    table = next(t for t in study.tables(budget, by_hand()) if t.name == "table-iii-width-16")
    assert {row["published mean"] for row in table.rows} == {None}


@pytest.mark.parametrize("part", QUESTIONS)
def test_every_open_part_has_a_table_of_its_questions(part):
    budget = replace(study.BUDGETS["cpu"], parts=(part,), asked=(0.5, 0.9))
    rows = [
        made(
            net.part,
            net.method,
            net.sparsity,
            net.pair.split,
            50.0 + n % 7 + net.pair.split,
            size=net.size,
            source=net.pair.source,
            target=net.job.options["dataset"],
        )
        for n, net in enumerate(nets(budget))
    ]
    table = study.tables(budget, rows)[0]
    groups = {"small": 2, "datasets": 2}.get(part, 1)
    sparse = [pair for pair in QUESTIONS[part] if pair != ("dense", "fine-tune")]
    assert len(table.rows) == groups * (2 * len(sparse) + len(QUESTIONS[part]) - len(sparse))
    assert {row["pairs"] for row in table.rows} == {3}
    assert all(row["difference"] == pytest.approx(row["first"] - row["second"]) for row in table.rows)
    assert len(study.figures(budget, rows)) == (2 if part == "small" else 0)


def test_curves_are_means_over_splits():
    first = study.figures(BUDGET, by_hand())[0]
    ticket = first.series[0]
    assert (ticket.name, ticket.x, ticket.y) == ("ticket", (0, 20), (20.0, 73.0))
    assert ticket.high[1] - ticket.y[1] == pytest.approx(np.std([70, 75, 74], ddof=1))


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    Reproduction.of("transfer", "smoke").run(folder / "out", cache=folder / "cache", jobs=2, command="kt")
    return folder


@pytest.fixture(scope="module")
def rows(smoke):
    return [json.loads(line) for line in (smoke / "out" / "results.jsonl").read_text().splitlines()]


def test_a_run_has_a_row_for_every_net(rows):
    kinds = Counter((row["kind"], row.get("part"), row.get("method"), row.get("sparsity")) for row in rows)
    assert kinds == {
        ("source", None, None, None): 3,
        ("target", "main", "dense", None): 3,
        **{("target", "main", m, s): 3 for m in ("ticket", "random-reinit") for s in (0.5, 0.9)},
        ("target", "late", "dense", None): 3,
        **{("target", "late", m, 0.5): 3 for m in ("ticket", "random-reinit", "late-reset")},
    }
    assert all(row["curve"][-1][2] == pytest.approx(row["test_accuracy"]) for row in rows if "curve" in row)
    assert [iteration for iteration, *_ in rows[-1]["curve"]] == [0, 80, 160, 240]


def test_exactly_the_rounded_share_of_each_layer_goes(rows, smoke):
    shares = [row["pruned"] for row in rows if row["kind"] == "source"]
    for layers in shares:
        assert {*layers} == {
            *("conv2d/kernel", "conv2d_1/kernel", "dense/kernel", "dense_1/kernel", "dense_2/kernel")
        }
        assert all(pruned == round(total * 0.5) for total, pruned in layers.values())


def test_nets_of_a_pair_start_from_what_they_should(smoke):
    cache, budget = Cache(smoke / "cache"), study.BUDGETS["smoke"]
    pair = parted(budget, 8, 3)[1]
    source, again = (cache.ticket(pair.found(s).ticket("level-00")) for s in (0.5, 0.9))
    assert source.digest != again.digest  # they know how they were made
    for key, value in source.weights("final").items():
        np.testing.assert_array_equal(value, again.weights("final")[key])
    init = source.weights("init")
    results = Results(cache)
    for net in nets(budget):
        if net.pair.split == 1 and net.part == "main":
            start = results.ticket(net.job.ticket()).weights("init")
            same = all(np.array_equal(start[key], init[key]) for key in init)
            assert same == (net.method != "random-reinit"), net.method
            assert np.array_equal(start["dense/bias"], init["dense/bias"])


def test_tables_figures_and_notes(smoke):
    tables = {t["name"]: Table.of(t) for t in json.loads((smoke / "out" / "tables.json").read_text())}
    assert {*tables} == {
        *("table-ii-width-8", "table-iii-width-8", "ticket-against-reinit-width-8", "nets-width-8"),
        *("open-late", "sources"),
    }
    assert all("Not as published" in table.note and "widths 8" in table.note for table in tables.values())
    figures = sorted(path.name for path in (smoke / "out" / "figures").glob("*.svg"))
    assert figures == ["curves-width-8-pruned-50.svg", "curves-width-8-pruned-90.svg"]
    said = json.loads((smoke / "out" / "study.json").read_text())["notes"]
    assert any("Left out by the dial `parts`: datasets, classes" in note for note in said)
