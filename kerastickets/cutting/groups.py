"""Cut whole units: groups of weights that go together, such as all weights of one neuron or one attention head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastickets.foundations.tree import Tree


@dataclass(frozen=True, eq=False)
class UnitAxis:
    """The units along one axis of a weight.

    Args:
        axis: the axis, from 0.
        units: the number of the unit of each index of the axis; -1 for an index that never goes.
    """

    axis: int
    units: np.ndarray

    def along(self, values: np.ndarray, ndim: int) -> np.ndarray:
        """One value per unit, as an array that is broadcast over a weight of `ndim` axes. Unit -1 gets the last."""
        shape = [1] * ndim
        shape[self.axis] = len(self.units)
        return values[self.units].reshape(shape)


@dataclass(frozen=True, eq=False)
class LayerUnits:
    """The units of one layer, counted from 0 in each layer.

    Args:
        layer: the path of the layer that owns the weights, as in their keys.
        count: the number of units.
        axes: for each weight that a unit has a part in, where it lies. Biases are among them.
        channels: whether unit n makes channel n of the layer's output. Heads do not.
        stateful: whether units feed themselves, as recurrent ones do. Their biases go with them, since a unit that
            keeps a bias keeps a state.
    """

    layer: str
    count: int
    axes: Mapping[str, tuple[UnitAxis, ...]]
    channels: bool = True
    stateful: bool = False


#: The units of each weight by key. A weight may lie on several axes: it is kept if all its units are. Equal numbers
#: in several keys mean one unit, whose weights go together.
Groups = Mapping[str, tuple[UnitAxis, ...]]


def last_axes(masks: Tree) -> dict[str, tuple[UnitAxis, ...]]:
    """Groups in which each index of the last axis of each weight is a unit of its own.

    Example:
        >>> found = last_axes({"a": np.ones((3, 2)), "b": np.ones((2, 2))})
        >>> [axis.units.tolist() for key in found for axis in found[key]]
        [[0, 1], [2, 3]]
    """
    found: dict[str, tuple[UnitAxis, ...]] = {}
    first = 0
    for key in sorted(masks):
        width = masks[key].shape[-1] if masks[key].ndim else 1
        units = np.arange(first, first + width)
        found[key] = (UnitAxis(masks[key].ndim - 1, units),) if masks[key].ndim else ()
        first += width
    return found


def families(groups: Groups) -> list[list[str]]:
    """Sort the keys into sets that share units with each other and with no other key.

    Example:
        >>> axis = lambda *units: (UnitAxis(0, np.array(units)),)
        >>> families({"a": axis(0, 1), "b": axis(2), "c": axis(1)})
        [['a', 'c'], ['b']]
    """
    found: list[tuple[set[int], list[str]]] = []
    for key in sorted(groups):
        units = {int(unit) for axis in groups[key] for unit in np.unique(axis.units) if unit >= 0}
        related = [one for one in found if one[0] & units]
        found = [one for one in found if not any(one is other for other in related)]
        keys = sorted([key, *(name for one in related for name in one[1])])
        found.append((units.union(*(one[0] for one in related)), keys))
    return sorted(keys for _, keys in found)


def best_units(scores: Tree, keep: int, masks: Tree, groups: Groups) -> dict[str, np.ndarray]:
    """Keep whole units, best first, as long as their surviving weights fit into `keep`.

    A unit's score is the sum of the scores of its surviving weights. Equal scores are ordered by key (sorted), then by
    axis and index.

    Args:
        scores: finite real numbers by key; 0 for pruned weights.
        keep: the most weights to keep.
        masks: booleans by key.
        groups: the units, for each key of `masks`.

    Returns:
        New masks with the keys of `masks`.

    Example:
        >>> both = (UnitAxis(0, np.array([0, 1])), UnitAxis(1, np.array([0, 1])))
        >>> best_units({"r": np.array([[1, 2], [3, 9.0]])}, 3, {"r": np.ones((2, 2), bool)}, {"r": both})["r"]
        array([[False, False],
               [False,  True]])
    """
    known = _renumbered(groups)
    count = 1 + max((int(axis.units.max(initial=-1)) for axes in known.values() for axis in axes), default=-1)
    sums, alive = np.zeros(count), np.zeros(count, bool)
    for key in sorted(masks):
        mask = np.asarray(masks[key], bool)
        _add(sums, scores[key], known[key])
        alive |= _counted(mask, known[key], count) > 0
    order = np.flatnonzero(alive)
    order = order[np.argsort(-sums[order], kind="stable")]  # ties: the earlier unit first
    # The last entry serves unit -1, which never goes. A weight is counted with the worst of its units.
    ranks = np.full(count + 1, len(order), np.int64)
    ranks[order], ranks[-1] = np.arange(len(order)), -1
    places = {key: _worst(masks[key], known[key], ranks) for key in sorted(masks)}
    sizes = sum(
        np.bincount(place[np.asarray(masks[key], bool)] + 1, minlength=len(order) + 2)
        for key, place in places.items()
    )
    fitting = int(np.count_nonzero(np.cumsum(sizes)[1:-1] <= keep)) if len(order) else 0
    return {key: np.logical_and(masks[key], place < fitting) for key, place in places.items()}


def unit_sums(values: Tree, groups: Groups) -> dict[int, float]:
    """The sum of the values of each unit over all its weights, by the unit's number.

    Args:
        values: real numbers by key.
        groups: the units of some of the keys, or of all.

    Example:
        >>> unit_sums({"a": np.array([[1.0, 2.0], [3.0, 4.0]])}, {"a": (UnitAxis(1, np.array([5, 6])),)})
        {5: 4.0, 6: 6.0}
    """
    units = sorted({int(unit) for axes in groups.values() for axis in axes for unit in axis.units} - {-1})
    sums = np.zeros(max(units, default=-1) + 1)
    for key in sorted(groups):
        _add(sums, values[key], groups[key])
    return {unit: float(sums[unit]) for unit in units}


def spread_over_units(scores: Mapping[int, float], masks: Tree, groups: Groups) -> dict[str, np.ndarray]:
    """Divide the score of each unit equally among its kept weights, so that their sum is the score.

    A weight of two different units gets 0.

    Args:
        scores: a number per unit.
        masks: booleans by key.
        groups: the units of these keys.

    Example:
        >>> groups = {"a": (UnitAxis(1, np.array([5, 6])),)}
        >>> spread_over_units({5: 1.0, 6: 3.0}, {"a": np.array([[True, True], [True, False]])}, groups)
        {'a': array([[0.5, 3. ],
               [0.5, 0. ]])}
    """
    own = {key: _alone(np.asarray(masks[key], bool), groups[key]) for key in groups}
    counts = unit_sums({key: mask.astype(np.float64) for key, mask in own.items()}, groups)
    shares = np.zeros(max(scores, default=-1) + 2)
    for unit, score in scores.items():
        shares[unit] = score / max(counts[unit], 1)
    return {
        key: mask * (groups[key][0].along(shares, mask.ndim) if groups[key] else 0.0)
        for key, mask in own.items()
    }


def _alone(mask: np.ndarray, axes: tuple[UnitAxis, ...]) -> np.ndarray:
    """The kept weights that belong to one unit only."""
    for other in axes[1:]:
        mask = mask & (_units(other, mask.ndim) == _units(axes[0], mask.ndim))
    return mask


def _renumbered(groups: Groups) -> dict[str, tuple[UnitAxis, ...]]:
    """The same groups with units numbered in the order of keys, axes and indices, so that ties have an order."""
    axes = [axis for key in sorted(groups) for axis in groups[key]]
    listed = np.concatenate([axis.units for axis in axes]) if axes else np.zeros(0, int)
    names, first = np.unique(listed[listed >= 0], return_index=True)
    numbers = np.full(int(names.max(initial=-1)) + 2, -1)
    numbers[names[np.argsort(first)]] = np.arange(len(names))
    return {
        key: tuple(UnitAxis(axis.axis, numbers[axis.units]) for axis in own) for key, own in groups.items()
    }


def _add(sums: np.ndarray, scores: np.ndarray, axes: tuple[UnitAxis, ...]) -> None:
    """Add the scores of one weight to the sums of its units. A score on two axes of one unit counts once."""
    for number, axis in enumerate(axes):
        values = scores
        for other in axes[:number]:
            mine, theirs = (_units(one, scores.ndim) for one in (axis, other))
            values = values * (mine != theirs)
        own = np.moveaxis(values, axis.axis, -1).reshape(-1, len(axis.units)).sum(0)
        some = axis.units >= 0
        np.add.at(sums, axis.units[some], own[some])


def _units(axis: UnitAxis, ndim: int) -> np.ndarray:
    return axis.along(np.append(np.arange(int(axis.units.max(initial=-1)) + 1), -1), ndim)


def _counted(mask: np.ndarray, axes: tuple[UnitAxis, ...], count: int) -> np.ndarray:
    found = np.zeros(count, np.int64)
    for axis in axes:
        own = np.moveaxis(mask, axis.axis, -1).reshape(-1, len(axis.units)).sum(0)
        some = axis.units >= 0
        np.add.at(found, axis.units[some], own[some])
    return found


def _worst(mask: Any, axes: tuple[UnitAxis, ...], ranks: np.ndarray) -> np.ndarray:
    """For each weight the highest rank of its units; -1 if it has none."""
    found = np.full(np.shape(mask), -1, np.int64)
    for axis in axes:
        found = np.maximum(found, axis.along(ranks, found.ndim))
    return found
