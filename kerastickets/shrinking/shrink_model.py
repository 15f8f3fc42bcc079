"""`shrink`: from a trained model to the smallest one that keeps what its user asks for."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from kerastickets.data.dataset import Data
from kerastickets.data.spec import find_data
from kerastickets.errors import LayerCollapseError, RecipeError
from kerastickets.exporting.protocol import Exporter
from kerastickets.exporting.write import export as export_ticket, exporter_of
from kerastickets.foundations.staging import published
from kerastickets.pruning.job import PruneSettings
from kerastickets.pruning.prune_model import prune
from kerastickets.shrinking.goal import Goal
from kerastickets.shrinking.judge import Judge
from kerastickets.shrinking.measure import latency_of, size_of_export
from kerastickets.shrinking.result import Shrunk, chart
from kerastickets.shrinking.search import FINER, Path as SearchPath, Try, best
from kerastickets.shrinking.settings import search_settings
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.evaluate_ticket import evaluate
from kerastickets.training.recipe import Recipe
from kerastickets.training.trainer_cache import TrainerCache


def shrink(
    model: Any,
    data: Any,
    *,
    max_drop: float | None = None,
    max_size: int | str | None = None,
    max_latency: float | str | None = None,
    criterion: Any = "magnitude",
    export: str | Exporter | None = None,
    compact: bool | None = None,
    confidence: float = 0.95,
    out: str | Path | None = None,
    seed: int = 0,
    custom_objects: Mapping[str, Any] | None = None,
    on_try: Callable[[Try], None] | None = None,
    **settings: Unpack[PruneSettings],
) -> Shrunk:
    """Find the smallest ticket of a trained model that keeps what is asked for.

    The given model is measured and never trained again. Then each level prunes a part of the weights that are left,
    and fine-tunes the others. Tickets are judged on the validation split only: with probability `confidence`, the true
    drop of the chosen ticket is at most `max_drop`, for examples like the validation examples. The test split is
    measured once, at the end.

    With `max_drop`, the search goes on as far as the drop allows, and then in finer steps. Without it, the search ends
    at the first ticket that is small or fast enough.

    Args:
        model: a trained model: a `.keras` file, a `keras.Model` or a trained ticket. It is not changed.
        data: the data set, in any form that `kerastickets.prune` takes, with at least 30 validation examples.
        max_drop: how much worse the monitored metric may become: points (hundredths) of accuracy or another metric that
            grows with quality, units of a loss or an error.
        max_size: the largest exported file, such as `200KiB`; needs `export`.
        max_latency: the longest time for one example on this machine, in TensorFlow, such as `2ms`. Units are then
            pruned instead of single weights, unless `granularity` says otherwise.
        criterion: a criterion, or several; each has its own path, and the sparsest ticket of all is taken.
        export: an exporter's name, options included. The chosen ticket is exported and verified.
        compact: whether to compact the export; None compacts it if units were pruned.
        confidence: in (0.5, 1). Several criteria share what is left of it.
        out: the folder to write to. The same call continues a search that is there; a call with another goal uses the
            levels that are there, and replaces the result. None writes nothing, and then nothing is exported either.
        seed: random seed for data order and scoring batches.
        custom_objects: your classes by name.
        on_try: called with each `Try`.
        **settings: how to prune and how to train, as for `kerastickets.prune`. By default a level prunes a fifth of the
            weights that are left, trains for `2ep`, and keeps the last weights.

    Returns:
        A `Shrunk`.

    Raises:
        RecipeError: nothing is asked for, a value is out of range, or the model's weights are not trained.
        KerasTicketsError: what `prune` and `export` raise.

    Example:
        >>> import keras, numpy as np
        >>> x = np.random.default_rng(0).normal(size=(400, 4)).astype("float32")
        >>> y = (x[:, 0] > 0).astype("int64")
        >>> layers = [keras.Input((4,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(2, "softmax")]
        >>> model = keras.Sequential(layers)
        >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> _ = model.fit(x, y, epochs=2, verbose=0)
        >>> small = shrink(model, (x, y), max_drop=20.0, rate=0.5, train="1ep", batch_size=32)
        >>> small.met, small.ticket.kept < small.ticket.total
        (True, True)
    """
    goal = Goal(max_drop, max_size, max_latency)
    names = [criterion] if isinstance(criterion, str) or not isinstance(criterion, Sequence) else [*criterion]
    given = search_settings(settings, goal)
    _check(goal, export, confidence, out, names)
    trainers, data = TrainerCache(most=8), _data(data)
    whole = trainers.data(find_data(data))
    judge = Judge(whole, given.get("monitor") or Recipe.monitor, custom_objects, trainers)
    compact = given.get("granularity") == "channel" if compact is None else compact
    exporter = exporter_of(export)[1] if export is not None else None
    alpha = (1 - confidence) / len(names)
    judge.check(max_drop, alpha / 2)
    tried: list[Try] = []
    with ExitStack() as stack:
        home = Path(out) if out else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in names:
            search = _Search(
                model, data, name, given, home / _file_name(name), seed, custom_objects, trainers
            )
            path = SearchPath(
                _file_name(name),
                goal,
                judge,
                alpha,
                search.levels,
                search.finer,
                size_of_export(exporter, whole, compact, custom_objects) if goal.max_size else None,
                latency_of(whole, custom_objects) if goal.max_latency else None,
                on_try or (lambda one: None),
            )
            tried += path.search()
        found = best(tried)
        test = {
            name: _numbers(evaluate(one.ticket, whole, custom_objects=custom_objects, trainers=trainers))
            for name, one in (("given", tried[0]), ("chosen", found))
        }
        shown = Shrunk(
            found.ticket, tuple(tried), found, found.fits, goal, test, None, judge.monitor, confidence
        )
        return _written(shown, home, export, compact, data, custom_objects) if out else shown


@dataclass(frozen=True)
class _Search:
    """Makes the tickets of a path, by one pruning run that gets longer, and by runs of one level for finer steps."""

    model: Any
    data: Any
    criterion: Any
    settings: Mapping[str, Any]
    folder: Path
    seed: int
    custom_objects: Mapping[str, Any] | None
    trainers: TrainerCache

    def levels(self) -> Iterator[Ticket]:
        """The tickets of the levels, until a layer would be emptied or hardly a weight is left."""
        level = 1
        while True:
            try:
                tickets = self._run(self.folder / "levels", self.model, None, levels=level).tickets
            except LayerCollapseError:
                return
            yield from tickets[0 if level == 1 else level :]
            if tickets[-1].kept < 2 or tickets[-1].kept == tickets[-2].kept:
                return
            level += 1

    def finer(self, level: int) -> Iterator[Ticket]:
        """Tickets between a level and the next."""
        start = self._run(self.folder / "levels", self.model, None, levels=level + 1).tickets[level]
        for part in range(1, FINER):
            rate = _part(self.settings["rate"], part)
            folder = self.folder / f"level-{level:02}-{part}-of-{FINER}"
            yield self._run(folder, None, start, levels=1, rate=rate).tickets[1]

    def _run(self, folder: Path, model: Any, start: Ticket | None, **settings: Any) -> Any:
        return prune(
            model,
            self.data,
            self.criterion,
            start=start,
            seed=self.seed,
            out=folder,
            custom_objects=self.custom_objects,
            trainers=self.trainers,
            **{**self.settings, **settings},
        )


def _part(rate: Any, part: int) -> Any:
    """The rate of which several in a row make `rate` if there are `FINER`, and here `part` of them at once."""
    if isinstance(rate, Mapping):
        return {pattern: _part(one, part) for pattern, one in rate.items()}
    return 1 - (1 - rate) ** (part / FINER)


def _check(goal: Goal, export: Any, confidence: float, out: Any, names: Sequence[Any]) -> None:
    if not (isinstance(confidence, float) and 0.5 < confidence < 1):
        raise RecipeError(f"`confidence` must be in (0.5, 1). Received: confidence={confidence!r}")
    if not names:
        raise RecipeError("Name at least one criterion. Received: none.")
    if goal.max_size and export is None:
        raise RecipeError(
            "`max_size` is the size of an exported file. Received: no format. Add export=..., such as litert."
        )
    if export is not None and not out:
        raise RecipeError("An export needs a folder to write to. Received: no `out`. Add out=... (--out).")


def _data(data: Any) -> Any:
    """The data in a form that need not be converted again for each run."""
    return data if isinstance(data, str | Data) else find_data(data).make()


def _numbers(facts: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in facts.items() if isinstance(value, float)}


def _file_name(criterion: Any) -> str:
    text = criterion if isinstance(criterion, str) else type(criterion).__name__.lower()
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text)


def _written(shown: Shrunk, home: Path, export: Any, compact: bool, data: Any, custom: Any) -> Shrunk:
    """Write the chosen ticket, its export, the table and the figure, as one whole."""
    from kerastickets.figures.matplotlib_figures import draw

    with published(home, "shrink.json") as folder:
        shown.ticket.save(folder / "ticket.safetensors")
        draw(chart(shown), folder)
        if export is not None:
            made = exporter_of(export)[1]
            path = folder / f"model{made.suffix}"
            done = export_ticket(
                shown.ticket, export, path, data=data, compact=compact, custom_objects=custom
            )
            shown = replace(shown, exported=replace(done, path=home / path.name))
        text = json.dumps(shown.facts(), indent=2, default=str)
        (folder / "shrink.json").write_text(text + "\n", encoding="utf-8")
    return shown
