"""A file over 350 lines or a function over 60 hides an idea."""

import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("kerastickets", "plugins", "cli", "benchmarks")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_source_file_is_over_350_lines_and_the_median_is_at_most_150():
    assert [f"{path.relative_to(ROOT)}: {lines(path)}" for path in FILES if lines(path) > 350] == []
    assert statistics.median(lines(path) for path in FILES if path.name != "__init__.py") <= 150


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring. Decorators are declarations."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str)
    whole = function.end_lineno - function.lineno + 1
    return whole - (first.end_lineno - first.lineno + 1 if documented else 0)


def test_no_function_is_over_60_lines_without_its_docstring():
    long = [
        f"{path.relative_to(ROOT)}: {node.name} has {length(node)}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > 60
    ]
    assert long == []
