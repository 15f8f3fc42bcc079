"""Say which weights of a live model can be pruned, and why the others cannot."""

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import NamedTuple

import keras

from kerastickets.errors import RecipeError
from kerastickets.models.architecture import is_keras, plain_class
from kerastickets.models.variables import Place, walk

# What Keras calls the weights that it multiplies inputs by, and those that it looks up.
_NAMED = ("kernel", "embeddings")
# What is added to units or scales them, and the adapters of LoRA, which belong to a kernel.
_PER_UNIT = ("bias", "beta", "gamma", "alpha", "scale")
_ADAPTER = "lora_"


class WeightReport(NamedTuple):
    """What `sparsify` did with one variable: its key, its shape, whether it is masked, and why."""

    key: str
    shape: tuple[int, ...]
    masked: bool
    why: str


def weight_reports(
    model: keras.Layer,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
    only: Collection[str] = (),
) -> list[WeightReport]:
    """List the trainable variables of `model`: whether each is prunable, and why.

    In layers of Keras, kernels and embeddings of rank 2 or more are prunable. In layers of other classes, a weight is
    a kernel by what it is and not by its name: rank 2 or more, of a float type, not the same for all units, no bias,
    and no weight of a normalisation. Everything else is prunable only if a pattern in `include` matches it.

    Args:
        model: a built model.
        include: glob patterns over keys (`"dense/bias"`, `"*/gamma"`) or layer paths. Matching weights are
            prunable in addition to the default. A pattern that matches no trainable weight may name frozen ones.
        exclude: glob patterns over keys or layer paths. Matching weights are not prunable, even if `include`
            matches them too.
        only: glob patterns over keys or layer paths. Weights that none of them matches are not prunable. Like
            `include`, a pattern that matches no trainable weight may name frozen ones. Empty means all weights.

    Returns:
        One entry per trainable variable, and per frozen weight that `include` or `only` names, in the model's order.

    Raises:
        RecipeError: a pattern matches no weight.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> [(entry.key, entry.masked) for entry in weight_reports(model)]
        [('dense/kernel', True), ('dense/bias', False)]
    """
    every = list(walk(model))
    places = [place for place in every if place.variable.trainable]
    frozen = [place for place in every if _frozen(place)]
    named: set[str] = set()
    for pattern in (*include, *exclude, *only):
        if any(matches(place.key, pattern) for place in places):
            continue
        found = {place.key for place in frozen if matches(place.key, pattern)}
        if not found:
            keys = ", ".join(place.key for place in (*places, *frozen))
            raise RecipeError(
                f"Expected a pattern that matches a weight. Received: {pattern!r}. Weights: {keys}"
            )
        named |= found if pattern in (*include, *only) else set()
    listed = [place for place in every if place.variable.trainable or place.key in named]
    return [_fate(place, include, exclude, only) for place in listed]


def kernels(model: keras.Layer) -> list[str]:
    """The keys of the kernels and embeddings of a model or layer, frozen or not.

    Example:
        >>> kernels(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, trainable=False)]))
        ['dense/kernel']
    """
    places = (place for place in walk(model) if place.variable.trainable or _frozen(place))
    return [place.key for place in places if _default(place)[0]]


def _frozen(place: Place) -> bool:
    """Whether this is a weight that could train, and not a statistic."""
    own = place.layer._trainable_variables
    return not place.variable.trainable and any(place.variable is one for one in own)


def matches(key: str, pattern: str) -> bool:
    """Whether a glob `pattern` matches `key`, or a layer on the path to it.

    Example:
        >>> matches("block/dense/kernel", "*/kernel"), matches("dense/kernel", "dense")
        (True, True)
    """
    parts = key.split("/")
    return any(fnmatchcase("/".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))


def _fate(
    place: Place, include: Collection[str], exclude: Collection[str], only: Collection[str]
) -> WeightReport:
    key, variable = place.key, place.variable
    masked, why = _default(place)
    if any(matches(key, pattern) for pattern in include):
        masked, why = True, "included"
    if any(matches(key, pattern) for pattern in exclude):
        masked, why = False, "excluded"
    if only and not any(matches(key, pattern) for pattern in only):
        masked, why = False, "not named"
    return WeightReport(key, tuple(variable.shape), masked, why)


def _default(place: Place) -> tuple[bool, str]:
    variable, shape = place.variable, tuple(place.variable.shape)
    if not keras.backend.is_float_dtype(variable.dtype):
        return False, f"{variable.dtype} is not a float type"
    named = variable.name.endswith(_NAMED)
    if not named and is_keras(plain_class(type(place.layer))):
        return False, "not a kernel or embedding"
    if len(shape) < 2:
        return False, "rank below 2" if named else "not a kernel or embedding"
    if named:
        return True, "kernel" if variable.name.endswith("kernel") else "embedding"
    if variable.name.endswith(_PER_UNIT) or variable.name.startswith(_ADAPTER):
        return False, "not a kernel or embedding"
    # Layers that normalise have a small number to divide by zero safely.
    if hasattr(place.layer, "epsilon"):
        return False, "a weight of a normalisation"
    if all(axis == 1 for axis in shape[:-1]):
        return False, "the same for all but its last axis"
    return True, "kernel"


def check_floating(model: keras.Layer, exclude: Collection[str] = ()) -> None:
    """Refuse a model whose kernels are quantised to whole numbers: they cannot be pruned.

    Args:
        model: a built model.
        exclude: glob patterns of weights that are not to be pruned.

    Raises:
        RecipeError: a weight of rank 2 or more that no pattern excludes is quantised.

    Example:
        >>> check_floating(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    """
    whole = [
        (place.key, place.variable.dtype)
        for place in walk(model)
        if getattr(place.layer, "quantization_mode", None)
        and len(place.variable.shape) > 1
        and "int" in place.variable.dtype
        and not any(matches(place.key, pattern) for pattern in exclude)
    ]
    if whole:
        key, dtype = whole[0]
        raise RecipeError(
            f"Weights must be of a float type to be pruned. Received: {key} of {dtype}, as quantize() makes it, and "
            f"{len(whole) - 1} more. Prune the model first, and quantise it afterwards."
        )
