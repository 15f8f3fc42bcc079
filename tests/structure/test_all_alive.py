"""All-alive masks: hand-made nets, and outputs before and after on nets of every kind."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets import LayerCollapseError, RecipeError, Ticket, prune
from kerastickets.foundations.tree import kept
from kerastickets.models.architecture import architecture
from kerastickets.models.masking import sparsify
from kerastickets.models.variables import assign, snapshot
from kerastickets.pruning.only_alive import largest_alive
from kerastickets.structure.all_alive import alive, alive_masks
from kerastickets.structure.reachability import Structure
from kerastickets_plugins.operations.all_alive import AllAlive
from tests.helpers.structures import mlp


def of(model: keras.Model, density: float, seed: int = 0, biases: bool = True) -> Ticket:
    """A ticket of random masks, with biases that are not zero."""
    rng = np.random.default_rng(seed)
    weights = {
        key: rng.normal(size=value.shape).astype(value.dtype) for key, value in snapshot(model).items()
    }
    weights = {key: np.abs(value) if "variance" in key else value for key, value in weights.items()}
    masks = {k: rng.random(v.shape) < density for k, v in weights.items() if v.ndim > 1}
    final = weights | {key: np.where(mask, weights[key], 0) for key, mask in masks.items()}
    return Ticket(architecture(model), masks, {"init": weights, "final": final})


built: dict[str, keras.Model] = {}


def outputs(ticket: Ticket, x: np.ndarray, name: str = "final") -> np.ndarray:
    """What a snapshot computes; nets of one architecture share a model, as building takes longest."""
    name_of = json.dumps(dict(ticket.architecture))
    if name_of not in built:
        built[name_of] = ticket.build()
    model = built[name_of]
    weights = dict(ticket.weights(name))
    assign(model, weights | {key: np.where(mask, weights[key], 0) for key, mask in ticket.masks.items()})
    return np.asarray(model(x))


def perceptron(dtype: str = "float32", bias: bool = True) -> keras.Model:
    stack = [layers.Dense(9, "relu", use_bias=bias, dtype=dtype) for _ in range(3)]
    return keras.Sequential([keras.Input((5,), dtype=dtype), *stack, layers.Dense(3, dtype=dtype)])


def test_a_zombie_s_constant_goes_into_the_next_bias():
    # Hidden 1 hears of nothing: relu(2) times weight 3 is added to output 0 for ever; hidden 0 leads nowhere.
    ticket = mlp([[1, 0, 1]], [[0, 0], [1, 0], [1, 0]])
    init = dict(ticket.weights()) | {"dense/bias": np.array([5, 2, 0], "float32")}
    init["dense_1/kernel"] = np.full((3, 2), 3, "float32")
    init["dense_1/bias"] = np.array([1, -1], "float32")
    masks, snapshots = alive(ticket.replace(snapshots={"init": init}))
    assert masks["dense/kernel"].tolist() == [[False, False, True]]
    assert masks["dense_1/kernel"].tolist() == [[False, False], [False, False], [True, False]]
    assert snapshots["init"]["dense_1/bias"].tolist() == [7, -1]
    assert snapshots["init"]["dense/bias"].tolist() == [5, 2, 0]


def test_a_negative_constant_is_nothing_after_relu():
    ticket = mlp([[0, 1]], [[1], [1]])
    init = dict(ticket.weights()) | {"dense/bias": np.array([-2, 0], "float32")}
    _, snapshots = alive(ticket.replace(snapshots={"init": init}))
    assert snapshots["init"]["dense_1/bias"].tolist() == [0]


@pytest.mark.parametrize("density", [0.5, 0.2, 0.08])
@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-6), ("float64", 1e-12)])
def test_a_perceptron_computes_the_same_and_all_that_is_left_is_active(density, dtype, close):
    x = np.random.default_rng(1).normal(size=(64, 5)).astype(dtype)
    for seed in range(8):
        ticket = of(perceptron(dtype), density, seed)
        smaller = AllAlive(allow_collapse=True)(ticket)
        facts = Structure.of(smaller).facts()["totals"]
        assert facts["inactive"] == facts["zombie"] == 0
        assert smaller.kept == Structure.of(ticket).facts()["totals"]["active"]
        for name in ("init", "final"):
            before, after = outputs(ticket, x, name), outputs(smaller, x, name)
            assert np.abs(before - after).max() <= close * np.abs(before).max()


def test_inactive_weights_alone_change_no_bit():
    x = np.random.default_rng(1).normal(size=(64, 5)).astype("float32")
    ticket = of(perceptron(), 0.4)
    masks = {key: np.array(mask) for key, mask in ticket.masks.items()}
    masks["dense_1/kernel"][:, 2] = masks["dense_2/kernel"][2] = masks["dense_3/kernel"][4] = True
    masks["dense_3/kernel"][4] = False  # neuron 4 of the third layer leads nowhere
    masks["dense/kernel"][0] = masks["dense_1/kernel"][0] = True
    ticket = ticket.replace(masks=masks, snapshots={"init": ticket.weights()})
    smaller = AllAlive()(ticket)
    assert smaller.kept < ticket.kept
    assert np.array_equal(outputs(ticket, x, "init"), outputs(smaller, x, "init"))


def test_a_layer_without_bias_keeps_its_zombies():
    ticket = of(perceptron(bias=False), 0.15)
    before, after = Structure.of(ticket).facts()["totals"], Structure.of(AllAlive(True)(ticket)).facts()
    assert before["inactive"] > 0
    assert after["totals"]["inactive"] == 0
    x = np.random.default_rng(1).normal(size=(64, 5)).astype("float32")
    assert np.allclose(outputs(ticket, x), outputs(AllAlive(True)(ticket), x), rtol=1e-6)


def test_convolutions_with_normalisation_and_a_shortcut():
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same")(image)
    y = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.Conv2D(4, 3, padding="same")(y)
    x = layers.Flatten()(layers.Add()([x, y]))
    model = keras.Model(image, layers.Dense(3)(layers.Dense(5, "tanh")(x)))
    data = np.random.default_rng(1).normal(size=(16, 6, 6, 2)).astype("float32")
    for density in (0.3, 0.05, 0.01):
        ticket = of(model, density)
        smaller = AllAlive(True)(ticket)
        assert Structure.of(smaller).facts()["totals"]["inactive"] == 0
        before, after = outputs(ticket, data), outputs(smaller, data)
        assert np.abs(before - after).max() <= 1e-5 * np.abs(before).max()


def test_a_layer_that_is_called_twice_keeps_what_two_constants_meet():
    shared = layers.Dense(4, "relu")
    one, other = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([one, other], layers.Dense(2)(layers.Add()([shared(one), shared(other)])))
    sparsify(model)
    ticket = of(model, 0.3)
    smaller = AllAlive(True)(ticket)
    x = [np.random.default_rng(n).normal(size=(9, 3)).astype("float32") for n in range(2)]
    assert np.allclose(outputs(ticket, x), outputs(smaller, x), rtol=1e-5, atol=1e-6)


def test_a_masked_bias_takes_nothing():
    ticket = mlp([[0, 1]], [[1], [1]])
    init = dict(ticket.weights()) | {"dense/bias": np.array([2, 0], "float32")}
    masks = dict(ticket.masks) | {"dense_1/bias": np.array([False])}
    reduced, snapshots = alive(ticket.replace(masks=masks, snapshots={"init": init}))
    assert reduced["dense_1/kernel"].tolist() == [[True], [True]]
    assert snapshots["init"]["dense_1/bias"].tolist() == [0]


def test_a_net_that_is_cut_through_collapses_only_when_allowed():
    ticket = mlp([[1, 0]], [[0], [1]])
    with pytest.raises(LayerCollapseError, match="all-alive would leave none"):
        AllAlive()(ticket)
    assert AllAlive(allow_collapse=True)(ticket).kept == 0


def test_the_largest_cut_whose_alive_weights_fit():
    ticket = of(perceptron(), 1.0)
    scores = {key: np.random.default_rng(3).random(mask.shape) for key, mask in ticket.masks.items()}

    def cut_to(count: int) -> dict[str, np.ndarray]:
        border = np.sort(np.concatenate([own.ravel() for own in scores.values()]))[-count]
        return {key: own >= border for key, own in scores.items()}

    def alive_of(count: int) -> int:
        return kept(alive_masks(ticket.replace(masks=cut_to(count), snapshots={"init": ticket.weights()})))

    counts = [alive_of(count) for count in range(1, ticket.total + 1)]
    for target in (5, 20, 40, 100):
        found = largest_alive(ticket, cut_to, target, ticket.kept)
        best = max(count for count in counts if count <= target)
        assert kept(found.masks) == found.facts["alive"] == best
        assert found.facts["shortfall"] == target - best
        assert counts[found.facts["cut_to"] - 1] == best


def test_pruning_spends_what_the_dead_free():
    dials = {
        "levels": 4,
        "rate": 0.6,
        "scope": "global",
        "train": "1ep",
        "allow_collapse": True,
        "jit": "off",
    }
    usual = prune("mlp:12-12", "digits", seed=1, **dials)
    spent = prune("mlp:12-12", "digits", seed=1, all_alive=True, **dials)
    targets = [ticket.kept for ticket in usual.tickets]
    assert spent.tickets[0].kept == targets[0]
    for level in range(1, 5):
        ticket, said = spent.tickets[level], spent.tickets[level].provenance["all_alive"]
        facts = Structure.of(ticket).facts()["totals"]
        assert facts["inactive"] == facts["zombie"] == 0
        assert ticket.kept == facts["active"] == said["alive"] <= targets[level] == said["target"]
        assert said["shortfall"] == said["target"] - said["alive"]
        # It keeps more alive than the usual cut does, and nothing that its parent had pruned.
        assert said["cut_to"] >= said["target"]
        before = spent.tickets[level - 1].masks
        assert all((mask <= before[key]).all() for key, mask in ticket.masks.items())
    assert spent.tickets[4].kept > Structure.of(usual.tickets[4]).facts()["totals"]["active"]
    assert "all_alive" not in usual.tickets[1].provenance


def test_all_alive_needs_one_ranking_of_all_weights():
    with pytest.raises(RecipeError, match="needs scope global"):
        prune("mlp:4", "digits", levels=1, rate=0.5, all_alive=True, scope="layer")


def test_a_transposed_convolution_of_as_many_inputs_as_outputs():
    # Outputs come before inputs in its kernel, which its shape does not show.
    stack = [layers.Conv2DTranspose(3, 2), layers.Conv2D(2, 1), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((4, 4, 3)), *stack])
    ticket = of(model, 1.0)
    masks = {key: np.array(mask) for key, mask in ticket.masks.items()}
    masks["conv2d/kernel"][:, :, 1] = False  # channel 1 of the transposed convolution leads nowhere
    ticket = ticket.replace(masks=masks, snapshots={"init": ticket.weights()})
    smaller = AllAlive()(ticket).masks["conv2d_transpose/kernel"]
    assert not smaller[:, :, 1].any()
    assert smaller[:, :, [0, 2]].all()
    x = np.random.default_rng(1).normal(size=(5, 4, 4, 3)).astype("float32")
    assert np.array_equal(outputs(ticket, x, "init"), outputs(AllAlive()(ticket), x, "init"))
