"""Find the finished levels from which a run continues, and make all of its workers agree on them.

Only the chief process writes to the folder; it tells the other workers how many levels are finished.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerastickets.errors import KerasTicketsError, RecipeError
from kerastickets.runs.folder import RunFolder
from kerastickets.tickets.ticket import Ticket

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


def _read(folder: RunFolder, finished: int) -> list[Ticket]:
    """The first tickets of a folder that another process holds; an empty list if one cannot be read."""
    try:
        return [Ticket.load(folder.ticket_file(level)) for level in range(finished)]
    except KerasTicketsError:
        return []
