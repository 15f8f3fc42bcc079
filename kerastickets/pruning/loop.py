"""The one pruning loop: train, score, cut, and start again.

Iterative magnitude pruning, one-shot pruning, SNIP and iterative SNIP are settings of it.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kerastickets.cutting.cut_scores import cut
from kerastickets.errors import RecipeError
from kerastickets.foundations.environment import versions
from kerastickets.foundations.tree import Tree, kept
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.stop_rules import judged, try_rules
from kerastickets.runs.folder import RunFolder
from kerastickets.runs.resume import open_run
from kerastickets.runs.run import Level, Run
from kerastickets.runs.tasks import keep_tasks
from kerastickets.structure.all_alive import Cut, largest_alive
from kerastickets.structure.tracing import trace
from kerastickets.tickets.ticket import Ticket
from kerastickets.tickets.winning import stopped_by
from kerastickets.training.model_source import Source, data_digest, data_files, data_name, source_of
from kerastickets.training.recipe import Recipe
from kerastickets.training.session import trained_level
from kerastickets.training.trainer_cache import TrainerCache

if TYPE_CHECKING:
    from kerastickets.training.session import Outcome, Start

Row = dict[str, Any]
Trainings = Generator["Start", "Outcome", Run]


class Loop:
    """One job made ready: data read, model built once, counts of every level known.

    Args:
        job: the checked job.
        custom_objects: classes by name, for files and tickets.
        callbacks: given a level, fresh Keras callbacks.
        watch: splits measured at every evaluation besides validation.
        trainers: what to share with other jobs of this process.
    """

    def __init__(
        self,
        job: PruneJob,
        custom_objects: Mapping[str, Any] | None = None,
        callbacks: Callable[[int], Iterable[Any]] | None = None,
        watch: Collection[str] = (),
        trainers: TrainerCache | None = None,
    ) -> None:
        from kerastickets.distribution.devices import Layout
        from kerastickets.pruning.prunable import Prunable

        self.job, self.method = job, job.method
        # First of all: TensorFlow joins a cluster before it computes anything.
        self.layout = Layout.of(job.strategy)
        self.trainers = trainers or TrainerCache()
        self.data = self.trainers.data(job.data)
        wide = job.extension(self.data)
        self.source: Source = source_of(wide.model, self.data, wide.name, custom_objects)
        own = {name: value for name, value in self.source.recipe.items() if name != "rate"}
        self.recipe = Recipe.of(job.dials, own)
        self.whole = self.data
        self.data = self.trainers.data(self.whole, self.recipe.train_size, job.seed)
        self.init = job.start.weights("init") if job.start else self.source.init(job.seed)
        self._callbacks, self._watch = callbacks, watch
        self._trainer: Any = None
        self._snapshot_at = self.method.steps_to_keep(self.recipe.train, self._per_epoch)
        prunable = Prunable.of(self.source, self.init, self.method, self.job.start, wide.counts)
        self.masks, self._fixed, self.schedule = prunable.masks, prunable.fixed, prunable.schedule
        if self.method.all_alive:  # before anything is trained: a layer that cannot be followed is an error
            trace(Ticket(self.source.architecture, self.masks, {"init": self.init}))

    @property
    def takes_turns(self) -> bool:
        """Whether its trainer can train several nets in one compiled call."""
        return self.layout.strategy is None and not self._callbacks and self.data.batches is None

    @property
    def levels(self) -> int:
        """The number of prunings."""
        return self.schedule.levels

    @property
    def trainer(self) -> Any:
        """The trainer of every level, compiled on first use."""
        if self._trainer is None:
            self._trainer = self.trainers.trainer(
                self.source,
                self.data,
                self.recipe,
                self.masks,
                callbacks=self._callbacks,
                layout=self.layout,
                watch=self._watch,
            )
        return self._trainer

    def recipe_json(self) -> dict[str, Any]:
        """Everything that can change bits, as `run.json` keeps it."""
        return {
            "model": self.source.name,
            "loss": self.source.objective.describe() if self.source.objective else self.data.loss,
            "dataset": {"name": self.data_name, "sha256": data_digest(self.whole)},
            "criterion": {"name": self.method.name, "options": dict(self.method.options)},
            "method": {k: v for k, v in self.method.describe().items() if k != "levels"},
            "levels": self.levels,
            "train": self.recipe.describe(),
            "seeds": self.seeds,
            "start": Ticket(self.source.architecture, self.masks, {"init": self.init}).digest,
        } | self.layout.recipe()

    @property
    def data_name(self) -> str:
        """The data set as provenance names it."""
        return data_name(self.job.data)

    @property
    def seeds(self) -> dict[str, int]:
        """The three seeds, all set by `seed`."""
        return {"init": self.job.seed, "data": self.job.seed, "scoring": self.job.seed}

    def trainings(
        self,
        out: str | Path | None = None,
        on_row: Callable[[Row], None] | None = None,
        on_level_end: Callable[[Level], None] | None = None,
        accept_versions: bool = False,
    ) -> Trainings:
        """Go through all levels; continue where `out` already holds some. Whoever drives this does the trainings: it
        yields starts and is sent their outcomes. See `prune` for the arguments."""
        report = on_level_end or (lambda level: None)
        extendable = self.method.extendable
        with open_run(out, self.layout, self.recipe_json(), versions(), extendable, accept_versions) as state:
            return (yield from self._go(state.folder, state.tickets, state.rows, on_row, report))

    def _go(
        self,
        folder: RunFolder | None,
        tickets: list[Ticket],
        rows: list[Row],
        on_row: Callable[[Row], None] | None,
        report: Callable[[Level], None],
    ) -> Trainings:
        def keep(row: Row) -> None:
            rows.append(row)
            if folder:
                folder.add_row(row)
            if on_row:
                on_row(row)

        if folder:
            keep_tasks(folder, self.data)
        levels: list[Level] = []

        def add(ticket: Ticket) -> None:
            level = Level.of(ticket, len(levels), rows, folder)
            levels.append(level.beside(levels[0] if levels else level))
            report(levels[-1])

        for ticket in tickets:
            add(ticket)
        while len(tickets) <= self.levels and not stopped_by(tickets):
            ticket = yield from self._level(len(tickets), tickets, keep)
            tickets.append(judged(ticket, self.method.stop_when, self.data))
            if folder:
                tickets[-1].save(folder.ticket_file(len(tickets) - 1))
            add(tickets[-1])
        return Run(folder.path if folder else None, tuple(tickets), tuple(levels), tuple(rows), self._head())

    def _head(self) -> dict[str, Any]:
        return {
            "criterion": self.method.name,
            "model": self.source.name,
            "dataset": self.data_name,
            "seed": self.job.seed,
            "versions": versions(),
        }

    def _level(
        self, level: int, before: list[Ticket], keep: Callable[[Row], None]
    ) -> Generator["Start", "Outcome", Ticket]:
        """Make one level's ticket: cut the one before (if any), then train it (if the method says so)."""
        parent = before[-1] if before else None
        done = self._cut(level, parent) if parent else Cut(self.masks, {"init": self.init}, {})
        snapshots = {name: weights for name, weights in done.snapshots.items() if name != "final"}
        start = self._start_name() if parent else "init"
        provenance = self._provenance(level, parent, start) | dict(done.facts)
        ticket = Ticket(self.source.architecture, done.masks, snapshots, provenance)
        if not parent:
            try_rules(ticket, self.method.stop_when, self.data)
        if not self.method.trains(level, self.levels):
            return ticket
        outcome = yield self._start(ticket, level, done if parent else None, keep)
        self._check_steps(parent, outcome)
        return trained_level(ticket, outcome, self.trainer.environment)

    def _start_name(self) -> str:
        step = self._step()
        return f"rewind@{step}" if step else "init"

    @property
    def _per_epoch(self) -> int:
        return max(1, len(self.data.train[0]) // self.recipe.batch_size)

    def _step(self) -> int:
        return self.method.rewind_to.iterations(self._per_epoch)

    def _cut(self, level: int, parent: Ticket) -> Cut:
        """What a level keeps of the one before, and what its criterion tells of the scores besides."""
        trained = "final" in parent.snapshots and self.method.between == "train"
        weights = parent.weights("final") if trained else parent.weights(self._start_name())
        scores = self.method.criterion(self._scoring(level, parent, weights))
        facts = {"scores": dict(scores.facts)} if getattr(scores, "facts", None) else {}

        def cut_to(count: Any) -> Tree:
            new = cut(
                {key: score for key, score in scores.items() if key not in self._fixed},
                count,
                {key: mask for key, mask in parent.masks.items() if key not in self._fixed},
                self.schedule.scope,
                granularity=self.method.granularity,
                allow_collapse=self.method.allow_collapse,
            )
            return self.layout.masks({**new, **self._fixed})

        count = self.schedule.counts[level]
        if not self.method.all_alive:
            return Cut(cut_to(count), parent.snapshots, facts)
        fixed = kept(self._fixed)
        found = largest_alive(parent, lambda n: cut_to(n - fixed), cast(int, count) + fixed, parent.kept)
        return Cut(found.masks, found.snapshots, facts | {"all_alive": dict(found.facts)})

    def _scoring(self, level: int, parent: Ticket, weights: Tree) -> Any:
        from kerastickets.pruning.scoring import Batches, Scoring

        model = self.trainer.load(weights, parent.masks, seed=self.job.seed)
        step = self._step()
        return Scoring(
            model=model,
            masks=parent.masks,
            init=self.init,
            rewind=parent.weights(self._start_name()) if step else None,
            batches=Batches(self.data.train, self.recipe.batch_size, self.job.seed, level - 1),
            loss=self.trainer.loss,
            seed=self.job.seed,
        )

    def _start(
        self, ticket: Ticket, level: int, cut_from: Cut | None, keep: Callable[[Row], None]
    ) -> "Start":
        from kerastickets.training.session import Start

        weights, first, rate_at = ticket.weights(ticket.start), 0, None
        if cut_from:
            first = self._step()
            if self.method.after_cut != "rewind":
                weights = cut_from.snapshots["final"]
            if self.method.after_cut == "fine-tune":
                rate_at = self.trainer.total
        steps = () if cut_from else self._snapshot_at
        return Start(weights, ticket.masks, self.job.seed, first, rate_at, level, steps, keep)

    def _check_steps(self, parent: Ticket | None, outcome: "Outcome") -> None:
        missed = [step for step in self._snapshot_at if not parent and step not in outcome.snapshots]
        if missed:
            raise RecipeError(
                f"Level 0 must train as far as `rewind_to` and `snapshot_at`, iteration {missed[-1]}. Received: it "
                f"stopped at {outcome.metrics['stopped_iteration']}. Raise `patience`, or choose earlier steps."
            )

    def _provenance(self, level: int, parent: Ticket | None, start: str) -> dict[str, Any]:
        first = self.job.start.digest if self.job.start else None
        return {
            "operation": "prune",
            "criterion": self.method.name,
            "options": dict(self.method.options),
            "level": level,
            "model": self.source.name,
            "dataset": self.data_name,
            "files": dict(self.source.files) | data_files(self.job.data),
            "method": {k: v for k, v in self.method.describe().items() if k != "levels"},
            "recipe": self.recipe.describe(),
            "seeds": self.seeds,
            "parents": [parent.digest] if parent else [first] if first else [],
            "metrics": {},
            "start": start,
            "versions": versions(),
            "environment": {},
        }
