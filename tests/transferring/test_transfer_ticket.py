"""Carrying tickets to another task: phases, batches, frozen layers, and what is refused."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.errors import RecipeError, TicketError
from kerastickets.foundations.duration import Duration
from kerastickets.foundations.tree import generator
from kerastickets.models.architecture import faithful_architecture
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import snapshot
from kerastickets.studies.job_kinds import VERBS
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.engine import Engine
from kerastickets.training.train_ticket import train
from kerastickets.training.trainer_cache import TrainerCache
from kerastickets.transferring.protocol import Phase
from kerastickets.transferring.transfer_ticket import (
    main_duration,
    needed_snapshot,
    phase_durations,
    transfer,
)
from tests.helpers.training import find, flattened, noisy, pictures, plain, same


def target(classes=3, count=40):
    """Another task on the inputs of `tests.helpers.training.data`: five steps of eight an epoch."""
    x = generator("target", count).normal(size=(count, 4)).astype("float32")
    y = np.arange(count) % classes
    x[np.arange(count), y + 1] += 2
    splits = (x, y), (x[:17], y[:17]), (x[17:], y[17:])
    return Data("other", *splits, CROSS_ENTROPY, ("accuracy",), classes=classes)


@pytest.fixture(scope="module")
def levels():
    """A dense net and half of it, both trained, with the weights of step 3."""
    return find(plain, levels=1, rate=0.5, snapshot_at=["3it"]).tickets


@pytest.fixture(scope="module")
def shop():
    return TrainerCache()


@pytest.fixture(scope="module")
def other():
    return target()


def test_a_dense_mask_is_training_the_sources_init_on_the_target(levels, shop, other):
    scratch = find_on(other)
    dense = levels[0]
    assert same(dense.weights("init"), scratch.weights("init"))
    moved = transfer("ticket", dense, other, trainers=shop)
    assert same(moved.ticket.weights("final"), scratch.weights("final"))
    assert moved.metrics == scratch.provenance["metrics"]
    baseline = transfer("dense", levels[1], other, trainers=shop)
    assert same(baseline.ticket.weights("final"), scratch.weights("final"))


def find_on(data):
    """The dense net of `levels`, trained on other data from the start."""
    from kerastickets.pruning.prune_model import prune

    dials = {"train": "2ep", "batch_size": 8, "jit": "off", "lr": 0.01}
    return prune(plain, data, levels=1, rate=0.5, **dials).tickets[0]


def test_what_a_transferred_ticket_says_of_itself(levels, shop, other):
    half = levels[1]
    seen = []
    moved = transfer("ticket", half, other, trainers=shop, seed=4, on_row=seen.append)
    provenance = moved.ticket.provenance
    assert provenance["operation"] == "transfer"
    assert provenance["options"] == {"protocol": "ticket", "adapt": None}
    assert (provenance["source"], provenance["dataset"]) == ("toy", "other")
    assert provenance["parents"] == [half.digest]
    assert provenance["recipe"] == half.provenance["recipe"]
    assert provenance["seeds"]["data"] == 4
    assert provenance["phases"] == [{"frozen": 0, "start": "init", "duration": "2ep"}]
    assert [*moved.ticket.snapshots] == ["init", "final"]
    assert same(moved.ticket.masks, half.masks)
    assert same(moved.ticket.weights("init"), half.weights("init"))
    assert seen == list(moved.rows)
    facts = moved.facts()
    assert list(facts) == [
        *("protocol", "source", "target", "train_size", "val_accuracy", "test_accuracy"),
        *("early_stop_iteration", "curve"),
    ]
    assert [point[0] for point in facts["curve"]] == [0, 5, 10]
    assert facts["train_size"] == 40
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.slow
def test_every_protocol_sees_the_same_batches_in_the_same_order(levels, shop, other, monkeypatch):
    stretches = []
    real = Engine.train

    def recorded(self, seed, first, count, *, resume=False):
        stretches.append((id(self.data), seed, first, count))
        return real(self, seed, first, count, resume=resume)

    monkeypatch.setattr(Engine, "train", recorded)
    seen = {}
    for protocol in (
        "ticket",
        "random-reinit",
        "dense",
        "late-reset",
        "fine-tune",
        "frozen-then-all:head=same",
    ):
        stretches.clear()
        transfer(protocol, levels[1], other, trainers=shop, seed=2)
        seen[protocol] = [
            (data, seed, step) for data, seed, first, n in stretches for step in range(first, first + n)
        ]
    assert [step for *_, step in seen["ticket"]] == [*range(10)]
    assert all(batches == seen["ticket"] for batches in seen.values())


def test_late_reset_starts_from_step_k_at_step_zero(levels, shop, other):
    moved = transfer("late-reset", levels[1], other, trainers=shop)
    assert same(moved.ticket.weights("init"), levels[1].weights("rewind@3"))
    assert [row["iteration"] for row in moved.rows] == [0, 5, 10]


@pytest.mark.slow
def test_frozen_layers_and_their_statistics_do_not_move(other):
    half = find(noisy, levels=1, rate=0.5).tickets[1]
    moved = transfer("frozen", half, other)
    before, after = half.weights("final"), moved.ticket.weights("final")
    head = {"dense_1/kernel", "dense_1/bias"}
    assert "batch_normalization/moving_mean" in before.keys() - head
    for key in before.keys() - head:
        assert np.array_equal(before[key], after[key]), key
    assert not np.array_equal(moved.ticket.weights("init")["dense_1/kernel"], after["dense_1/kernel"])
    assert moved.phases[0]["frozen"] == 6
    # In inference mode the first rows of training and measuring agree where nothing below trains.
    assert (after["dense/kernel"][~half.masks["dense/kernel"]] == 0).all()


def test_frozen_first_then_all(levels, other):
    moved = transfer("frozen-then-all:head=same", levels[1], other)
    assert [(row["phase"], row["iteration"]) for row in moved.rows] == [(0, 0), (0, 5), (1, 5), (1, 10)]
    assert [phase["frozen"] for phase in moved.phases] == [2, 0]
    first = moved.ticket.weights("init")  # where the second phase began
    assert same(pick(first, "dense/"), pick(levels[1].weights("final"), "dense/"))
    assert not same(pick(moved.ticket.weights("final"), "dense/"), pick(first, "dense/"))


def pick(tree, prefix):
    return {key: value for key, value in tree.items() if key.startswith(prefix)}


@dataclass(frozen=True)
class Weighed:
    """A protocol of somebody else's: another loss, weights held by exact keys, no answers wanted."""

    def __call__(self, ticket, target, seed):
        loss = {"class_name": "CategoricalHinge", "config": {}}
        return iter([Phase(ticket, ("dense/bias",), Duration(3, "it"), "final", loss=loss)])


