"""`Table`: rows as Markdown, CSV and JSON."""

import csv
import io
import json

import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.figures.table import Column, Table, file_stem, plain_value

COLUMNS = (
    Column("name"),
    Column("density", "weights kept", ".1%"),
    Column("kept", format=","),
    Column("mark"),
)
ROWS = (
    {"name": "a|b <i>", "density": np.float32(0.5), "kept": np.int64(133100), "mark": True},
    {"name": "c", "density": float("nan"), "kept": None, "mark": "=1+1", "more": "dropped"},
)
TABLE = Table("densities", "Densities | all", COLUMNS, ROWS, "Two\nlines.")


def test_rows_become_json_values_of_the_columns_only():
    assert TABLE.rows == (
        {"name": "a|b <i>", "density": 0.5, "kept": 133100, "mark": True},
        {"name": "c", "density": None, "kept": None, "mark": "=1+1"},
    )
    assert [type(TABLE.rows[0][key]) for key in ("density", "kept")] == [float, int]


def test_markdown_aligns_numbers_and_escapes_what_would_end_a_cell():
    assert TABLE.markdown() == (
        "**Densities \\| all**\n\n"
        "| name | weights kept | kept | mark |\n"
        "| --- | ---: | ---: | --- |\n"
        "| a\\|b &lt;i> | 50.0% | 133,100 | yes |\n"
        "| c | \N{EN DASH} | \N{EN DASH} | =1+1 |\n"
        "\nTwo lines.\n"
    )


def test_csv_has_keys_and_all_digits_and_runs_no_formula():
    table = Table(
        "t", "T", (Column("x", format=".1f"), Column("note")), ({"x": 1 / 3, "note": "=HYPERLINK(1)"},)
    )
    assert table.csv() == "x,note\n0.3333333333333333,'=HYPERLINK(1)\n"
    assert [*csv.reader(io.StringIO(TABLE.csv()))][2] == ["c", "", "", "'=1+1"]


def test_negative_numbers_are_no_formulas():
    assert Table("t", "T", (Column("x"),), ({"x": -1.5},)).csv() == "x\n-1.5\n"


def test_facts_come_back_from_json():
    assert Table.of(json.loads(json.dumps(TABLE.facts(), allow_nan=False))) == TABLE


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        (Column("x"), None, "\N{EN DASH}"),
        (Column("x"), 0.1 + 0.2, "0.3"),
        (Column("x"), 1234567, "1234567"),
        (Column("x", format=".2%"), "failed", "failed"),
        (Column("x", format="d"), 3, "3"),
        (Column("x"), False, "no"),
        (Column("x"), [1, {"a": 2}], '[1, {"a": 2}]'),
    ],
)
def test_a_cell_shows(column, value, shown):
    assert column.show(value) == shown


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Column("x", format="%%"), "A format must be one that format(number, ...) takes"),
        (lambda: Column(3), "`key` of a column must be text. Received: 3"),
        (lambda: Table("t", "T", (Column("x"), Column("x")), ()), "Columns must have different keys"),
        (lambda: Table("t", "T", (Column("x"),), ({"x": object()},)), "A value must be JSON"),
        (lambda: Table.of({"name": "t"}), "A table must have a name, a title, columns and rows"),
        (lambda: Table.of([1]), "A table must have"),
        (
            lambda: Table.of({"name": 1, "title": "", "columns": [], "rows": []}),
            "`name` of a table must be text",
        ),
        (
            lambda: Table.of({"name": "t", "title": "", "columns": [{"k": 1}], "rows": []}),
            "A table must have",
        ),
    ],
)
def test_refuses(make, said):
    with pytest.raises(
        RecipeError, match=said.replace("(", r"\(").replace(")", r"\)").replace("...", r"\.\.\.")
    ):
        make()


def test_plain_values():
    assert plain_value({"a": np.array([[1, 2]]), "b": (np.float64("inf"), np.bool_(True))}) == {
        "a": [[1, 2]],
        "b": [None, True],
    }


def test_no_name_leads_out_of_a_folder():
    assert "/" not in file_stem("../../etc/x y")
    assert file_stem("") == "unnamed"


def test_a_format_of_whole_numbers_does_not_fail_on_others():
    assert Column("level", format="d").show(3) == "3"
    assert Column("level", format="d").show(2.5) == "2.5"
