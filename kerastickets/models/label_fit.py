"""Decide whether a net fits its labels: the one place that compares outputs with labels, targets and the loss."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerastickets.data.dataset import Data
from kerastickets.errors import DataError
from kerastickets.foundations.structure import is_nested, leaves, map_leaves, named_leaves

Shape = tuple[int | None, ...]


def check_inputs(data: Data, model: keras.Model) -> None:
    """Refuse a model that takes other inputs than a data set has.

    Args:
        data: the data set.
        model: the model. A model whose inputs are not known fits.

    Raises:
        DataError: the number of inputs, the names in a dict, or a shape is another.
    """
    taken, given = input_specs(model), data.input_shapes
    if taken is None:
        return
    if isinstance(given, Mapping) and not isinstance(taken, Mapping):
        taken = {one.name: one for one in keras.tree.flatten(taken)}  # Keras finds them by name
    wanted = {name: tuple(one.shape[1:]) for name, one in named_leaves(taken)}
    own = {name: tuple(x.shape[1:]) for name, x in named_leaves(data.train[0])}
    by_name = isinstance(given, Mapping)
    fits = {*wanted} <= {*own} if by_name else len(wanted) == len(own)
    shapes = [own[name] for name in wanted] if fits and by_name else [*own.values()]
    if not fits or not all(map(_taken, shapes, wanted.values())):
        raise DataError(
            f"A model for {data.name} must take inputs {_said(own)}. Received: a model that takes {_said(wanted)}"
        )


def _taken(shape: Shape, wanted: Shape) -> bool:
    """Whether Keras takes an example of a shape: it adds or drops a last axis of length 1."""
    return (
        same(wanted, shape) or same(wanted, (*shape, 1)) or (shape[-1:] == (1,) and same(wanted, shape[:-1]))
    )


def _said(shapes: Mapping[str, Shape]) -> str:
    return str(shapes.get("", shapes))


def input_specs(model: keras.Model) -> Any:
    """The inputs of a functional model, in their structure; None for another model."""
    # A Sequential model keeps the functional model that it is made of.
    return getattr(getattr(model, "_functional", None) or model, "_inputs_struct", None)


def arranged(model: keras.Model, x: Any) -> Any:
    """Inputs in the structure that a model takes. Of a dict, the model's inputs are taken by name.

    Args:
        model: the model.
        x: inputs that `check_inputs` let pass.
    """
    taken = input_specs(model)
    if taken is None or not (is_nested(taken) or is_nested(x)):
        return x
    if isinstance(x, Mapping):
        return (
            map_leaves(lambda spec: x[spec.name], taken)
            if not isinstance(taken, Mapping)
            else {name: x[name] for name in taken}
        )
    return keras.tree.pack_sequence_as(taken, leaves(x))


def input_names(model: keras.Model, x: Any) -> list[str]:
    """The names of a model's inputs, in the order of Keras; of a model that does not tell, those of a structure."""
    tensors = getattr(model, "inputs", None)
    if tensors:
        # The Input layer's name, because users know that one; the tensor's name may differ.
        return [str(tensor._keras_history.operation.name) for tensor in tensors]
    return [name.replace(".", "_") or "inputs" for name, _ in named_leaves(x)]


def fixed_batch(model: keras.Model) -> int | None:
    """The only batch size that a model takes, as one with a stateful layer; None if it takes any."""
    sizes = {tensor.shape[0] for tensor in getattr(model, "inputs", None) or ()} - {None}
    return min(sizes) if sizes else None


def check_batches(model: keras.Model, data: Data, batch_size: int, *splits: str) -> int | None:
    """Refuse batches that a model with a fixed batch size does not take.

    Args:
        model: the model.
        data: the data set.
        batch_size: the batch size of training.
        *splits: the splits that must be whole batches.

    Returns:
        The fixed batch size; None if the model takes any.

    Raises:
        DataError: the batch size is another, or a split is not made of whole batches.
    """
    size = fixed_batch(model)
    if size is None:
        return None
    odd = [f"{data.count(split)} examples in {split}" for split in splits if data.count(split) % size]
    wrong = [f"batch_size={batch_size}"] if batch_size != size else []
    if odd or wrong:
        raise DataError(
            f"The model takes batches of {size} examples only. Received: {', '.join([*wrong, *odd])}. Use "
            f"batch_size={size} and splits of whole batches, or build the model without a batch size."
        )
    return size


def check_fit(data: Data, model: keras.Model) -> None:
    """Refuse a model whose outputs do not fit the labels that a data set declares.

    Args:
        data: a data set with a loss.
        model: the model. Outputs of unknown shape fit.

    Raises:
        DataError: the number of outputs, or the shape of one, is another.
    """
    outputs, y = _outputs(model), data.train[1]
    if outputs is None:
        return
    if len(outputs) != len(leaves(y)):
        raise DataError(
            f"A model for {data.name} needs {_number(len(leaves(y)))}. Received: {len(outputs)} of them"
        )
    for shape, labels in zip(outputs, leaves(y), strict=True):
        _check_one(data, shape, tuple(labels.shape[1:]))


