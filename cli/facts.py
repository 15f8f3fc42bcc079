"""Show the facts of any analyzer as tables in a terminal, instead of JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerastickets_cli.output import cell, table, yes

_SHORT = 12
_TOTALS = ("total", "totals")


def shown(facts: Mapping[str, Any]) -> str:
    """Facts about one ticket as text: single values first, then one table per list of rows.

    Of long lists and large grids only the size is shown; `--json` and `--plot` show their contents.
    """
    return "\n\n".join(_parts(facts))


def by_ticket(many: Sequence[Mapping[str, Any]]) -> str:
    """Facts about several tickets as a table: one line per ticket, with its single values."""
    rows = [_flat({"ticket": one["ticket"], **one}) for one in many]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return table(names, [[_text(row.get(name)) for name in names] for row in rows])


def _parts(facts: Mapping[str, Any]) -> Iterator[str]:
    total = next((name for name in _TOTALS if _has_row(facts, name)), "")
    single = {name: value for name, value in facts.items() if name != total and not _large(value)}
    if single:
        width = max(map(len, single))
        yield "\n".join(f"{name:{width}}  {_text(value)}" for name, value in single.items())
    for name, value in facts.items():
        if name == total or name in single:
            continue
        if isinstance(value, Mapping):
            yield from _within(name, value)
        elif isinstance(value[0], Mapping):
            yield from _table(name, value, facts[total] if total and name == "layers" else None)
        else:
            yield f"{name}:\n{_grid(value)}"


def _within(name: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """Texts for a mapping that holds more than single values. If it holds only lists, just their number is shown."""
    lists = [value for value in facts.values() if isinstance(value, list | tuple) and not _is_table(value)]
    if 1 < len(lists) == len(facts):
        yield f"{name}: {len(facts)} lists of numbers; see --json"
        return
    yield from _parts({f"{name} {key}": value for key, value in facts.items()})


def _has_row(facts: Mapping[str, Any], name: str) -> bool:
    """Whether the fact `name` is the total of the rows of `layers`."""
    layers, total = facts.get("layers"), facts.get(name)
    return (
        isinstance(total, Mapping)
        and isinstance(layers, Sequence)
        and bool(layers)
        and isinstance(layers[0], Mapping)
        and total.keys() <= layers[0].keys()
    )


def _table(name: str, rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any] | None) -> Iterator[str]:
    """A table of rows with a line for their total, followed by the tables inside the rows."""
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(column for row in flat for column in row))
    if total is not None:
        flat = [*flat, {names[0]: "total", **_flat(total)}]
    body = [[_text(row.get(column)) for column in names] for row in flat]
    yield f"{name}:\n" + table(names, body) if names else f"{name}:"
    for number, row in enumerate(rows, 1):
        inner = {key: value for key, value in row.items() if _is_table(value)}
        if inner:
            yield from _parts({f"{name} {number} {key}": value for key, value in inner.items()})


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The single values of a row. Values of a mapping inside the row get dotted names."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            # Totals need no prefix. Values deeper than one level are left out: the table would be too wide.
            found |= _flat(value, prefix if name in _TOTALS else f"{name}.") if not prefix else {}
        elif not _large(value):
            found[prefix + name] = value
    return found


def _large(value: Any) -> bool:
    """Whether a value needs lines of its own."""
    if isinstance(value, Mapping):
        return any(isinstance(part, Mapping | list | tuple) for part in value.values())
    return isinstance(value, list | tuple) and (
        len(value) > _SHORT or any(isinstance(part, Mapping | list | tuple) for part in value)
    )


def _is_table(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _grid(values: Sequence[Any]) -> str:
    if len({_shape(row) for row in values}) > 1:
        return f"{len(values)} lists; see --json"
    shape = _shape(values)
    if len(shape) == 2 and 0 < max(shape) <= _SHORT and shape[1]:
        return table(
            list(map(str, range(1, shape[1] + 1))), [list(map(_text, row)) for row in values], left=0
        )
    return f"{' x '.join(map(str, shape))} numbers; see --json or --plot"


def _shape(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list | tuple):
        return ()
    return (len(values), *(_shape(values[0]) if values else ()))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return yes(value)
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, Mapping):
        return "  ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "-"
    return cell(value)
