"""Whether XLA compiles a model's training, and what else besides the recipe decides the bits on one machine."""

import os
import re
import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerastickets.errors import RecipeError
from kerastickets.foundations.environment import cores, memory_maps
from kerastickets.models.variables import paths
from kerastickets.training.recipe import Jit

_CELLS = (keras.layers.SimpleRNNCell, keras.layers.GRUCell, keras.layers.LSTMCell)
# Fractions of the memory maps that the system allows.
_WARN, _REFUSE = 0.7, 0.95
# What TensorFlow says when XLA, and not the net itself, fails.
_XLA = re.compile(
    r"XLA|tf2xla|unsupported operations|compile-time constant|during compilation", re.IGNORECASE
)


def use_jit(model: keras.Model, jit: Jit) -> bool:
    """Whether XLA compiles the training of `model`.

    `auto` means XLA if every layer supports it and, on CPU, no layer convolves or draws random numbers. On CPU,
    XLA's convolutions are a hundred times slower, and its random numbers several times. Dense nets become 2x
    faster with XLA, and tiny nets 8x.

    Args:
        model: a built model.
        jit: `auto`, `on` or `off`.

    Example:
        >>> use_jit(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), "auto")
        True
    """
    if jit != "auto":
        return jit == "on"
    layers = [layer for _, layer in paths(model)]
    if not all(layer.supports_jit for layer in layers):
        return False
    if tf.config.list_logical_devices("GPU"):
        return True
    return not any(_convolves(layer) or _draws(layer) for layer in layers)


def check_room(jit: bool) -> None:
    """Warn before a process has no memory map left: XLA keeps some hundred for each net that it compiles, for good.

    Raises:
        RecipeError: so few are left that compiling another net could end the process.
    """
    found = memory_maps() if jit else None
    if found is None or found[0] <= _WARN * found[1]:
        return
    said = (
        f"This process holds {found[0]:,} of the {found[1]:,} memory maps that the system allows. XLA keeps some "
        "hundred for each net that it compiles, and TensorFlow frees none; without any left, the process dies. Start "
        "a new process (a run's folder continues there), share compiled nets with `trainers=kt.TrainerCache()`, or "
        "use jit=off."
    )
    if found[0] > _REFUSE * found[1]:
        raise RecipeError(said)
    warnings.warn(said, RuntimeWarning, stacklevel=2)


def compiled_or_not(engine: Any, call: Callable[[], Any], forget: Callable[[], None]) -> Any:
    """Run a compiled call; if XLA cannot compile it, and need not, go on without XLA.

    XLA compiles a call when it runs for the first time, before it changes anything.

    Args:
        engine: has `jit`, whether XLA compiles, and `jit_needed`, whether it must.
        call: makes the compiled function if it is not there, and runs it.
        forget: drops all compiled functions.

    Raises:
        RecipeError: XLA cannot compile the call, and `jit=on` demands it.
    """
    try:
        return call()
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.InternalError) as error:
        if not engine.jit or not _XLA.search(str(error)):
            raise
        cause = " ".join(str(error).split())[:200]
        if engine.jit_needed:
            raise RecipeError(
                f"With jit=on, XLA must be able to compile the net. Received: {cause}. Use jit=auto or jit=off."
            ) from error
        warnings.warn(
            f"XLA cannot compile this net, so it trains without XLA: {cause}. jit=off says so at once.",
            RuntimeWarning,
            stacklevel=2,
        )
        engine.jit = False
        forget()
        return call()


def _convolves(layer: keras.Layer) -> bool:
    # By base class, since a user's layer can be a convolution under any name.
    return any("Conv" in base.__name__ for base in type(layer).__mro__)


def _draws(layer: keras.Layer) -> bool:
    # Recurrent cells own a generator even if they drop nothing.
    rates = [getattr(layer, name, 0.0) for name in ("dropout", "recurrent_dropout")]
    return bool(layer._seed_generators) and (any(rates) or not isinstance(layer, _CELLS))


def environment(jit: bool) -> dict[str, Any]:
    """For provenance: threads, oneDNN, XLA and its flags. Besides the recipe, these decide bits on one machine."""
    # TensorFlow's own setting wins; it does not show the variable, which it reads when it starts.
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    threads = tf.config.threading.get_intra_op_parallelism_threads() or int(asked if asked.isdecimal() else 0)
    threads = threads or cores()
    devices = sorted({device.device_type for device in tf.config.list_logical_devices()})
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
    flags = {"xla_flags": os.environ["XLA_FLAGS"]} if jit and os.environ.get("XLA_FLAGS") else {}
    return {"threads": threads, "onednn": onednn, "xla": jit, "devices": devices} | flags
