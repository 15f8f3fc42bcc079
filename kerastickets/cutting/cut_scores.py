"""Turn scores into masks with `cut`, the only place that does, and count what masks keep.

All functions are pure and work on Trees with the same keys. They never change an argument.
"""

import operator
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from kerastickets.cutting.groups import Groups, best_units, families, last_axes
from kerastickets.errors import AlignError, LayerCollapseError, RecipeError
from kerastickets.foundations.tree import Tree, kept, total

Masks = dict[str, np.ndarray]
Granularity = Literal["weight", "channel"]


def cut(
    scores: Tree,
    keep: int | Mapping[str, int],
    masks: Tree,
    scope: Literal["global", "layer"] = "global",
    *,
    granularity: Granularity = "weight",
    groups: Groups | None = None,
    allow_collapse: bool = False,
) -> Masks:
    """Prune by score: keep exactly the `keep` highest-scoring weights among those that `masks` keep.

    A weight that `masks` prune never comes back, whatever its score.

    Equal scores are ordered by key (sorted), then by flat index in C order, and the earlier weight is kept. A
    threshold alone cannot give the exact count. Suppose 50 of 100 scores are zero and 20 weights must go.
    Pruning all scores at or below the threshold prunes 50 weights, and pruning all below it prunes none.

    Args:
        scores: real numbers by key. A higher score means keep. For pruned weights any value is allowed, also
            NaN.
        keep: the number of weights to keep over all keys, or a mapping with one number per key. A mapping
            implies `scope="layer"`.
        masks: booleans by key, in the shapes of `scores`. True means kept.
        scope: `"global"` ranks all weights together. `"layer"` ranks each key separately; if `keep` is one
            number, every key gets the same density, see `equal_densities`.
        granularity: `"weight"` prunes single weights. `"channel"` sums the scores over each unit and prunes whole
            units. It goes through the units from the best on and stops before `keep` weights are exceeded, so it
            can keep fewer than `keep`. Keys that share units are ranked together, also by `scope="layer"`.
        groups: the units of each key, for `granularity="channel"`. None takes each index of the last axis as a unit.
        allow_collapse: whether a key may lose its last weight.

    Returns:
        New masks with the keys and shapes of `masks`, in sorted key order.

    Raises:
        AlignError: `scores` and `masks` differ in keys or shapes.
        RecipeError: the score of a surviving weight is not finite, `keep` is out of range, or `scope` or
            `granularity` is unknown.
        LayerCollapseError: a key would lose its last weight and `allow_collapse` is False.

    Example:
        >>> scores = {"a": np.array([3.0, 1.0, 1.0]), "b": np.array([1.0, 2.0])}
        >>> cut(scores, 3, ones({"a": (3,), "b": (2,)}))
        {'a': array([ True,  True, False]), 'b': array([False,  True])}
    """
    _check_aligned("scores", scores, masks)
    _check_scope(scope)
    ranked = {key: _surviving(key, scores[key], masks[key]) for key in sorted(masks)}
    counts: dict[str, int] | int
    if isinstance(keep, Mapping) or scope == "layer":
        counts = _counts(keep, masks) if isinstance(keep, Mapping) else equal_densities(keep, masks)
    else:
        counts = _count("keep", keep, kept(masks))
    if granularity == "channel":
        result = _channels(ranked, counts, masks, groups)
    elif granularity == "weight":
        result = {key: _scatter(masks[key], chosen) for key, chosen in _weights(ranked, counts).items()}
    else:
        raise RecipeError(
            f"`granularity` must be 'weight' or 'channel'. Received: granularity={granularity!r}"
        )
    if not allow_collapse:
        _check_alive(result, masks)
    return result


def equal_densities(keep: int, masks: Tree) -> dict[str, int]:
    """Distribute `keep` weights over the keys so that all keys have the same density.

    Density is relative to the total size of a key. If a key has fewer weights left than its part, it keeps
    all of them, and the other keys share the rest. Fractions are rounded by largest remainder, and equal
    remainders by key order.

    Args:
        keep: the number of weights to keep over all keys, at most the number that `masks` keep.
        masks: booleans by key.

    Returns:
        The number of weights per key, in sorted key order. The sum is `keep`.

    Raises:
        RecipeError: `keep` is out of range.

    Example:
        >>> equal_densities(10, ones({"a": (10,), "b": (20,), "c": (1,)}))
        {'a': 3, 'b': 7, 'c': 0}
    """
    _count("keep", keep, kept(masks))
    alive = {key: int(np.count_nonzero(masks[key])) for key in masks}
    return apportion(keep, {key: int(masks[key].size) for key in masks}, alive)


