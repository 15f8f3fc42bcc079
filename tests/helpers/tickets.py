"""Tickets made by hand, and at random, for the tests of operations."""

import functools

import numpy as np
from hypothesis import strategies as st

from kerastickets import Ticket, registry


def ticket(init, masks, bias=None, **provenance):
    """A ticket of float32 layers `a`, `b` ...; a layer is a list of weights and a list of what is kept.

    Args:
        init: weights, one list a layer.
        masks: what is kept, one list a layer, or None for what is not 0.
        bias: the values of a variable without a mask.
        **provenance: as it is.
    """
    weights = {f"{name}/kernel": np.array(row, "float32") for name, row in zip("abcd", init, strict=False)}
    given = [row != 0 for row in weights.values()] if masks is None else masks
    kept = {key: np.array(row, bool) for key, row in zip(weights, given, strict=True)}
    biases = {} if bias is None else {"a/bias": np.array(bias, "float32")}
    return Ticket({}, kept, {"init": weights | biases}, provenance)


def operate(name, *tickets, **options):
    """The result of a registered operation."""
    return _load(name)(**options)(*tickets)


_load = functools.cache(functools.partial(registry.load, "operations"))


def bits(tree):
    """Arrays by key as values that compare bit for bit."""
    return {key: (value.dtype.str, value.shape, value.tobytes()) for key, value in tree.items()}


# Few values, so that weights are often equal, and a kept 0 and -0 occur.
WEIGHT = st.sampled_from([0.0, -0.0, 1.0, -1.5, 0.25]) | st.floats(-1e6, 1e6, width=32)


@st.composite
def families(draw, least=2, most=4, alive=False):
    """Tickets of one model: two layers, a bias, of weights and masks of their own.

    Args:
        least: tickets at least.
        most: tickets at most.
        alive: whether every ticket keeps the first weight of every layer.
    """
    sizes = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))

    def one():
        init = [draw(st.lists(WEIGHT, min_size=size, max_size=size)) for size in sizes]
        masks = [draw(st.lists(st.booleans(), min_size=size, max_size=size)) for size in sizes]
        masks = [[True, *mask[1:]] for mask in masks] if alive else masks
        return ticket(
            init, masks, draw(st.lists(WEIGHT, min_size=2, max_size=2)), level=draw(st.integers(0, 3))
        )

    return [one() for _ in range(draw(st.integers(least, most)))]
