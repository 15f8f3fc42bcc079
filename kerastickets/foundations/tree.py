"""Trees: mappings from keys to NumPy arrays, the common form of masks, scores and weights.

Masks and scores have one array per prunable weight. Weight Trees hold all variables of a model.
Every function here except `sealed` is pure.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

Tree = Mapping[str, np.ndarray]


def frozen(tree: Tree) -> Tree:
    """A read-only copy of `tree`: neither the mapping nor its arrays can be changed.

    C-contiguous arrays that already own read-only memory are shared, not copied. Tickets of one run
    therefore share one copy of their initial weights.

    Args:
        tree: arrays of any shape, by key.

    Returns:
        A read-only mapping with the same keys in the same order. Its arrays are read-only.

    Example:
        >>> kept = frozen({"dense/kernel": np.ones((2, 2), bool)})
        >>> kept["dense/kernel"].flags.writeable
        False
    """
    return MappingProxyType({key: _frozen_array(value) for key, value in tree.items()})


def _frozen_array(value: np.ndarray) -> np.ndarray:
    array = np.asarray(value)
    # A read-only view of a writable array can still change, so only arrays that own their memory are shared.
    if not array.flags.writeable and array.flags.owndata and array.flags.c_contiguous:
        return array
    array = np.array(array, order="C", copy=True)
    array.flags.writeable = False
    return array


def sealed(array: np.ndarray) -> np.ndarray:
    """Make an array read-only in place and return it. Use it on a new array that is completely written.

    A `Ticket` shares such an array instead of copying it.

    Example:
        >>> sealed(np.ones(2)).flags.writeable
        False
    """
    array = np.asarray(array)  # for arrays without a dimension, NumPy's functions return scalars
    array.flags.writeable = False
    return array


def kept(masks: Tree) -> int:
    """The number of kept weights, summed over all keys.

    Example:
        >>> kept({"a": np.array([True, False]), "b": np.array([True])})
        2
    """
    return sum(int(np.count_nonzero(mask)) for mask in masks.values())


def total(masks: Tree) -> int:
    """The number of maskable weights, kept or pruned, summed over all keys.

    Example:
        >>> total({"a": np.array([True, False]), "b": np.array([True])})
        3
    """
    return sum(int(mask.size) for mask in masks.values())


def density(masks: Tree) -> float:
    """The fraction of weights that `masks` keep, in [0, 1]. It is 1 if `masks` hold no weights.

    Example:
        >>> density({"a": np.array([True, False, False, False])})
        0.25
    """
    return kept(masks) / total(masks) if total(masks) else 1.0


def masked(weights: Tree, masks: Tree) -> dict[str, np.ndarray]:
    """Set pruned weights to zero. Weights without a mask stay unchanged.

    Example:
        >>> masked({"k": np.array([1.0, 2.0]), "b": np.array([3.0])}, {"k": np.array([True, False])})
        {'k': array([1., 0.]), 'b': array([3.])}
    """
    # `np.where`, not a product: inf * 0 is NaN and -1 * 0 is -0.
    return {
        key: np.where(masks[key], value, np.zeros((), value.dtype)) if key in masks else value
        for key, value in weights.items()
    }


def generator(*key: int | str) -> np.random.Generator:
    """A random generator that depends only on `key`. It is the same on every machine and in every process.

    Args:
        *key: what the random numbers are for, such as `"init", 0, "dense/kernel"`.

    Example:
        >>> bool(generator("order", 0, 1).random() == generator("order", 0, 1).random())
        True
    """
    return np.random.default_rng(integer(*key))


def integer(*key: int | str) -> int:
    """A 31-bit seed that depends only on `key`.

    It is computed with sha256, because Python's `hash` differs between processes.

    Example:
        >>> integer("init", 0, "dense/kernel") == integer("init", 0, "dense/kernel")
        True
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF
