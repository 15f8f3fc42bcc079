"""Masks on a live model: the stored weight is zero where pruned, and training keeps it so.

Gradients are masked on entry to the optimizer, before moments, clipping, decay, averages and loss
unscaling; a constraint on the variable is the second guard. Nothing changes in any layer's `call`.
"""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerastickets.architecture import architecture, plain, rebuild
from kerastickets.errors import AlignError, RecipeError
from kerastickets.keys import Mask, Place, assign, mask_of, snapshot, variables, walk
from kerastickets.tree import Tree


class Fate(NamedTuple):
    """What `sparsify` did with one trainable variable: its key, shape, whether it is masked, and why."""

    key: str
    shape: tuple[int, ...]
    masked: bool
    why: str


def fates(model: keras.Layer, include: Collection[str] = (), exclude: Collection[str] = ()) -> list[Fate]:
    """Which trainable variables of `model` are prunable, and why.

    Kernels and embeddings of rank above 1 are; biases, normalisation and everything else only when a
    pattern of `include` asks for them.

    Args:
        model: a built model.
        include: glob patterns over keys (`"dense/bias"`, `"*/gamma"`) or layer paths, added to the default.
        exclude: glob patterns over keys or layer paths, taken away last.

    Returns:
        One entry per trainable variable, in the model's order.

    Raises:
        RecipeError: a pattern matches no trainable variable.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> [(fate.key, fate.masked) for fate in fates(model)]
        [('dense/kernel', True), ('dense/bias', False)]
    """
    places = [place for place in walk(model) if place.variable.trainable]
    for pattern in (*include, *exclude):
        if not any(matches(place.key, pattern) for place in places):
            keys = ", ".join(place.key for place in places)
            raise RecipeError(
                f"Expected a pattern that matches a weight. Received: {pattern!r}. Weights: {keys}"
            )
    return [_fate(place, include, exclude) for place in places]


def matches(key: str, pattern: str) -> bool:
    """Whether a glob `pattern` names `key` or a layer on its path.

    Example:
        >>> matches("block/dense/kernel", "*/kernel"), matches("dense/kernel", "dense")
        (True, True)
    """
    parts = key.split("/")
    return any(fnmatchcase("/".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))


def _fate(place: Place, include: Collection[str], exclude: Collection[str]) -> Fate:
    key, variable = place.key, place.variable
    masked, why = _default(variable)
    if any(matches(key, pattern) for pattern in include):
        masked, why = True, "included"
    if any(matches(key, pattern) for pattern in exclude):
        masked, why = False, "excluded"
    return Fate(key, tuple(variable.shape), masked, why)


def _default(variable: keras.Variable) -> tuple[bool, str]:
    if not keras.backend.is_float_dtype(variable.dtype):
        return False, f"{variable.dtype} is not a float type"
    if not variable.name.endswith(("kernel", "embeddings")):
        return False, "not a kernel or embedding"
    if len(variable.shape) < 2:
        return False, "rank below 2"
    return True, "kernel" if variable.name.endswith("kernel") else "embedding"


def sparsify(
    model: keras.Model,
    masks: Tree | None = None,
    *,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
) -> list[Fate]:
    """Attach masks to a plain Keras model, in place.

    Every prunable weight gets a mask (all ones unless given); a weight that is pruned is set to zero.
    A compiled optimizer is guarded so that training keeps the zeros; if you compile afterwards, add
    `kerastickets.callbacks.KeepMasks()` to `fit` (or call `sparsify` again).

    Args:
        model: a built model.
        masks: boolean arrays by key, True where kept, or None to keep what is there (ones at first).
        include: glob patterns of weights to mask besides kernels and embeddings.
        exclude: glob patterns of weights to leave alone.

    Returns:
        What became of each trainable variable: masked, or skipped and why.

    Raises:
        AlignError: a mask has no weight, or another shape.
        RecipeError: a pattern matches nothing.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> report = sparsify(model, {"dense/kernel": np.array([[True], [False]])})
        >>> float(model.layers[0].kernel[1, 0])
        0.0
    """
    report = fates(model, include, exclude)
    own = variables(model)
    wanted = [*masks] if masks is not None else [fate.key for fate in report if fate.masked]
    for key in wanted:
        if key not in own:
            raise AlignError(f"Masks must name weights of the model. Received: {key!r}")
        attach(own[key])
    if masks is not None:
        assign_masks(model, masks)
        report = [
            fate._replace(masked=True, why="mask given") if fate.key in masks else fate for fate in report
        ]
    if getattr(model, "optimizer", None) is not None:
        guard(model.optimizer)
    return report


