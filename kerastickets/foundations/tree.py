"""Trees: `dict[str, np.ndarray]`, the one shape in which masks, scores and weights travel.

Masks and scores share the prunable keys; weight Trees hold all variables. Every function here is pure.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

Tree = Mapping[str, np.ndarray]


def frozen(tree: Tree) -> Tree:
    """A read-only copy of `tree`: the mapping and every array in it.

    Arrays that already own read-only memory are shared, not copied, so that tickets of one run
    hold one copy of their initial weights.

    Args:
        tree: arrays of any shape by key.

    Returns:
        A mapping with the same keys in the same order, whose arrays refuse writes.

    Example:
        >>> kept = frozen({"dense/kernel": np.ones((2, 2), bool)})
        >>> kept["dense/kernel"].flags.writeable
        False
    """
    return MappingProxyType({key: _frozen_array(value) for key, value in tree.items()})


def _frozen_array(value: np.ndarray) -> np.ndarray:
    array = np.asarray(value)
    # A read-only view of somebody's writable array could still change under us: only owners are shared.
    if not array.flags.writeable and array.flags.owndata and array.flags.c_contiguous:
        return array
    array = np.array(array, order="C", copy=True)
    array.flags.writeable = False
    return array


def sealed(array: np.ndarray) -> np.ndarray:
    """`array` itself, made read-only: for whoever has just made it and is done writing to it.

    A ticket takes such arrays as they are, instead of copying them.

    Example:
        >>> sealed(np.ones(2)).flags.writeable
        False
    """
    array = np.asarray(array)  # NumPy's own functions give scalars for arrays without a dimension
    array.flags.writeable = False
    return array


def kept(masks: Tree) -> int:
    """The number of weights that `masks` keep, over all keys.

    Example:
        >>> kept({"a": np.array([True, False]), "b": np.array([True])})
        2
    """
    return sum(int(np.count_nonzero(mask)) for mask in masks.values())


def total(masks: Tree) -> int:
    """The number of weights that `masks` speak of, kept or not.

    Example:
        >>> total({"a": np.array([True, False]), "b": np.array([True])})
        3
    """
    return sum(int(mask.size) for mask in masks.values())


def density(masks: Tree) -> float:
    """The share of weights that `masks` keep, in [0, 1]; 1 where nothing is prunable.

    Example:
        >>> density({"a": np.array([True, False, False, False])})
        0.25
    """
    return kept(masks) / total(masks) if total(masks) else 1.0


def masked(weights: Tree, masks: Tree) -> dict[str, np.ndarray]:
    """`weights` with zeros where `masks` prune; keys without a mask pass through.

    Example:
        >>> masked({"k": np.array([1.0, 2.0]), "b": np.array([3.0])}, {"k": np.array([True, False])})
        {'k': array([1., 0.]), 'b': array([3.])}
    """
    # Not a product: inf * 0 is NaN and -1 * 0 is -0.
    return {
        key: np.where(masks[key], value, np.zeros((), value.dtype)) if key in masks else value
        for key, value in weights.items()
    }


def generator(*key: int | str) -> np.random.Generator:
    """A random generator that depends on `key` alone: equal on every machine and in every process.

    Args:
        key: what the randomness is for, such as `("init", 0, "dense/kernel")`.

    Example:
        >>> bool(generator("order", 0, 1).random() == generator("order", 0, 1).random())
        True
    """
    return np.random.default_rng(integer(*key))


def integer(*key: int | str) -> int:
    """A 31-bit seed that depends on `key` alone. Python's `hash` is salted per process, so sha256.

    Example:
        >>> integer("init", 0, "dense/kernel") == integer("init", 0, "dense/kernel")
        True
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF
