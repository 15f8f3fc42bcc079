"""The merging study: how many trainings it plans, that its tables say what its trials are, and one run on digits."""

import json
from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from kerastickets import Ticket, registry
from kerastickets.figures.table import Table
from kerastickets.studies.reproduce import Reproduction
from kerastickets.studies.study import Cache, Results, in_order
from kerastickets_plugins.studies import merging
from kerastickets_plugins.studies.merging.jobs import Merge, found, swept, tabled

#: A run of the whole study at its smallest takes most of a minute of processor time.
SLOW_FIXTURES = {"smoke"}

PAPER = merging.BUDGETS["paper"]


def merges(dataset, method, count):
    return [m for m in tabled(PAPER, dataset) if m.method == method and len(m.tickets) == count]


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_the_paper_budget_has_the_published_numbers_of_trials(dataset):
    counts = {(method, n): len(merges(dataset, method, n)) for method in ("dtm", "atm") for n in (2, 3, 4)}
    assert counts == {
        ("dtm", 2): 12,
        ("dtm", 3): 24,
        ("dtm", 4): 2,
        ("atm", 2): 6,
        ("atm", 3): 4,
        ("atm", 4): 1,
    }
    assert {m.tickets for m in merges(dataset, "dtm", 2)} == {*permutations(range(4), 2)}
    every = {"mnist": 7, "fashion-mnist": 5}[dataset]
    assert [m.tickets for m in merges(dataset, "atm", every)] == [tuple(range(every))]


def test_the_paper_budget_is_twelve_tickets_and_102_merges():
    assert sum(len(tabled(PAPER, dataset)) for dataset in PAPER.datasets) == 102
    jobs = in_order(merging.jobs(PAPER, Results(Cache("nowhere"))))
    assert Counter(job.verb for job in jobs)["prune"] == 12
    (options,) = {json.dumps(job.options["dials"], sort_keys=True) for job in jobs if job.verb == "prune"}
    dials = json.loads(options)
    assert (dials["train"], dials["levels"], dials["rate"], dials["scope"]) == ("20ep", 21, 0.1, "layer")
    assert (dials["batch_size"], dials["lr"], dials["epsilon"], dials["l2"]) == (60, 1.2e-3, 1e-8, 5e-5)


def test_a_sweep_goes_from_two_tickets_to_all():
    counts = [(m.method, m.level, len(m.tickets)) for m in swept(PAPER, "fashion-mnist")]
    assert counts == [
        *(("atm", 21, n) for n in (2, 3, 4, 5)),
        *(("atm", 11, n) for n in (2, 3, 4, 5)),
        *(("dtm", 21, n) for n in (2, 3, 4, 5)),
    ]


def test_merges_of_other_tickets_have_other_random_masks():
    first, second = (Merge("dtm", "digits", tickets, 3).random(PAPER) for tickets in ((0, 1), (0, 2)))
    assert first != second
    # Both shuffle the mask of ticket 0, each in its own way.
    shuffles = [job.inputs[0].job for job in (first, second)]
    assert shuffles[0].inputs[0] == shuffles[1].inputs[0]
    assert shuffles[0].options["options"] != shuffles[1].options["options"]


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"tickets": (4,)}, "one number a data set"),
        ({"used": 6}, r"`used` must be in \[2, 5\]"),
        ({"shown": (22,)}, "must be levels"),
    ],
)
def test_dials_that_contradict_each_other_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        replace(PAPER, **dials)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("merging")
    Reproduction.of("merging", "smoke").run(folder / "out", cache=folder / "cache", jobs=2, command="kt")
    return folder


@pytest.fixture(scope="module")
def rows(smoke):
    return [json.loads(line) for line in (smoke / "out" / "results.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def tables(smoke):
    made = [Table.of(facts) for facts in json.loads((smoke / "out" / "tables.json").read_text())]
    return {table.name: table for table in made}


def test_the_smoke_run_has_a_row_for_every_training(rows):
    kinds = Counter(row["kind"] for row in rows)
    assert kinds == {"single": 12, "dtm": 5, "atm": 6, "random": 9, "small-dense": 2}


def test_merged_tickets_keep_the_dominant_mask_or_the_union(smoke, rows):
    budget, cache = merging.BUDGETS["smoke"], Cache(smoke / "cache")
    tickets = [cache.ticket(found(budget, "digits", seed).ticket("level-03")) for seed in range(3)]
    masks = [ticket.masks for ticket in tickets]
    union = sum(int((masks[0][key] | masks[1][key]).sum()) for key in masks[0])
    by_name = {(row["kind"], row["name"]): row for row in rows}
    assert by_name["dtm", "dtm 0-1 of level 3"]["kept"] == tickets[0].kept
    assert by_name["atm", "atm 0-1 of level 3"]["kept"] == union
    assert by_name["random", "atm 0-1 of level 3"]["kept"] == union
    assert by_name["random", "dtm 0-1 of level 3"]["kept"] == tickets[0].kept


def test_the_first_table_is_the_mean_of_its_trials(rows, tables):
    own = [row for row in rows if row["kind"] == "single" and row["level"] == 3]
    row = tables["table-1-single"].rows[-1]
    assert row["trials"] == len(own) == 3
    assert row["best_mean"] == pytest.approx(np.mean([one["best_test_accuracy"] for one in own]))
    assert row["test_sd"] == pytest.approx(np.std([one["test_accuracy"] for one in own], ddof=1))
    assert row["c_mean"] == pytest.approx(np.mean([one["c"] for one in own if one["c"] is not None]))


def test_a_merge_is_compared_with_single_tickets_of_its_density(rows):
    singles = {(row["tickets"], row["level"]): row for row in rows if row["kind"] == "single"}
    (merged,) = [row for row in rows if row["kind"] == "dtm" and row["tickets"] == "1-0"]
    assert merged["single_accuracy"] == singles["1", 3]["test_accuracy"]
    assert merged["single_density"] == merged["density"]
    (merged,) = [row for row in rows if row["kind"] == "atm" and (row["tickets"], row["level"]) == ("0-1", 3)]
    near = [
        singles[seed, 2]["test_accuracy"] for seed in ("0", "1")
    ]  # 38 % kept: nearest are the 36 % of level 2
    assert merged["single_accuracy"] == pytest.approx(np.mean(near))


def test_random_masks_learn_digits_worse_than_merged_tickets(tables):
    row = next(r for r in tables["controls"].rows if (r["method"], r["control"]) == ("DTM", "random masks"))
    assert row["trials"] == 5
    assert row["difference"] == pytest.approx(row["merged"] - row["other"])
    assert row["difference"] > 0
    assert row["p"] <= row["p_holm"]


def test_every_table_says_what_is_less_than_published(tables):
    assert len(tables) == 9
    assert all("train 6ep (paper: 20ep)" in table.note for table in tables.values())


def test_a_merged_ticket_is_a_ticket_like_any_other(smoke):
    budget, cache = merging.BUDGETS["smoke"], Cache(smoke / "cache")
    job = Merge("atm", "digits", (0, 1), 3).trained(budget)
    ticket = cache.ticket(job.ticket())
    assert {*ticket.snapshots} == {"init", "final"}
    assert ticket.save(smoke / "again.safetensors").read_bytes() == cache.file(job.ticket()).read_bytes()
    assert Ticket.load(smoke / "again.safetensors").build().count_params() > ticket.total


def test_the_study_is_registered():
    assert registry.load("studies", "merging") is merging
