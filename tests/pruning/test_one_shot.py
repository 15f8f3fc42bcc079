"""One-shot tickets of models that somebody else trained: masks by hand, rounds, and what is left alone."""

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets as kt
from kerastickets.callbacks import KeepMasks
from kerastickets.errors import AlignError, LayerCollapseError, RecipeError
from kerastickets.foundations.tree import kept
from kerastickets.models.masking import sparsify
from kerastickets.models.variables import assign, snapshot
from kerastickets.pruning.one_shot import winning_ticket
from kerastickets.testing import toy_ticket
from tests.helpers import nets
from tests.helpers.training import same


def pair(build=nets.plain):
    """A trained model and its copy from before, whose trained weights are the initial ones moved at random."""
    model = build()
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    draw = np.random.default_rng(0)
    assign(model, {k: v + draw.normal(size=v.shape).astype("float32") for k, v in snapshot(model).items()})
    return model, copy


def test_the_largest_trained_weights_survive_as_they_were_initially():
    model, copy = pair()
    trained, initial = snapshot(model), snapshot(copy)
    ticket = winning_ticket(model, copy, 0.3)
    # 24 * .3 = 7.2 and 18 * .3 = 5.4
    assert [row["kept"] for row in ticket.layers] == [24 - 7, 18 - 5]
    for key, mask in ticket.masks.items():
        assert np.abs(trained[key])[mask].min() > np.abs(trained[key])[~mask].max()
    assert same(dict(ticket.weights("init")), initial)
    assert same(snapshot(model), trained)
    assert same(snapshot(copy), initial)
    final = ticket.weights("final")
    for key, value in trained.items():
        np.testing.assert_array_equal(final[key], np.where(ticket.masks.get(key, True), value, 0))


def test_the_built_ticket_trains_and_keeps_its_zeros():
    model, copy = pair()
    ticket = winning_ticket(model, copy, 0.5)
    built = ticket.build()
    for key, mask in ticket.masks.items():
        np.testing.assert_array_equal(snapshot(built)[key], np.where(mask, snapshot(copy)[key], 0))
    sparsify(built, ticket.masks)
    built.compile("adam", "mse")
    built.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0, callbacks=[KeepMasks()])
    assert all(not snapshot(built)[key][~mask].any() for key, mask in ticket.masks.items())


@pytest.mark.parametrize(
    ("amount", "pruned"),
    # Of 24 and 18 weights: halves round to even, and a number is a number.
    [(0.25, (6, 4)), (0.75, (18, 14)), (0.0625, (2, 1)), (0.1, (2, 2)), (5, (5, 5)), (np.int64(1), (1, 1))],
)
def test_amounts_are_rounded_layer_by_layer_as_torch_rounds(amount, pruned):
    assert [row["total"] - row["kept"] for row in winning_ticket(*pair(), amount).layers] == [*pruned]


def test_rounds_of_a_share_reach_the_whole():
    """Half in the end, in two rounds: 1 - sqrt(.5) of what is left each; torch: 24 - 7 - 5, 18 - 5 - 4."""
    model, copy = pair()
    first = winning_ticket(model, copy, 1 - 0.5**0.5)
    again = first.build()
    assign(again, {k: v * 2 for k, v in snapshot(again).items()})  # instead of training
    second = winning_ticket(again, first, 1 - 0.5**0.5)
    assert [[row["kept"] for row in ticket.layers] for ticket in (first, second)] == [[17, 13], [12, 9]]
    assert all((second.masks[key] <= first.masks[key]).all() for key in first.masks)
    assert same(dict(second.weights("init")), snapshot(copy))
    assert second.provenance["parents"] == [first.digest]
    assert (first.provenance["level"], second.provenance["level"]) == (1, 2)


def test_pruned_weights_never_return_though_they_are_large():
    model, copy = pair()
    first = winning_ticket(model, copy, 0.5)
    second = winning_ticket(model, first, 0.5)  # not masked: what was pruned is as large as it was
    assert [row["kept"] for row in second.layers] == [6, 5]  # of 12 half, of 9 round(4.5) = 4
    assert all((second.masks[key] <= first.masks[key]).all() for key in first.masks)


