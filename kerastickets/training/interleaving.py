"""Train several nets in turn in one compiled model, within one compiled call.

An epoch of a tiny net takes less time than the calls that start it. So the states of all nets (the members) stay
on the device side by side: weights, masks, optimizer, metrics, random layers, and whatever else the compiled
steps touch. One call goes through the members. It puts a member's state into the model, runs the member's steps,
and takes the state back.

Each member runs exactly the steps of a net that trains alone, so its bits are the same. Only one model is
compiled, however many members there are. A member that has stopped is skipped.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from kerastickets.errors import KerasTicketsError
from kerastickets.foundations.tree import Tree, masked
from kerastickets.models.variables import variables
from kerastickets.training.compilation import compiled_or_not
from kerastickets.training.engine import Engine
from kerastickets.training.session import Metrics, NetTrainer, Outcome, Start, Steps, Training, Wish


class InterleavedNets:
    """The states of several nets that share one engine.

    Args:
        engine: an engine on one device, with data that stays there.
        size: the largest number of members.
    """

    def __init__(self, engine: Engine, size: int) -> None:
        self.engine, self.size = engine, size
        self._calls: dict[str, Any] = {}
        self._rows: list[tuple[int, int] | None] = [None] * size
        self._orders = np.zeros((size, engine.order.length), "int32")
        self._resident_orders: Any = None
        self._weights: dict[str, np.ndarray] | None = None

    @cached_property
    def _own(self) -> list[Any]:
        """The variables of which each member has its own copy."""
        return self.engine.state

    @cached_property
    def _stacks(self) -> list[Any]:
        # Without names: Keras's names are not unique, and the stacks are found by position.
        return [tf.Variable(tf.zeros((self.size, *v.shape), v.dtype), trainable=False) for v in self._own]

    def put(self, member: int) -> None:
        """Copy the model's state to the member."""
        self._call("put", self._give)(tf.constant(member))
        self._weights = None

    def take(self, member: int) -> None:
        """Copy the member's state to the model."""
        self._call("take", self._take)(tf.constant(member))

    def _call(self, name: str, step: Any) -> Any:
        if name not in self._calls:
            call = tf.function(step, autograph=False, input_signature=[tf.TensorSpec((), tf.int32)])
            _ = self._stacks  # variables are made before compilation, outside of the graph
            self._calls[name] = call.get_concrete_function()
        return self._calls[name]

    def _take(self, member: Any) -> None:
        for variable, stack in zip(self._own, self._stacks, strict=True):
            variable.assign(stack[member])

    def _give(self, member: Any) -> None:
        for variable, stack in zip(self._own, self._stacks, strict=True):
            stack.scatter_update(tf.IndexedSlices(variable.value()[None], member[None]))

    def train(self, seeds: Mapping[int, int], wished: Mapping[int, Steps]) -> dict[int, Metrics]:
        """Run the steps that members wish for.

        Args:
            seeds: the data seed of each member.
            wished: the steps of each member that has any to run.

        Returns:
            The training metrics of each member over its steps. With `resume` they also cover the steps before.
        """
        found: dict[int, Metrics] = {}
        left = dict(wished)
        while left:
            parts = {m: self.engine.order.part(s.first, s.until - s.first) for m, s in left.items()}
            self._order({member: (seeds[member], part.block) for member, part in parts.items()})
            numbers, fresh = np.zeros((self.size, 4), "int32"), np.zeros(self.size, bool)
            for member, part in parts.items():
                numbers[member] = self.engine.numbers(part, seeds[member])
                fresh[member] = not left[member].resume
            given = (self._resident_orders, tf.constant(numbers), tf.constant(fresh), *self._live(left))
            results = compiled_or_not(self.engine, lambda given=given: self._train(*given), self._forget)  # type: ignore[misc]
            found |= self._named(results, left)
            after = {m: Steps(s.first + parts[m].steps, s.until, True) for m, s in left.items()}
            left = {member: steps for member, steps in after.items() if steps.first < steps.until}
        self._weights = None
        return found

    def evaluate(self, split: str, members: Collection[int]) -> dict[int, Metrics]:
        """Loss and metrics of each of `members` on all of `split`."""

        def call() -> Any:
            if split not in self._calls:
                self._calls[split] = self._compile_evaluation(split)
            return self._calls[split](*self._live(members))

        return self._named(compiled_or_not(self.engine, call, self._forget), members)

    def _forget(self) -> None:
        """Drop the compiled calls."""
        self._calls.clear()
        self.__dict__.pop("_train", None)
        self.engine.forget()

    def weights(self, member: int) -> Tree:
        """The current weights of a member. bfloat16 becomes float32."""
        if self._weights is None:
            # Read all members at once, since most of them ask after the same steps.
            stacks = {id(v): stack for v, stack in zip(self._own, self._stacks, strict=True)}
            self._weights = {
                key: _host(stacks[id(v.value)]) for key, v in variables(self.engine.model).items()
            }
        return {key: np.array(stack[member]) for key, stack in self._weights.items()}

    def _live(self, members: Collection[int]) -> tuple[Any, Any]:
        padded = np.zeros(self.size, "int32")
        padded[: len(members)] = [*members]
        return tf.constant(padded), tf.constant(len(members))

    def _named(self, results: Any, members: Collection[int]) -> dict[int, Metrics]:
        rows = results.numpy()
        return {m: dict(zip(self.engine.names, rows[m].tolist(), strict=True)) for m in members}

    def _order(self, wanted: Mapping[int, tuple[int, int]]) -> None:
        """Put the order of a block of epochs on the device, for each member."""
        new = {member: key for member, key in wanted.items() if self._rows[member] != key}
        made: dict[tuple[int, int], np.ndarray] = {}
        for member, key in new.items():
            if key not in made:
                made[key] = self.engine.order.rows(*key)
            self._orders[member], self._rows[member] = made[key], key
        if new:
            self._resident_orders = tf.constant(self._orders)

    @cached_property
    def _train(self) -> Any:
        engine = self.engine
        orders = tf.TensorSpec((self.size, engine.order.length), tf.int32)
        numbers, fresh = tf.TensorSpec((self.size, 4), tf.int32), tf.TensorSpec((self.size,), tf.bool)

        def steps(orders: Any, numbers: Any, fresh: Any, members: Any, live: Any) -> Any:
            def turn(member: Any) -> None:
                tf.cond(fresh[member], _doing(engine.model.reset_metrics), _doing(lambda: None))
                engine.run(orders[member], *(numbers[member, n] for n in range(4)))

            return self._turns(turn, members, live)

        return self._compiled(steps, orders, numbers, fresh)

    def _compile_evaluation(self, split: str) -> Any:
        # Made here, hidden from XLA: it would turn divisions by counts that it knows into products, with other bits.
        measure, always = self.engine.measuring(split), tf.constant(True)

        def evaluation(members: Any, live: Any) -> Any:
            def turn(member: Any) -> None:
                tf.cond(always, _doing(self.engine.model.reset_metrics), _doing(lambda: None))
                measure()

            return self._turns(turn, members, live)

        return self._compiled(evaluation)

    def _compiled(self, step: Any, *signature: Any) -> Any:
        _ = self._stacks
        members = [tf.TensorSpec((self.size,), tf.int32), tf.TensorSpec((), tf.int32)]
        call = tf.function(
            step, jit_compile=self.engine.jit, autograph=False, input_signature=[*signature, *members]
        )
        return call.get_concrete_function()

    def _turns(self, turn: Any, members: Any, live: Any) -> Any:
        """Within a compiled call: run the turn of each live member, and return one row of results per member."""

        def body(n: Any, rows: Any) -> Any:
            member = members[n]
            self._take(member)
            turn(member)
            self._give(member)
            return n + 1, tf.tensor_scatter_nd_update(rows, [[member]], self.engine.results()[None])

        rows = tf.zeros((self.size, len(self.engine.names)), tf.float64)
        return tf.while_loop(lambda n, rows: n < live, body, (tf.constant(0), rows), parallel_iterations=1)[1]


