"""What a run continues from: found by the one process that writes, and told to those that train with it."""

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
    """How far a run is.

    Args:
        folder: what to write to; None where nothing is written.
        tickets: of the finished levels.
        rows: of the finished levels.
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
    """The finished levels of a run. The chief holds the folder; other workers read its tickets.

    Args:
        out: the folder, or None.
        layout: who trains together.
        recipe: everything that can change bits, as JSON.
        versions: library versions.
        extendable: whether more levels continue the same run.
        accept_versions: continue although other library versions began the run.

    Raises:
        RecipeError: the folder is not to be had, or the workers do not continue the same run.
    """
    with ExitStack() as stack:
        state, failure = RunState(), None
        try:
            if out is not None and layout.chief:
                held = RunFolder(out).locked(
                    recipe, versions, extendable=extendable, accept_versions=accept_versions
                )
                state.folder = stack.enter_context(held)
                # The folder may hold more levels than this run asks for: they stay, and are not reported.
                state.rows = [row for row in state.folder.keep_rows() if row["level"] <= recipe["levels"]]
                state.tickets = state.folder.tickets(recipe["levels"])
        except KerasTicketsError as error:
            failure = error
        # The others wait for this number: a chief that gives up must say so first.
        finished = layout.number(-1 if failure else len(state.tickets))
        if failure:
            raise failure
        if finished < 0:
            raise RecipeError(
                "The chief, worker 0, could not begin. Received: no folder from it; it says why."
            )
        if out is not None and not layout.chief:
            state.tickets = _read(RunFolder(out), finished)
        layout.agree(
            {
                "recipe (a dial, the model, the data, or a seed)": json.dumps(recipe, sort_keys=True),
                "version of a library": json.dumps(dict(versions), sort_keys=True),
                f"set of {finished} finished levels (its --out must be the chief's folder, shared, or a copy "
                "of it)": json.dumps([ticket.digest for ticket in state.tickets]),
            }
        )
        yield state


def _read(folder: RunFolder, finished: int) -> list[Ticket]:
    """The first tickets of a folder that another process holds; fewer where it is not shared."""
    try:
        return [Ticket.load(folder.ticket_file(level)) for level in range(finished)]
    except KerasTicketsError:
        return []