def test_a_phase_may_have_its_own_loss(levels):
    hot = target()
    hot = Data("hot", *((x, np.eye(3)[y]) for x, y in (hot.train, hot.validation, hot.test)), "mse", (), None)
    moved = transfer(Weighed(), levels[1], hot, monitor="val_loss")
    assert moved.ticket.provenance["options"]["protocol"] == "weighed"
    assert moved.rows[-1]["iteration"] == 3
    w = moved.ticket.weights("init")
    x, y = hot.validation
    out = np.tanh(x @ w["dense/kernel"] + w["dense/bias"]) @ w["dense_1/kernel"] + w["dense_1/bias"]
    hinge = np.maximum(0, (out * (1 - y)).max(1) - (out * y).sum(1) + 1)
    assert moved.rows[0]["val_loss"] == pytest.approx(hinge.mean(), abs=1e-5)
    assert np.array_equal(moved.ticket.weights("final")["dense/bias"], w["dense/bias"])


def test_few_examples_of_the_target(levels, other):
    """As `train` chooses them; the part that the source was found on is not inherited."""
    moved = transfer("ticket", levels[1], other, train_size=16)
    assert moved.train_size == 16
    expected = train(levels[1], other, start="init", train_size=16)
    assert same(moved.ticket.weights("final"), expected.ticket.weights("final"))
    small = levels[1].replace(
        provenance=dict(levels[1].provenance)
        | {"recipe": dict(levels[1].provenance["recipe"]) | {"train_size": 16}}
    )
    assert transfer("ticket", small, other, train="1it").train_size == 40


