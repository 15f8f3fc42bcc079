"""Read from an architecture which layer feeds which, as a list of operations in the order in which they run.

This needs no Keras. Nested models are written out inline, and every tensor has a number.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kerastickets.errors import TicketError
from kerastickets.tickets.layer_names import stable_names

Shape = tuple[int | None, ...]
_SHOWN = 100


@dataclass(frozen=True)
class Op:
    """One call of a layer.

    Args:
        path: the segments of the layer's keys. `"/".join(path)` names the layer; adding `/kernel` names its
            kernel.
        kind: the class of a Keras layer (`Dense`); `ops.` and the class of an operation without a layer
            (`ops.Add`); or the registered name of a custom class (`package>Class`).
        config: the layer's configuration.
        inputs: the numbers of its input tensors, in order.
        shapes: the shape of each input tensor, batch axis included; None where unknown.
        output: the number of its output tensor.
        extra: the other arguments of an operation, besides tensors.
        made: the shape of its output tensor, batch axis included; None if unknown.
    """

    path: tuple[str, ...]
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[int, ...]
    shapes: tuple[Shape | None, ...]
    output: int
    extra: tuple[Any, ...] = ()
    made: Shape | None = None

    @property
    def name(self) -> str:
        """The name used in errors and tables."""
        return "/".join(self.path) or self.kind

    @property
    def activation(self) -> str:
        """The name of the layer's activation; its class if it is a layer; `linear` if there is none."""
        found = self.config.get("activation") or "linear"
        if isinstance(found, str):
            return found
        own = found.get("config") if found.get("class_name") == "function" else found.get("class_name")
        return _registered(found) or str(own)


@dataclass(frozen=True)
class LayerGraph:
    """The operations of a model.

    Args:
        inputs: for each input tensor, its number and its shape without the batch axis.
        ops: all operations. Each comes after the operations that make its input tensors.
        outputs: the numbers of the output tensors.
    """

    inputs: tuple[tuple[int, Shape], ...]
    ops: tuple[Op, ...]
    outputs: tuple[int, ...]


@contextmanager
def sound_architecture() -> Iterator[None]:
    """Turn what an architecture raises that Keras cannot have written into one error.

    An architecture may come from a stranger's ticket. Reading it as if Keras had written it, and naming what does not
    fit, takes less than checking each of its thousand entries.

    Raises:
        TicketError: the body meets entries that are missing, of another type, or do not fit the weights.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        raise TicketError(
            "An architecture must be what Keras writes, and fit the weights. Received: "
            f"{type(error).__name__}: {str(error)[:_SHOWN]}"
        ) from error
    except MemoryError as error:
        raise TicketError("The network of this architecture does not fit into memory.") from error


@sound_architecture()
def layer_graph(architecture: Mapping[str, Any]) -> LayerGraph:
    """Read the operations of a Sequential or Functional model, nested models included.

    Args:
        architecture: the architecture of a ticket, `Ticket.architecture`.

    Raises:
        TicketError: the architecture is empty, or the model is neither Sequential nor Functional.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> [(op.name, op.kind) for op in layer_graph(toy_ticket().architecture).ops]
        [('flatten', 'Flatten'), ('dense', 'Dense'), ('dense_1', 'Dense')]
    """
    if not architecture:
        raise TicketError(
            "The structure of a ticket is read from its architecture. Received: a ticket without one, as a "
            "subclassed model without `get_config` makes. Build the model from layers by Sequential or Functional."
        )
    reader = _Reader()
    shapes = _input_shapes(architecture)
    given = [reader.tensor() for _ in shapes]
    outputs = reader.model(architecture, (), given)
    return LayerGraph(tuple(zip(given, shapes, strict=True)), tuple(reader.ops), tuple(outputs))


class _Reader:
    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._tensors = 0

    def tensor(self) -> int:
        self._tensors += 1
        return self._tensors - 1

    def model(self, node: Mapping[str, Any], path: tuple[str, ...], given: Sequence[int]) -> list[int]:
        """Go through a model called on the tensors `given`, and return its output tensors."""
        return (self._sequential if _kind(node) == "Sequential" else self._functional)(node, path, given)

    def _sequential(self, node: Any, path: tuple[str, ...], given: Sequence[int]) -> list[int]:
        layers = [one for one in node["config"]["layers"] if one["class_name"] != "InputLayer"]
        current = list(given)
        for segment, layer in zip(_segments(layers), layers, strict=True):
            current = self._layer(layer, (*path, segment), current, [None] * len(current), ())
        return current

    def _functional(self, node: Any, path: tuple[str, ...], given: Sequence[int]) -> list[int]:
        config = node["config"]
        layers = config["layers"]
        # An operation without a layer owns no weights, so its name must not count when keys are numbered.
        owners = [one for one in layers if not _bare(one)]
        names = dict(zip(map(_name, owners), _segments(owners), strict=True))
        made: dict[tuple[str, int, int], int] = {}
        for (name, call, which), tensor in zip(_listed(config["input_layers"]), given, strict=True):
            made[name, call, which] = tensor
        for layer, call, content in _calls(layers, made):
            tensors, extra = _split(content)
            inputs = [made[history] for history, _ in tensors]
            segment = names.get(_name(layer), _name(layer))
            outputs = self._layer(layer, (*path, segment), inputs, [shape for _, shape in tensors], extra)
            made |= {(_name(layer), call, which): tensor for which, tensor in enumerate(outputs)}
        # Only in `output_layers`, Keras counts the calls of a nested Functional from 1. Call 0 is the one that
        # created it.
        first = {_name(one): int(_kind(one) == "Functional") for one in layers}
        ends = _listed(config["output_layers"])
        return [made[name, call - first[name], which] for name, call, which in ends]

    def _layer(
        self,
        layer: Any,
        path: tuple[str, ...],
        inputs: Sequence[int],
        shapes: Sequence[Shape | None],
        extra: tuple[Any, ...],
    ) -> list[int]:
        kind = _kind(layer)
        if kind in ("Sequential", "Functional"):
            return self.model(layer, path, inputs)
        output = self.tensor()
        self.ops.append(Op(path, kind, layer["config"], tuple(inputs), tuple(shapes), output, extra))
        return [output]


def _kind(node: Mapping[str, Any]) -> str:
    name = str(node.get("class_name"))
    if isinstance(node.get("config"), dict) and {"layers", "output_layers"} <= node["config"].keys():
        return "Functional"  # `keras.Model`, or a subclass with the same form of config
    return f"ops.{name}" if _bare(node) else _registered(node) or name


def _bare(node: Mapping[str, Any]) -> bool:
    return str(node.get("module")).startswith("keras.src.ops")


def _registered(node: Mapping[str, Any]) -> str:
    """The registered name of a custom class or function; its plain name may equal one of Keras's."""
    name = str(node.get("registered_name"))
    return name if ">" in name else ""


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer.get("name") or layer["config"]["name"])


