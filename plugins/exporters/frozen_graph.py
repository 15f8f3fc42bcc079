"""Trace a model as one graph without variables, functions or captured tensors, for a converter that knows no others."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kerastickets_plugins.exporters.parts import Served


@dataclass(frozen=True)
class FrozenGraph:
    """A graph in which every weight is a constant.

    Args:
        graph: the `GraphDef`.
        inputs: the names of its tensors that take the model's inputs, in flat order.
        outputs: the names of its tensors that give the model's outputs.
        names: the names of the model's outputs, in the same order.
    """

    graph: Any
    inputs: list[str]
    outputs: list[str]
    names: list[str]


def frozen_graph(served: Served) -> FrozenGraph:
    """The graph of a model in inference mode.

    Keras's own export to ONNX leaves three things that tf2onnx cannot read: the random numbers of layers that act in
    training only, functions inside the graph, as of grouped convolutions, and tensors that a layer made outside of it,
    as the mean of Normalization.

    Args:
        served: the model.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    specs = tf.nest.flatten(served.signature)

    def outputs(*flat: Any) -> list[Any]:
        x = flat[0] if served.structure is None else tf.nest.pack_sequence_as(served.structure, flat)
        return [tf.identity(value) for value in tf.nest.flatten(served.model(x, training=False))]

    with _functions_in_place():
        traced = tf.function(outputs, autograph=False).get_concrete_function(*specs)
    frozen = convert_variables_to_constants_v2(traced)
    graph = frozen.graph.as_graph_def()
    _replace_erfc(graph)
    inputs, made = ([tensor.name for tensor in side] for side in (frozen.inputs, frozen.outputs))
    return FrozenGraph(graph, inputs, made, [f"output_{n}" for n in range(len(made))])


@contextlib.contextmanager
def _functions_in_place() -> Iterator[None]:
    """Within the body, a `tf.function` that is called while a graph is traced becomes part of that graph."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _replace_erfc(graph: Any) -> None:
    """Write `erfc(x)`, which ONNX lacks and exact GELU needs, as `1 - erf(x)`."""
    for node in [node for node in graph.node if node.op == "Erfc"]:
        one, erf = graph.node.add(), graph.node.add()
        one.name, one.op = f"{node.name}/one", "Const"
        one.attr["dtype"].CopyFrom(node.attr["T"])
        tensor = one.attr["value"].tensor
        tensor.dtype = node.attr["T"].type
        tensor.tensor_shape.SetInParent()
        _set_one(tensor)
        erf.name, erf.op = f"{node.name}/erf", "Erf"
        erf.input[:] = node.input
        erf.attr["T"].CopyFrom(node.attr["T"])
        node.op = "Sub"
        node.input[:] = [one.name, erf.name]


def _set_one(tensor: Any) -> None:
    import numpy as np
    import tensorflow as tf

    tensor.tensor_content = np.ones((), tf.as_dtype(tensor.dtype).as_numpy_dtype).tobytes()
