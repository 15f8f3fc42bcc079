"""Stop chosen weights of a model from training."""

from collections.abc import Collection

import keras

from kerastickets.errors import RecipeError
from kerastickets.models.prunable_weights import matches
from kerastickets.models.variables import Place


def freeze(places: Collection[Place], patterns: Collection[str]) -> None:
    """Stop weights from training.

    Args:
        places: all weights of a model.
        patterns: glob patterns of the keys of the weights to freeze. A BatchNormalization layer whose weights are all
            frozen runs in inference mode.

    Raises:
        RecipeError: a pattern matches no weight, or no weight is left to train.
    """
    named = {pattern: [place for place in places if matches(place.key, pattern)] for pattern in patterns}
    for pattern, found in named.items():
        if not found:
            keys = ", ".join(place.key for place in places)
            raise RecipeError(f"`freeze` must name a weight. Received: {pattern!r}. Weights: {keys}")
        for place in found:
            place.variable.trainable = False
    if not any(place.variable.trainable for place in places):
        raise RecipeError(f"Something must be left to train. Received: freeze={[*patterns]}")
    for place in (place for found in named.values() for place in found):
        # Statistics change without a gradient, so a layer that is frozen as a whole must not update them either.
        whole = not any(other.variable.trainable for other in places if other.layer is place.layer)
        if whole and isinstance(place.layer, keras.layers.BatchNormalization):
            place.layer.trainable = False
