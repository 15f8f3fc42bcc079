"""Augmentation: random flips and crops of training images, inside the compiled training step.

The change of an example depends only on the data seed, the training step and the example's row in the batch.
No random generator has state. Equal runs therefore give equal bits, and a rewound run continues with the
random numbers of its step. Evaluation uses unchanged images.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import integer

if TYPE_CHECKING:
    from kerastickets.data.dataset import Data

_STEP = re.compile(r"(?P<flip>flip)|crop:(?P<pad>[1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Augmentation:
    """The augmentation steps for a batch of training images, in the order in which they are applied.

    Args:
        steps: one number per step. 0 is a horizontal flip of every second image on average. A number n above
            0 is a random crop: the image is padded with n pixels of zeros at each edge, and a random part of
            the original size is cut out. If the data was standardised on train, zero is the mean.

    Example:
        >>> Augmentation.parse("flip+crop:4").steps, Augmentation.parse("none").steps
        ((0, 4), ())
    """

    steps: tuple[int, ...]

    @classmethod
    def parse(cls, text: Any) -> "Augmentation":
        """Parse an augmentation from text.

        Args:
            text: `none`, `flip`, `crop:4` (padding in pixels, 1 to 9999), or `flip+crop:4` in either order.

        Raises:
            RecipeError: `text` is none of these.
        """
        if text == "none":
            return cls(())
        found = [_STEP.fullmatch(part) for part in text.split("+")] if isinstance(text, str) else [None]
        kinds = [match and match.lastgroup for match in found]
        if None in kinds or len(set(kinds)) < len(kinds):
            raise RecipeError(
                f"`augment` must be none, flip, crop:4 (pixels) or flip+crop:4. Received: augment={text!r}"
            )
        return cls(tuple(int(match["pad"] or 0) for match in found if match))

    def check(self, data: "Data") -> None:
        """Refuse data that cannot be augmented.

        Raises:
            RecipeError: the inputs are not images, the data has tasks that are parts of one image, or the
                data makes its own batches.
        """
        reason = None
        if not self.steps:
            return
        if len(data.input_shape) != 3:
            reason = f"inputs {data.input_shape}, which are not images (height, width, channels)"
        elif data.tasks:
            reason = f"tasks {', '.join(data.tasks)}, whose pixels have their places"
        elif data.batches is not None:
            reason = "its own training batches: augment those"
        if reason:
            raise RecipeError(f"`augment` must fit the data. Received: data set '{data.name}' with {reason}.")

    def __call__(self, x: Any, key: Any, step: Any, *, batch: int | None = None, at: Any = 0) -> Any:
        """Augment the images of one training step.

        Args:
            x: the images `(n, height, width, channels)` of the step, or of one replica.
            key: the key of the data seed, an int32 scalar. See `Augmentation.key`.
            step: the training step, counted from iteration 0, an int32 scalar.
            batch: the number of examples in the whole step. None means that `x` holds all of them.
            at: the row of the whole step at which `x` begins.
        """
        import tensorflow as tf

        if not self.steps:
            return x
        count = x.shape[0]
        # Integers from one named algorithm: floats would differ between devices, and with XLA.
        draws = tf.random.stateless_uniform(
            (batch or count, 3), tf.stack([key, step]), None, None, tf.int32, alg="philox"
        )
        draws = tf.slice(draws, [at, 0], [count, 3])
        for pad in self.steps:
            x = _cropped(x, draws[:, 1:], pad) if pad else _flipped(x, draws[:, 0])
        return x

    @staticmethod
    def key(seed: int) -> int:
        """The key of a data seed. Data order and random layers use other random numbers."""
        return integer("augment", seed)


def _flipped(x: Any, draw: Any) -> Any:
    import tensorflow as tf

    return tf.where(tf.reshape(draw < 0, (-1, 1, 1, 1)), tf.reverse(x, [2]), x)


def _cropped(x: Any, draws: Any, pad: int) -> Any:
    import tensorflow as tf

    padded = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    corner = tf.math.floormod(draws, 2 * pad + 1)
    for axis in (1, 2):
        places = corner[:, axis - 1 : axis] + tf.range(x.shape[axis])
        padded = tf.gather(padded, places, axis=axis, batch_dims=1)
    return padded


#: No augmentation.
PLAIN = Augmentation(())
