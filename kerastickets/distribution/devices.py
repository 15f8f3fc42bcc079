"""Run the same training loop on one device, on several devices of one machine, or on several machines.

A batch is always the global batch. Each replica takes its slice of it by its number. So the layout does not
change which examples a step sees.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerastickets.distribution.strategy import Cluster, check_strategy
from kerastickets.errors import KerasTicketsError, RecipeError

# The supported strategy classes of TensorFlow and their names here. Others have variables that this loop
# cannot train.
_NAMES = {
    "MirroredStrategy": "mirrored",
    "MultiWorkerMirroredStrategy": "multiworker",
    "OneDeviceStrategy": "one device",
}
_ODD_BATCH = "a batch that replicas cannot share"


@dataclass(frozen=True, eq=False)
class Layout:
    """The devices and processes on which training runs.

    Args:
        name: `default`, `mirrored`, `multiworker` or `one device`.
        strategy: the `tf.distribute.Strategy`; None for the one device that TensorFlow chooses.
        workers: the number of processes that train together.
        worker: the number of this process, from 0. Worker 0 is the chief.
    """

    name: str = "default"
    strategy: Any = None
    workers: int = 1
    worker: int = 0

    @classmethod
    def of(cls, strategy: Any) -> "Layout":
        """Make the layout for a strategy, given by name or as an instance.

        `mirrored` on a machine with only one device gives the default layout.

        Raises:
            RecipeError: there is no such strategy, it cannot train here, or `multiworker` was asked for after
                TensorFlow had begun to compute.

        Example:
            >>> Layout.of("default").replicas
            1
        """
        check_strategy(strategy)
        if isinstance(strategy, str):
            return _named(strategy)
        known = [_NAMES[base.__name__] for base in type(strategy).__mro__ if base.__name__ in _NAMES]
        if not known and strategy is not _DEFAULT:
            raise RecipeError(
                "`strategy` must be a MirroredStrategy, MultiWorkerMirroredStrategy or OneDeviceStrategy. "
                f"Received: a {type(strategy).__name__}."
            )
        return _laid_out(known[0], strategy) if known else cls()

    @property
    def replicas(self) -> int:
        """The number of copies of the model, over all workers."""
        return 1 if self.strategy is None else int(self.strategy.num_replicas_in_sync)

    @property
    def chief(self) -> bool:
        """Whether this process writes files: it is the only process, or the first of several."""
        return self.worker == 0

    def recipe(self) -> dict[str, str]:
        """The entry for `run.json`. Empty with one replica, so that all such layouts give equal recipes."""
        return {"strategy": self.name} if self.replicas > 1 else {}

    def describe(self) -> dict[str, int]:
        """The facts for provenance that can change results in the last bit."""
        return {"replicas": self.replicas, "workers": self.workers}

    def scope(self) -> AbstractContextManager[Any]:
        """The context in which to make the model, the masks and the optimizer."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    def check_batch(self, batch_size: int) -> None:
        """Check that the replicas can share a global batch evenly.

        Raises:
            RecipeError: they cannot. The message suggests the nearest possible batch size.
        """
        if batch_size % self.replicas:
            near = max(1, (batch_size + self.replicas // 2) // self.replicas) * self.replicas
            raise RecipeError(
                f"`batch_size` is the batch of all {self.replicas} replicas together and must be divisible by "
                f"{self.replicas}. Received: batch_size={batch_size}. Nearest: {near}"
            )

    def allows_jit(self, jit: str) -> bool:
        """Whether XLA may compile the steps: not with a strategy, because TensorFlow fails to compile those.

        Raises:
            RecipeError: `jit` is `on`, but there is a strategy.
        """
        if self.strategy is not None and jit == "on":
            raise RecipeError(
                f"`jit=on` needs strategy=default. Received: jit=on with {self.name} ({self.replicas} replicas). "
                "Use jit=auto, or leave it out."
            )
        return self.strategy is None

    def check_optimizer(self, optimizer: Any) -> None:
        """Refuse optimizer settings that Keras does not support with a strategy.

        Raises:
            RecipeError: the optimizer accumulates gradients, which would synchronise replicas inside a
                condition.
        """
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        steps = getattr(inner, "gradient_accumulation_steps", None)
        if self.strategy is not None and steps:
            raise RecipeError(
                "Keras accumulates gradients on one device only: `gradient_accumulation_steps` needs strategy=default. "
                f"Received: {steps} with {self.name}. Raise `batch_size` instead, or choose another strategy."
            )

    def run(self, step: Callable[..., Any], batch: Any, *resident: Any) -> None:
        """Call `step(slice, at, *resident)` in every replica, each with its own slice of the batch.

        Args:
            step: a function of a slice with the same structure as `batch`, the row of the global batch at
                which the slice begins, and `resident`.
            batch: arrays in any structure. Their first axis is the global batch.
            resident: arrays that `keep` returned.
        """
        if self.strategy is None:
            step(batch, 0, *resident)
            return

        length = _length(batch)
        if isinstance(length, int):
            self.check_batch(length)
        else:
            tf.debugging.assert_equal(length % self.replicas, 0, _ODD_BATCH)

        def replica(*kept: Any) -> None:
            share = length // self.replicas
            at = replica_number() * share
            step(tf.nest.map_structure(lambda array: rows_of(array, at, share), batch), at, *kept)

        if tf.executing_eagerly():
            # Do not get a concrete function here: a step may create variables, as the first evaluation does.
            tf.function(lambda: self.strategy.run(replica, args=resident), autograph=False)()
        else:
            self.strategy.run(replica, args=resident)

    def keep(self, array: np.ndarray) -> Any:
        """Copy `array` to every device that computes in this process."""
        if self.strategy is None:
            return tf.constant(array)
        return self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(array))

    def assign_each(self, variable: keras.Variable, values: Sequence[np.ndarray]) -> None:
        """Set a variable to a different value in each replica; `values` has one value per replica."""
        if self.strategy is None:
            variable.assign(values[0])
            return
        each = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(values[context.replica_id_in_sync_group], variable.dtype)
        )
        self.compiled(variable.assign, each)()

    def value_of(self, variable: Any) -> np.ndarray:
        """The value of a variable; with a strategy of this process, its values in all replicas along a first axis."""
        if self.strategy is None:
            return np.asarray(variable.numpy())
        return np.stack([value.numpy() for value in self.strategy.experimental_local_results(variable.value)])

    def assign_value(self, variable: Any, value: np.ndarray) -> None:
        """Set a variable to what `value_of` returned."""
        if self.strategy is None or (value == value[:1]).all():
            variable.assign(value if self.strategy is None else value[0])
        else:
            self.assign_each(variable, [*value])

    def compiled(self, step: Callable[..., Any], *args: Any) -> Any:
        """A compiled call of `step(*args)` in every replica."""
        # Without compilation, replicas are slow, and TensorFlow logs a warning at each call.
        everywhere = tf.function(lambda: self.strategy.run(step, args=args), autograph=False)
        return everywhere.get_concrete_function()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Within the body, replace TensorFlow's errors about replicas by clearer errors.

        Raises:
            RecipeError: the replicas cannot evenly share a batch that a data set made.
            KerasTicketsError: another worker has stopped.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self.strategy is not None and _ODD_BATCH in error.message:
                raise RecipeError(
                    f"Every batch that the data makes must be divisible by the {self.replicas} replicas. "
                    "Received: one that is not. Choose another batch size there, and drop the remainder."
                ) from error
            if self.workers > 1:
                raise KerasTicketsError(
                    f"All {self.workers} workers must run to the end. Received: {type(error).__name__}. "
                    "Run the same command on every worker again: finished levels are kept."
                ) from error
            raise

    def rows(self, what: str, values: np.ndarray) -> np.ndarray:
        """Exchange values between workers.

        Args:
            what: a name for the values; only for readers of the code.
            values: whole numbers below 2**31, of the same shape on all workers.

        Returns:
            An array of shape `(workers, *shape)` with each worker's values. It is equal on all workers.
        """
        if self.workers == 1:
            return values[None]
        mine = np.zeros((self.workers, *values.shape), "int32")
        mine[self.worker] = values
        each = self.strategy.experimental_distribute_values_from_function(
            # Only the first replica of each worker adds the values, so that they are not counted twice.
            lambda context: tf.constant(mine * (context.replica_id_in_sync_group % self._local == 0))
        )
        total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)
        return np.array(total.numpy())

    @property
    def _local(self) -> int:
        return self.replicas // self.workers

    def masks(self, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The masks of the chief.

        A worker's own masks may differ, because its processor may round scores differently and so break a tie
        differently.
        """
        if self.workers == 1:
            return dict(masks)
        packed = np.packbits(np.concatenate([masks[key].ravel() for key in sorted(masks)]))
        bits = np.unpackbits(self.rows("masks", packed.astype("int32"))[0].astype("uint8"))
        result, at = {}, 0
        for key in sorted(masks):
            result[key] = bits[at : at + masks[key].size].reshape(masks[key].shape).astype(bool)
            at += masks[key].size
        return {key: result[key] for key in masks}

    def number(self, value: int) -> int:
        """The value of `value` on the chief."""
        return int(self.rows("number", np.array([value]))[0, 0])

    def agree(self, facts: Mapping[str, str]) -> None:
        """Check that all workers do the same, because otherwise they would wait for each other forever.

        Args:
            facts: texts that must be equal on all workers, by a name for the error message.

        Raises:
            RecipeError: a text differs. It is raised on every worker, and names the worker and the text.
        """
        texts = [sha256(text.encode()).digest() for text in facts.values()]
        said = self.rows(
            "facts", np.frombuffer(b"".join(texts), "uint8").reshape(len(texts), -1).astype("int32")
        )
        different = (said != said[0]).any(2)
        for worker, name in (
            (w, n) for w in range(len(said)) for n, d in zip(facts, different[w], strict=True) if d
        ):
            raise RecipeError(
                f"Every worker must run the same command and see the same files. Received: on worker {worker} "
                f"a different {name} than on the chief, worker 0."
            )


_DEFAULT = tf.distribute.get_strategy()


def replica_number() -> Any:
    """The number of this replica over all workers. Call it within `Layout.run`."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def _length(batch: Any) -> Any:
    first = tf.nest.flatten(batch)[0]
    return first.shape[0] or tf.shape(first)[0]


def rows_of(array: Any, at: Any, count: Any) -> Any:
    """The rows from `at` up to, but not including, `at + count` of an array."""
    # Keep lengths static where they are known: augmentation and some layers need static lengths.
    rest = [-1 if length is None else length for length in array.shape[1:]]
    return tf.slice(array, [at] + [0] * len(rest), [count, *rest])


@cache
def _named(name: str) -> Layout:
    """Make the layout for a strategy's name once per process: TensorFlow's cluster lasts that long."""
    if name == "multiworker":
        return _laid_out(name, _multiworker())
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    if name == "default" or len(devices) == 1:
        return Layout()
    return _laid_out(name, tf.distribute.MirroredStrategy(devices))


def _multiworker() -> Any:
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=tf.distribute.experimental.CommunicationImplementation.AUTO
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except RuntimeError as error:
        raise RecipeError(
            "`strategy=multiworker` must come before TensorFlow computes anything. Begin the program with it, or "
            f"make a tf.distribute.MultiWorkerMirroredStrategy at its beginning and pass that. {error}"
        ) from error


def _laid_out(name: str, strategy: Any) -> Layout:
    if name != "multiworker":
        return Layout(name, strategy)
    resolver = strategy.cluster_resolver
    if os.environ.get("TF_CONFIG"):
        cluster = Cluster.of(os.environ["TF_CONFIG"])
        return Layout(name, strategy, len(cluster.workers), cluster.index)
    spec = resolver.cluster_spec()
    jobs = [job for job in ("chief", "worker") if job in spec.jobs]
    before = spec.num_tasks("chief") if resolver.task_type == "worker" and "chief" in jobs else 0
    workers = sum(spec.num_tasks(job) for job in jobs)
    return Layout(name, strategy, max(1, workers), before + (resolver.task_id or 0))
