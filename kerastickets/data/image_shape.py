"""Images of another size or of other channels than a ticket's model takes, made to fit where that is asked for."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from kerastickets.data.dataset import Data
from kerastickets.errors import RecipeError

Shape = tuple[int | None, ...]

# As TensorFlow's rgb_to_grayscale.
_LUMA = np.array([0.2989, 0.5870, 0.1140], "float32")
_BLOCK = 1024


def parse_adapt(text: str) -> tuple[str, ...]:
    """The steps that `resize`, `gray`, `rgb` or two of them, joined by `+`, mean.

    Raises:
        RecipeError: it means nothing.

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
    """Refuse data that a model's input does not take.

    Args:
        data: the target.
        shape: one example as the model takes it; None where any size fits.

    Raises:
        RecipeError: names both shapes, and the adaptation that would help, if any does.

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
    """A data set whose images a model takes.

    Args:
        data: images `(n, height, width, channels)`.
        shape: one example as the model takes it; None where any size fits.
        how: `resize` (bilinear, smoothed where it shrinks), `gray` (the three channels weighed as the eye does),
            `rgb` (one channel three times), or `resize+gray`, `resize+rgb`. What is not needed is not done.

    Returns:
        `data` itself where it fits already.

    Raises:
        RecipeError: they still do not fit, or are no images, or have tasks or batches of their own.

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
                (_stepped(x, needed, shape), y) for x, y in (data.train, data.validation, data.test)
            )
            # Blended and padded pixels are no longer bytes standardised.
            data = dataclasses.replace(data, train=train, validation=validation, test=test, scaling=None)
    check_fits(data, shape)
    return data


def _fits(mine: tuple[int, ...], wanted: Shape) -> bool:
    return len(mine) == len(wanted) and all(b in (None, a) for a, b in zip(mine, wanted, strict=True))


def _needed(mine: tuple[int, ...], wanted: Shape) -> tuple[str, ...]:
    """The steps that make images of one shape fit another; none where there are no such steps."""
    if len(mine) != 3 or len(wanted) != 3:
        return ()
    steps = () if _fits(mine[:2], wanted[:2]) else ("resize",)
    if _fits(mine[2:], wanted[2:]):
        return steps
    channels = {(3, 1): ("gray",), (1, 3): ("rgb",)}.get((mine[2], wanted[2] or 0))
    return () if channels is None else (*steps, *channels)


def _stepped(x: np.ndarray, steps: list[str], shape: Shape) -> np.ndarray:
    # In blocks, since a whole image set in float32 is large.
    blocks = [x[n : n + _BLOCK] for n in range(0, len(x), _BLOCK)]
    for step in steps:
        blocks = [_STEPS[step](block, shape) for block in blocks]
    return np.concatenate(blocks)


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