class Member:
    """One net of a group, as its training sees it.

    Args:
        trainer: the trainer whose model the group trains.
        group: the group.
        number: the net's position in the group.
    """

    def __init__(self, trainer: NetTrainer, group: InterleavedNets, number: int) -> None:
        self._trainer, self._group, self._number = trainer, group, number

    def weights(self) -> Tree:
        """The current weights."""
        return self._group.weights(self._number)

    def averaged(self, masks: Tree) -> Tree:
        """The weights as a ticket keeps them."""
        if not self._trainer.averages:
            return masked(self.weights(), masks)
        self._group.take(self._number)
        return self._trainer.averaged(masks)

    def remask(self, make: Callable[[], Tree]) -> Tree:
        """Give the net new masks."""
        self._group.take(self._number)
        masks = self._trainer.remask(make)
        self._group.put(self._number)
        return masks


def _doing(step: Any) -> Any:
    """Turn `step` into a branch for `tf.cond`."""

    def branch() -> Any:
        step()
        return tf.constant(0)

    return branch


def _host(stack: Any) -> np.ndarray:
    value = np.asarray(stack.numpy())
    return value.astype("float32") if value.dtype.name == "bfloat16" else value


def train_together(
    trainer: NetTrainer, group: InterleavedNets, starts: Sequence[Start]
) -> list[Outcome | KerasTicketsError]:
    """Train one member per start. A member that fails gives its error as its result, and the others go on."""
    results: dict[int, Outcome | KerasTicketsError] = {}
    wishes: dict[int, Wish] = {}
    runs: list[Any] = []

    def advance(member: int, metrics: Metrics | None) -> None:
        wishes.pop(member, None)
        try:
            wishes[member] = runs[member].send(metrics)
        except StopIteration as end:
            results[member] = end.value
        except KerasTicketsError as error:
            results[member] = error

    for number, start in enumerate(starts):
        runs.append(Training(trainer, start, Member(trainer, group, number)).wishes())
        trainer.begin(start)
        group.put(number)
    for number in range(len(starts)):
        advance(number, None)
    seeds = {number: start.seed for number, start in enumerate(starts)}
    while wishes:
        # Steps come first, so that members that wait for an evaluation are evaluated together with all others.
        steps = {member: wish for member, wish in wishes.items() if isinstance(wish, Steps)}
        split = "" if steps else str(next(iter(wishes.values())))
        waiting = [member for member, wish in wishes.items() if wish == split]
        done = group.train(seeds, steps) if steps else group.evaluate(split, waiting)
        for member, metrics in done.items():
            advance(member, metrics)
    return [results[number] for number in range(len(starts))]
