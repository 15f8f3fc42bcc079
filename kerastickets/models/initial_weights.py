"""Initial weights keyed by (seed, key): equal in every process, and for a layer whatever stands around it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from kerastickets.foundations.tree import integer
from kerastickets.models.variables import Place, assign, snapshot, walk


def fresh(build: Callable[[], keras.Model], seed: int) -> keras.Model:
    """A model whose initial weights depend on `seed` and each weight's key alone.

    Args:
        build: makes the model; called once.
        seed: the init seed.

    Returns:
        The model, its weights drawn by each layer's own initializer under `(seed, key)`. A random weight whose
        layer does not show its initializer (`kernel_initializer` for `kernel`) is repeatable too, but
        depends on the layers built before it.

    Example:
        >>> build = lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> a, b = fresh(build, 0), fresh(build, 0)
        >>> bool((snapshot(a)["dense/kernel"] == snapshot(b)["dense/kernel"]).all())
        True
    """
    with python_random(integer("build", seed)):
        model = build()
    assign(model, snapshot(model) | draw_weights(model, seed))
    return model


def draw_weights(model: keras.Layer, seed: int, purpose: str = "init") -> dict[str, np.ndarray]:
    """New values for the randomly initialised weights of `model`, keyed by `(seed, key)`.

    Args:
        model: a built model; it is not changed.
        seed: the init seed.
        purpose: part of the key, so that a second draw under one seed is another.

    Returns:
        Values by key for every weight whose layer has a random initializer of its name
        (`kernel_initializer` for `kernel`); constants such as zero biases are left out.
    """
    values = {}
    for place in walk(model):
        initializer = _initializer(place)
        config = initializer.get_config() if isinstance(initializer, keras.initializers.Initializer) else {}
        if "seed" in config:
            config["seed"] = integer(purpose, seed, place.key)
            # VarianceScaling's subclasses (GlorotNormal, ...) take only a seed, and say so in their config.
            value = type(initializer).from_config(config)(place.variable.shape, place.variable.dtype)
            array = keras.ops.convert_to_numpy(value)
            values[place.key] = array.astype("float32") if array.dtype.name == "bfloat16" else array
    return values


def _initializer(place: Place) -> Any:
    stem = place.variable.name
    # `kernel` -> kernel_initializer, `recurrent_kernel` -> recurrent_initializer, and so on; the kernel of a
    # depthwise convolution goes by the name of its layer.
    own = ["depthwise_initializer"] if stem == "kernel" else []
    for name in (f"{stem}_initializer", f"{stem.removesuffix('_kernel')}_initializer", *own):
        if hasattr(place.layer, name):
            return getattr(place.layer, name)
    return None


@contextmanager
def python_random(seed: int | None = None) -> Iterator[None]:
    """Leave Python's generator as it was, and start it from `seed` inside where one is given.

    Keras draws the seeds of unseeded initializers and layers from it, so building a model moves it.
    """
    state = random.getstate()
    if seed is not None:
        random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
