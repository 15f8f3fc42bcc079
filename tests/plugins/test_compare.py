"""Criteria beside each other: equal counts and initial weights, and the passes that finding a mask took."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kerastickets.studies.reproduce import Reproduction
from kerastickets.studies.study import Cache
from kerastickets_plugins.studies import compare
from kerastickets_plugins.studies.compare import dense, found

DIALS = {
    "criteria": ("magnitude", "snip:batches=2", "iterative-snip"),
    "sparsities": (0.2, 0.5),
    "seeds": 2,
    "model": "mlp:8",
    "train": "2ep",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    Reproduction.of("compare", "default", DIALS).run(folder / "out", cache=folder / "cache", jobs=1)
    return folder


@pytest.fixture(scope="module")
def rows(done):
    return [json.loads(line) for line in (done / "out" / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_nets_of_one_sparsity_keep_equally_many_weights(rows):
    kept = {(row["sparsity"], row["kept"]) for row in rows}
    assert kept == {(0.0, 592), (0.2, 474), (0.5, 296)}  # rint(592 * 0.8), 592 / 2
    assert len(rows) == 2 * (1 + 3 * 2)


@pytest.mark.slow
def test_passes_are_training_steps_before_the_last_cut_and_batches_scored(rows):
    # Two epochs of 18 steps a level; 20 % need one level, 50 % four (0.8 ** 3 is still above a half).
    passes = {(row["criterion"], row["sparsity"]): row["passes"] for row in rows}
    assert passes == {
        ("dense", 0.0): 0,
        ("magnitude", 0.2): 36,
        ("magnitude", 0.5): 4 * 36,
        ("snip:batches=2", 0.2): 2,
        ("snip:batches=2", 0.5): 2,
        ("iterative-snip", 0.2): 5,
        ("iterative-snip", 0.5): 5,
    }


@pytest.mark.slow
def test_nets_of_a_seed_start_from_the_same_weights(done):
    cache, budget = Cache(done / "cache"), replace(compare.BUDGETS["default"], **DIALS)
    jobs = [dense(budget, 1), *(found(budget, name, 0.5, 1) for name in DIALS["criteria"])]
    inits = [cache.ticket(job.ticket("level-00")).weights("init")["dense/kernel"] for job in jobs]
    assert all(np.array_equal(init, inits[0]) for init in inits)


@pytest.mark.slow
def test_the_table_is_of_means_over_seeds(done, rows):
    (table,) = json.loads((done / "out" / "tables.json").read_text())
    row = next(r for r in table["rows"] if (r["criterion"], r["kept"]) == ("magnitude", 296))
    own = [r["test_accuracy"] for r in rows if (r["criterion"], r["sparsity"]) == ("magnitude", 0.5)]
    assert row["test"] == pytest.approx(np.mean(own))
    assert row["seeds"] == 2
    assert row["winning"] in (0, 1, 2)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"criteria": ()}, "different criteria"),
        ({"criteria": ("snip", "snip")}, "different criteria"),
        ({"sparsities": (0.5, 1.0)}, r"in \(0, 1\)"),
        ({"seeds": 0}, "at least 1"),
    ],
)
def test_dials_out_of_range_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        replace(compare.BUDGETS["default"], **dials)
