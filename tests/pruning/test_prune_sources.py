"""Where a run starts from: models of every kind, files, and tickets."""

import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.errors import AlignError, RecipeError
from kerastickets.models.initial_weights import fresh
from kerastickets.models.variables import snapshot
from kerastickets.pruning.prune_model import prune
from kerastickets.training.train_ticket import train
from tests.helpers.training import DIALS, data, doubled, find, noisy, piped, plain, same


def test_a_model_of_ones_own_is_not_touched():
    model = fresh(noisy, 5)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    before, optimizer = snapshot(model), model.optimizer
    run = prune(model, data(), levels=1, rate=0.5, train="1ep", batch_size=8, jit="off")
    assert same(snapshot(model), before)
    assert model.optimizer is optimizer
    assert int(optimizer.iterations.numpy()) == 0
    assert not any(getattr(v, "constraint", None) for v in model.variables)
    assert all(v.trainable for v in model.trainable_variables)
    assert same(run.tickets[0].weights("init"), before)  # its weights are the initial ones
    model.layers[0].kernel.assign(model.layers[0].kernel * 0)
    assert run.tickets[0].weights("init")["dense/kernel"].any()


def test_equal_models_give_equal_tickets_whatever_keras_named_them():
    weights = fresh(plain, 5).get_weights()
    digests = set()
    for _ in range(2):
        model = plain()
        model.set_weights(weights)
        run = find(model, levels=1, rate=0.5)
        digests.add(run.tickets[-1].digest)
        assert run.head["model"] == "sequential"
    assert len(digests) == 1
    assert find(plain, levels=1, rate=0.5).head["model"] == "plain"


def test_a_compiled_model_brings_its_optimizer_and_its_loss():
    model = plain()
    model.compile(keras.optimizers.SGD(0.125, momentum=0.5), keras.losses.SparseCategoricalCrossentropy(True))
    run = prune(model, data(), levels=1, rate=0.5, train="1ep", batch_size=8, jit="off")
    recipe = run.tickets[1].provenance["recipe"]
    assert recipe["optimizer"]["class_name"] == "SGD"
    assert recipe["optimizer"]["config"]["learning_rate"] == 0.125
    # A ticket carries that optimizer as JSON, and the next run or training takes it from there.
    on = prune(None, data(), start=run.tickets[1], levels=1, rate=0.5)
    assert on.tickets[1].provenance["recipe"] == recipe


def test_another_optimizer_leaves_the_dials_of_the_models_own_behind():
    run = prune("mlp:4", "digits", levels=1, rate=0.5, train="1ep", optimizer="sgd", jit="off")
    recipe = run.tickets[0].provenance["recipe"]
    assert (recipe["optimizer"], recipe["lr"], recipe["epsilon"], recipe["batch_size"]) == (
        "sgd",
        None,
        None,
        64,
    )


def test_a_model_file_is_recorded_by_name_and_content(tmp_path):
    model = fresh(plain, 3)
    model.save(tmp_path / "net.keras")
    run = find(str(tmp_path / "net.keras"), levels=1, rate=0.5)
    assert run.head["model"] == "net.keras"
    assert list(run.tickets[0].provenance["files"]) == ["net.keras"]
    assert same(run.tickets[0].weights(), snapshot(model))
    assert str(tmp_path) not in json.dumps(run.tickets[0].facts())


@pytest.fixture(scope="module")
def ticket():
    """A quarter of a net with statistics and noise, as a run with a late rewind point left it."""
    return find(noisy, levels=2, rate=0.5, rewind_to="3it").tickets[2]


def test_a_run_continues_from_a_tickets_mask_and_initial_weights(ticket):
    run = prune(None, data(), start=ticket, levels=1, rate=0.5)
    assert [one.kept for one in run.tickets] == [14, 7]
    assert same(run.tickets[0].masks, ticket.masks)
    assert same(run.tickets[0].weights("init"), ticket.weights("init"))
    assert list(run.tickets[0].snapshots) == ["init", "final"]
    assert run.tickets[0].provenance["parents"] == [ticket.digest]
    assert run.tickets[1].provenance["parents"] == [run.tickets[0].digest]
    assert run.tickets[0].provenance["recipe"] == ticket.provenance["recipe"]
    assert [one.provenance["level"] for one in run.tickets] == [0, 1]


@pytest.mark.parametrize(
    "dials", [{"exclude": ["dense"], "rate": 0.5}, {"rate": {"*": 0.5, "dense/kernel": 0.0}}]
)
def test_what_a_run_leaves_alone_stays_as_the_ticket_pruned_it(ticket, dials):
    run = prune(None, data(), start=ticket, levels=1, no_train=True, **dials)
    assert [one.kept for one in run.tickets] == [8 + 6, 8 + 3]
    assert np.array_equal(run.tickets[1].masks["dense/kernel"], ticket.masks["dense/kernel"])


