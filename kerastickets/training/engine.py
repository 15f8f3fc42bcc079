"""The compiled part of training: run many steps in one call, on data that stays on the device.

`Engine` holds one compiled Keras model and one data set. It runs `model.train_step` in a while-loop inside a
`tf.function`, so that any `train_step`, loss, metric and optimizer works as Keras defines it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastickets.data.augmentation import PLAIN, Augmentation
from kerastickets.data.dataset import Data
from kerastickets.data.splits import rows
from kerastickets.data.streamed_array import is_streamed
from kerastickets.distribution.devices import Layout
from kerastickets.distribution.replicas import averaging, shared_evaluation
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import integer
from kerastickets.models.distillation import Distillation
from kerastickets.models.variables import mask_of, paths, variables
from kerastickets.training.batch_evaluation import adding_batches
from kerastickets.training.compilation import compiled_or_not
from kerastickets.training.epoch_order import EpochOrder, Part
from kerastickets.training.optimizers import build_optimizer
from kerastickets.training.windows import WindowedEvaluation, WindowOrder


class Engine:
    """Runs steps and evaluations of one compiled model on one data set.

    Args:
        model: a compiled Keras model, with masks attached and its optimizer guarded.
        data: the data set.
        batch_size: examples per training step, over all replicas.
        jit: whether XLA compiles training and evaluation.
        jit_needed: whether a net that XLA cannot compile is refused.
        augment: the augmentation of the images of each training step.
        layout: where the engine runs. The model was made in its scope.
        eval_batch_size: examples per step of an evaluation, in each replica.
        distillation: the teacher of the training steps, if any.

    Raises:
        RecipeError: the batch is larger than the training data, the replicas cannot share it evenly, or the
            data cannot be augmented in this way, or is streamed from disk to several devices.
    """

    def __init__(
        self,
        model: keras.Model,
        data: Data,
        batch_size: int,
        jit: bool,
        augment: Augmentation = PLAIN,
        layout: Layout | None = None,
        eval_batch_size: int = 1000,
        jit_needed: bool = False,
        distillation: Distillation | None = None,
    ) -> None:
        self.layout, self.eval_batch_size = layout or Layout(), eval_batch_size
        self.layout.check_batch(batch_size)
        augment.check(data)
        self._augment, self._distillation = augment, distillation
        self.model, self.data, self.jit, self.jit_needed = model, data, jit, jit_needed
        examples = data.count("train")
        self.batch_size = batch_size
        if batch_size > examples:
            raise RecipeError(
                f"`batch_size` must be at most the {examples} training examples of {data.name}. "
                f"Received: batch_size={batch_size}"
            )
        self._streamed = is_streamed(data.train)
        if data.streamed and self.layout.strategy is not None:
            raise RecipeError(
                f"Data that is streamed from disk must be trained on with strategy=default. Received: {data.name} with "
                f"{self.layout.name}. Use fewer or smaller examples, with stream=no."
            )
        self.order: Any = (
            WindowOrder(data.train, batch_size) if self._streamed else EpochOrder(examples, batch_size)
        )
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
        batch = tf.nest.map_structure(tf.constant, rows(self.data.train, slice(self.batch_size)))
        self.layout.run(lambda batch, at: self.model.test_step(batch), batch)
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
        masks = [mask.value for variable in variables(model).values() if (mask := mask_of(variable))]
        if self.layout.strategy is not None:
            return [*model.variables, *model.optimizer.variables, *masks]
        metrics = [variable for metric in model.metrics for variable in metric.variables]
        taught = self._distillation.teacher.variables if self._distillation else ()
        known = [v.value for v in (*model.variables, *model.optimizer.variables, *metrics, *masks, *taught)]
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
            part = self.order.part(first, count)
            order, *window = self._placed(seed, part.block)
            given = order, *map(tf.constant, self.numbers(part, seed)), *window
            results = compiled_or_not(self, lambda given=given: self.steps(*given), self.forget)  # type: ignore[misc]
            first, count = first + part.steps, count - part.steps
        self._average()
        return self._metrics(results)

    def evaluate(self, split: str) -> dict[str, float]:
        """Loss and metrics on all of `split`: `"validation"` or `"test"`."""
        self._zero()
        return self._metrics(compiled_or_not(self, lambda: self.evaluation(split)(), self.forget))

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

    def numbers(self, part: Part, seed: int) -> tuple[int, int, int, int]:
        """The arguments of `run` after `order`, for a part of a training."""
        return part.first, part.steps, self._augment.key(seed), part.base

    def _placed(self, seed: int, block: int) -> Any:
        """The order of a block on the device; for streamed data with the examples themselves, in this order."""
        if self._order is None or self._order[0] != (seed, block):
            self._order = None  # room for the next window
            if self._streamed:
                window = tf.nest.flatten(self.order.window(seed, block))
                placed = tf.range(self.order.length), *window
            else:
                placed = (tf.constant(self.order.rows(seed, block)),)
            self._order = (seed, block), placed
        return self._order[1]

    @cached_property
    def _resident(self) -> Any:
        """The training split on the device, in its structure."""
        return tf.nest.map_structure(self.layout.keep, self.data.train)

    def run(self, order: Any, first: Any, count: Any, key: Any, base: Any, window: Any = None) -> None:
        """Within a compiled call: run some steps on data that is on the device.

        Args:
            order: the rows of a block; see `EpochOrder.rows`.
            first: the first step, counted from the beginning of the block.
            count: the number of steps.
            key: the key of the augmentation.
            base: the number of the block's first step.
            window: the examples of the block in the structure of the split; None for data that stays on the device.
        """
        model, size, augment = self.model, self.batch_size, self._augment
        resident = self._resident if window is None else window

        def body(i: Any) -> Any:
            # A Python slice of `order` has no static length, which XLA needs.
            epoch, at = i // self.order.per_epoch, i % self.order.per_epoch
            chosen = tf.slice(order, [epoch * self.order.examples + at * size], [size])

            def step(chosen: Any, at: Any, resident: Any) -> None:
                x, *rest = tf.nest.map_structure(lambda array: tf.gather(array, chosen), resident)
                model.train_step((augment(x, key, base + i, batch=size, at=at), *rest))

            with self._teaching():
                self.layout.run(step, chosen, resident)
            return i + 1

        tf.while_loop(lambda i: i < first + count, body, [first], parallel_iterations=1)

    def _teaching(self) -> AbstractContextManager[None]:
        """The context of training steps. It is around all replicas, since they share the model."""
        return self._distillation.active(self.model) if self._distillation else nullcontext()

    def _compile_resident(self) -> Any:
        if not self._streamed:
            _ = self._resident  # made before compilation, outside of the graph
        given = [tf.TensorSpec((self.order.length,), tf.int32), *[tf.TensorSpec((), tf.int32)] * 4]
        if self._streamed:
            given += self.order.specs()

        @tf.function(jit_compile=self.jit, autograph=False, input_signature=given)
        def steps(order: Any, first: Any, count: Any, key: Any, base: Any, *window: Any) -> Any:
            packed = tf.nest.pack_sequence_as(self.data.train, window) if window else None
            self.run(order, first, count, key, base, packed)
            return self.results()

        # The concrete function suffices, since the function is never traced again.
        return steps.get_concrete_function()

    def _compile_pipeline(self) -> Any:
        model = self.model

        @tf.function(autograph=False, reduce_retracing=True)
        def steps(stream: Any, count: Any) -> Any:
            def body(i: Any) -> Any:
                with self._teaching():
                    self.layout.run(lambda batch, at: model.train_step(batch), next(stream))
                return i + 1

            tf.while_loop(lambda i: i < count, body, [tf.constant(0)], parallel_iterations=1)
            return self.results()

        return steps

    def _compile_evaluation(self, split: str) -> Any:
        if self.layout.replicas > 1:
            return shared_evaluation(self.layout, self.model, getattr(self.data, split), self.eval_batch_size)
        arrays, size = getattr(self.data, split), self._eval_size(split)
        if is_streamed(arrays):
            measure = adding_batches(self.model, self.data.count(split), size)
            return WindowedEvaluation(arrays, size, measure, self.results, self.jit)
        measuring = self.measuring(split)

        @tf.function(jit_compile=self.jit, autograph=False)
        def evaluation() -> Any:
            measuring()
            return self.results()

        return evaluation.get_concrete_function()

    def measuring(self, split: str) -> Callable[[], None]:
        """A function that, within a compiled call, adds all examples of a split to the metrics."""
        examples, size = self.data.count(split), self._eval_size(split)
        measure = adding_batches(self.model, examples, size)
        # Made here, outside of the graph, and with one row more than a single batch: see `adding_batches`.
        arrays = tf.nest.map_structure(
            lambda array: tf.constant(np.concatenate([array, array[:1]])), getattr(self.data, split)
        )
        whole, rest = (tf.constant(count) for count in divmod(examples, size))
        return lambda: measure(arrays, whole, rest)

    def _eval_size(self, split: str) -> int:
        return min(self.data.count(split), self.eval_batch_size)
