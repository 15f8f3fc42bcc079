"""Trees: frozen copies, counts, masked weights and keyed randomness."""

import subprocess
import sys

import numpy as np
import pytest

from kerastickets.foundations.tree import density, frozen, generator, integer, kept, masked, total

MASKS = {"a": np.array([[True, False], [True, True]]), "b": np.array([False, False])}


def test_frozen_refuses_writes_to_arrays_and_mapping():
    tree = frozen({"k": np.ones((2, 2))})
    with pytest.raises(ValueError, match="read-only"):
        tree["k"][0, 0] = 5
    with pytest.raises(TypeError):
        tree["other"] = np.ones(1)


def test_frozen_does_not_follow_what_it_copied():
    weights = np.zeros(3)
    tree = frozen({"k": weights})
    weights[:] = 7
    np.testing.assert_array_equal(tree["k"], [0, 0, 0])
    assert weights.flags.writeable


def test_frozen_does_not_follow_through_a_read_only_view():
    weights = np.zeros(3)
    view = weights.view()
    view.flags.writeable = False
    tree = frozen({"k": view})
    weights[:] = 7
    np.testing.assert_array_equal(tree["k"], [0, 0, 0])


def test_frozen_shares_what_is_already_frozen():
    once = frozen({"k": np.ones(3)})
    assert frozen(once)["k"] is once["k"]


def test_frozen_keeps_key_order_and_stores_c_order():
    tree = frozen({"b": np.ones(1), "a": np.asfortranarray(np.arange(6.0).reshape(2, 3))})
    assert list(tree) == ["b", "a"]
    assert tree["a"].flags.c_contiguous
    np.testing.assert_array_equal(tree["a"], [[0, 1, 2], [3, 4, 5]])


def test_counts():
    assert (kept(MASKS), total(MASKS), density(MASKS)) == (3, 6, 0.5)
    assert type(kept(MASKS)) is int


def test_where_nothing_is_prunable_nothing_is_pruned():
    assert (kept({}), total({}), density({})) == (0, 0, 1.0)


def test_masked_puts_plain_zeros_and_leaves_its_arguments_alone():
    weights = {"a": np.array([[-1.0, np.inf], [np.nan, -0.5]]), "bias": np.array([-1.0])}
    before = {key: value.copy() for key, value in weights.items()}
    masks = {"a": np.array([[False, False], [False, True]])}
    result = masked(weights, masks)
    np.testing.assert_array_equal(result["a"], [[0, 0], [0, -0.5]])
    assert not np.signbit(result["a"][0, 0])  # A product would give -0, and NaN for the infinity.
    assert result["bias"] is weights["bias"]
    for key in weights:
        np.testing.assert_array_equal(weights[key], before[key])


def test_masked_keeps_the_type():
    assert masked({"a": np.ones(2, np.float16)}, {"a": np.array([True, False])})["a"].dtype == np.float16


def test_randomness_depends_on_the_key_alone():
    assert integer("init", 0, "dense/kernel") == integer("init", 0, "dense/kernel")
    distinct = {integer(*key) for key in [("a", 1), ("a", 2), ("b", 1), ("a1",), ("a", "1")]}
    assert len(distinct) == 5
    assert all(0 <= value < 2**31 for value in distinct)
    np.testing.assert_array_equal(generator("order", 3).permutation(9), generator("order", 3).permutation(9))


def test_randomness_is_equal_in_every_process():
    code = "from kerastickets.foundations.tree import integer; print(integer('init', 0, 'dense/kernel'))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{integer('init', 0, 'dense/kernel')}\n"}
