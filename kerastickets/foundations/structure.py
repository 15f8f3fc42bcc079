"""Structures of arrays, as Keras models take and give them: one array, or tuples, lists and dicts of arrays.

`None` is a leaf: it stands for a part that is left out, such as the sample weights of one output.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether a structure is a tuple, a list or a dict, and not a single leaf."""
    return isinstance(structure, tuple | list | Mapping)


def map_leaves(function: Callable[..., Any], structure: Any, *others: Any) -> Any:
    """Apply a function to each leaf of a structure, and return the results in the same structure.

    Args:
        function: a function of one leaf of each structure.
        structure: a leaf, or tuples, lists and dicts of structures.
        *others: further structures with the same keys and lengths.

    Raises:
        ValueError: the structures differ.

    Example:
        >>> map_leaves(lambda a, b: a + b, {"one": 1, "two": (2, 3)}, {"two": (20, 30), "one": 10})
        {'one': 11, 'two': (22, 33)}
    """
    if not is_nested(structure):
        if any(map(is_nested, others)):
            raise ValueError("structures differ")
        return function(structure, *others)
    keys = [*_keys(structure)]
    if any(not is_nested(other) or {*_keys(other)} != {*keys} for other in others):
        raise ValueError("structures differ")
    parts = [map_leaves(function, structure[key], *(other[key] for other in others)) for key in keys]
    if isinstance(structure, Mapping):
        return dict(zip(keys, parts, strict=True))
    if hasattr(structure, "_fields"):
        return type(structure)(*parts)
    return tuple(parts) if isinstance(structure, tuple) else parts


def named_leaves(structure: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a structure with their names, in the order of Keras: dicts are sorted by key.

    Args:
        structure: a leaf, or tuples, lists and dicts of structures.
        name: the name of the whole.

    Example:
        >>> [*named_leaves({"b": 1, "a": [2, 3]})]
        [('a.0', 2), ('a.1', 3), ('b', 1)]
    """
    if not is_nested(structure):
        yield name, structure
        return
    keys = _keys(structure)
    for key in sorted(keys, key=str) if isinstance(structure, Mapping) else keys:
        yield from named_leaves(structure[key], f"{name}.{key}" if name else str(key))


def leaves(structure: Any) -> list[Any]:
    """The leaves of a structure, in the order of `named_leaves`.

    Example:
        >>> leaves(({"b": 1, "a": 2}, 3))
        [2, 1, 3]
    """
    return [leaf for _, leaf in named_leaves(structure)]


def _keys(structure: Any) -> Any:
    return structure.keys() if isinstance(structure, Mapping) else range(len(structure))
