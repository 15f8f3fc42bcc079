"""Record the calls that a live model makes, in order, and the value of each tensor if all inputs are zeros.

Nested models are written out inline, as in `kerastickets.structure.layer_graph`. The records are the same as
there, but with the shapes of all tensors, and with the live operation, which can be called again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kerastickets.errors import RecipeError, TicketError
from kerastickets.models.open_sizes import open_size
from kerastickets.models.variables import paths
from kerastickets.structure.layer_graph import LayerGraph, Op


@dataclass(frozen=True)
class Slot:
    """A placeholder for a tensor in the arguments or result of a call; it holds the tensor's number."""

    number: int


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer, or of an operation without a layer.

    Args:
        op: the record for the structure analysis.
        operation: the live layer or operation.
        args: its positional arguments, with slots in place of tensors.
        kwargs: its keyword arguments, with slots in place of tensors.
        made: its result: a slot, or a structure of slots.
    """

    op: Op
    operation: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    made: Any

    def again(self, operation: Callable[..., Any], tensors: Mapping[int, Any]) -> dict[int, Any]:
        """Repeat this call with another operation.

        Args:
            operation: the operation to call instead.
            tensors: tensors by number. The inputs of the call are read from here.

        Returns:
            The output tensors, by number.
        """
        args, kwargs = filled((self.args, dict(self.kwargs)), tensors)
        made = operation(*args, **kwargs)
        slots = keras.tree.flatten(self.made)
        return {slot.number: one for slot, one in zip(slots, keras.tree.flatten(made), strict=True)}


@dataclass(frozen=True, eq=False)
class Calls:
    """The calls that a model makes, and the tensors between them.

    Args:
        plan: the operations, for the structure analysis.
        calls: the same operations as calls. A call with several outputs is one call, but one operation per
            output.
        values: the value of every tensor if all inputs are zeros, by number, for one example.
        outputs: the outputs of the model, with slots in place of tensors.
        fixed: whether all sizes of the inputs are known. If not, they are those of `open_size`, or of an example.
        masked: the numbers of tensors that say which of their steps later layers leave out.
    """

    plan: LayerGraph
    calls: tuple[Call, ...]
    values: Mapping[int, np.ndarray]
    outputs: Any
    fixed: bool
    masked: frozenset[int] = frozenset()


def filled(structure: Any, tensors: Mapping[int, Any]) -> Any:
    """Copy a structure and replace its slots by tensors."""
    return keras.tree.map_structure(
        lambda part: tensors[part.number] if isinstance(part, Slot) else part, structure
    )


def calls_of(model: keras.Model, example: Any = None) -> Calls:
    """Run a model once on zeros, and record its calls.

    Args:
        model: a Sequential or Functional model with any layers.
        example: an input of the model, of any number of examples. Its shape replaces sizes that are open. None takes
            each open size as `open_size` says.

    Raises:
        TicketError: the model is neither Sequential nor Functional.
        RecipeError: the example does not fit the inputs.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> found = calls_of(toy_ticket().build())
        >>> [(call.op.name, found.values[call.op.output].shape) for call in found.calls]
        [('flatten', (1, 64)), ('dense', (1, 6)), ('dense_1', (1, 10))]
    """
    plan, walker, outputs = _walked(model, symbolic=False, example=example)
    fixed = all(None not in shape for _, shape in plan.inputs)
    values = {n: keras.ops.convert_to_numpy(value) for n, value in walker.values.items()}
    masked = frozenset(
        n for n, value in walker.values.items() if getattr(value, "_keras_mask", None) is not None
    )
    return Calls(plan, tuple(walker.calls), values, outputs, fixed, masked)


def plan_of(model: keras.Model) -> LayerGraph:
    """The operations of a live model with the shapes of all tensors. Nothing is computed; open sizes stay None.

    Args:
        model: a Sequential or Functional model with any layers.

    Raises:
        TicketError: the model is neither Sequential nor Functional.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> [(op.name, op.made) for op in plan_of(toy_ticket().build()).ops]
        [('flatten', (None, 64)), ('dense', (None, 6)), ('dense_1', (None, 10))]
    """
    return _walked(model, symbolic=True)[0]


def _walked(model: keras.Model, symbolic: bool, example: Any = None) -> tuple[LayerGraph, "_Walker", Any]:
    """Go through a model: its plan, the walker with calls and values, and the structure of its outputs."""
    graph = graph_of(model)
    if graph is None:
        raise TicketError(
            "The calls of a model can be followed only if it is Sequential or Functional. Received: "
            f"{type(model).__name__}, a model whose own code decides which layer feeds which."
        )
    walker = _Walker(
        {id(layer): path for path, layer in reversed([*paths(model)])}, open_size(model), symbolic
    )
    shapes = [tensor.shape for tensor in graph.inputs]
    if example is not None:
        shapes = _fitting([np.shape(one) for one in keras.tree.flatten(example)], shapes)
    given = [walker.given(tensor, shape) for tensor, shape in zip(graph.inputs, shapes, strict=True)]
    outputs = walker.through(graph, given)
    inputs = tuple(
        (slot.number, tuple(tensor.shape[1:])) for slot, tensor in zip(given, graph.inputs, strict=True)
    )
    ends = tuple(slot.number for slot in keras.tree.flatten(outputs))
    return LayerGraph(inputs, tuple(walker.ops), ends), walker, outputs


def graph_of(model: Any) -> Any:
    """The Functional model that runs a Sequential or Functional model; None for anything else."""
    # A Sequential model keeps its graph in an internal Functional model, which it makes when it is built.
    found = getattr(model, "_functional", None) if isinstance(model, keras.Sequential) else model
    return found if hasattr(found, "_run_through_graph") and _is_plain(model) else None


def _fitting(examples: list[Any], shapes: list[Any]) -> list[Any]:
    """The shapes of the examples, if the inputs can have them."""
    fits = len(examples) == len(shapes) and all(
        len(one) == len(shape) and all(b in (None, a) for a, b in zip(one[1:], shape[1:], strict=True))
        for one, shape in zip(examples, shapes, strict=True)
    )
    if not fits:
        raise RecipeError(
            f"An example must have one array for each input, of shapes {shapes}. Received: {examples}"
        )
    return examples


def _is_plain(model: Any) -> bool:
    """Whether a model only runs its graph: it has no `call` of its own."""
    base = keras.Sequential if isinstance(model, keras.Sequential) else type(_FUNCTIONAL)
    return type(model).call is base.call


_FUNCTIONAL = keras.Model(*[keras.Input((1,))] * 2)


@dataclass
class _Walker:
    paths: Mapping[int, tuple[str, ...]]
    free: int  # the size of axes of open length
    symbolic: bool = False  # values are shapes and types without numbers
    ops: list[Op] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    values: dict[int, Any] = field(default_factory=dict)

    def given(self, tensor: Any, shape: Sequence[int | None]) -> Slot:
        """A slot for an input tensor of zeros."""
        if self.symbolic:
            return self._slot(keras.KerasTensor(tensor.shape, tensor.dtype))
        return self._slot(keras.ops.zeros((1, *(size or self.free for size in shape[1:])), tensor.dtype))

    def through(self, graph: Any, given: Sequence[Slot]) -> Any:
        """Run a graph on slots, with nested models inline."""
        return graph._run_through_graph(list(given), operation_fn=self._visit)

    def _visit(self, operation: Any) -> Callable[..., Any]:
        inner = graph_of(operation)
        if inner is None:
            return lambda *args, **kwargs: self._call(operation, args, kwargs)
        # Tensors come first. Other arguments of a model, such as `training`, change nothing here.
        return lambda *args, **kwargs: self.through(
            inner, keras.tree.flatten((args, kwargs.get("inputs", ())))
        )

    def _call(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        taken = [part for part in keras.tree.flatten((args, kwargs)) if isinstance(part, Slot)]
        run = operation.compute_output_spec if self.symbolic else operation
        made = keras.tree.map_structure(
            self._slot, run(*filled(args, self.values), **filled(kwargs, self.values))
        )
        ops = [self._op(operation, taken, slot, args, kwargs) for slot in keras.tree.flatten(made)]
        self.ops += ops
        self.calls.append(Call(ops[0], operation, args, kwargs, made))
        return made

    def _op(self, operation: Any, taken: Sequence[Slot], slot: Slot, args: Any, kwargs: Any) -> Op:
        layer = isinstance(operation, keras.Layer)
        kind = type(operation).__name__
        stranger = not type(operation).__module__.startswith("keras.")
        kind = f"{type(operation).__module__}>{kind}" if stranger else kind if layer else f"ops.{kind}"
        try:
            config = operation.get_config() if hasattr(operation, "get_config") else {}
        except Exception:  # a layer of anyone's; its units then stay
            config = {}
        others = keras.tree.flatten((args, kwargs))
        return Op(
            self.paths.get(id(operation), (operation.name,)),
            kind,
            config,
            tuple(one.number for one in taken),
            tuple(tuple(self.values[one.number].shape) for one in taken),
            slot.number,
            tuple(one for one in others if not isinstance(one, Slot) and one is not None),
            tuple(self.values[slot.number].shape),
        )

    def _slot(self, value: Any) -> Slot:
        self.values[len(self.values)] = value
        return Slot(len(self.values) - 1)
