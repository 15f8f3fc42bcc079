"""`prune`: find a lottery ticket."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Unpack

from kerastickets.foundations.rows import Row
from kerastickets.pruning.job import PruneJob, PruneSettings
from kerastickets.pruning.loop import find_tickets
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.pruning_run import PruningRun
from kerastickets.runs.folder import RunFolder, read_metrics
from kerastickets.runs.run import Level, Run
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.trainer_cache import TrainerCache


def prune(
    model: Any,
    data: Any,
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
    checkpoint_every: float = 10.0,
    trainers: TrainerCache | None = None,
    **settings: Unpack[PruneSettings],
) -> Run:
    """Find a lottery ticket.

    Args:
        model: a registered name (`"lenet-300-100"`, `"mlp:widths=38-38"`), a `.keras` file,
            `"package.module:function"`, a function `(data) -> keras.Model`, or a `keras.Model`. A `keras.Model` is
            not changed, and its weights are the initial ones. None takes the model of `start`.
        data: a registered name (`"mnist"`, `"mnist[0,1]"`, `"npz:points.npz"`), a `Data`, or what Keras users have:
            `(x, y)`, `(x, y, sample_weight)`, a `tf.data.Dataset` or a `keras.utils.PyDataset`, also as a dict of
            `train`, `validation` and `test`; see `data_from`. The model must then be compiled with a loss.
        criterion: a registered name (`"magnitude"`, `"snip:batches=4"`) or an instance.
        start: a ticket or its file. The run continues from its mask and initial weights.
        seed: random seed for initial weights, data order and scoring batches.
        strategy: where to train: `default`, `mirrored`, `multiworker` or a `tf.distribute.Strategy`.
        out: the folder to write to. The same call continues a run that is there. None writes nothing.
        callbacks: a function that takes the level and returns fresh Keras callbacks. `on_epoch_*` fires per
            evaluation. A folder does not record callbacks, so continue it with the same ones.
        watch: further splits to measure at every evaluation, `train` or `test`. They are only recorded.
        on_row: called with the row of each evaluation.
        on_level_end: called with each finished `Level`, also with levels found in `out`.
        custom_objects: your classes by name, for files and tickets.
        accept_versions: continue a folder that was begun with other library versions.
        checkpoint_every: how often to write the state of a level's training to `out`, in minutes of training; 0
            never. A run that was killed continues from there. It is not kept with callbacks or several workers.
        trainers: the cache of compiled nets that calls of this process share. Without it each call compiles its own,
            and TensorFlow gives little of their memory back.
        **settings: how to prune (`levels`, `rate`, `target`, `sparsity`, `scope`, ..., see `Method`) and how to
            train (`train`, `batch_size`, `lr`, ..., see `Recipe`).

    Returns:
        A `Run` with its history and its tickets: one per level, from level 0 (before any cut) on.

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
    prepared = PreparedRun(job, custom_objects, callbacks, watch, trainers)
    run = PruningRun(prepared, out, on_row, on_level_end, accept_versions, checkpoint_every=checkpoint_every)
    return find_tickets([run])[0]


def history(folder: str | Path) -> list[Row]:
    """Read the rows of a run's folder, one per evaluation. Nothing is run."""
    return read_metrics(RunFolder(folder).metrics_file)