def test_masks_that_the_trained_model_holds_are_respected():
    model, copy = pair()
    mask = np.arange(24).reshape(4, 6) % 2 == 0
    sparsify(model, {"dense/kernel": mask})
    ticket = winning_ticket(model, copy, 0.5)
    assert [row["kept"] for row in ticket.layers] == [6, 9]
    assert (ticket.masks["dense/kernel"] <= mask).all()
    older = winning_ticket(pair()[0], copy, 0.25)
    both = winning_ticket(model, older, 1).masks["dense/kernel"]
    assert (both <= mask).all()
    assert (both <= older.masks["dense/kernel"]).all()


def test_a_ticket_keeps_its_rewind_points_and_its_start():
    ticket = toy_ticket().replace(provenance=dict(toy_ticket().provenance) | {"start": "rewind@3"})
    model = ticket.build()
    found = winning_ticket(model, ticket, 0.5)
    assert (found.start, [*found.snapshots]) == ("rewind@3", ["init", "rewind@3", "final"])
    assert found.provenance["dataset"] == "digits"
    assert found.kept == kept(ticket.masks) - sum(round(row["kept"] * 0.5) for row in ticket.layers)


def test_patterns_choose_what_is_pruned():
    model, copy = pair()
    ticket = winning_ticket(model, copy, 0.5, include=["*/bias"], exclude=["dense_1/kernel"])
    # Biases have 6 and 3: round(1.5) = 2 are pruned.
    kept_by_key = {row["key"]: row["kept"] for row in ticket.layers}
    assert kept_by_key == {"dense/bias": 3, "dense/kernel": 12, "dense_1/bias": 1}


def test_statistics_of_normalisation_are_the_copys():
    model, copy = pair(nets.normalised)
    ticket = winning_ticket(model, copy, 0.5)
    assert sorted(ticket.masks) == ["dense/kernel", "dense_1/kernel"]
    key = "batch_normalization/moving_mean"
    np.testing.assert_array_equal(ticket.weights("init")[key], 0)
    np.testing.assert_array_equal(ticket.weights("final")[key], snapshot(model)[key])


def test_a_saved_ticket_is_like_any_other(tmp_path):
    ticket = winning_ticket(*pair(), 0.5)
    assert kt.Ticket.load(ticket.save(tmp_path / "t.safetensors")) == ticket
    assert ticket.provenance["criterion"] == "magnitude"
    assert ticket.provenance["options"] == {"amount": 0.5}
    assert kt.winning_ticket is winning_ticket


@pytest.mark.parametrize("amount", [0, 0.0, 1.0, -0.1, -1, 1.5, float("nan"), True, "0.5", None])
def test_amounts_out_of_range(amount):
    with pytest.raises(
        RecipeError, match=r"`amount` must be a fraction in \(0, 1\), or a number .* Received: amount="
    ):
        winning_ticket(*pair(), amount)


def test_more_than_a_layer_has():
    with pytest.raises(RecipeError, match=r"from 1 to the 18 of 'dense_1/kernel'\. Received: amount=19"):
        winning_ticket(*pair(), 19)
    with pytest.raises(LayerCollapseError, match="'dense_1/kernel'"):
        winning_ticket(*pair(), 18)
    assert winning_ticket(*pair(), 18, allow_collapse=True).kept == 6


def test_models_that_are_no_copies():
    model, copy = pair()
    with pytest.raises(RecipeError, match="the trained model itself"):
        winning_ticket(model, model, 0.5)
    with pytest.raises(AlignError):
        winning_ticket(model, keras.Sequential([keras.Input((4,)), layers.Dense(3)]), 0.5)
    with pytest.raises(AlignError):
        winning_ticket(model, toy_ticket(), 0.5)
    with pytest.raises(RecipeError, match="A ticket's masks say what is prunable"):
        winning_ticket(model, winning_ticket(model, copy, 0.5), 0.5, exclude=["dense"])
