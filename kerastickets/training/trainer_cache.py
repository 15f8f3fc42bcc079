"""Share data sets and compiled trainers between the trainings of one process.

Compiling a model costs seconds, and about 4 MB of memory that TensorFlow never gives back. So a study of a thousand
trainings must reuse compiled models.
"""

import json
from collections import OrderedDict
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from kerastickets.data.dataset import Data
from kerastickets.data.image_shape import Shape, adapted
from kerastickets.data.parts import train_part
from kerastickets.data.spec import FoundData, data_of
from kerastickets.training.model_source import Source

if TYPE_CHECKING:
    import keras

    from kerastickets.distribution.devices import Layout
    from kerastickets.training.recipe import Recipe
    from kerastickets.training.trainer import Trainer


class TrainerCache:
    """Keeps data sets and compiled trainers for the next job of the same kind.

    A trainer's cache key contains everything that could make two trainers differ. So a job gives the same numbers
    with a shared cache as with its own.

    Args:
        most: the number of trainers, and also of data sets, to keep. The one that was not used for the longest time
            is dropped first.

    Example:
        >>> trainers = TrainerCache()
        >>> trainers.data("digits") is trainers.data("digits")
        True
    """

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._data: OrderedDict[Any, Data] = OrderedDict()
        self._trainers: OrderedDict[Any, Trainer] = OrderedDict()
        self._nets: OrderedDict[Any, keras.Model] = OrderedDict()

    def data(self, spec: str | Data | FoundData, size: int | float | None = None, seed: int = 0) -> Data:
        """Get a data set, or the data set with a part of its training examples; see `train_part`."""
        if size is not None:
            whole = self.data(spec)
            return self._kept(self._data, (whole, size, seed), lambda: train_part(whole, size, seed))
        named = spec.spec if isinstance(spec, FoundData) else spec
        if not isinstance(named, str):
            return named
        return self._kept(self._data, named, lambda: data_of(spec))

    def adapted(self, data: Data, shape: Shape, how: str) -> Data:
        """Get a data set whose images fit a model's input; see `kerastickets.data.image_shape.adapted`."""
        return self._kept(self._data, (data, shape, how), lambda: adapted(data, shape, how))

    def trainer(
        self,
        source: Source,
        data: Data,
        recipe: "Recipe",
        keys: Collection[str],
        *,
        layout: "Layout",
        frozen: Collection[str] = (),
        watch: Collection[str] = (),
        callbacks: Any = None,
        teacher: Source | None = None,
    ) -> "Trainer":
        """Get a trainer for the source's architecture, the data and the recipe; see `Trainer`."""
        from kerastickets.training.trainer import Trainer

        def make() -> "Trainer":
            return Trainer(
                source.build,
                data,
                recipe,
                keys,
                frozen=frozen,
                objective=source.objective,
                callbacks=callbacks,
                layout=layout,
                watch=watch,
                teacher=None if teacher is None else teacher.build,
            )

        # Without a full description, trainers cannot be compared. Such a trainer serves only its own job.
        described = _described(source)
        if (
            described is None
            or callbacks
            or layout.strategy is not None
            or (teacher and not teacher.architecture)
        ):
            return make()
        described += [
            recipe.describe(),
            sorted(keys),
            sorted(frozen),
            sorted(watch),
            teacher and dict(teacher.architecture),
        ]
        return self._kept(self._trainers, (json.dumps(described, sort_keys=True), data), make)

    def measured(self, source: Source, data: Data) -> "keras.Model":
        """Get a model of the source's architecture that is compiled for measuring on data, not for training."""
        from kerastickets.models.objective import Objective

        def make() -> "keras.Model":
            net = source.build()
            objective = source.objective or Objective.of(data, net)
            # Without XLA, because its convolutions on CPU take a hundred times as long.
            objective.compile(net, data)
            return net

        described = _described(source)
        if described is None:
            return make()
        return self._kept(self._nets, (json.dumps(described, sort_keys=True), data), make)

    def _kept(self, things: OrderedDict[Any, Any], key: Any, make: Any) -> Any:
        if key not in things:
            # Make room first, since both at once may not fit into memory.
            while len(things) >= self._most:
                things.popitem(last=False)
            things[key] = make()
        things.move_to_end(key)
        return things[key]


def _described(source: Source) -> list[Any] | None:
    """What a net and its objective are, as JSON; None if that cannot be told in full."""
    objective = source.objective.key() if source.objective else ""
    if not source.architecture or objective is None:
        return None
    return [dict(source.architecture), objective]
