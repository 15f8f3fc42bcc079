"""One run in the pruning loop: its folder, its tickets so far, and the steps of a level."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerastickets.errors import KerasTicketsError, RecipeError
from kerastickets.foundations.environment import versions
from kerastickets.foundations.rows import Row
from kerastickets.foundations.tree import Tree
from kerastickets.pruning.gradual import at_most
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.scoring import Batches, Scores, Scoring
from kerastickets.pruning.stop_rules import judged, try_rules
from kerastickets.pruning.variants import Cut
from kerastickets.runs.resume import RunState, open_run
from kerastickets.runs.run import Level, Run
from kerastickets.runs.tasks import keep_tasks
from kerastickets.tickets.ticket import Ticket
from kerastickets.tickets.winning import stopped_by
from kerastickets.training.checkpoint import Checkpoint, check_minutes

if TYPE_CHECKING:
    from kerastickets.training.session import Outcome, Start

    #: The result of training a level; None if the level is not trained.
    Trained = Outcome | KerasTicketsError | None


class PruningRun:
    """One run. The loop calls `score`, `cut`, `rewind` and `keep` in turn, once per level.

    Args:
        prepared: the prepared job.
        out: the run's folder; None writes nothing.
        on_row: called with the row of each evaluation.
        on_level_end: called with each finished level, also with levels found in the folder.
        accept_versions: continue a folder that was begun with other library versions.
        name: a prefix for the messages of the run's errors.
        checkpoint_every: how often to keep the state of a level's training, in minutes; 0 never.
    """

    def __init__(
        self,
        prepared: PreparedRun,
        out: str | Path | None = None,
        on_row: Callable[[Row], None] | None = None,
        on_level_end: Callable[[Level], None] | None = None,
        accept_versions: bool = False,
        name: str = "",
        checkpoint_every: float = 10.0,
    ) -> None:
        check_minutes(checkpoint_every)
        self._checkpoint_every = checkpoint_every
        self.prepared, self.method = prepared, prepared.method
        self.out, self.name = out, name
        self._on_row, self._on_level_end = on_row, on_level_end
        self._accept_versions = accept_versions
        self._state = RunState()
        self._levels: list[Level] = []
        self._ticket: Ticket | None = None
        #: What the training of the current level starts from; None if the level is not trained.
        self.start: Start | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the run's folder for this process alone, and read the finished levels."""
        prepared, extendable = self.prepared, self.method.extendable
        recipe = prepared.recipe_json()
        with ExitStack() as held:
            # Only errors of opening get the name, since errors of other runs pass through here as well.
            with self._named():
                if self._makes_folder:
                    _ = prepared.trainer  # refuses a net that cannot train on the data
                self._state = held.enter_context(
                    open_run(self.out, prepared.layout, recipe, versions(), extendable, self._accept_versions)
                )
                if self._state.folder:
                    keep_tasks(self._state.folder, prepared.data)
                self._levels = []
                for ticket in self._state.tickets:
                    self._report(ticket)
            yield

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Put the run's name before the messages of errors that are raised inside."""
        try:
            yield
        except KerasTicketsError as error:
            if not self.name:
                raise
            raise type(error)(f"{self.name}: {error}") from error

    @property
    def _makes_folder(self) -> bool:
        """Whether opening makes a new folder. Several workers do everything in one order, whatever each finds."""
        return self.out is not None and self.prepared.layout.workers == 1 and not Path(self.out).exists()

    @property
    def tickets(self) -> list[Ticket]:
        """The tickets of the finished levels."""
        return self._state.tickets

    @property
    def level(self) -> int:
        """The current level."""
        return len(self.tickets)

    @property
    def trainer(self) -> Any:
        """The trainer of the current level."""
        return self.prepared.trainer_of(self.level)

    @property
    def finished(self) -> bool:
        """Whether no level is left to do."""
        return self.level > self.prepared.levels or bool(stopped_by(self.tickets))

    @property
    def _parent(self) -> Ticket | None:
        return self.tickets[-1] if self.tickets else None

    def score(self) -> Tree:
        """The criterion's scores of the weights that the last level kept; empty before level 0, and for a level that is
        cut while it trains."""
        parent = self._parent
        if parent is None or self.prepared.moves:
            return {}
        trained = "final" in parent.snapshots and self.method.between == "train"
        weights = parent.weights("final" if trained else self._rewind_name)
        prepared = self.prepared
        with self._named():
            model = prepared.trainer.load(weights, parent.masks, seed=prepared.job.seed)
            rewind = parent.weights(self._rewind_name) if prepared.rewind_step else None
            return self.method.criterion(self._scoring(model, parent.masks, rewind, self.level - 1))

    def _scoring(self, model: Any, masks: Tree, rewind: Tree | None, number: int) -> Scoring:
        prepared, seed = self.prepared, self.prepared.job.seed
        return Scoring(
            model=model,
            masks=masks,
            init=prepared.init,
            rewind=rewind,
            batches=Batches(prepared.data.train, prepared.recipe.batch_size, seed, number),
            loss=prepared.trainer.loss,
            seed=seed,
            groups=prepared.groups,
        )

    def _remask(self, step: int, masks: Tree) -> Tree:
        """Cut the net as it is after a step of its training."""
        prepared, ticket = self.prepared, self._ticket
        assert ticket is not None, "A level is rewound before it is trained."
        scoring = self._scoring(self.trainer.model, masks, None, sorted(prepared.moves).index(step))
        count = at_most(prepared.moves[step], masks)
        return prepared.cutter(self.method.criterion(scoring))(ticket.replace(masks=masks), count).masks

    def cut(self, scores: Tree) -> Cut:
        """Cut the last level's ticket to this level's number of weights. Level 0 keeps all that the run begins with."""
        parent, prepared = self._parent, self.prepared
        if parent is None:
            return Cut(prepared.masks, {"init": prepared.init})
        if prepared.moves:
            return Cut(parent.masks, parent.snapshots)
        with self._named():
            found = prepared.cutter(scores)(parent, prepared.count(self.level))
        facts = {"scores": dict(scores.facts)} if isinstance(scores, Scores) and scores.facts else {}
        return Cut(found.masks, found.snapshots, facts | dict(found.facts))

    def rewind(self, cut: Cut) -> None:
        """Make the level's ticket from the cut, and set what its training starts from."""
        first = self._parent is None
        snapshots = {name: weights for name, weights in cut.snapshots.items() if name != "final"}
        provenance = self._provenance("init" if first else self._rewind_name) | dict(cut.facts)
        ticket = Ticket(self.prepared.source.architecture, cut.masks, snapshots, provenance)
        with self._named():
            if first:
                try_rules(ticket, self.method.stop_when, self.prepared.data)
        self._ticket, self.start = ticket, None
        if first and self.method.pretrained:
            self.start = replace(self._start(ticket, cut, first), measured=True)
        elif self.method.trains(self.level, self.prepared.levels):
            self.start = replace(
                self._start(ticket, cut, first), checkpoint=self._checkpoint(), identity=ticket.digest
            )

    def keep(self, trained: "Trained") -> None:
        """Finish the level: write its ticket, and report it.

        Raises:
            KerasTicketsError: the training failed.
        """
        from kerastickets.training.trained_level import trained_level

        ticket = self._ticket
        assert ticket is not None, "A level is rewound before it is kept."
        with self._named():
            if isinstance(trained, KerasTicketsError):
                raise trained
            if trained is not None:
                self._check_steps(trained)
                ticket = trained_level(ticket, trained, self.trainer.environment)
            ticket = judged(ticket, self.method.stop_when, self.prepared.data)
            if self._state.folder:
                self._state.folder.save(ticket, self.level)
                if self.start and self.start.checkpoint:
                    self.start.checkpoint.remove()
            self.tickets.append(ticket)
            self._report(ticket)

    def result(self) -> Run:
        """The finished run."""
        prepared, folder = self.prepared, self._state.folder
        head = {
            "criterion": self.method.name,
            "model": prepared.source.name,
            "dataset": prepared.data_name,
            "seed": prepared.job.seed,
            "versions": versions(),
        }
        rows = tuple(self._state.rows)
        return Run(folder.path if folder else None, tuple(self.tickets), tuple(self._levels), rows, head)

    def _report(self, ticket: Ticket) -> None:
        level = Level.of(ticket, len(self._levels), self._state.rows, self._state.folder)
        self._levels.append(level.beside(self._levels[0] if self._levels else level))
        if self._on_level_end:
            self._on_level_end(self._levels[-1])

    def _row(self, row: Row) -> None:
        self._state.rows.append(row)
        if self._state.folder:
            self._state.folder.add_row(row)
        if self._on_row:
            self._on_row(row)

    @property
    def _rewind_name(self) -> str:
        step = self.prepared.rewind_step
        return f"rewind@{step}" if step else "init"

    def _start(self, ticket: Ticket, cut: Cut, first: bool) -> "Start":
        from kerastickets.training.session import Start

        prepared, seed = self.prepared, self.prepared.job.seed
        weights = ticket.weights(ticket.start)
        if first:
            return Start(
                weights,
                ticket.masks,
                seed,
                level=self.level,
                snapshot_at=prepared.snapshot_at,
                on_row=self._row,
            )
        if self.method.after_cut != "rewind":
            weights = cut.snapshots["final"]
        rate_at = prepared.trainer.total if self.method.after_cut == "fine-tune" else None
        start = Start(weights, ticket.masks, seed, prepared.rewind_step, rate_at, self.level, (), self._row)
        if prepared.recipe.distil is not None:
            start = replace(start, teacher=self.tickets[0].weights("final"))
        return (
            replace(start, remask_at=prepared.moves.keys(), remask=self._remask) if prepared.moves else start
        )

    def _checkpoint(self) -> Checkpoint | None:
        folder = self._state.folder
        if folder is None or not self._checkpoint_every:
            return None
        return Checkpoint(folder.checkpoint_file(self.level), self._checkpoint_every)

    def _check_steps(self, outcome: "Outcome") -> None:
        wanted = () if self._parent else self.prepared.snapshot_at
        missed = [step for step in wanted if step not in outcome.snapshots]
        if missed:
            raise RecipeError(
                f"Level 0 must train as far as `rewind_to` and `snapshot_at`, iteration {missed[-1]}. Received: it "
                f"stopped at {outcome.metrics['stopped_iteration']}. Raise `patience`, or choose earlier steps."
            )

    def _provenance(self, start: str) -> dict[str, Any]:
        prepared, parent = self.prepared, self._parent or self.prepared.job.start
        return {
            "operation": "prune",
            "criterion": self.method.name,
            "options": dict(self.method.options),
            "level": self.level,
            "model": prepared.source.name,
            "dataset": prepared.data_name,
            "files": prepared.files,
            "method": prepared.described_method,
            "recipe": prepared.recipe_of(self.level).describe(),
            "seeds": prepared.seeds,
            "parents": [parent.digest] if parent else [],
            "metrics": {},
            "start": start,
            "versions": versions(),
            "environment": {},
        } | (prepared.whole.provenance() | prepared.source.compiled())
