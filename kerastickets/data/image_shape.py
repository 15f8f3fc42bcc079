"""Adapt images to the size and the channels that a ticket's model takes, if the user asks for it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import Any

import numpy as np

from kerastickets.data.dataset import Data
from kerastickets.data.streamed_array import StreamedArray, is_streamed
from kerastickets.errors import RecipeError

Shape = tuple[int | None, ...]

# The weights of TensorFlow's rgb_to_grayscale.
_LUMA = np.array([0.2989, 0.5870, 0.1140], "float32")
_BLOCK = 1024


def parse_adapt(text: str) -> tuple[str, ...]:
    """Parse the adaptation steps from text.

    Args:
        text: `resize`, `gray` or `rgb`, or `resize` and one of the other two, joined by `+`.

    Raises:
        RecipeError: `text` is none of these.

    Example:
        >>> parse_adapt("resize+gray")
        ('resize', 'gray')
    """
    steps = tuple(text.split("+")) if isinstance(text, str) else ()
    if (
        not steps
        or not set(steps) <= {*_STEPS}
        or len(set(steps)) < len(steps)
        or {"gray", "rgb"} <= {*steps}
    ):
        raise RecipeError(
            f"`adapt` must be resize, gray, rgb, resize+gray or resize+rgb. Received: adapt={text!r}"
        )
    return steps


def check_fits(data: Data, shape: Shape) -> None:
    """Refuse data that does not fit a model's input.

    Args:
        data: the data set to use with the model.
        shape: the shape of one example that the model takes. None stands for any size.

    Raises:
        RecipeError: the shapes differ. The message names both, and the adaptation that would help, if there
            is one.

    Example:
        >>> from kerastickets.testing import toy_data
        >>> check_fits(toy_data(), (8, 8, 3))
        Traceback (most recent call last):
        ...
        kerastickets.errors.RecipeError: ... must be (8, 8, 3)... Received: (8, 8, 1). Use --adapt rgb ...
    """
    if _fits(data.input_shape, shape):
        return
    steps = _needed(data.input_shape, shape)
    help = (
        f"Use --adapt {'+'.join(steps)} (in Python adapt={'+'.join(steps)!r}) to change the images."
        if steps
        else "No adaptation makes these fit: find a ticket on inputs of this shape."
    )
    raise RecipeError(
        f"Examples of {data.name} must be {shape}, as the ticket's model takes them. "
        f"Received: {data.input_shape}. {help}"
    )


def adapted(data: Data, shape: Shape, how: str) -> Data:
    """Adapt the images of a data set to a model's input.

    Args:
        data: a data set with images `(n, height, width, channels)`.
        shape: the shape of one example that the model takes. None stands for any size.
        how: `resize` (bilinear, antialiased when it shrinks), `gray` (the three channels weighted by
            luminance), `rgb` (one channel repeated three times), `resize+gray` or `resize+rgb`. Steps that
            are not needed are skipped.

    Returns:
        The adapted data set, or `data` itself if it fits already.

    Raises:
        RecipeError: `how` is invalid, the inputs still do not fit or are not images, or the data set has
            tasks or makes its own batches.

    Example:
        >>> from kerastickets.testing import toy_data
        >>> adapted(toy_data(), (4, 4, 3), "resize+rgb").input_shape
        (4, 4, 3)
    """
    steps = parse_adapt(how)
    if _fits(data.input_shape, shape):
        return data
    if data.tasks or data.batches is not None:
        what = "tasks that name inputs" if data.tasks else "batches of its own"
        raise RecipeError(f"Images that are adapted must be plain. Received: {data.name}, which has {what}.")
    if len(data.input_shape) == len(shape) == 3:
        needed = [step for step in _needed(data.input_shape, shape) if step in steps]
        if needed:
            train, validation, test = (
                (_stepped(x, needed, shape), *rest) for x, *rest in (data.train, data.validation, data.test)
            )
            # Changed pixels are no longer standardised bytes, so `scaling` does not apply.
            data = dataclasses.replace(data, train=train, validation=validation, test=test, scaling=None)
    check_fits(data, shape)
    return data


def _fits(mine: tuple[int, ...], wanted: Shape) -> bool:
    return len(mine) == len(wanted) and all(b in (None, a) for a, b in zip(mine, wanted, strict=True))


def _needed(mine: tuple[int, ...], wanted: Shape) -> tuple[str, ...]:
    """The steps that make images of one shape fit another. Empty if no steps can do that."""
    if len(mine) != 3 or len(wanted) != 3:
        return ()
    steps = () if _fits(mine[:2], wanted[:2]) else ("resize",)
    if _fits(mine[2:], wanted[2:]):
        return steps
    channels = {(3, 1): ("gray",), (1, 3): ("rgb",)}.get((mine[2], wanted[2] or 0))
    return () if channels is None else (*steps, *channels)


def _stepped(x: Any, steps: list[str], shape: Shape) -> Any:
    # In blocks, because a whole image data set in float32 is large.
    blocks: Iterator[np.ndarray] = (x[n : n + _BLOCK] for n in range(0, len(x), _BLOCK))
    for step in steps:
        blocks = map(_STEPS[step], blocks, repeat(shape))
    if not is_streamed(x):
        return np.concatenate([*blocks])
    return StreamedArray.written(blocks, np.float32, "The adapted images")


def _resized(x: np.ndarray, shape: Shape) -> np.ndarray:
    import tensorflow as tf

    size = [wanted or own for own, wanted in zip(x.shape[1:3], shape[:2], strict=True)]
    resized: np.ndarray = tf.image.resize(x, size, antialias=True).numpy()
    return resized


def _gray(x: np.ndarray, shape: Shape) -> np.ndarray:
    gray: np.ndarray = (x @ (_LUMA / _LUMA.sum()))[..., None]
    return gray


def _rgb(x: np.ndarray, shape: Shape) -> np.ndarray:
    return np.repeat(x, 3, axis=-1)


_STEPS: Mapping[str, Callable[[np.ndarray, Shape], np.ndarray]] = {
    "resize": _resized,
    "gray": _gray,
    "rgb": _rgb,
}
