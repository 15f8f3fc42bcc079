"""Option values: write a type annotation as text, and parse text to a value of that type.

An option's type is `int`, `float`, `bool`, `str`, `Literal[...]`, or a union or tuple of these.
"""

import math
import numbers
import re
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from kerastickets.errors import PluginError

_SIZE = re.compile(r"[0-9]+(x[0-9]+)+")
_NUMBER = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")


def text(annotation: Any) -> str:
    """A type annotation as Python source text.

    Example:
        >>> text(tuple[int, ...]), text(Literal["same", "valid"]), text(float | None)
        ('tuple[int, ...]', "Literal['same', 'valid']", 'float | None')
    """
    inner = get_args(annotation)
    if annotation is types.NoneType:
        return "None"
    if annotation is Ellipsis:
        return "..."
    if get_origin(annotation) is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(map(text, inner))
    if inner and get_origin(annotation) is tuple:
        return f"tuple[{', '.join(map(text, inner))}]"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def read(annotation: Any, value: Any) -> Any:
    """Convert `value` to the type of `annotation`.

    Text is parsed:

    - numbers in Python's notation,
    - booleans as `true` or `false`, None as `none`,
    - a `Literal` as one of its values,
    - tuples as `300-100`, tuples of integers also as `28x28`, and ambiguous tuples with commas, as `-1,0.5`.

    Other values are only checked. An integer is accepted as a float, and a list as a tuple.

    Args:
        annotation: `int`, `float`, `bool`, `str`, `Literal[...]`, or a union or tuple of these.
        value: text, or a Python value.

    Returns:
        A value of that type.

    Raises:
        ValueError: `value` is not a value of that type.
        PluginError: `annotation` is none of the types above.

    Example:
        >>> read(tuple[int, ...], "300-100"), read(int | None, "none"), read(float, 1)
        ((300, 100), None, 1.0)
    """
    origin = get_origin(annotation)
    if origin is Literal:
        return _literal(get_args(annotation), value)
    if origin in (Union, types.UnionType):
        return _union(get_args(annotation), value)
    if origin is tuple:
        return _tuple(get_args(annotation), value)
    if annotation not in _SCALARS:
        raise PluginError(
            "An option must be annotated int, float, bool, str, Literal[...], X | None or a tuple of these. "
            f"Received: {text(annotation)}"
        )
    return _SCALARS[annotation](value)


def written(value: Any) -> str:
    """A value as text that `read` parses back.

    Example:
        >>> written((300, 100)), written(None), written(True)
        ('300-100', 'none', 'true')
    """
    if isinstance(value, tuple | list):
        return "-".join(map(written, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _int(value: Any) -> int:
    if isinstance(value, str):
        return int(_matching(value, r"[+-]?[0-9]{1,18}"))
    return int(_number(value, numbers.Integral))


def _float(value: Any) -> float:
    number = float(value if isinstance(value, str) else _number(value, numbers.Real))
    if not math.isfinite(number):  # provenance is JSON, and JSON has no NaN and no infinity
        raise ValueError
    return number


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        return _matching(value.lower(), r"true|false") == "true"
    if not isinstance(value, bool):
        raise ValueError
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _none(value: Any) -> None:
    if value is not None and not (isinstance(value, str) and value.lower() == "none"):
        raise ValueError


_SCALARS: Mapping[Any, Callable[[Any], Any]] = {
    int: _int,
    float: _float,
    bool: _bool,
    str: _str,
    types.NoneType: _none,
}


def _literal(choices: tuple[Any, ...], value: Any) -> Any:
    for choice in choices:
        # True == 1 in Python, so types are compared too.
        same = type(choice) is type(value) and choice == value
        if same or (isinstance(value, str) and str(choice) == value):
            return choice
    raise ValueError


def _union(members: tuple[Any, ...], value: Any) -> Any:
    # None first: with `str | None`, "none" means None.
    for member in sorted(members, key=lambda member: member is not types.NoneType):
        try:
            return read(member, value)
        except ValueError:
            continue
    raise ValueError


def _tuple(members: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    items = _items(members[0] if members else str, value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError
    if members[-1:] == (Ellipsis,):
        return tuple(read(members[0], item) for item in items)
    if len(items) != len(members):
        raise ValueError
    return tuple(read(member, item) for member, item in zip(members, items, strict=True))


def _items(member: Any, value: str) -> list[str]:
    if not value:
        return []
    if "," in value:
        return value.removesuffix(",").split(",")
    if member is int and _SIZE.fullmatch(value):
        return value.split("x")
    # `-1` and `1e-3` are one number each, not two.
    single = member in (int, float) and _NUMBER.fullmatch(value)
    return [value] if single else value.split("-")


def _matching(value: str, pattern: str) -> str:
    if re.fullmatch(pattern, value) is None:
        raise ValueError
    return value


def _number(value: Any, kind: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise ValueError
    return value
