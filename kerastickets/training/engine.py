"""The compiled part of training: run many steps in one call, on data that stays on the device.

`Engine` holds one compiled Keras model and one data set. It runs `model.train_step` in a while-loop inside a
`tf.function`, so that any `train_step`, loss, metric and optimizer works as Keras defines it.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerastickets.data.augmentation import PLAIN, Augmentation
from kerastickets.data.dataset import Data
from kerastickets.distribution.devices import Layout, rows_of
from kerastickets.distribution.replicas import averaging, shared_evaluation
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import integer
from kerastickets.models.variables import mask_of, paths, variables
from kerastickets.training.optimizers import build_optimizer

# Large enough to be quick. It divides the usual 5 000 and 10 000 examples, so that no smaller batch remains.
_EVALUATION_BATCH = 1000
# How many examples the order given to one call covers: several epochs of a small set, one of a large set.
_BLOCK = 2**16


class Part(NamedTuple):
    """Steps that one call can run.

    Args:
        block: number of the block of epochs that contains the steps.
        steps: the number of steps.
        numbers: the arguments of `Engine.run` after `order`: first, count, key and base.
    """

    block: int
    steps: int
    numbers: tuple[int, int, int, int]


class Engine:
    """Runs steps and evaluations of one compiled model on one data set.

    Args:
        model: a compiled Keras model, with masks attached and its optimizer guarded.
        data: the data set.
        batch_size: examples per training step, over all replicas.
        jit: whether XLA compiles training and evaluation.
        augment: the augmentation of the images of each training step.
        layout: where the engine runs. The model was made in its scope.

    Raises:
        RecipeError: the batch is larger than the training data, the replicas cannot share it evenly, or the
            data cannot be augmented in this way.
    """

    def __init__(
        self,
        model: keras.Model,
        data: Data,
        batch_size: int,
        jit: bool,
        augment: Augmentation = PLAIN,
        layout: Layout | None = None,
    ) -> None:
        self.layout = layout or Layout()
        self.layout.check_batch(batch_size)
        augment.check(data)
        self._augment = augment
        self.model, self.data, self.jit = model, data, jit
        self.examples = len(data.train[0])
        self.batch_size = batch_size
        if batch_size > self.examples:
            raise RecipeError(
                f"`batch_size` must be at most the {self.examples} training examples of {data.name}. "
                f"Received: batch_size={batch_size}"
            )
        self.per_epoch = self.examples // batch_size
        self._epochs = max(1, _BLOCK // self.examples)
        self._build_state()
        # The values of a fresh optimizer. They include its learning rate and loss scale, so zeros would not do.
        self._fresh = [np.array(v.numpy()) for v in model.optimizer.variables]
        self._average = averaging(self.layout, model)
        self._evaluations: dict[str, Any] = {}
        self._stream: Any = None
        self._order: tuple[tuple[int, int], Any] | None = None
        #: The names of the numbers in `results`.
        self.names: list[str] = []

    def _build_state(self) -> None:
        """Create metric, loss and optimizer variables without a training step that would have to be undone."""
        x, y = (array[: self.batch_size] for array in self.data.train)
        self.layout.run(lambda batch, at: self.model.test_step(batch), (tf.constant(x), tf.constant(y)))
        self._copies = build_optimizer(self.model.optimizer, self.model.trainable_variables)
        self.model.reset_metrics()

    def reset(self, seed: int, first: int) -> None:
        """Reset the optimizer, and seed every random layer by (seed, layer, `first`) and by the replica."""
        for variable, value in zip(self.model.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        for slot, weight in self._copies:
            slot.assign(weight.numpy())
        for path, layer in paths(self.model):
            for n, source in enumerate(layer._seed_generators):
                key = "noise", seed, "/".join(path), n
                # The first replica draws what a single device draws. Each other replica has its own key.
                keys = [integer(*key, *([r] if r else [])) for r in range(self.layout.replicas)]
                self.layout.assign_each(source.state, [np.array([key, first]) for key in keys])
        self._stream = None

    @property
    def state(self) -> list[Any]:
        """The variables that decide how a training goes on. With replicas, metrics are not among them: between two
        evaluations, they differ from replica to replica."""
        return [*self._known, *self._others]

    @property
    def _known(self) -> list[Any]:
        """The variables of the model, its optimizer, metrics and masks, in an order that depends on the model only."""
        model = self.model
        if self.layout.strategy is not None:
            return [*model.variables, *model.optimizer.variables]
        metrics = [variable for metric in model.metrics for variable in metric.variables]
        masks = [mask.value for variable in variables(model).values() if (mask := mask_of(variable))]
        known = [v.value for v in (*model.variables, *model.optimizer.variables, *metrics, *masks)]
        return list({id(variable): variable for variable in known}.values())

    @property
    def _others(self) -> list[Any]:
        """What only the compiled steps know, such as a counter in a `train_step` of one's own, sorted by name.

        TensorFlow lists the variables of a compiled call in another order in each process.
        """
        if self.layout.strategy is not None:
            return []
        known = {id(variable) for variable in self._known}
        used = [
            v for call in (self.steps, self.evaluation("validation")) for v in getattr(call, "variables", ())
        ]
        others = {id(variable): variable for variable in used if id(variable) not in known}
        return sorted(others.values(), key=lambda variable: str(variable.name))

    @property
    def ordered(self) -> bool:
        """Whether `state` has the same order in every process: no two of the others share a name."""
        names = [variable.name for variable in self._others]
        return len({*names}) == len(names)

    def values(self) -> list[np.ndarray]:
        """The values of `state`."""
        return [self.layout.value_of(variable) for variable in self.state]

    def restore(self, values: Sequence[np.ndarray]) -> None:
        """Set `state` to the values that `values` returned."""
        for variable, value in zip(self.state, values, strict=True):
            self.layout.assign_value(variable, value)

    def train(self, seed: int, first: int, count: int, *, resume: bool = False) -> dict[str, float]:
        """Run steps `first` to `first + count`, and return the training metrics over them.

        With `resume` the metrics also cover the steps before, as after a pause for a snapshot.
        """
        if not resume:
            self._zero()
        results = None
        if self.data.batches:
            if self._stream is None:
                self._stream = iter(self.data.batches(seed).repeat().skip(first))
            results = self.steps(self._stream, tf.constant(count))
        while count and not self.data.batches:
            part = self.part(seed, first, count)
            results = self.steps(self._resident_order(seed, part.block), *map(tf.constant, part.numbers))
            first, count = first + part.steps, count - part.steps
        self._average()
        return self._metrics(results)

    def evaluate(self, split: str) -> dict[str, float]:
        """Loss and metrics on all of `split`: `"validation"` or `"test"`."""
        call = self.evaluation(split)
        self._zero()
        return self._metrics(call())

    def evaluation(self, split: str) -> Any:
        """The compiled call that evaluates a split."""
        if split not in self._evaluations:
            self._evaluations[split] = self._compile_evaluation(split)
        return self._evaluations[split]

    @cached_property
    def steps(self) -> Any:
        """The compiled call that runs training steps."""
        return self._compile_pipeline() if self.data.batches else self._compile_resident()

    @cached_property
    def _zero(self) -> Any:
        """Resets the metrics. It is compiled, since otherwise it takes one call per variable of the metrics."""
        if self.layout.strategy is not None:
            return self.model.reset_metrics
        return tf.function(self.model.reset_metrics, autograph=False).get_concrete_function()

    def forget(self) -> None:
        """Drop the compiled calls, so that the next ones are traced from the model as it is then."""
        for name in ("steps", "_zero"):
            self.__dict__.pop(name, None)
        self._evaluations.clear()

    def results(self) -> Any:
        """At the end of a compiled call: stack all scalar metrics into one vector, so that one copy reads them all."""
        if self.layout.strategy is not None:
            return None
        results = {name: tf.convert_to_tensor(v) for name, v in self.model.get_metrics_result().items()}
        found = {name: value for name, value in results.items() if value.shape.rank == 0}
        self.names = list(found)
        return (
            tf.stack([tf.cast(value, tf.float64) for value in found.values()])
            if found
            else tf.zeros(0, tf.float64)
        )

    def _metrics(self, results: Any) -> dict[str, float]:
        if results is not None:
            return dict(zip(self.names, results.numpy().tolist(), strict=True))
        own = self.model.get_metrics_result()
        return {name: float(value) for name, value in own.items() if np.ndim(value) == 0}

    def part(self, seed: int, first: int, count: int) -> "Part":
        """The steps from `first` to `first + count` that one call can run: up to the end of a block of epochs."""
        block, at = divmod(first, self._epochs * self.per_epoch)
        run = min(count, self._epochs * self.per_epoch - at)
        return Part(block, run, (at, run, self._augment.key(seed), first - at))

    @property
    def block(self) -> int:
        """The number of examples in one order."""
        return self._epochs * self.examples

    def order(self, seed: int, block: int) -> np.ndarray:
        """The orders of all epochs of a block in one array. One call per epoch would cost tiny nets half their time."""
        epochs = range(block * self._epochs, (block + 1) * self._epochs)
        orders = [np.random.default_rng([seed, epoch]).permutation(self.examples) for epoch in epochs]
        return np.concatenate(orders).astype("int32")

    def _resident_order(self, seed: int, block: int) -> Any:
        if self._order is None or self._order[0] != (seed, block):
            self._order = (seed, block), tf.constant(self.order(seed, block))
        return self._order[1]

    @cached_property
    def _resident(self) -> tuple[Any, Any]:
        x, y = (self.layout.keep(array) for array in self.data.train)
        return x, y

    def run(self, order: Any, first: Any, count: Any, key: Any, base: Any) -> None:
        """Within a compiled call: run some steps on data that stays on the device.

        Args:
            order: the result of `order`.
            first: the first step, counted from the beginning of the block.
            count: the number of steps.
            key: the key of the augmentation.
            base: the number of the block's first step.
        """
        model, size, augment = self.model, self.batch_size, self._augment
        x, y = self._resident

        def body(i: Any) -> Any:
            # A Python slice of `order` has no static length, which XLA needs.
            epoch, at = i // self.per_epoch, i % self.per_epoch
            rows = tf.slice(order, [epoch * self.examples + at * size], [size])

            def step(rows: Any, at: Any, x: Any, y: Any) -> None:
                images = augment(tf.gather(x, rows), key, base + i, batch=size, at=at)
                model.train_step((images, tf.gather(y, rows)))

            self.layout.run(step, rows, x, y)
            return i + 1

        tf.while_loop(lambda i: i < first + count, body, [first], parallel_iterations=1)

    def _compile_resident(self) -> Any:
        _ = self._resident  # made before compilation, outside of the graph
        order = tf.TensorSpec((self.block,), tf.int32)
        numbers = [tf.TensorSpec((), tf.int32)] * 4

        @tf.function(jit_compile=self.jit, autograph=False, input_signature=[order, *numbers])
        def steps(order: Any, first: Any, count: Any, key: Any, base: Any) -> Any:
            self.run(order, first, count, key, base)
            return self.results()

        # The concrete function suffices, since the function is never traced again.
        return steps.get_concrete_function()

    def _compile_pipeline(self) -> Any:
        model = self.model

        @tf.function(autograph=False, reduce_retracing=True)
        def steps(stream: Any, count: Any) -> Any:
            def body(i: Any) -> Any:
                self.layout.run(lambda batch, at: model.train_step(batch), next(stream))
                return i + 1

            tf.while_loop(lambda i: i < count, body, [tf.constant(0)], parallel_iterations=1)
            return self.results()

        return steps

    def _compile_evaluation(self, split: str) -> Any:
        x, y = getattr(self.data, split)
        if self.layout.replicas > 1:
            return shared_evaluation(self.layout, self.model, x, y, _EVALUATION_BATCH)
        measure = self.measuring(split)

        @tf.function(jit_compile=self.jit, autograph=False)
        def evaluation() -> Any:
            measure()
            return self.results()

        return evaluation.get_concrete_function()

    def measuring(self, split: str) -> Callable[[], None]:
        """A function that, within a compiled call, adds all examples of a split to the metrics."""
        x, y = getattr(self.data, split)
        model, size = self.model, min(len(x), _EVALUATION_BATCH)
        # The last bit of a sum depends on which other operations XLA fuses it with. XLA compiles a loop that it
        # cannot see through in the same way wherever the loop stands. So the loop's lengths are made here, outside of
        # the graph, and each batch is found by the loop's counter, in an array with one row more than a single batch.
        xs, ys = (tf.constant(np.concatenate([array, array[:1]])) for array in (x, y))
        whole, rest = (tf.constant(count) for count in divmod(len(x), size))

        def measured(at: Any, count: int) -> None:
            model.test_step((rows_of(xs, at, count), rows_of(ys, at, count)))

        def body(i: Any) -> Any:
            measured(i * size, size)
            return i + 1

        def odd(i: Any) -> Any:
            measured((whole + i) * size, len(x) % size)
            return i + len(x)

        def measure() -> None:
            tf.while_loop(lambda i: i < whole, body, [tf.constant(0)], parallel_iterations=1)
            if len(x) % size:
                tf.while_loop(lambda i: i < rest, odd, [tf.constant(0)], parallel_iterations=1)

        return measure