def _check_one(data: Data, shape: Shape, labels: Shape) -> None:
    if isinstance(data.classes, int):
        wanted = (*labels, data.classes)
        fits = same(shape, wanted) or one_unit(data, shape)
    elif data.classes is not None or len(labels) < 2:
        wanted = (data.outputs,) if not is_nested(data.train[1]) else labels or (1,)
        fits = same(shape, wanted) or same(shape, labels)
    else:
        wanted, fits = labels, same(shape, labels)
    if fits:
        return
    if len(wanted) == 1 == len(shape):
        raise DataError(
            f"A model for {data.name} needs {wanted[0]} outputs. Received: a model with {shape[0]}"
        )
    what = "its targets" if data.classes is None else "its labels, with an output for each class"
    raise DataError(
        f"A model for {data.name} must give outputs of the shape of {what}, {wanted}. Received: a model that "
        f"gives {shape}"
    )


def _number(count: int) -> str:
    return "one output layer" if count == 1 else f"{count} outputs"


def _outputs(model: keras.Model) -> list[Shape] | None:
    """The shapes of a model's outputs without the batch axis, in Keras's order; None if they are not known."""
    found = getattr(model, "outputs", None)
    return [tuple(one.shape[1:]) for one in found] if found else None


def same(shape: Shape, wanted: Shape) -> bool:
    """Whether a shape is the one that is wanted; None stands for any length."""
    return len(shape) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=True)
    )


def one_unit(data: Data, shape: Shape) -> bool:
    """Whether an output of this shape has one unit for the two classes of a data set."""
    return data.classes == 2 and same(shape, (*data.train[1].shape[1:], 1))


def has_one_unit(data: Data, model: keras.Model) -> bool:
    """Whether a model has one unit for the two classes of a data set."""
    outputs = _outputs(model)
    return outputs is not None and len(outputs) == 1 and one_unit(data, outputs[0])


def check_broadcast(data: Data, model: keras.Model, losses: Sequence[Any]) -> None:
    """Refuse labels that a loss of Keras would silently broadcast to outputs of another shape.

    Losses of one's own may compare different shapes, so only Keras's are looked at.

    Args:
        data: the data set.
        model: the model.
        losses: the loss of each output, as given to `compile`, in the order of Keras.

    Raises:
        DataError: a loss compares outputs with labels element by element, and their shapes differ; or an output has
            no labels.
    """
    outputs, labels = _outputs(model), leaves(data.train[1])
    if outputs is None:
        return
    if len(labels) not in (len(outputs), sum(loss is not None for loss in losses)):
        raise DataError(
            f"A model with {len(outputs)} outputs needs labels for each. Received: labels for {len(labels)} from "
            f"{data.name}"
        )
    if len(labels) < len(outputs):
        return  # the outputs without a loss need no labels
    each = losses if len(losses) == len(outputs) else list(losses) * len(outputs)
    for shape, y, loss in zip(outputs, labels, each, strict=False):
        tail: Shape = tuple(y.shape[1:])
        fits = same(shape, tail) or same(shape, (*tail, 1)) or same((*shape, 1), tail)
        if not fits and elementwise(loss, shape):
            raise DataError(
                f"The loss {_named(loss)} must compare outputs with labels of the same shape. Received: outputs "
                f"{shape} and labels {tail} of {data.name}. Reshape the labels, or take a loss for whole-number "
                "classes."
            )


def elementwise(loss: Any, shape: Shape) -> bool:
    """Whether a loss is Keras's, and takes labels of the shape of the outputs.

    Args:
        loss: anything that `compile` takes as the loss of one output.
        shape: the shape of the output for one example.

    Example:
        >>> elementwise("mse", (3,)), elementwise("sparse_categorical_crossentropy", (3,))
        (True, False)
    """
    try:
        found = keras.losses.get(loss)
        module = getattr(found, "__module__", None) or type(found).__module__
        if found is None or module.partition(".")[0] != "keras":
            return False
        example = np.full((2, *(length or 2 for length in shape)), 0.5, "float32")
        found(example, example)
    except Exception:  # a loss that takes whole-number classes refuses such labels
        return False
    return True


def _named(loss: Any) -> str:
    return str(loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", loss)))


def takes_logits(loss: Any) -> bool | None:
    """Whether a loss takes logits; None if it does not tell.

    Example:
        >>> takes_logits("sparse_categorical_crossentropy"), takes_logits("mse")
        (False, None)
    """
    try:
        found = keras.losses.get(loss)
        if isinstance(found, keras.losses.Loss):
            # A name given to `compile` becomes a loss that wraps the function of that name.
            wrapped = takes_logits(found.fn) if getattr(found, "fn", None) else None
            told = found.get_config().get("from_logits", wrapped)
        else:
            told = inspect.signature(found).parameters["from_logits"].default
    except Exception:  # a loss of one's own may lack a config, and a function the argument
        return None
    return told if isinstance(told, bool) else None


def class_count(data: Data, labels: np.ndarray, shape: Shape, loss: Any) -> int | None:
    """How many classes an output tells apart; None if its labels are targets.

    Args:
        data: the data set. If it declares its labels, it decides.
        labels: the labels of this output `(n, ...)`.
        shape: the shape of the output for one example.
        loss: the loss of this output.
    """
    if data.declared:
        return data.classes if isinstance(data.classes, int) else None
    tail: Shape = tuple(labels.shape[1:])
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        return None
    # Keras's own data sets have labels (n, 1).
    if shape and any(same(shape[:-1], one) for one in (tail, tail[:-1] if tail[-1:] == (1,) else tail)):
        units = shape[-1] or 0
        if units > 1 and labels.max() < units:
            return units
    binary = labels.max() < 2 and takes_logits(loss) is not None
    return (
        2 if binary and (same(shape, (*tail, 1)) or same(shape, tail)) and shape[-1:] in ((1,), ()) else None
    )