def test_a_job_of_a_study(levels, shop, other, tmp_path):
    options = {"protocol": "new-head", "options": {"density": "layer"}, "dataset": other, "seed": 0}
    given = options | {"dials": {"train": "1ep"}, "watch": []}
    facts = VERBS["transfer"](given, [levels[1]], tmp_path, shop, lambda kind, content: None)
    assert facts.keys() == {
        "protocol", "source", "target", "train_size", "metrics", "rows", "phases", "kept", "total", "density",
        "layers", "digest",
    }  # fmt: skip
    assert (facts["protocol"], facts["source"], facts["target"]) == ("new-head", "toy", "other")
    assert facts["phases"][0]["metrics"] == facts["metrics"]
    assert facts["kept"] == levels[1].kept
    assert Ticket.load(tmp_path / "ticket.safetensors").digest == facts["digest"]


def test_other_outputs_need_a_new_head(levels, shop):
    with pytest.raises(RecipeError, match=r"the 2 outputs of other. Received: a ticket with 3. .* new-head"):
        transfer("ticket", levels[1], target(2), trainers=shop)
    with pytest.raises(RecipeError, match="new-head"):
        transfer("dense:head=same", levels[1], target(2), trainers=shop)


def untrained(model):
    """A ticket that keeps every weight of a model."""
    masks = {entry.key: np.ones(entry.shape, bool) for entry in weight_reports(model) if entry.masked}
    return Ticket(faithful_architecture(model), masks, {"init": snapshot(model)})


def test_other_inputs_need_to_be_adapted(levels, shop):
    with pytest.raises(RecipeError, match=r"must be \(4,\), .* Received: \(2, 2, 1\). No adaptation"):
        transfer("ticket", levels[1], pictures(), trainers=shop)
    found, large = untrained(flattened()), pictures()
    splits = ((np.repeat(x, 3, -1), y) for x, y in (large.train, large.validation, large.test))
    coloured = Data("coloured", *splits, CROSS_ENTROPY, ("accuracy",), classes=3)
    with pytest.raises(RecipeError, match="Use --adapt gray"):
        transfer("ticket", found, coloured)
    one = transfer("ticket", found, coloured, adapt="gray", train="1it", batch_size=8, jit="off")
    two = transfer("ticket", found, large, train="1it", batch_size=8, jit="off")
    assert one.rows[0]["val_loss"] == pytest.approx(two.rows[0]["val_loss"], abs=1e-5)
    assert one.ticket.provenance["options"]["adapt"] == "gray"


def test_what_a_ticket_lacks_is_named(levels, shop, other):
    bare = levels[1].replace(snapshots={"init": levels[1].weights()})
    with pytest.raises(TicketError, match=r"fine-tune starts from the weights final. .*`kt train`"):
        transfer("fine-tune", bare, other, trainers=shop)
    with pytest.raises(TicketError, match=r"late-reset starts from the weights rewind@K. .* --snapshot-at"):
        transfer("late-reset", bare, other, trainers=shop)
    with pytest.raises(TicketError, match="must have an architecture"):
        transfer("ticket", levels[1].replace(architecture={}), other, trainers=shop)


def test_a_protocol_without_a_phase_is_refused(levels, other):
    with pytest.raises(RecipeError, match="at least one phase"):
        transfer(lambda ticket, target, seed: iter(()), levels[1], other)


def test_parts_of_a_training(levels, other):
    assert str(main_duration(levels[0])) == "2ep"
    assert [part.count for part in phase_durations(levels[0], other, 1, 1, 1)] == [3, 4, 3]
    with pytest.raises(RecipeError, match=r"12 phases .* train=2ep, 10 iterations"):
        phase_durations(levels[0], other, *[1] * 12)
    assert needed_snapshot(levels[0], "init", Weighed()) == "init"
