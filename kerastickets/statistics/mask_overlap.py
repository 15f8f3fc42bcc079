"""How many weights random masks share by chance. `kerastickets.statistics` offers the same names."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import reduce
from operator import index
from typing import Any

import numpy as np

from kerastickets.errors import RecipeError

_EXACT = 10_000


@dataclass(frozen=True)
class RandomOverlap:
    """How many weights two masks share if each is drawn at random, layer by layer.

    Args:
        total: the number of weights in all layers.
        kept_a: the number of weights that the first mask keeps.
        kept_b: the number of weights that the second mask keeps.
        mean: the expected number of weights that both masks keep by chance.
        sd: the standard deviation of that number.
        iou: the expected intersection over union by chance; 1 if both masks keep nothing.
        exact: whether `iou` is the exact expectation. If not, it is the ratio at the mean overlap.
        overlap: the observed overlap; None if it was not given.
        z: how many standard deviations the observed overlap is above chance; None if no overlap was given or
            if chance cannot vary.
    """

    total: int
    kept_a: int
    kept_b: int
    mean: float
    sd: float
    iou: float
    exact: bool
    overlap: int | None = None
    z: float | None = None

    def facts(self) -> dict[str, Any]:
        """All fields as JSON."""
        return asdict(self)


def random_overlap(
    total: int | Sequence[int],
    kept_a: int | Sequence[int],
    kept_b: int | Sequence[int],
    overlap: int | None = None,
) -> RandomOverlap:
    """The overlap of two independent random masks, as a baseline for the overlap of two tickets.

    In each layer of `total` weights, one mask keeps `kept_a` and the other keeps `kept_b`. Every set of that
    size is equally likely. The number of weights that both masks keep is then hypergeometric in each layer,
    and the overlap is its sum over the layers.

    Args:
        total: the number of weights in one layer, or a list with one number per layer.
        kept_a: the number of weights that the first mask keeps, in the same form.
        kept_b: the number of weights that the second mask keeps, in the same form.
        overlap: the number of weights that two observed masks share, over all layers. Optional.

    Returns:
        A `RandomOverlap`. Its `iou` is the exact expectation of overlap / (kept_a + kept_b - overlap) if
        the overlap has at most 10 000 possible values. If it has more, `iou` is that ratio at the mean
        overlap, which is too low by less than 0.0001.

    Raises:
        RecipeError: counts are impossible or not whole numbers, or lists have unequal length.

    Example:
        >>> chance = random_overlap(10, 5, 4, overlap=4)
        >>> chance.mean, round(chance.sd, 4), round(chance.z, 4)
        (2.0, 0.8165, 2.4495)
        >>> random_overlap([10, 100], [5, 50], [4, 50]).mean
        27.0
    """
    layers = _layers(total, kept_a, kept_b)
    mean = math.fsum(a * b / n for n, a, b in layers)
    sd = math.sqrt(math.fsum(_variance(*layer) for layer in layers))
    n, a, b = (sum(column) for column in zip(*layers, strict=True))
    least = sum(max(0, a + b - n) for n, a, b in layers)
    most = sum(min(a, b) for _, a, b in layers)
    overlap = None if overlap is None else _count(overlap)
    if overlap is not None and not least <= overlap <= most:
        raise RecipeError(f"`overlap` must be in [{least}, {most}]. Received: overlap={overlap}")
    exact = most - least < _EXACT
    iou = _expected_iou(layers, least, a + b) if exact else mean / (a + b - mean)
    z = (overlap - mean) / sd if overlap is not None and sd > 0 else None
    return RandomOverlap(n, a, b, mean, sd, iou, exact, overlap, z)


def random_intersection(total: int | Sequence[int], *kept: int | Sequence[int]) -> tuple[float, float]:
    """Mean and standard deviation of the number of weights that all of several independent random masks keep.

    Each mask keeps a given number of weights in each layer, and every set of that size is equally likely. For
    two masks this is the hypergeometric distribution of `random_overlap`.

    To get the union, pass how many weights each mask prunes. The result is then the number of weights that
    all masks prune, and the union is every other weight.

    Args:
        total: the number of weights in one layer, or a list with one number per layer.
        *kept: for each mask, the number of weights that it keeps, in the same form. At least one mask.

    Returns:
        `(mean, standard deviation)`, computed in exact fractions and rounded once.

    Raises:
        RecipeError: no mask is given, counts are impossible or not whole numbers, or lists have unequal
            length.

    Example:
        >>> random_intersection(10, 5, 4)[0], random_intersection([8, 8], [4, 8], [4, 4], [4, 2])[0]
        (2.0, 2.0)
    """
    if not kept:
        raise RecipeError("At least one mask is needed. Received: none")
    columns = [[(n, a) for n, a, _ in _layers(total, mask, mask)] for mask in kept]
    mean, variance = Fraction(0), Fraction(0)
    for layer in zip(*columns, strict=True):
        n = layer[0][0]
        one = math.prod((Fraction(a, n) for _, a in layer), start=Fraction(1))
        two = math.prod((Fraction(a * (a - 1), n * max(n - 1, 1)) for _, a in layer), start=Fraction(1))
        mean += n * one
        variance += n * one + n * (n - 1) * two - (n * one) ** 2
    return float(mean), math.sqrt(variance)


def _layers(
    total: int | Sequence[int], kept_a: int | Sequence[int], kept_b: int | Sequence[int]
) -> list[tuple[int, int, int]]:
    columns = [[*c] if isinstance(c, Iterable) else [c] for c in (total, kept_a, kept_b)]
    received = f"total={total}, kept_a={kept_a}, kept_b={kept_b}"
    if len({len(column) for column in columns}) > 1 or not columns[0]:
        raise RecipeError(f"`total`, `kept_a` and `kept_b` must list the same layers. Received: {received}")
    layers = [(_count(n), _count(a), _count(b)) for n, a, b in zip(*columns, strict=True)]
    for n, a, b in layers:
        if n < 1 or not (0 <= a <= n and 0 <= b <= n):
            raise RecipeError(
                f"A layer must have at least one weight, and keep between none and all. Received: {received}"
            )
    return layers


def _count(value: int) -> int:
    try:
        return index(value)
    except TypeError as error:
        raise RecipeError(f"Weights must be counted in whole numbers. Received: {value!r}") from error


def _variance(total: int, a: int, b: int) -> float:
    # max(...): with a single weight the numerator is 0. Python's integers cannot overflow.
    return a * b * (total - a) * (total - b) / (total * total * max(total - 1, 1))


def _expected_iou(layers: Sequence[tuple[int, int, int]], least: int, kept: int) -> float:
    if kept == 0:
        return 1.0
    from scipy.stats import hypergeom

    ranges = [(n, a, b, np.arange(max(0, a + b - n), min(a, b) + 1)) for n, a, b in layers]
    chances = reduce(np.convolve, (hypergeom.pmf(possible, n, a, b) for n, a, b, possible in ranges))
    overlaps = least + np.arange(chances.size)
    return float(np.sum(chances * overlaps / (kept - overlaps)) / np.sum(chances))
