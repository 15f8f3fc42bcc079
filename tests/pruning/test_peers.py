"""Cutting against torch.nn.utils.prune, on weights without ties: there both must agree on every weight.

Where scores tie the two differ by design: `cut` breaks ties by key and flat index, torch by what topk does.
"""

import numpy as np
import pytest

from kerastickets.cutting.cut_scores import cut, ones
from kerastickets.foundations.tree import kept
from kerastickets.pruning.schedule import plan

torch = pytest.importorskip("torch")
prune = pytest.importorskip("torch.nn.utils.prune")

pytestmark = pytest.mark.peers

SHAPES = {"a/kernel": (3, 3, 4, 8), "b/kernel": (64, 33), "c/kernel": (33, 5)}
AMOUNTS = [0.1, 0.2, 0.25, 0.5, 0.9, 7, 0.123]


def distinct(seed):
    """Weights of random sign whose magnitudes are all different."""
    draw = np.random.default_rng(seed)
    sizes = {key: int(np.prod(shape)) for key, shape in SHAPES.items()}
    count = sum(sizes.values())
    values = (draw.permutation(count) + 1) / count * draw.choice([-1, 1], count)
    parts = np.split(values.astype(np.float32), np.cumsum(list(sizes.values()))[:-1])
    return {key: part.reshape(shape) for (key, shape), part in zip(SHAPES.items(), parts, strict=True)}


class Holder(torch.nn.Module):
    """A module with one weight: all that torch's pruning wants."""

    def __init__(self, value):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.from_numpy(value.copy()))


def magnitudes(weights):
    return {key: np.abs(value) for key, value in weights.items()}


def asked(count, amount):
    return count - (amount if isinstance(amount, int) else round(count * amount))


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("seed", range(3))
def test_l1_unstructured_layer_by_layer(seed, amount):
    weights = distinct(seed)
    counts = {key: asked(value.size, amount) for key, value in weights.items()}
    ours = cut(magnitudes(weights), counts, ones(SHAPES))
    for key, value in weights.items():
        holder = Holder(value)
        prune.l1_unstructured(holder, "weight", amount)
        np.testing.assert_array_equal(ours[key], holder.weight_mask.numpy().astype(bool), key)


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("seed", range(3))
def test_global_unstructured(seed, amount):
    weights = distinct(seed)
    holders = {key: Holder(value) for key, value in weights.items()}
    prune.global_unstructured(
        [(holder, "weight") for holder in holders.values()], prune.L1Unstructured, amount=amount
    )
    ours = cut(magnitudes(weights), asked(kept(ones(SHAPES)), amount), ones(SHAPES), allow_collapse=True)
    for key, holder in holders.items():
        np.testing.assert_array_equal(ours[key], holder.weight_mask.numpy().astype(bool), key)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.32])
@pytest.mark.parametrize("seed", range(3))
def test_iterative_layer_rates_count_as_torch_counts(seed, rate):
    """Torch prunes round(kept * rate) of what a layer still keeps, and so do `plan` and `cut`."""
    weights, masks = distinct(seed), ones(SHAPES)
    holders = {key: Holder(value) for key, value in weights.items()}
    for count in plan(masks, rate=rate, levels=5, scope="layer").counts[1:]:
        masks = cut(magnitudes(weights), count, masks)
        for key, holder in holders.items():
            prune.l1_unstructured(holder, "weight", rate)
            np.testing.assert_array_equal(masks[key], holder.weight_mask.numpy().astype(bool), key)


@pytest.mark.parametrize("amount", [0.1, 0.25, 0.5, 0.123, 4])
@pytest.mark.parametrize("rounds", [1, 3])
def test_winning_tickets_round_by_round(amount, rounds):
    """The slides' function: `l1_unstructured` on every layer of a trained net, once or several times."""
    import keras

    from kerastickets.models.variables import assign, snapshot
    from kerastickets.pruning.one_shot import winning_ticket

    layers = [
        keras.Input((8, 8, 2)),
        keras.layers.Conv2D(4, 3),
        keras.layers.Flatten(),
        keras.layers.Dense(5),
    ]
    copy = keras.Sequential(layers)
    trained = keras.models.clone_model(copy)
    start, holders = copy, {}
    for seed in range(rounds):
        draw = np.random.default_rng(seed)
        weights = {k: draw.normal(size=v.shape).astype("float32") for k, v in snapshot(trained).items()}
        assign(trained, weights)
        start = winning_ticket(trained, start, amount)
        for key, mask in start.masks.items():
            holder = holders.setdefault(key, Holder(weights[key]))
            prune.l1_unstructured(holder, "weight", amount, importance_scores=torch.from_numpy(weights[key]))
            np.testing.assert_array_equal(mask, holder.weight_mask.numpy().astype(bool), key)
