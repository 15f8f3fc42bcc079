"""Layers that look words up: write their vocabulary into an architecture, and check one that came from anybody."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

#: The layers of Keras that have a vocabulary. Its option may name a file, which a ticket must never make Keras read.
LOOKUPS = {"StringLookup", "IntegerLookup", "TextVectorization"}
# Larger vocabularies and paddings are no longer settings but memory.
_MOST_WORDS = 2**22
_COUNTS = ("max_tokens", "num_oov_indices", "vocabulary_size")


def add_vocabularies(node: Any, model: "keras.Model") -> None:
    """Write into a config, in place, what each layer of a live model looks up.

    Keras keeps a vocabulary that was learned from data, and the weights of words, in files beside the config.

    Args:
        node: the config of `model` as JSON.
        model: a live model.
    """
    lookups = {layer.name: layer for layer in model._flatten_layers() if hasattr(layer, "get_vocabulary")}
    if lookups:
        _add(node, lookups)


def _add(node: Any, lookups: Mapping[str, Any]) -> None:
    config = node.get("config") if isinstance(node, dict) else None
    if isinstance(config, dict) and "vocabulary" in config and config.get("name") in lookups:
        layer = lookups[config["name"]]
        words = layer.get_vocabulary(include_special_tokens=False)
        config["vocabulary"] = [_plain(word) for word in words] or None
        weights = getattr(getattr(layer, "_lookup_layer", layer), "idf_weights_const", None)
        if words and weights is not None:
            # In front stand the weights of words that are not in the vocabulary. Keras makes them from the others.
            first = len(layer.get_vocabulary()) - len(words)
            config["idf_weights"] = np.asarray(weights)[first : first + len(words)].tolist()
    for child in _children(node):
        _add(child, lookups)


def _plain(word: Any) -> Any:
    return word.item() if hasattr(word, "item") else word


def _children(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def vocabulary_fault(config: Any) -> str:
    """What is wrong with the config of a layer that looks words up; empty if it is safe to build.

    Example:
        >>> vocabulary_fault({"vocabulary": ["a", "the"]})
        ''
        >>> vocabulary_fault({"vocabulary": "/etc/passwd"})
        'a vocabulary that is not in the ticket'
    """
    if not isinstance(config, Mapping):
        return "no config"
    words, weights = config.get("vocabulary"), config.get("idf_weights")
    if words is not None and not isinstance(words, list):
        return "a vocabulary that is not in the ticket"
    if len(words or ()) > _MOST_WORDS or not all(isinstance(word, str | int) for word in words or ()):
        return f"a vocabulary that is not at most {_MOST_WORDS:,} words or whole numbers"
    if weights is not None and not (
        isinstance(weights, list) and all(isinstance(one, int | float) for one in weights)
    ):
        return "weights of words that are not a list of numbers"
    for name in _COUNTS:
        if not isinstance(config.get(name) or 0, int) or (config.get(name) or 0) > _MOST_WORDS:
            return f"{name} above {_MOST_WORDS:,}"
    return ""