def apportion(count: int, shares: Mapping[str, int], most: Mapping[str, int]) -> dict[str, int]:
    """Distribute `count` over keys in proportion to `shares`, with an upper limit `most` per key.

    If a key's part exceeds its `most`, the key gets `most`, and the other keys share the rest. Fractions are
    rounded by largest remainder, and equal remainders by key order.

    Args:
        count: the number to distribute, at most the sum of `most` over the keys with a positive share.
        shares: an integer of at least 0 per key.
        most: an integer of at least 0 per key.

    Returns:
        The number per key, in sorted key order. The sum is `count`.

    Example:
        >>> apportion(10, {"a": 1, "b": 1, "c": 3}, {"a": 9, "b": 9, "c": 5})
        {'a': 3, 'b': 2, 'c': 5}
    """
    rest, sizes = count, dict(sorted(shares.items()))
    counts: dict[str, int] = {}
    # Each round fixes the keys whose part exceeds their `most`. That only raises the part of the others.
    while full := [key for key in sizes if rest * sizes[key] > most[key] * sum(sizes.values())]:
        counts |= {key: most[key] for key in full}
        rest -= sum(most[key] for key in full)
        sizes = {key: size for key, size in sizes.items() if key not in counts}
    # Integers, not floats: equal remainders must compare equal.
    whole = max(sum(sizes.values()), 1)
    parts = {key: divmod(rest * size, whole) for key, size in sizes.items()}
    counts |= {key: part for key, (part, _) in parts.items()}
    leftover = rest - sum(part for part, _ in parts.values())
    for key in sorted(parts, key=lambda key: (-parts[key][1], key))[:leftover]:
        counts[key] += 1
    return dict(sorted(counts.items()))


def ones(shapes: Mapping[str, tuple[int, ...]]) -> Masks:
    """Masks that keep every weight.

    Args:
        shapes: array shapes by key.

    Example:
        >>> ones({"dense/kernel": (1, 2)})
        {'dense/kernel': array([[ True,  True]])}
    """
    return {key: np.ones(shape, bool) for key, shape in shapes.items()}


def compare(a: Tree, b: Tree) -> dict[str, Any]:
    """Compare the masks of two tickets: count how many weights they share, per key and in total.

    Args:
        a: booleans by key, such as `ticket.masks`.
        b: booleans by key, with the same keys and shapes.

    Returns:
        JSON-ready `{"layers": [row, ...], "total": row}`. A row has the number of weights `kept_a`, `kept_b`,
        `overlap` (kept by both), `only_a` and `only_b`, and the ratio `iou` (intersection over union; 1.0 if
        both keep nothing). A row of a layer also has its `key`.

    Raises:
        AlignError: `a` and `b` differ in keys or shapes.

    Example:
        >>> a, b = {"k": np.array([True, True, False])}, {"k": np.array([True, False, False])}
        >>> compare(a, b)["total"]
        {'kept_a': 2, 'kept_b': 1, 'overlap': 1, 'only_a': 1, 'only_b': 0, 'iou': 0.5}
    """
    _check_aligned("the first masks", a, b, "the second")
    triples = {key: (kept({key: a[key]}), kept({key: b[key]}), _overlap(a[key], b[key])) for key in sorted(a)}
    sums = [sum(column) for column in zip(*triples.values(), strict=True)] or [0, 0, 0]
    rows = [{"key": key, **_agreement(*triple)} for key, triple in triples.items()]
    return {"layers": rows, "total": _agreement(*sums)}


def layers(masks: Tree) -> list[dict[str, Any]]:
    """Describe masks: one row per key, in sorted key order.

    Args:
        masks: booleans by key.

    Returns:
        JSON-ready rows with `key`, `shape`, `kept`, `total` and `density` (1.0 for a mask without weights).

    Example:
        >>> layers({"k": np.array([True, False])})
        [{'key': 'k', 'shape': [2], 'kept': 1, 'total': 2, 'density': 0.5}]
    """
    return [_facts(key, masks[key]) for key in sorted(masks)]


