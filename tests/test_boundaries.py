"""Who may import whom, and what starting the command line must not import.

Structure is read from the source, so that an import inside a function counts as well; speed itself is
measured in `benchmarks/`, never here.
"""

import ast
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The core, lowest first: importing a module imports its own row and earlier ones, never a later one.
ROWS = [
    "errors tree hardware steps values options registry gate segments",
    "chance statistics fitting strategies mask schedule augment recipe header ticketfile ticket protocols",
    "wiring graph tracing structure networks alive",
    "data adapt head separation joining subset dataspec sources runfolder runtasks resuming run "
    "combining winning analysis extension stopping dials method job staging",
    "keys alignment architecture calls staying remake compact masking roles layers shrink initial losses normalizing "
    "metrics optimizing scoring layout shares oneshot multiplyadds",
    "objective engine intervals training group trainer callbacks",
    "workshop shipping",
    "prunable abreast loop prune train together transfer",
    "evaluation",
    "latency verification exportreport exportsubject export",
    "table figurefacts netchart nodelink contrasts palette chart netplaces diagram netdrawing netplot drawing page "
    "inside runfacts structurepage runpage studypage report",
    "pool study verbs reproduce",
    "expect toys sourcechecks studychecks exportchecks analysischecks testing",
]
ROW = {name: row for row, names in enumerate(ROWS) for name in names.split()}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Each (module, name) that an import anywhere below `tree` names; the name is None in `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the import out from its package"
            yield from ((node.module or "", alias.name) for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize(
    ("folder", "strangers"),
    [
        ("kerastickets", {"kerastickets_plugins", "kerastickets_cli", "plugins", "cli", "click", "rich"}),
        ("plugins", {"kerastickets_cli", "cli", "plugins", "click", "rich"}),
        ("cli", {"kerastickets_plugins", "plugins", "cli"}),
    ],
)
def test_folder_never_imports(folder, strangers):
    found = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in sources(folder)
        for module, _ in imported(parsed(path))
        if module.partition(".")[0] in strangers
    ]
    assert found == []


def private(name: str | None) -> bool:
    return name is not None and any(
        part.startswith("_") and part != "__version__" for part in name.split(".")
    )


def private_uses(path: Path) -> Iterator[str]:
    """Private names of kerastickets that a file imports, or reaches as attributes of what it imported."""
    tree = parsed(path)
    ours = {"kerastickets"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            for alias in node.names:
                if (module or alias.name).partition(".")[0] != "kerastickets":
                    continue
                ours.add(alias.asname or alias.name.partition(".")[0])
                if private(module) or private(alias.name):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {module or ''} {alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr) and not node.attr.endswith("__"):
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in ours:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("folder", ["plugins", "cli", "examples"])
def test_only_public_names_of_the_core_are_used_by(folder):
    assert [use for path in sources(folder) for use in private_uses(path)] == []


def at_import_time(tree: ast.Module) -> ast.Module:
    """The statements that run when the module is imported: no function bodies, no `if TYPE_CHECKING`."""

    class Trim(ast.NodeTransformer):
        def visit_FunctionDef(self, node):
            return None

        visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

        def visit_If(self, node):
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    return Trim().visit(tree)


def core_graph() -> dict[str, set[str]]:
    """Module of the core -> modules of the core that it imports when it is imported."""
    graph = {}
    for path in sources("kerastickets"):
        module = path.stem
        needs = set()
        for target, name in imported(at_import_time(parsed(path))):
            package, _, inside = target.partition(".")
            if package == "kerastickets":
                needs.add(inside or (name if name in ROW else "__init__"))
        graph[module] = needs - {module}
    return graph


def test_every_module_of_the_core_has_its_row():
    assert [name for name in core_graph() if name not in ROW and name != "__init__"] == []


def test_imports_of_the_core_point_one_way():
    graph = core_graph()
    graph.pop("__init__", None)
    upward = [
        f"{module} imports {needed}"
        for module, needs in graph.items()
        for needed in needs
        if ROW.get(needed, len(ROWS)) > ROW.get(module, len(ROWS))
    ]
    assert upward == []
    TopologicalSorter(graph).prepare()  # Raises CycleError, naming the cycle.


def light_modules() -> list[str]:
    names = [name for row in ROWS[:3] for name in row.split()]
    return [f"kerastickets.{name}" for name in names if (ROOT / "kerastickets" / f"{name}.py").exists()]


def test_values_tickets_and_run_folders_need_no_tensorflow():
    code = f"import {', '.join(['kerastickets', *light_modules()])}, sys; print(*sys.modules)"
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & {"tensorflow", "keras", "click", "sklearn", "matplotlib"} == set()


SLOW = {
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow_datasets",
    "sklearn",
    "scipy",
    "matplotlib",
    "networkx",
}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plugins"]], ids=" ".join)
def test_starting_the_command_line_imports_nothing_slow(arguments, tmp_path):
    kt = Path(sysconfig.get_path("scripts")) / "kt"
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run([kt, *arguments], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout
    report = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in report}
    assert "kerastickets_cli" in modules
    assert modules & SLOW == set()


def commands() -> Iterator[str]:
    """Every command by the words that call it: "" is `kt` itself."""
    click = pytest.importorskip("click")
    from kerastickets_cli.main import kt

    def walk(command, words):
        yield " ".join(words)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                yield from walk(command.get_command(context, name), [*words, name])

    yield from walk(kt, [])


def test_every_help_ends_with_an_example():
    from click.testing import CliRunner

    from kerastickets_cli.main import kt

    without = []
    for words in commands():
        shown = CliRunner().invoke(kt, [*words.split(), "--help"], prog_name="kt")
        assert shown.exit_code == 0, words
        before, _, example = shown.output.rpartition("Example")
        if not before or f"kt {words}".strip() not in example or "Options:" in example:
            without.append(f"kt {words}")
    assert without == []