def _segments(layers: Sequence[Any]) -> Iterator[str]:
    return stable_names((_name(layer), layer["class_name"]) for layer in layers)


def _listed(histories: Any) -> list[tuple[str, int, int]]:
    """Read tensors as Keras writes them: one as `[name, call, which]`, several as a list or mapping."""
    if isinstance(histories, Mapping):
        return [one for value in histories.values() for one in _listed(value)]
    if histories and isinstance(histories[0], str):
        return [tuple(histories)]
    return [one for value in histories for one in _listed(value)]


def _calls(layers: Sequence[Any], made: Mapping[Any, int]) -> Iterator[tuple[Any, int, Any]]:
    """Yield each call of a layer once its inputs are made. Keras orders layers by their first call only."""
    waiting = [
        (layer, call, content)
        for layer in layers
        if layer["class_name"] != "InputLayer"
        for call, content in enumerate(layer["inbound_nodes"])
    ]
    while waiting:
        ready = [one for one in waiting if all(history in made for history, _ in _split(one[2])[0])]
        if not ready:
            raise TicketError(
                f"The architecture must be a graph without cycles in which a layer makes every tensor. Received: "
                f"'{_name(waiting[0][0])}' takes a tensor that no layer makes."
            )
        yield ready[0]
        waiting.remove(ready[0])


Tensors = list[tuple[tuple[str, int, int], Shape]]


def _split(content: Any) -> tuple[Tensors, tuple[Any, ...]]:
    """Split the arguments of a call into tensors, each with its history and shape, and other values."""
    tensors: Tensors = []
    extra: list[Any] = []

    def visit(value: Any) -> None:
        if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
            name, call, which = value["config"]["keras_history"]
            tensors.append(((name, call, which), tuple(value["config"]["shape"])))
        elif isinstance(value, list):
            for one in value:
                visit(one)
        elif isinstance(value, Mapping):
            for one in value.values():
                visit(one)
        elif value is not None:
            extra.append(value)

    visit([content.get("args", []), content.get("kwargs", {})])
    return tensors, tuple(extra)


def _input_shapes(architecture: Mapping[str, Any]) -> list[Shape]:
    kind, config = _kind(architecture), architecture["config"]
    if kind not in ("Sequential", "Functional"):
        raise TicketError(
            "Structure analysis needs a Sequential or Functional model. Received: "
            f"{architecture.get('class_name')}. A subclassed model does not say which layer feeds which."
        )
    layers = {_name(layer): layer for layer in config["layers"]}
    if kind == "Functional":
        return [
            tuple(layers[name]["config"]["batch_shape"][1:]) for name, _, _ in _listed(config["input_layers"])
        ]
    first = config["layers"][0]
    if first["class_name"] == "InputLayer":
        return [tuple(first["config"]["batch_shape"][1:])]
    if _kind(first) in ("Sequential", "Functional"):
        return _input_shapes(first)
    return [tuple((config.get("build_input_shape") or [None, None])[1:])]
