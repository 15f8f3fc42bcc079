"""Variants: ideas from single papers that change how a run prunes. The loop does not know any of them.

A variant overrides the hooks that it needs. `kerastickets.pruning.method.VARIANTS` lists the setting that turns each
variant on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from kerastickets.foundations.tree import Tree
from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    from kerastickets.data.dataset import Data

#: The number of weights to keep, in total or per key.
Count = int | Mapping[str, int]


@dataclass(frozen=True)
class StartModel:
    """The model that a run begins with.

    Args:
        model: the model, as `find_model` returns it.
        name: its name, for provenance.
        counts: the number of weights to keep at each level, from level 0; None plans them from the settings.
    """

    model: Any
    name: str
    counts: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Cut:
    """The result of a cut: what remains of a ticket.

    Args:
        masks: booleans by key, True where kept.
        snapshots: the weights of the ticket that was cut, by snapshot name. A variant may have changed them.
        facts: facts about the cut that provenance records, as JSON.
    """

    masks: Tree
    snapshots: Mapping[str, Tree]
    facts: Mapping[str, Any] = field(default_factory=dict)


#: Cuts a ticket down to a number of weights.
Cutter = Callable[[Ticket, Count], Cut]


class MethodLike(Protocol):
    """The settings of `Method` that a variant may look at."""

    @property
    def levels(self) -> int | None:
        """How many times to prune."""

    @property
    def rate(self) -> Any:
        """The fraction that a level prunes, or fractions by pattern."""

    @property
    def target(self) -> int | None:
        """The number of weights to keep in the end."""

    @property
    def sparsity(self) -> float | None:
        """The fraction that is pruned in the end."""

    @property
    def scope(self) -> str | None:
        """Whether all weights are ranked together or each layer's by themselves: `global` or `layer`."""

    @property
    def cuts(self) -> int:
        """Prunings per level."""

    @property
    def granularity(self) -> str:
        """What is pruned: single weights, or groups of them."""

    @property
    def between(self) -> str:
        """Whether every level is trained, or only the last: `train` or `none`."""

    @property
    def no_train(self) -> bool:
        """Whether the last level is left untrained."""

    @property
    def variants(self) -> "tuple[Variant, ...]":
        """The variants that the settings ask for."""


class Variant:
    """An idea that changes how a run prunes. Each method is a hook. The hooks of this base class change nothing."""

    #: Whether the variant sets how many weights each level keeps. Levels and rate then have no defaults.
    plans_counts: ClassVar[bool] = False
    #: Settings that the variant implies where the caller gives none.
    implied: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def scope(self, rate: Any) -> str | None:
        """The scope that the variant implies if the caller gives none; None leaves the choice to others."""
        return None

    def check(self, method: MethodLike) -> None:
        """Refuse settings that contradict the variant, before any model is built."""

    def check_model(self, model: Any, name: str) -> None:
        """Refuse a model that the variant cannot work on, before any data is read."""

    def start_model(self, start: StartModel, data: "Data", method: MethodLike) -> StartModel:
        """The model that the run begins with, and the counts of its levels."""
        return start

    def check_ticket(self, ticket: Ticket) -> None:
        """Refuse a network that the variant cannot work on, before anything is trained."""

    def wrap(self, cut: Cutter) -> Cutter:
        """The cut that replaces `cut`."""
        return cut

    def moves(self, start: Count, end: Count, total: int, per_epoch: int) -> Mapping[int, Count]:
        """The cuts within the training of the last level, which then takes the place of its cut before training.

        Args:
            start: the number of weights that level 0 keeps.
            end: the number of weights that the last level keeps.
            total: iterations of the training.
            per_epoch: iterations per epoch.

        Returns:
            The number of weights to keep, by the step after which the net is cut.
        """
        return {}
