"""What a run reports, records and refuses, and what is left when a level goes wrong."""

import json
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.errors import AlignError, LayerCollapseError, RecipeError
from kerastickets.tickets.ticket import Ticket
from tests.helpers.training import find, noisy


@pytest.fixture(scope="module")
def late():
    """Iterative magnitude pruning with a late rewind point, from a net with statistics and noise."""
    return find(noisy, levels=3, rate=0.5, rewind_to="3it", snapshot_at=["1ep", "0it"])


def test_rows_levels_and_facts_come_as_they_are_made(working_folder):
    rows, levels = [], []
    run = find(levels=1, rate=0.5, on_row=rows.append, on_level_end=levels.append)
    assert rows == list(run.rows) == run.history()
    assert tuple(levels) == run.levels
    expected = {"level", "iteration", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert set().union(*run.history()) == expected
    facts = run.facts()
    assert facts.keys() == {
        "run",
        "levels",
        "stopped_by",
        "criterion",
        "model",
        "dataset",
        "seed",
        "versions",
    }
    assert facts["levels"][1].keys() == {
        "level",
        "kept",
        "total",
        "density",
        "early_stop_iteration",
        "stopped_iteration",
        "val_accuracy",
        "test_accuracy",
        "seconds",
        "ticket",
        "digest",
        "winning",
    }
    assert (facts["run"], facts["criterion"], facts["dataset"], facts["seed"]) == (
        None,
        "magnitude",
        "toy",
        0,
    )
    assert facts["versions"].keys() == {"kerastickets", "keras", "tensorflow", "numpy"}
    assert json.loads(json.dumps(facts)) == facts
    assert facts["levels"][1]["ticket"] == run.tickets[1].digest
    assert list(working_folder.iterdir()) == []  # without `out` nothing is written


def test_history_is_a_copy():
    run = find(levels=1, rate=0.5, no_train=True)
    run.history()[0]["level"] = "mine"
    assert run.rows[0]["level"] == 0


def test_levels_report_the_metrics_of_their_early_stop(late):
    for level, ticket in zip(late.levels, late.tickets, strict=True):
        metrics = ticket.provenance["metrics"]
        own = [row for row in late.rows if row["level"] == level.level]
        best = max(own[1:], key=lambda row: (row["val_accuracy"], -row["iteration"]))
        assert level.early_stop_iteration == best["iteration"] == metrics["early_stop_iteration"]
        assert level.val_accuracy == best["val_accuracy"]
        assert level.test_accuracy == metrics["test_accuracy"]
        assert level.seconds == own[-1]["seconds"]


def test_provenance_tells_all_but_time_and_place(late):
    provenance = late.tickets[2].provenance
    assert set(provenance) == {
        "operation",
        "criterion",
        "options",
        "level",
        "model",
        "dataset",
        "files",
        "method",
        "recipe",
        "seeds",
        "parents",
        "metrics",
        "start",
        "versions",
        "environment",
    }
    assert provenance["start"] == "rewind@3"
    assert late.tickets[0].provenance["start"] == "init"
    assert provenance["seeds"] == {"init": 0, "data": 0, "scoring": 0}
    assert provenance["parents"] == [late.tickets[1].digest]
    assert "seconds" not in json.dumps(dict(provenance))


def test_a_layer_that_would_be_emptied_is_named_and_finished_levels_are_kept(tmp_path):
    def lopsided():
        first = layers.Dense(8, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-6))
        return keras.Sequential([keras.Input((4,)), first, layers.Dense(3)])

    dials = {"target": 16, "levels": 2, "scope": "global", "lr": 1e-9}
    with pytest.raises(LayerCollapseError, match="dense/kernel"):
        find(lopsided, out=tmp_path, **dials)
    assert Ticket.load(tmp_path / "level-00.safetensors").kept == 56
    run = find(lopsided, allow_collapse=True, **dials)
    assert run.tickets[-1].kept == 16
    assert not run.tickets[-1].masks["dense/kernel"].any()


def test_a_level_that_diverges_keeps_those_before_it(tmp_path):
    def explode(level):
        rate = 1e38 if level == 1 else 0.01
        return [keras.callbacks.LearningRateScheduler(lambda epoch, lr: rate)]

    with pytest.raises(RecipeError, match=r"diverged at level 1: .* between iterations 0 and 5"):
        find(levels=2, rate=0.5, optimizer="sgd", out=tmp_path, callbacks=explode)
    assert [path.name for path in tmp_path.glob("level*")] == ["level-00.safetensors"]


@dataclass(frozen=True)
class Broken:
    kind: str = "nan"

    def __call__(self, scoring):
        whole = {key: np.ones(mask.shape) for key, mask in scoring.masks.items()}
        first = next(iter(whole))
        return {
            "nan": whole | {first: whole[first] * np.nan},
            "missing": {key: value for key, value in whole.items() if key != first},
            "shape": whole | {first: np.ones(3)},
        }[self.kind]


@pytest.mark.parametrize(
    ("kind", "error"), [("nan", RecipeError), ("missing", AlignError), ("shape", AlignError)]
)
def test_scores_that_are_no_scores_are_refused(kind, error):
    with pytest.raises(error, match="dense/kernel"):
        find(criterion=Broken(kind), levels=1, rate=0.5, between="none")


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"seed": -1}, "`seed` must be an integer of at least 0. Received: seed=-1"),
        ({"seed": True}, "`seed` must be"),
        ({"levels": 0}, "levels"),
        ({"sparsity": 1.0}, r"sparsity.*Received.*1.0"),
        ({"sparsity": -0.1}, r"sparsity.*-0.1"),
        ({"colour": 3}, "No training setting named 'colour'"),
        ({"batch_size": 41}, "batch_size=41"),
        ({"exclude": ["*"]}, "There must be a prunable weight"),
        ({"exclude": ["nothing"]}, "Received: 'nothing'. Weights: dense/kernel"),
        ({"monitor": "val_f1"}, "`monitor` must be one of val_loss, val_accuracy"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"between": "none", "rewind_to": "3it"}, "need a trained level 0"),
    ],
)
def test_dials_that_cannot_be_meant_are_refused(dials, message):
    with pytest.raises(RecipeError, match=message):
        find(**({"levels": 1, "rate": 0.5} if not {"sparsity", "levels"} & dials.keys() else {}), **dials)


def test_functions_keep_their_names_although_modules_bear_them_too():
    """Importing modules of the packages must not put a module in the place of a public function."""
    import kerastickets as kt
    import kerastickets.exporting.write
    import kerastickets.training.train_ticket
    import kerastickets.transferring.transfer_ticket

    named = (kt.prune, kt.train, kt.evaluate, kt.transfer, kt.export, kt.compact, kt.compare)
    assert [function.__name__ for function in named] == [
        "prune", "train", "evaluate", "transfer", "export", "compact", "compare"
    ]  # fmt: skip
