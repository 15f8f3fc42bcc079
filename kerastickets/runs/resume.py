"""Find the finished levels from which a run continues, and make all of its workers agree on them.

Only the chief process writes to the folder; it tells the other workers how many levels are finished.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerastickets.errors import KerasTicketsError, RecipeError
from kerastickets.runs.folder import RunFolder, short_json
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.recipe import OF_TEACHERS

if TYPE_CHECKING:
    from kerastickets.distribution.devices import Layout


@dataclass
class RunState:
    """The finished part of a run.

    Args:
        folder: the folder to write to; None if this process writes nothing.
        tickets: tickets of the finished levels.
        rows: rows of the finished levels.
    """

    folder: RunFolder | None = None
    tickets: list[Ticket] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def open_run(
    out: str | Path | None,
    layout: "Layout",
    recipe: Mapping[str, Any],
    versions: Mapping[str, str],
    extendable: bool,
    accept_versions: bool = False,
) -> Iterator[RunState]:
    """Open a run and yield its finished levels.

    The chief locks the folder; the other workers read its tickets.

    Args:
        out: the folder; None writes nothing.
        layout: the workers that train together.
        recipe: every setting that can change the tickets, as JSON.
        versions: library versions.
        extendable: whether the run may continue with more levels than before.
        accept_versions: continue even if the run was begun with other library versions.

    Raises:
        RecipeError: the folder cannot be used, or the workers do not continue the same run.
    """
    with ExitStack() as stack:
        state, failure = RunState(), None
        try:
            if out is not None and layout.chief:
                held = RunFolder(out).locked(
                    recipe, versions, extendable=extendable, accept_versions=accept_versions
                )
                state.folder = stack.enter_context(held)
                # The folder may hold more levels than this run asks for. They stay there, but are not reported.
                state.rows = [row for row in state.folder.keep_rows() if row["level"] <= recipe["levels"]]
                state.tickets = state.folder.tickets(recipe["levels"])
                check_levels(state.folder, state.tickets, recipe)
        except KerasTicketsError as error:
            failure = error
        # The other workers wait for this number, so a chief that fails must send it (-1) before it raises.
        finished = layout.number(-1 if failure else len(state.tickets))
        if failure:
            raise failure
        if finished < 0:
            raise RecipeError(
                "The chief, worker 0, could not open the run's folder. Received: no folder from the chief. "
                "Its own error message says why."
            )
        if out is not None and not layout.chief:
            state.tickets = _read(RunFolder(out), finished)
        layout.agree(
            {
                "recipe (a setting, the model, the data, or a seed)": json.dumps(recipe, sort_keys=True),
                "version of a library": json.dumps(dict(versions), sort_keys=True),
                f"set of {finished} finished levels (its --out must be the chief's folder, shared, or a copy "
                "of it)": json.dumps([ticket.digest for ticket in state.tickets]),
            }
        )
        yield state


def check_levels(folder: RunFolder, tickets: Sequence[Ticket], recipe: Mapping[str, Any]) -> None:
    """Refuse tickets that are valid but of another run: each level must continue the one before, by this recipe.

    Args:
        folder: where the tickets are.
        tickets: those of the finished levels, from level 0.
        recipe: every setting that can change the tickets, as JSON.

    Raises:
        RecipeError: naming the file, what it should be, and what to do.
    """
    for level, ticket in enumerate(tickets):
        told, training = ticket.provenance, recipe["train"]
        if not level:
            training = {name: value for name, value in training.items() if name not in OF_TEACHERS}
        facts = {
            "level": (told.get("level"), level),
            "criterion": (told.get("criterion"), recipe["criterion"]["name"]),
            "options": (told.get("options"), recipe["criterion"]["options"]),
            "method": (told.get("method"), recipe["method"]),
            "training": (told.get("recipe"), training),
            "seeds": (told.get("seeds"), recipe["seeds"]),
        }
        if level:
            facts["parents"] = (told.get("parents"), [tickets[level - 1].digest])
        for name, (received, expected) in facts.items():
            # Through JSON, as a file gives it back.
            if received != json.loads(json.dumps(expected)):
                raise RecipeError(
                    f"{folder.ticket_file(level)} must be level {level} of this run, with "
                    f"{name}={short_json(expected)}. Received: {name}={short_json(received)}. Remove it and the levels "
                    "after it, and run the same command again, or give another --out."
                )


def _read(folder: RunFolder, finished: int) -> list[Ticket]:
    """The first tickets of a folder that another process holds; an empty list if one cannot be read."""
    try:
        return [Ticket.load(folder.ticket_file(level)) for level in range(finished)]
    except KerasTicketsError:
        return []
