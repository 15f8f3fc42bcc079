"""A prepared pruning job: data read, model built once, and the weight count of every level known."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from kerastickets.cutting.cut_scores import cut
from kerastickets.data.spec import data_digest, data_files, data_name
from kerastickets.distribution.devices import Layout
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree, kept
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.prunable import Prunable
from kerastickets.pruning.variants import Count, Cut, Cutter
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import Source, source_of
from kerastickets.training.recipe import Recipe
from kerastickets.training.trainer_cache import TrainerCache

# Number of weights times number of steps between two evaluations. Above this, training several nets together gains
# nothing. For 4-38-38-2 on moons-circles the product is 27 thousand, and an epoch takes less than half the time. For
# LeNet on digits it is a million, and an epoch takes an eighth less. For LeNet on MNIST it is 240 million, and the
# saved calls make no visible difference.
_TOGETHER_UP_TO = 2_000_000


class PreparedRun:
    """One prepared job.

    Args:
        job: the checked job.
        custom_objects: classes by name, for files and tickets.
        callbacks: a function that takes the level and returns fresh Keras callbacks.
        watch: further splits to measure at every evaluation, `train` or `test`.
        trainers: the cache that jobs of this process share.
    """

    def __init__(
        self,
        job: PruneJob,
        custom_objects: Mapping[str, Any] | None = None,
        callbacks: Callable[[int], Iterable[Any]] | None = None,
        watch: Collection[str] = (),
        trainers: TrainerCache | None = None,
    ) -> None:
        self.job, self.method = job, job.method
        # This comes first, since TensorFlow must join a cluster before it computes anything.
        self.layout = Layout.of(job.strategy)
        self.trainers = trainers or TrainerCache()
        self.whole = self.trainers.data(job.data)
        first = job.start_model(self.whole)
        self.source: Source = source_of(first.model, self.whole, first.name, custom_objects)
        own = {name: value for name, value in self.source.recipe.items() if name != "rate"}
        self.recipe = Recipe.of(job.training, own)
        if self.recipe.distil is not None and not self.method.teaches:
            raise RecipeError(
                "`distil` takes the trained net of level 0 as the teacher. Received: "
                f"distil={self.recipe.distil}, between={self.method.between}. Use between=train, or leave out distil."
            )
        self.data = self.trainers.data(self.whole, self.recipe.train_size, job.seed)
        given = "final" if self.method.pretrained else "init"
        self.init = job.start.weights(given) if job.start else self.source.init(job.seed)
        self._callbacks, self._watch = callbacks, watch
        self.per_epoch = self.recipe.per_epoch(self.data)
        #: The step of level 0 from whose weights later levels start.
        self.rewind_step = self.method.rewind_to.iterations(self.per_epoch)
        self.snapshot_at = self.method.steps_to_keep(self.recipe.train, self.per_epoch)
        prunable = Prunable.of(self.source, self.init, self.method, job.start, first.counts)
        self.masks, self._fixed, self.schedule = prunable.masks, prunable.fixed, prunable.schedule
        #: The units that the run prunes; None if it prunes single weights.
        self.groups = prunable.groups
        #: The cuts within the training of the last level: the number of weights to keep, by step.
        self.moves: dict[int, Count] = {}
        for variant in self.method.variants:
            variant.check_ticket(self._untrained())
            ends, total = self.schedule.counts, self.recipe.train.iterations(self.per_epoch)
            moves = variant.moves(ends[0], ends[-1], total, self.per_epoch)
            self.moves |= {step: self._whole(count) for step, count in moves.items()}

    def _untrained(self) -> Ticket:
        return Ticket(self.source.architecture, self.masks, {"init": self.init})

    @property
    def levels(self) -> int:
        """The number of prunings."""
        return self.schedule.levels

    def recipe_of(self, level: int) -> Recipe:
        """How a level is trained. Level 0 has no teacher: it is the teacher."""
        return self.recipe if level else replace(self.recipe, distil=None)

    @cached_property
    def trainer(self) -> Any:
        """The trainer of level 0, whose model is scored too, compiled on first use."""
        return self._trainer(self.recipe_of(0))

    @cached_property
    def _student(self) -> Any:
        return self._trainer(self.recipe, teacher=self.source)

    def trainer_of(self, level: int) -> Any:
        """The trainer of a level. All levels share one unless the later ones distil."""
        return self._student if level and self.recipe.distil is not None else self.trainer

    def _trainer(self, recipe: Recipe, teacher: Source | None = None) -> Any:
        return self.trainers.trainer(
            self.source,
            self.data,
            recipe,
            self.masks,
            callbacks=self._callbacks,
            layout=self.layout,
            watch=self._watch,
            teacher=teacher,
        )

    @property
    def faster_together(self) -> bool:
        """Whether several runs that differ only in their seeds are faster if they train in one compiled call.

        They are if calls cost more than the computation inside them: with few weights, and few steps between
        evaluations. The trainer must be able to train nets in turn. It cannot with callbacks, replicas or batches
        made by the data. All seeds must also have the same data; with `train_size`, each seed has its own examples.
        """
        takes_turns = self.layout.strategy is None and not self._callbacks and self.data.batches is None
        steps = self.recipe.eval_every.iterations(self.per_epoch)
        weights = sum(value.size for value in self.init.values())
        return takes_turns and self.data is self.whole and weights * steps <= _TOGETHER_UP_TO

    def count(self, level: int) -> Count:
        """The number of weights that a level keeps. It includes the weights that this run does not prune."""
        return self._whole(self.schedule.counts[level])

    def _whole(self, count: Count) -> Count:
        return count if isinstance(count, Mapping) else count + kept(self._fixed)

    def cutter(self, scores: Tree) -> Cutter:
        """A function that cuts a ticket by these scores, in the way of the method and its variants."""

        def plain(ticket: Ticket, count: Count) -> Cut:
            new = cut(
                {key: score for key, score in scores.items() if key not in self._fixed},
                count if isinstance(count, Mapping) else count - kept(self._fixed),
                {key: mask for key, mask in ticket.masks.items() if key not in self._fixed},
                self.schedule.scope,
                granularity=self.method.granularity,
                groups=self.groups,
                allow_collapse=self.method.allow_collapse,
            )
            return Cut(self.layout.masks({**new, **self._fixed}), ticket.snapshots)

        cutter: Cutter = plain
        for variant in self.method.variants:
            cutter = variant.wrap(cutter)
        return cutter

    def recipe_json(self) -> dict[str, Any]:
        """Everything that can change the bits of the results, as `run.json` records it."""
        return {
            "model": self.source.name,
            "loss": self.source.objective.describe() if self.source.objective else self.data.loss,
            "dataset": {"name": self.data_name, "sha256": data_digest(self.whole)},
            "criterion": {"name": self.method.name, "options": dict(self.method.options)},
            "method": self.described_method,
            "levels": self.levels,
            "train": self.recipe.describe(),
            "seeds": self.seeds,
            "start": self._untrained().digest,
        } | self.layout.recipe()

    @property
    def described_method(self) -> dict[str, Any]:
        """The method as JSON, without the number of levels, since a longer run changes that."""
        return {name: value for name, value in self.method.describe().items() if name != "levels"}

    @property
    def data_name(self) -> str:
        """The name of the data set, for provenance."""
        return data_name(self.job.data.spec)

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of each file that the model and the data came from, by base name."""
        return dict(self.source.files) | data_files(self.job.data.spec)

    @property
    def seeds(self) -> dict[str, int]:
        """The three seeds. The job's seed sets all of them."""
        return {"init": self.job.seed, "data": self.job.seed, "scoring": self.job.seed}

    def steps(self) -> list[int]:
        """The training steps of each level if nothing stops early; 0 if a level is not trained."""
        whole = self.recipe.train.iterations(self.per_epoch)
        return [
            (whole - self.rewind_step if level else whole) if self.method.trains(level, self.levels) else 0
            for level in range(self.levels + 1)
        ]
