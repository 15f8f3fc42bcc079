"""`Table`: a table of a study or a report as one value, which prints as Markdown, CSV or HTML.

Cells are plain JSON values. The column says how a number is shown, so that files keep all digits.
"""

import csv
import io
import json
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.foundations.strangers import is_number

_DASH = "\N{EN DASH}"
_MARKS = str.maketrans({"|": "\\|", "<": "&lt;", "\n": " ", "\r": " "})
_LONGEST_FORMAT, _LARGE = 20, re.compile(r"[0-9]{3}")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        key: the column's key in each row.
        label: the heading that readers see. If left out, it is the key.
        format: the number format, as in `format(value, ".2%")`. Empty for text, and for numbers without a
            special format.

    Raises:
        RecipeError: `format` is not a number format, or a field is not text.
    """

    key: str
    label: str = ""
    format: str = ""

    def __post_init__(self) -> None:
        check_texts(self, "key", "label", "format")
        object.__setattr__(self, "label", self.label or self.key)
        check_format(self.format)

    def show(self, value: Any) -> str:
        """The text of a cell as readers see it. None becomes an en dash, and text stays unchanged.

        Example:
            >>> Column("density", format=".1%").show(0.216), Column("kept", format=",").show(266200)
            ('21.6%', '266,200')
        """
        if value is None:
            return _DASH
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, str):
            return value
        if not isinstance(value, int | float):
            return json.dumps(value, ensure_ascii=False)
        return shown_number(value, self.format)


@dataclass(frozen=True)
class Table:
    """A named table.

    Args:
        name: the name of its files, such as `accuracy-by-density`.
        title: the line above the table.
        columns: the columns, from left to right. Entries of rows without a column are dropped.
        rows: the cells of each row by column key: text, numbers, booleans or None. Missing cells, NaN and
            infinity become None. NumPy numbers become Python numbers.
        note: what a reader must know to read the table correctly.

    Raises:
        RecipeError: two columns have the same key, a cell is not JSON, or a text field is not text.

    Example:
        >>> table = Table("densities", "Densities", (Column("level"), Column("density", format=".1%")),
        ...               ({"level": 1, "density": 0.8}, {"level": 2, "density": None}))
        >>> print(table.csv(), end="")
        level,density
        1,0.8
        2,
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]
    note: str = ""

    def __post_init__(self) -> None:
        check_texts(self, "name", "title", "note")
        object.__setattr__(self, "columns", tuple(self.columns))
        keys = [column.key for column in self.columns]
        if len({*keys}) < len(keys):
            raise RecipeError(
                f"Columns must have different keys. Received: {', '.join(keys)} in {self.name}."
            )
        rows = tuple({key: plain_value(row.get(key)) for key in keys} for row in self.rows)
        object.__setattr__(self, "rows", rows)

    def facts(self) -> dict[str, Any]:
        """The table as JSON. `Table.of` reads it back."""
        columns = [{"key": c.key, "label": c.label, "format": c.format} for c in self.columns]
        rows = [dict(row) for row in self.rows]
        return {"name": self.name, "title": self.title, "columns": columns, "rows": rows, "note": self.note}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Table":
        """Make a table from the JSON that `Table.facts` returned.

        Args:
            facts: the result of `Table.facts`, before or after it was written as JSON text and read back.

        Raises:
            RecipeError: `facts` do not describe a table.
        """
        try:
            columns = tuple(Column(**column) for column in facts["columns"])
            return cls(facts["name"], facts["title"], columns, tuple(facts["rows"]), facts.get("note", ""))
        except (KeyError, TypeError, AttributeError) as error:
            raise RecipeError(
                f"A table must have a name, a title, columns and rows. Received: {_short(facts)} ({error!r})."
            ) from error

    def numeric(self, column: Column) -> bool:
        """Whether all cells of a column are numbers or None, and at least one is a number.

        Such a column is aligned right and sorted by value.
        """
        values = [row[column.key] for row in self.rows if row[column.key] is not None]
        return bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)

    def markdown(self) -> str:
        """The table as Markdown, with the title above and the note below.

        Example:
            >>> print(Table("t", "Kept", (Column("level"),), ({"level": 1},)).markdown(), end="")
            **Kept**
            <BLANKLINE>
            | level |
            | ---: |
            | 1 |
        """
        rules = ["---:" if self.numeric(column) else "---" for column in self.columns]
        head = [_cell(column.label) for column in self.columns]
        body = [[_cell(column.show(row[column.key])) for column in self.columns] for row in self.rows]
        lines = ["| " + " | ".join(cells) + " |" for cells in (head, rules, *body)]
        note = f"\n{_cell(self.note)}\n" if self.note else ""
        return f"**{_cell(self.title)}**\n\n" + "\n".join(lines) + f"\n{note}"

    def csv(self) -> str:
        """The table as CSV: a row of keys, then unrounded values. None is an empty cell.

        Text that a spreadsheet would run as a formula gets an apostrophe in front.
        """
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_harmless(column.key) for column in self.columns])
        writer.writerows([_harmless(row[column.key]) for column in self.columns] for row in self.rows)
        return file.getvalue()


