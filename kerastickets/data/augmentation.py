"""Augmentation: random flips and crops of training images, inside the compiled step.

What an example becomes depends on (data seed, step, its row in the batch) alone: no generator has state, so
equal runs give equal bits, a rewound run goes on where its step was, and evaluation sees plain data.
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
    """What happens to a batch of training images, in this order.

    Args:
        steps: 0 for a horizontal flip of every second image on average; a number of pixels for a random
            crop of the image's own size out of the image with that many zeros at each edge. The data is
            standardised already, so zero is the mean where it was standardised on train.

    Example:
        >>> Augmentation.parse("flip+crop:4").steps, Augmentation.parse("none").steps
        ((0, 4), ())
    """

    steps: tuple[int, ...]

    @classmethod
    def parse(cls, text: Any) -> "Augmentation":
        """The augmentation that `none`, `flip`, `crop:4` or `flip+crop:4` means.

        Raises:
            RecipeError: it is none of these.
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
        """Refuse data whose examples it cannot or must not change.

        Raises:
            RecipeError: no images, tasks that are parts of one image, or batches that the data makes itself.
        """
        reason = None
        if not self.steps:
            return
        if len(data.input_shape) != 3:
            reason = f"inputs {data.input_shape}, which are no images (height, width, channels)"
        elif data.tasks:
            reason = f"tasks {', '.join(data.tasks)}, whose pixels have their places"
        elif data.batches is not None:
            reason = "its own training batches: augment those"
        if reason:
            raise RecipeError(f"`augment` must fit the data. Received: data set '{data.name}' with {reason}.")

    def __call__(self, x: Any, key: Any, step: Any, *, batch: int | None = None, at: Any = 0) -> Any:
        """The images of one training step.

        Args:
            x: images `(n, height, width, channels)`, or those of one replica.
            key: the data seed's key, see `key`; an int32 scalar.
            step: the training step, counted from iteration 0; an int32 scalar.
            batch: examples in the whole step; None means all are in `x`.
            at: which row of the whole step `x` begins with.
        """
        import tensorflow as tf

        if not self.steps:
            return x
        count = x.shape[0]
        # Whole integers of one named algorithm: floats would differ between devices, and with XLA.
        draws = tf.random.stateless_uniform(
            (batch or count, 3), tf.stack([key, step]), None, None, tf.int32, alg="philox"
        )
        draws = tf.slice(draws, [at, 0], [count, 3])
        for pad in self.steps:
            x = _cropped(x, draws[:, 1:], pad) if pad else _flipped(x, draws[:, 0])
        return x

    @staticmethod
    def key(seed: int) -> int:
        """What a data seed contributes: another stream than the data order's and the random layers'."""
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


#: Images as they are.
PLAIN = Augmentation(())
