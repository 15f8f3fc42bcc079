"""Attach masks to a live model: pruned weights are set to zero, and training keeps them at zero.

The optimizer masks gradients first, before moments, clipping, decay, averages and loss unscaling. A
constraint on each variable is a second safeguard. No layer's `call` changes.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from kerastickets.errors import AlignError, RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.architecture import architecture, custom_classes, plain_class, rebuild
from kerastickets.models.prunable_weights import WeightReport, check_floating, weight_reports
from kerastickets.models.pruned_weights import held_masks, reconcile
from kerastickets.models.variables import (
    Mask,
    assign,
    check_built,
    mask_of,
    paths,
    snapshot,
    variables,
)
from kerastickets.models.zero_masks import masks_of_zeros


def sparsify(
    model: keras.Model,
    masks: Tree | Literal["zeros"] | None = None,
    *,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
) -> list[WeightReport]:
    """Attach masks to a Keras model, in place, and set the pruned weights to zero.

    Without `masks`, every prunable weight gets a mask of ones, unless it has a mask already. With `masks`,
    only the weights named there get one. If the model is compiled, its optimizer is changed so that training
    keeps the zeros. If you compile afterwards, pass `kerastickets.callbacks.KeepMasks()` to `fit`, or call
    `sparsify` again.

    Args:
        model: a built model.
        masks: boolean arrays by key, each of its weight's shape, True where a weight is kept. None keeps the
            masks that the model has, and starts the others as all ones. `"zeros"` starts them as the weights are: each
            exact zero is pruned. So the masks of a pruned model come back after a plain save and load.
        include: glob patterns of weights to mask in addition to kernels and embeddings.
        exclude: glob patterns of weights not to mask.

    Returns:
        What `weight_reports` lists, with what happened: whether each weight is masked, and why.

    Raises:
        AlignError: a mask names no weight of the model, or has a different shape. Then no mask is attached.
        RecipeError: the model is not built, a pattern matches no weight, or the model is quantised.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> report = sparsify(model, {"dense/kernel": np.array([[True], [False]])})
        >>> float(model.layers[0].kernel[1, 0])
        0.0
        >>> copy = keras.models.clone_model(model)
        >>> copy.set_weights(model.get_weights())
        >>> sparsify(copy, "zeros")[0].why, masks_of(copy)["dense/kernel"].tolist()
        ('its zeros', [[True], [False]])
    """
    check_built(model)
    if masks is None:
        check_floating(model, exclude)
    own, report = variables(model), weight_reports(model, include, exclude)
    held = {key for key, variable in own.items() if mask_of(variable)}
    if isinstance(masks, str):
        masks = masks_of_zeros(own, [e.key for e in report if e.masked and e.key not in held], masks)
        if not held and all(mask.all() for mask in masks.values()):
            raise RecipeError(
                "There must be zeros among the prunable weights to make masks of. Received: none."
            )
        report = [entry._replace(why="its zeros") if entry.key in masks else entry for entry in report]
        wanted, given = dict.fromkeys([*held, *masks]), None
    else:
        wanted = dict.fromkeys(masks if masks is not None else [e.key for e in report if e.masked])
        given = masks
    _check_masks(own, masks or {})
    for key in wanted:
        attach(own[key])
    assign_masks(model, masks or {})
    guarded = [guard(optimizer) for optimizer in optimizers_of(model)]
    if any(guarded) or not held.issuperset(wanted):
        _retrace(model)
    return [_outcome(entry, wanted, held, given) for entry in report]


def _outcome(
    entry: WeightReport, wanted: Collection[str], held: Collection[str], masks: Tree | None
) -> WeightReport:
    if entry.key in wanted:
        return entry if masks is None else entry._replace(masked=True, why="mask given")
    if entry.key in held:
        return entry._replace(masked=True, why="masked already")
    return entry._replace(masked=False, why="no mask given") if entry.masked else entry


def _retrace(model: keras.Model) -> None:
    """Rebuild the training step, if `fit` traced one: it still uses the masks from when it was traced."""
    if getattr(model, "train_function", None) is not None:
        model.make_train_function(force=True)


def _check_masks(own: Mapping[str, keras.Variable], masks: Tree) -> None:
    """Check all masks before any is attached, so that a model is never left partly masked."""
    for key, mask in masks.items():
        if key not in own:
            raise AlignError(f"Masks must name weights of the model: {', '.join(own)}. Received: {key!r}")
        if np.shape(mask) != tuple(own[key].shape):
            raise AlignError(
                f"The weight {key} has shape {tuple(own[key].shape)}. Received: a mask of {np.shape(mask)}"
            )


def attach(variable: keras.Variable, value: keras.Variable | None = None) -> Mask:
    """Give `variable` a mask unless it has one, and return the mask: `value`, or all ones if that is None."""
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
    """The masks that `model` holds: boolean arrays by key, True where kept. Empty if it holds none.

    If something else wrote to the weights meanwhile, such as `load_weights` or `restore_best_weights`, pruned weights
    are set to zero again, with a warning; see `reconcile`.

    Raises:
        RecipeError: a mask does not act on the weights that its layer computes with.
    """
    reconcile(model)
    return held_masks(model)


def assign_masks(model: keras.Layer, masks: Tree) -> None:
    """Change masks that are already attached, and set the weights that they prune to zero.

    Raises:
        AlignError: a key names no weight or a weight without a mask, or a mask has a different shape.
    """
    own = variables(model)
    _check_masks(own, masks)
    for key, mask in masks.items():
        holder = mask_of(own[key])
        if holder is None:
            raise AlignError(
                f"The model must hold a mask for {key}: call sparsify(model) first. Received: none"
            )
        kept = np.asarray(mask, bool)
        holder.value.assign(kept.astype("float32"))
        own[key].assign(np.where(kept, keras.ops.convert_to_numpy(own[key].value), 0))


def optimizers_of(model: keras.Layer) -> list[Any]:
    """The optimizers that a model holds: the one that it was compiled with, and those in its attributes.

    A model with a `train_step` of its own may have several, as one with a generator and a discriminator.
    """
    held = [value for _, layer in paths(model) for value in vars(layer).values()]
    flat = [
        one
        for value in held
        for one in (
            value.values()
            if isinstance(value, dict)
            else value
            if isinstance(value, list | tuple)
            else [value]
        )
    ]
    found = [getattr(model, "optimizer", None), *flat]
    return list({id(one): one for one in found if isinstance(one, keras.optimizers.Optimizer)}.values())


def guard(optimizer: Any) -> bool:
    """Make an optimizer mask gradients at the start of `apply`, for a training loop of your own.

    `sparsify` guards the optimizers that the model holds. Guard yourself one that the model does not know. At the end
    of `fit`, an optimizer may overwrite the weights with their averages. These averages are masked too, because the
    average of a weight that was pruned during training is not zero.

    Args:
        optimizer: a Keras optimizer; it is changed in place.

    Returns:
        False if it was guarded already.

    Example:
        >>> optimizer = keras.optimizers.Adam()
        >>> guard(optimizer), guard(optimizer)
        (True, False)
    """
    if getattr(optimizer.apply, "masks_gradients", False):
        return False
    inner, finalize = optimizer.apply, optimizer.finalize_variable_values

    def apply(grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> Any:
        targets = optimizer._trainable_variables if trainable_variables is None else list(trainable_variables)
        return inner(
            [_masked(g, v) for g, v in zip(grads, targets, strict=True)], trainable_variables and targets
        )

    def finalize_variable_values(var_list: Iterable[Any]) -> None:
        finalize(var_list)
        for variable in var_list:
            mask = mask_of(variable)
            if mask is not None:
                variable.assign(variable.value * mask.value.value)

    apply.masks_gradients = True  # type: ignore[attr-defined]
    optimizer.apply, optimizer.finalize_variable_values = apply, finalize_variable_values
    return True


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
    """Remove the masks from a model. Pruned weights are and stay zero; see `reconcile`.

    Args:
        model: a model with masks.

    Returns:
        `model` itself, without masks. If its layers are mask-aware: a new model of plain layers with the same
        weights, not compiled.

    Raises:
        AlignError: the layers are mask-aware, and the model has no config to rebuild it from.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> _ = sparsify(model)
        >>> strip(model) is model, masks_of(model)
        (True, {})
    """
    reconcile(model)
    if any(plain_class(type(layer)) is not type(layer) for _, layer in paths(model)):
        return _plain_copy(model)
    for variable in variables(model).values():
        mask = mask_of(variable)
        if mask is not None:
            variable.constraint = mask.inner
    for optimizer in optimizers_of(model):
        if getattr(optimizer.apply, "masks_gradients", False):
            del optimizer.apply, optimizer.finalize_variable_values
    _retrace(model)
    return model


def _plain_copy(model: keras.Model) -> keras.Model:
    config = architecture(model)
    if not config:
        raise AlignError(
            "Mask-aware layers are stripped by rebuilding the model from its config. Received: a "
            f"{type(model).__name__} without one. Give the class get_config, or build it of plain layers."
        )
    clean = rebuild(config, custom_classes(model))
    assign(clean, snapshot(model))
    return clean