def attach(variable: keras.Variable, value: keras.Variable | None = None) -> Mask:
    """Give `variable` a mask (all ones, or the given variable) unless it has one; returns the mask."""
    mask = mask_of(variable)
    if mask is None:
        if value is None:
            name = f"{variable.name}_mask"
            value = keras.Variable(
                np.ones(variable.shape), dtype=variable.dtype, trainable=False, autocast=False, name=name
            )
        mask = variable.constraint = Mask(value, variable.constraint)
    return mask


def masks_of(model: keras.Layer) -> dict[str, np.ndarray]:
    """The masks that `model` holds, as booleans by key; empty where it holds none."""
    own = ((key, mask_of(variable)) for key, variable in variables(model).items())
    return {key: keras.ops.convert_to_numpy(mask.value.value) != 0 for key, mask in own if mask}


def assign_masks(model: keras.Layer, masks: Tree) -> None:
    """Set masks that are attached already, and zero the weights they prune.

    Raises:
        AlignError: a key without a mask, or another shape.
    """
    own = variables(model)
    for key, mask in masks.items():
        holder = mask_of(own[key]) if key in own else None
        if holder is None:
            raise AlignError(f"The model holds no mask for {key}. Call sparsify(model) first.")
        if tuple(mask.shape) != tuple(own[key].shape):
            raise AlignError(
                f"The weight {key} has shape {tuple(own[key].shape)}. Received: a mask of {mask.shape}"
            )
        holder.value.assign(mask.astype("float32"))
        own[key].assign(np.where(mask, keras.ops.convert_to_numpy(own[key].value), 0))


def guard(optimizer: Any) -> None:
    """Make `optimizer` mask gradients on entry to `apply`. Doing it twice is doing it once."""
    if getattr(optimizer.apply, "masks_gradients", False):
        return
    inner = optimizer.apply

    def apply(grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> Any:
        targets = optimizer._trainable_variables if trainable_variables is None else list(trainable_variables)
        return inner(
            [_masked(g, v) for g, v in zip(grads, targets, strict=True)], trainable_variables and targets
        )

    apply.masks_gradients = True  # type: ignore[attr-defined]
    optimizer.apply = apply


def _masked(gradient: Any, variable: keras.Variable) -> Any:
    mask = mask_of(variable)
    if gradient is None or mask is None:
        return gradient
    value = tf.convert_to_tensor(mask.value.value)
    if isinstance(gradient, tf.IndexedSlices):
        rows = tf.gather(value, gradient.indices)
        return tf.IndexedSlices(gradient.values * rows, gradient.indices, gradient.dense_shape)
    return gradient * value


def strip(model: keras.Model) -> keras.Model:
    """The plain model: detach what `sparsify` attached; weights stay, zeros included.

    Args:
        model: a model with masks.

    Returns:
        `model` itself, without masks; or, where its layers are mask-aware, a new model of the plain
        layers with the same weights.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> _ = sparsify(model)
        >>> strip(model) is model, masks_of(model)
        (True, {})
    """
    if any(plain(type(place.layer)) is not type(place.layer) for place in walk(model)):
        clean = rebuild(architecture(model))
        assign(clean, snapshot(model))
        return clean
    for variable in variables(model).values():
        mask = mask_of(variable)
        if mask is not None:
            variable.constraint = mask.inner
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and getattr(optimizer.apply, "masks_gradients", False):
        del optimizer.apply
    return model