def plain_value(value: Any) -> Any:
    """Convert a value to plain JSON.

    NumPy numbers become Python numbers, tuples become lists, and NaN and infinity become None.

    Raises:
        RecipeError: the value has no JSON form.
    """
    if isinstance(value, int) and not isinstance(value, bool) and not is_number(value):
        raise RecipeError("A value must have at most 64 bits. Received: a larger integer.")
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain_value(part) for key, part in value.items()}
    if isinstance(value, Sequence):
        return [plain_value(part) for part in value]
    if hasattr(value, "tolist"):  # NumPy arrays and numbers
        return plain_value(value.tolist())
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    raise RecipeError(f"A value must be JSON. Received: {_short(value)} of {type(value).__name__}.")


def shown_number(value: int | float, spec: str = "") -> str:
    """A number as text. A format that fits whole numbers only, such as `d`, is not used for other numbers.

    Example:
        >>> shown_number(12, "d"), shown_number(0.5, "d"), shown_number(0.5, ".0%")
        ('12', '0.5', '50%')
    """
    try:
        return format(value, spec or (".6g" if isinstance(value, float) else ""))
    except ValueError:
        return format(value, ".6g")


def file_stem(name: str) -> str:
    """A name made safe for files and downloads: only letters, digits, `_`, `.` and `-`.

    Example:
        >>> file_stem("../Table II")
        '..-Table-II'
    """
    return re.sub(r"[^\w.-]+", "-", name) or "unnamed"


def check_texts(value: Any, *names: str) -> None:
    """Refuse fields that are not text. The values may come from untrusted files.

    Raises:
        RecipeError: a field is not text. The message names the first such field.
    """
    for name in names:
        if not isinstance(getattr(value, name), str):
            kind = type(value).__name__.lower()
            raise RecipeError(f"`{name}` of a {kind} must be text. Received: {_short(getattr(value, name))}.")


def check_format(spec: str) -> None:
    """Refuse a format that cannot format a number.

    Raises:
        RecipeError: `spec` is no number format. The message names it.
    """
    if len(spec) > _LONGEST_FORMAT or _LARGE.search(spec):
        raise RecipeError(f"A format must have a width and a precision below 100. Received: {spec[:80]!r}.")
    try:
        format(0.5, spec)
    except (ValueError, TypeError):
        try:
            format(1, spec)
        except (ValueError, TypeError) as error:
            raise RecipeError(
                f"A format must be one that format(number, ...) takes, such as '.2%' or ','. Received: {spec!r}."
            ) from error


def _cell(text: str) -> str:
    return text.translate(_MARKS)


def _harmless(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )


def _short(value: Any, most: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= most else text[:most] + "..."
