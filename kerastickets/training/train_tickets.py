"""Train several tickets together. Each gets the same bits as from `train`, in less time if the nets are tiny."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from kerastickets.data.dataset import Data
from kerastickets.errors import RecipeError
from kerastickets.foundations.rows import Row
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.recipe import TrainSettings
from kerastickets.training.train_ticket import Trained, TrainRequest, prepared
from kerastickets.training.trainer_cache import TrainerCache

if TYPE_CHECKING:
    from kerastickets.training.session import Outcome


def train_many(
    tickets: Sequence[Ticket | str | Path],
    data: str | Data | None = None,
    *,
    start: str | None = None,
    freeze: Collection[str] = (),
    seeds: Sequence[int] | None = None,
    model: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    watch: Collection[str] = (),
    trainers: TrainerCache | None = None,
    on_row: Callable[[int, Row], None] | None = None,
    **settings: Unpack[TrainSettings],
) -> list[Trained]:
    """Train several tickets, or a control of each.

    Tickets of one architecture that train on the same data by the same recipe take turns in one compiled call. Each
    has its own early stop. This saves calls, which for tiny nets cost more than the training itself. Other tickets
    are trained one after another.

    Args:
        tickets: tickets or their files.
        data: a data set's name or a `Data`; None takes for each ticket the one that it was found on.
        start: a snapshot or a control, as in `train`.
        freeze: glob patterns of the keys of weights that do not train.
        seeds: the data seed of each ticket; None takes each ticket's own.
        model: the model's name, file, function or object, for tickets without an architecture.
        custom_objects: your classes by name.
        watch: further splits to measure at every evaluation, `train` or `test`. They are only recorded.
        trainers: the cache that trainings of this process share.
        on_row: called with the number of the ticket and the row of each evaluation.
        **settings: how to train, see `Recipe`. Settings that are left out come from each ticket's own recipe.

    Returns:
        One `Trained` per ticket, in their order. Each equals the result of `train` bit for bit.

    Raises:
        KerasTicketsError: the error that `train` raises for the first ticket that fails.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> both = train_many([toy_ticket()] * 2, "digits", seeds=[0, 1], train="1ep", jit="off")
        >>> [one.ticket.provenance["seeds"]["data"] for one in both]
        [0, 1]
    """
    if seeds is not None and len(seeds) != len(tickets):
        raise RecipeError(
            f"`seeds` must be one for each ticket. Received: {len(seeds)} seeds, {len(tickets)} tickets"
        )
    asked = TrainRequest(
        "",
        data,
        start,
        freeze,
        None,
        "default",
        model,
        custom_objects,
        None,
        watch,
        trainers or TrainerCache(),
        None,
        settings,
    )
    own: Sequence[int | None] = [None] * len(tickets) if seeds is None else seeds
    trainings = [
        prepared(replace(asked, ticket=ticket, seed=seed, on_row=_numbered(on_row, n)))
        for n, (ticket, seed) in enumerate(zip(tickets, own, strict=True))
    ]
    outcomes: dict[int, Outcome] = {}
    for trainer in {id(one.trainer): one.trainer for one in trainings}.values():
        members = [n for n, one in enumerate(trainings) if one.trainer is trainer]
        starts = [trainings[n].start for n in members]
        outcomes |= zip(members, trainer.train_many(starts), strict=True)
    return [one.finish(outcomes[n]) for n, one in enumerate(trainings)]


def _numbered(on_row: Callable[[int, Row], None] | None, number: int) -> Callable[[Row], None] | None:
    return None if on_row is None else lambda row: on_row(number, row)
