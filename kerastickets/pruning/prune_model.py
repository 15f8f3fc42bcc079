"""`prune`: find a lottery ticket."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Unpack

from kerastickets.data.dataset import Data
from kerastickets.foundations.rows import Row
from kerastickets.pruning.job import PruneJob, PruneSettings
from kerastickets.pruning.loop import find_tickets
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.pruning_run import PruningRun
from kerastickets.runs.folder import RunFolder, read_rows
from kerastickets.runs.run import Level, Run
from kerastickets.tickets.ticket import Ticket


def prune(
    model: Any,
    data: str | Data,
    criterion: Any = "magnitude",
    *,
    start: Ticket | str | Path | None = None,
    seed: int = 0,
    strategy: Any = "default",
    out: str | Path | None = None,
    callbacks: Callable[[int], Iterable[Any]] | None = None,
    watch: Collection[str] = (),
    on_row: Callable[[Row], None] | None = None,
    on_level_end: Callable[[Level], None] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    accept_versions: bool = False,
    **settings: Unpack[PruneSettings],
) -> Run:
    """Find a lottery ticket.

    Args:
        model: a registered name (`"lenet-300-100"`, `"mlp:widths=38-38"`), a `.keras` file,
            `"package.module:function"`, a function `(data) -> keras.Model`, or a `keras.Model`, which is
            not touched and whose weights are the initial ones. None takes the model of `start`.
        data: a registered name (`"mnist"`, `"mnist[0,1]"`, `"npz:points.npz"`) or a `Data`.
        criterion: a registered name (`"magnitude"`, `"snip:batches=4"`) or an instance.
        start: a ticket, or its file, whose mask and initial weights to continue from.
        seed: keys initial weights, data order and scoring batches.
        strategy: where to train: `default`, `mirrored`, `multiworker` or a `tf.distribute.Strategy`.
        out: folder to write; the same call continues what is there. None writes nothing.
        callbacks: given a level, fresh Keras callbacks; `on_epoch_*` fires per evaluation. A folder does not
            record them: continue it with the same ones.
        watch: `train` or `test`: splits measured at every evaluation besides validation, for the record only.
        on_row: called with each evaluation's row.
        on_level_end: called with each finished `Level`, also those found in `out`.
        custom_objects: your classes by name, for files and tickets.
        accept_versions: continue a folder that other library versions began.
        **settings: how to prune (`levels`, `rate`, `target`, `sparsity`, `scope`, ..., see `Method`) and how to
            train (`train`, `batch_size`, `lr`, ..., see `Recipe`).

    Returns:
        A `Run`: its tickets, one per level from 0 (before any cut) on, and its history.

    Raises:
        KerasTicketsError: a subclass that says what was expected, what was received and what to do.

    Example:
        >>> run = prune("mlp:8", "digits", levels=2, rate=0.5, train="1ep")
        >>> [ticket.kept for ticket in run.tickets]
        [592, 296, 148]

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, section 2; N. Lee et al., SNIP, section 4.
    """
    job = PruneJob.of(model, data, criterion, start=start, seed=seed, strategy=strategy, dials=settings)
    prepared = PreparedRun(job, custom_objects, callbacks, watch)
    return find_tickets([PruningRun(prepared, out, on_row, on_level_end, accept_versions)])[0]


def history(folder: str | Path) -> list[Row]:
    """The rows of a run folder, one per evaluation, without running anything."""
    return read_rows(RunFolder(folder).metrics_file)
