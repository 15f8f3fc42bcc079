"""Stable layer names: names that are the same in every build of a model, used as segments of keys."""

import re
from collections.abc import Iterable, Iterator


def snake(name: str) -> str:
    """A class name in snake case, as Keras writes it in automatic layer names.

    Example:
        >>> snake("Conv2DTranspose"), snake("ConvLSTM2D")
        ('conv2d_transpose', 'conv_lstm2d')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def made_up(name: str, class_name: str) -> str | None:
    """The stem of `name` (without its number) if Keras made up the name for a layer of this class, else None.

    Example:
        >>> made_up("dense_7", "Dense"), made_up("head_dense_7", "Dense")
        ('dense', None)
    """
    # `Bidirectional` puts a prefix before the names of its two layers.
    match = re.fullmatch(rf"((?:forward_|backward_)*{snake(class_name)})(_\d+)?", name)
    return match[1] if match else None


def numbered(names: Iterable[str]) -> Iterator[str]:
    """Make names unique: a repeated name gets the first suffix `_1`, `_2`, ... whose result is not in use.

    Example:
        >>> list(numbered(["dense", "dense", "dense_1", "dense"]))
        ['dense', 'dense_2', 'dense_1', 'dense_3']
    """
    names = list(names)
    taken, used = set(names), dict.fromkeys(names, -1)
    for name in names:
        used[name] += 1
        label = name if used[name] == 0 else f"{name}_{used[name]}"
        while used[name] and label in taken:
            used[name] += 1
            label = f"{name}_{used[name]}"
        taken.add(label)
        yield label


def stable_names(layers: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The key segments of sibling layers, from their names and classes.

    Example:
        >>> list(stable_names([("dense_3", "Dense"), ("head", "Dense"), ("dense_9", "Dense")]))
        ['dense', 'head', 'dense_1']
    """
    return numbered(made_up(name, class_name) or name for name, class_name in layers)