def _surviving(key: str, scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The scores of the weights that `mask` keeps, flat in C order, in a type that NumPy can sort."""
    values = np.asarray(scores).ravel()[np.asarray(mask, bool).ravel()]
    if values.dtype.kind not in "iuf":  # booleans, and bfloat16, which NumPy cannot partition
        values = values.astype(np.float64)
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)]
        raise RecipeError(
            f"Scores of surviving weights must be finite. Received: {wrong.size} of {values.size} in '{key}' "
            f"are not, the first is {wrong[0]}. Check whether the loss or the weights are not finite."
        )
    return values


def _top(values: np.ndarray, keep: int) -> np.ndarray:
    """A boolean mask of the `keep` highest `values`. Among equal values the earliest are chosen. O(n)."""
    if keep == 0:
        return np.zeros(values.shape, bool)
    threshold = np.partition(values, values.size - keep)[values.size - keep]
    chosen = values > threshold
    tied = np.flatnonzero(values == threshold)
    chosen[tied[: keep - np.count_nonzero(chosen)]] = True
    return chosen


def _weights(ranked: Mapping[str, np.ndarray], keep: int | Mapping[str, int]) -> dict[str, np.ndarray]:
    if isinstance(keep, int):
        return _top_of_all(ranked, keep)
    return {key: _top(values, keep[key]) for key, values in ranked.items()}


def _channels(
    ranked: Mapping[str, np.ndarray], keep: int | Mapping[str, int], masks: Tree, groups: Groups | None
) -> Masks:
    """Keep whole units, best first, as long as their surviving weights fit into `keep`."""
    units = last_axes(masks) if groups is None else groups
    if strange := sorted(units.keys() ^ masks.keys()):
        raise AlignError(
            f"`groups` must have the keys of the masks. Received: '{strange[0]}' in one of them."
        )
    scores = {key: np.zeros(masks[key].shape) for key in ranked}
    for key, values in ranked.items():
        scores[key][np.asarray(masks[key], bool)] = values
    if isinstance(keep, int):
        return best_units(scores, keep, masks, units)
    found: Masks = {}
    # Keys that share units are ranked together: their counts are one.
    for keys in families(units):
        own, count = {key: masks[key] for key in keys}, sum(keep[key] for key in keys)
        found |= best_units(scores, count, own, {key: units[key] for key in keys})
    return {key: found[key] for key in ranked}


def _top_of_all(ranked: Mapping[str, np.ndarray], keep: int) -> dict[str, np.ndarray]:
    if not ranked:
        return {}
    chosen = _top(np.concatenate(list(ranked.values())), keep)
    ends = np.cumsum([values.size for values in ranked.values()])
    return dict(zip(ranked, np.split(chosen, ends[:-1]), strict=True))


def _scatter(mask: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Put `chosen`, one value per surviving weight, back into the shape of `mask`."""
    flat = np.zeros(mask.size, bool)
    flat[np.asarray(mask, bool).ravel()] = chosen
    return flat.reshape(mask.shape)


def _counts(keep: Mapping[str, int], masks: Tree) -> dict[str, int]:
    if strange := sorted(keep.keys() ^ masks.keys()):
        raise RecipeError(
            f"`keep` must have one count for each key of the masks. "
            f"Received: '{strange[0]}' {'without a mask' if strange[0] in keep else 'without a count'}"
        )
    return {key: _count(f"keep['{key}']", keep[key], kept({key: masks[key]})) for key in masks}


def _count(name: str, value: int, most: int) -> int:
    try:
        count = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = -1
    if not 0 <= count <= most:
        raise RecipeError(
            f"`{name}` must be an integer in [0, {most}], the weights that are left. "
            f"Received: {name}={value!r}"
        )
    return count


def _check_scope(scope: str) -> None:
    if scope not in ("global", "layer"):
        raise RecipeError(f"`scope` must be 'global' or 'layer'. Received: scope={scope!r}")


def _check_aligned(name: str, a: Tree, b: Tree, other: str = "the masks") -> None:
    if strange := sorted(a.keys() ^ b.keys()):
        owner, lacking = (name, other) if strange[0] in a else (other, name)
        raise AlignError(
            f"Keys must be equal. Received: '{strange[0]}' in {owner} but not in {lacking}. "
            "Both must come from one architecture."
        )
    for key in sorted(a):
        if np.shape(a[key]) != np.shape(b[key]):
            raise AlignError(
                f"Shapes must be equal. Received: '{key}' {np.shape(a[key])} in {name}, {np.shape(b[key])} "
                f"in {other}. Both must come from one architecture."
            )


def _check_alive(result: Tree, masks: Tree) -> None:
    emptied = [key for key in result if not result[key].any() and np.any(masks[key])]
    if emptied:
        raise LayerCollapseError(
            f"Every layer must keep a weight. Received: {kept(result)} of {total(masks)} weights to keep "
            f"would empty {', '.join(map(repr, emptied))}. "
            "Keep more, use scope='layer', or pass allow_collapse=True."
        )


def _overlap(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.count_nonzero(np.logical_and(a, b)))


def _agreement(kept_a: int, kept_b: int, overlap: int) -> dict[str, int | float]:
    union = kept_a + kept_b - overlap
    return {
        "kept_a": kept_a,
        "kept_b": kept_b,
        "overlap": overlap,
        "only_a": kept_a - overlap,
        "only_b": kept_b - overlap,
        "iou": overlap / union if union else 1.0,
    }


def _facts(key: str, mask: np.ndarray) -> dict[str, Any]:
    count = int(np.count_nonzero(mask))
    density = count / mask.size if mask.size else 1.0
    return {"key": key, "shape": list(mask.shape), "kept": count, "total": int(mask.size), "density": density}
