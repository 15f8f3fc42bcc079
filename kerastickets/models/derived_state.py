"""State that layers derive from their variables: what Keras computes anew after it has loaded a file.

`Normalization` divides by a tensor that it made from its variables, and a layer of a user may keep a table or a
factor. Whoever sets variables must let such layers compute that state anew, as Keras's own loading does.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def derive(layers: Iterator[keras.Layer]) -> str:
    """Let each layer compute anew what it derives from its variables.

    Args:
        layers: layers whose variables were set.

    Returns:
        A digest of the variables of the layers that derive state. A function that TensorFlow compiled keeps the state
        of the time when it was traced, so it must be traced again if the digest changes. The digest is empty if no
        layer derives anything.
    """
    sha, seen = hashlib.sha256(), set()
    for layer in layers:
        if id(layer) in seen or not layer.built:
            continue
        seen.add(id(layer))
        if not derives(layer):
            continue
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        layer.load_own_variables({name: np.asarray(value) for name, value in store.items()})
        for variable in layer.variables:
            sha.update(np.asarray(variable.value).tobytes())
    return sha.hexdigest() if sha.digest() != hashlib.sha256().digest() else ""


def derives(layer: keras.Layer) -> bool:
    """Whether a layer may derive state from its variables."""
    return hasattr(layer, "finalize_state") or _loads_itself(layer)


def _loads_itself(layer: keras.Layer) -> bool:
    """Whether a class that is not Keras's own says how its variables are loaded. Keras's own derive nothing there."""
    own = type(layer).load_own_variables
    return own is not keras.Layer.load_own_variables and not own.__module__.startswith("keras.")
