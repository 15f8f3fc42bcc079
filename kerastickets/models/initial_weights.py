"""Draw initial weights that depend only on the seed and on each weight's key.

They are equal in every process, and a layer gets the same weights whichever layers surround it.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from kerastickets.foundations.memory import fits_memory
from kerastickets.foundations.tree import integer
from kerastickets.models.variables import Place, assign, snapshot, walk


def fresh(build: Callable[[], keras.Model], seed: int) -> keras.Model:
    """Build a model whose initial weights depend only on `seed` and on each weight's key.

    Args:
        build: a function that makes the model; it is called once.
        seed: the init seed.

    Returns:
        The model. Each layer's own initializer draws its weights, seeded by `(seed, key)`. Some layers do not
        expose an initializer (such as `kernel_initializer` for `kernel`). Their random weights are repeatable
        too, but depend on the layers built before.

    Raises:
        RecipeError: the model does not fit into memory.

    Example:
        >>> build = lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> a, b = fresh(build, 0), fresh(build, 0)
        >>> bool((snapshot(a)["dense/kernel"] == snapshot(b)["dense/kernel"]).all())
        True
    """
    with fits_memory("A model", "Make its layers smaller."):
        with python_random(integer("build", seed)):
            model = build()
        assign(model, snapshot(model) | draw_weights(model, seed))
    return model


def draw_weights(model: keras.Layer, seed: int, purpose: str = "init") -> dict[str, np.ndarray]:
    """Draw new values for the randomly initialised weights of `model`, each seeded by `(seed, key)`.

    Args:
        model: a built model; it is not changed.
        seed: the init seed.
        purpose: part of the seed; give another text to get different values for the same `seed`.

    Returns:
        Values by key, for every weight with a random initializer named after it in its layer
        (`kernel_initializer` for `kernel`). Constants such as zero biases are left out.
    """
    values = {}
    for place in walk(model):
        initializer = _initializer(place)
        config = initializer.get_config() if isinstance(initializer, keras.initializers.Initializer) else {}
        if "seed" in config:
            config["seed"] = integer(purpose, seed, place.key)
            # Subclasses of VarianceScaling (GlorotNormal, ...) accept only a seed, as their config shows.
            value = type(initializer).from_config(config)(place.variable.shape, place.variable.dtype)
            array = keras.ops.convert_to_numpy(value)
            values[place.key] = array.astype("float32") if array.dtype.name == "bfloat16" else array
    return values


def _initializer(place: Place) -> Any:
    stem = place.variable.name
    # `kernel` -> kernel_initializer, `recurrent_kernel` -> recurrent_initializer, and so on. A depthwise
    # convolution names its weight `kernel`, but its initializer `depthwise_initializer`.
    own = ["depthwise_initializer"] if stem == "kernel" else []
    for name in (f"{stem}_initializer", f"{stem.removesuffix('_kernel')}_initializer", *own):
        if hasattr(place.layer, name):
            return getattr(place.layer, name)
    return None


@contextmanager
def python_random(seed: int | None = None) -> Iterator[None]:
    """Restore Python's random generator after the body; within the body, seed it with `seed` if given.

    Keras draws seeds for unseeded initializers and layers from this generator: building a model advances it.
    """
    state = random.getstate()
    if seed is not None:
        random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