def test_a_ticket_on_disk_and_another_model(ticket, tmp_path):
    run = find(noisy, start=ticket.save(tmp_path / "t.safetensors"), levels=1, rate=0.5, no_train=True)
    assert run.tickets[0].provenance["parents"] == [ticket.digest]
    with pytest.raises(AlignError, match="batch_normalization"):
        prune(plain, data(), start=ticket, levels=1, rate=0.5)


def test_a_strangers_ticket_imports_nothing(ticket, tmp_path, monkeypatch):
    (tmp_path / "strange.py").write_text("raise SystemExit('ran')\n")
    monkeypatch.syspath_prepend(tmp_path)
    theirs = ticket.replace(provenance={"model": "strange:build", "recipe": {"rank": 3, "lr": 0.5}})
    run = prune(None, data(), start=theirs, levels=1, rate=0.5, batch_size=8, train="1ep")
    assert run.tickets[0].provenance["recipe"]["lr"] == 0.5


def test_every_second_build_of_a_function_gives_the_same_tickets():
    one, two, other = (find(noisy, levels=1, rate=0.5, seed=seed).tickets[1] for seed in (0, 0, 1))
    assert one == two
    assert one != other


def test_something_to_prune_must_be_given():
    with pytest.raises(RecipeError, match="Give a model, or a ticket to continue from"):
        prune(None, data())
    with pytest.raises(RecipeError, match=r"A model must be a name.* Received: 3"):
        prune(3, data())
    with pytest.raises(RecipeError, match=r"must return a keras.Model. Received: int"):
        prune(lambda: 3, data())


def test_a_subclassed_model_with_its_own_train_step_is_pruned_as_a_function():
    run = find(doubled, levels=1, rate=0.5)
    assert [ticket.kept for ticket in run.tickets] == [56, 28]
    assert run.tickets[1].architecture == {}
    assert [ticket.weights("final")["steps"] for ticket in run.tickets] == [
        10,
        10,
    ]  # it ran, from 0 each level


@pytest.mark.slow
def test_a_pipeline_is_pruned_on_and_continues(tmp_path):
    dials = DIALS | {"rate": 0.5, "rewind_to": "3it"}
    prune(noisy, piped(), levels=1, out=tmp_path, **dials)
    continued = prune(noisy, piped(), levels=2, out=tmp_path, **dials)
    whole = prune(noisy, piped(), levels=2, **dials)
    assert continued.tickets == whole.tickets


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_half_precision_is_pruned_and_trained_again(policy):
    def half():
        first = layers.Dense(8, activation="tanh", dtype=policy)
        return keras.Sequential([keras.Input((4,)), first, layers.Dense(3, dtype=policy)])

    found = find(half, levels=1, rate=0.5).tickets[1]
    assert found.kept == 28
    assert found.weights("final")["dense/kernel"].dtype == np.float32
    assert same(train(found, data()).ticket.weights("final"), found.weights("final"))


_DRY = """
import sys
import warnings
from kerastickets.errors import KerasTicketsError
from kerastickets.pruning.job import PruneJob
PruneJob.of("mlp:8", "digits", "snip:batches=2", dials={"sparsity": 0.9, "train": "500it", "lr": 0.1})
bad = [("mlp", "magnitud", {}), ("mpl", "snip", {}), ("mlp", "snip", {"sparsity": 1.0}), ("mlp", "snip", {"levels": 0}),
       ("mlp", "snip", {"train": "5"}), ("gone.keras", "snip", {}), ("mlp", "snip", {"lr": -1.0}),
       ("mlp", "snip", {"x": 1})]
for model, criterion, dials in bad:
    try:
        PruneJob.of(model, "digits", criterion, dials=dials)
    except KerasTicketsError as error:
        print(type(error).__name__)
print(sorted({"tensorflow", "keras", "sklearn"} & sys.modules.keys()))
"""


def test_mistakes_are_found_before_tensorflow_is_imported():
    done = subprocess.run([sys.executable, "-c", _DRY], capture_output=True, text=True, check=True)
    *names, loaded = done.stdout.split("\n")[:-1]
    assert names == ["PluginError"] * 2 + ["RecipeError"] * 6
    assert loaded == "[]"


def test_zeros_without_masks_are_told():

    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(4), keras.layers.Dense(10)])
    kernel = rng.normal(size=(64, 4))
    kernel[:20] = 0
    model.layers[0].kernel.assign(kernel)
    model.layers[1].kernel.assign(np.zeros((4, 10)))  # a layer may begin with zeros

    flat = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *model.layers])
    with pytest.warns(RuntimeWarning, match="80 of the 296 prunable weights are exactly zero, and no mask"):
        prune(flat, "digits", levels=1, train="1it", eval_every="1it")
    kernel[:60] = 1
    model.layers[0].kernel.assign(kernel)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        prune(flat, "digits", levels=1, train="1it", eval_every="1it")
