"""A kept weight that is exactly 0 is kept: masks say what is pruned, wherever weights are counted or combined."""

import numpy as np
import pytest

from kerastickets import Ticket, compare, registry
from kerastickets.cutting.cut_scores import layers

KEY = "dense/kernel"


def ticket(weights, mask):
    weights = np.array([weights], "float32")
    return Ticket({}, {KEY: np.array([mask], bool)}, {"init": {KEY: weights}})


#: Keeps the first three weights, of which two are exactly 0; the other keeps the first and the last.
A = ticket([0.0, -0.0, 1.0, 5.0], [1, 1, 1, 0])
B = ticket([1.0, 7.0, 9.0, 0.0], [1, 0, 0, 1])


def made(name, *tickets, **options):
    return registry.create("operations", name, options)(*tickets)


def kept(of):
    return of.masks[KEY][0].tolist()


def test_they_are_counted_as_kept(tmp_path):
    assert (A.kept, A.density, layers(A.masks)[0]["kept"]) == (3, 0.75, 3)
    assert compare(A.masks, B.masks)["total"] == {
        "kept_a": 3, "kept_b": 2, "overlap": 1, "only_a": 2, "only_b": 1, "iou": 0.25,
    }  # fmt: skip
    assert kept(Ticket.load(A.save(tmp_path / "a.safetensors"))) == [True, True, True, False]


@pytest.mark.parametrize(
    ("name", "tickets", "mask"),
    [
        ("flip", (A,), [0, 0, 0, 1]),
        ("union", (A, B), [1, 1, 1, 1]),
        ("intersection", (A, B), [1, 0, 0, 0]),
        ("difference", (A, B), [0, 1, 1, 0]),
        ("dtm", (A, B), [1, 1, 1, 0]),
        ("atm", (A, B), [1, 1, 1, 1]),
        ("constant", (A,), [1, 1, 1, 0]),
    ],
)
def test_operations_go_by_masks(name, tickets, mask):
    assert kept(made(name, *tickets)) == [bool(one) for one in mask]


def test_merges_count_a_kept_zero_as_a_ticket_that_keeps():
    # The mean of 0 and 1 where both keep; of the one that keeps elsewhere, 0 included.
    assert made("atm", A, B).weights()[KEY].tolist() == [[0.5, 0.0, 1.0, 0.0]]
    assert made("dtm", A, B).weights()[KEY].tolist() == [[1.0, 0.0, 1.0, 5.0]]


def test_shuffling_and_growing_keep_as_many():
    assert made("shuffle", A, seed=3).kept == 3
    grown = made("grow", B, count=3)
    assert kept(grown)[0]
    assert kept(grown)[3]
