"""How much worse a ticket is than the model it came from, on the same validation examples."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerastickets.data.dataset import Data
from kerastickets.data.splits import rows, size
from kerastickets.errors import RecipeError
from kerastickets.foundations.structure import is_nested
from kerastickets.foundations.tree import masked
from kerastickets.statistics.drop_bounds import lost_share_bound, mean_bound
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.evaluate_ticket import right_answers
from kerastickets.training.recipe import Recipe
from kerastickets.training.train_ticket import ticket_source
from kerastickets.training.trainer_cache import TrainerCache

#: Into how many groups of equal size the validation examples are divided if a metric is not right or wrong per example.
GROUPS = 30
# Examples per step.
_BATCH = 1000


@dataclass(frozen=True)
class Measured:
    """A ticket, measured on the validation examples.

    Args:
        value: the monitored metric on all of them.
        right: per example, whether the answer is right. None if the metric is no accuracy of one label per example.
        groups: the metric on each group of examples; None if `right` is known.
    """

    value: float
    right: np.ndarray | None
    groups: np.ndarray | None


@dataclass(frozen=True)
class Drop:
    """How much worse a ticket is than the given model, in points of a metric that grows with quality, or in units of a
    loss or error.

    Args:
        estimate: the drop on the validation examples.
        bound: the upper end of its one-sided interval.
        method: `paired examples` or `groups`, and how many there are.
    """

    estimate: float
    bound: float
    method: str


class Judge:
    """Compares tickets with the model that they came from, on the validation split alone.

    An accuracy of one label per example is compared example by example. Any other metric is measured on 30 groups of
    examples, and the differences of the groups are compared.

    Args:
        data: the data set.
        monitor: the metric, such as `val_accuracy`.
        custom_objects: the caller's classes by name.
        trainers: the cache that the search shares.
    """

    def __init__(
        self, data: Data, monitor: str, custom_objects: Mapping[str, Any] | None, trainers: TrainerCache
    ) -> None:
        self.data, self.monitor, self._custom, self._trainers = data, monitor, custom_objects, trainers
        self.minimise = Recipe(monitor=monitor).minimise
        count = data.count("validation")
        if count < GROUPS:
            raise RecipeError(
                f"To judge a drop, {data.name} must have at least {GROUPS} validation examples. Received: {count}."
            )

    def measure(self, ticket: Ticket) -> Measured:
        """Measure a trained ticket.

        Raises:
            RecipeError: the monitored metric does not exist, or is not a number.
        """
        from kerastickets.models.variables import assign

        net = self._trainers.measured(ticket_source(ticket, self.data, None, self._custom), self.data)
        if assign(net, masked(ticket.weights("final"), ticket.masks)):
            net.make_test_function(force=True)
            net.make_predict_function(force=True)
        split, name = self.data.validation, self.monitor.removeprefix("val_")
        value = _metric(net, split, name)
        right = right_answers(net, split, self.data) if name == "accuracy" else None
        # Equal only if the net's accuracy is the share of right answers: a metric of one's own may be called so too.
        if right is not None and right.ndim == 1 and abs(float(right.mean()) - value) < 1e-5:
            return Measured(value, right, None)
        count = self.data.count("validation")
        ends = [count * n // GROUPS for n in range(GROUPS + 1)]
        groups = [_metric(net, rows(split, slice(a, b)), name) for a, b in itertools.pairwise(ends)]
        return Measured(value, None, np.array(groups))

    def check(self, max_drop: float | None, alpha: float) -> None:
        """Refuse a largest drop that so few examples cannot show, even if a ticket answered all of them alike.

        It is refused before anything is trained, so the labels decide whether examples are compared one by one.

        Raises:
            RecipeError: it cannot be shown. The message names the smallest that can.
        """
        y, *weights = self.data.validation[1:]
        single = not is_nested(y) and not weights and y.size == len(y) and y.dtype.kind in "iu"
        if max_drop is None or self.monitor != "val_accuracy" or not single:
            return
        count = len(y)
        least = 100 * lost_share_bound(0, 0, count, alpha)
        if least > max_drop:
            raise RecipeError(
                f"`max_drop` must be at least {least:.2f} points to be shown on {count:,} validation examples. "
                f"Received: max_drop={max_drop:g}. Give more validation examples, a larger drop, or a lower confidence."
            )

    def drop(self, given: Measured, found: Measured, alpha: float) -> Drop:
        """The drop from the given model to a ticket.

        Args:
            given: the given model.
            found: the ticket.
            alpha: the probability that the true drop is above the bound.
        """
        if given.right is not None and found.right is not None:
            lost = int((given.right & ~found.right).sum())
            gained = int((~given.right & found.right).sum())
            count = len(given.right)
            bound = lost_share_bound(lost, gained, count, alpha)
            return Drop(
                100 * (lost - gained) / count,
                100 * bound,
                f"{count:,} paired examples, {lost} lost, {gained} gained",
            )
        a, b = _grouped(given), _grouped(found)
        worse, scale = (b - a, 1.0) if self.minimise else (a - b, 100.0)
        estimate = (found.value - given.value) if self.minimise else (given.value - found.value)
        return Drop(scale * estimate, scale * mean_bound(worse, alpha), f"{GROUPS} groups of examples")


def _grouped(measured: Measured) -> np.ndarray:
    if measured.groups is not None:
        return measured.groups
    assert measured.right is not None
    return np.array([part.mean() for part in np.array_split(measured.right, GROUPS)])


def _metric(net: Any, split: Any, name: str) -> float:
    net.reset_metrics()
    found: dict[str, Any] = {}
    for at in range(0, size(split), _BATCH):
        x, y, *weights = rows(split, slice(at, at + _BATCH))
        found = net.test_on_batch(x, y, *weights, return_dict=True)
    known = {key: value for key, value in found.items() if np.ndim(value) == 0}
    if name not in known:
        raise RecipeError(
            f"`monitor` must be one of {', '.join(f'val_{key}' for key in known)}. Received: monitor=val_{name}"
        )
    value = float(known[name])
    if not np.isfinite(value):
        raise RecipeError(f"val_{name} must be finite. Received: {value}")
    return value
