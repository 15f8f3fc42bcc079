"""Who may import whom, and what starting the command line must not import.

Structure is read from the source, so that an import inside a function counts as well; speed itself is
measured in `benchmarks/`, never here.
"""

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The core, lowest row first: a package imports packages of lower rows and itself, a module of a package nothing that
# imports it. `plugin` and `old_paths` are faces, which re-export from every row.
ROWS = [
    {"errors"},
    {"foundations"},
    {"registry", "statistics", "figures"},
    {"cutting"},
    {"tickets"},
    {"data"},
    {"models", "structure"},
    {"compaction", "distribution", "layers"},
    {"training"},
    {"runs"},
    {"pruning"},
    {"transferring", "exporting", "reports"},
    {"studies", "callbacks", "inspection", "shrinking"},
    {"testing"},
]
ROW = {name: row for row, names in enumerate(ROWS) for name in names}
FACES = {"__init__", "plugin", "old_paths"}
# A ticket is a value of NumPy arrays, and yet builds its model.
EXCEPTION = ("tickets.ticket", "models")


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


def name_of(path: Path) -> str:
    """`structure.tracing` of a module of the core; a package's face bears the package's name."""
    parts = path.relative_to(ROOT / "kerastickets").with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def core_graph() -> dict[str, set[str]]:
    """Module of the core -> modules of the core that it imports anywhere, inside functions as well."""
    names = {name_of(path): path for path in sources("kerastickets")}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        needs = graph.setdefault(name, set())
        for target, item in imported(parsed(path)):
            package, _, inside = target.partition(".")
            if package != "kerastickets":
                continue
            within = f"{inside}.{item}" if inside else str(item)
            needs.add(within if within in names else inside or "__init__")
    return {name: needs - {name} for name, needs in graph.items()}


def package(module: str) -> str:
    return module.partition(".")[0]


def test_every_package_of_the_core_has_its_row():
    assert {package(name) for name in core_graph()} - set(ROW) - FACES == set()


def test_imports_between_packages_point_to_lower_rows():
    upward = [
        f"{module} imports {needed}"
        for module, needs in core_graph().items()
        for needed in needs
        if package(module) not in FACES
        and package(needed) != package(module)
        and (package(needed) in FACES or ROW[package(needed)] >= ROW[package(module)])
        and (module, package(needed)) != EXCEPTION
    ]
    assert upward == []


def test_no_imports_of_the_core_form_a_circle():
    graph = {
        module: {needed for needed in needs if (module, package(needed)) != EXCEPTION}
        for module, needs in core_graph().items()
        # The face of a package imports its modules for type checkers alone, and they do not import it.
        if (module not in FACES and "." in module) or package(module) in ("errors", "layers", "callbacks")
    }
    TopologicalSorter(graph).prepare()  # Raises CycleError, naming the circle.


def test_modules_of_the_core_import_from_modules_and_not_from_faces():
    faces = {name for name in core_graph() if name in ROW and (ROOT / "kerastickets" / name).is_dir()}
    allowed = {"registry", "testing"}  # public modules, which stay what they are
    found = [
        f"{module} imports {needed}"
        for module, needs in core_graph().items()
        if "." in module and package(module) not in FACES
        for needed in needs & (faces - allowed)
    ]
    assert found == []


PUBLIC_FUNCTIONS = {
    "prune",
    "train",
    "transfer",
    "export",
    "compact",
    "compare",
    "plan",
    "cut",
    "align",
    "analyze",
    "inspect",
}


def test_no_package_or_module_bears_a_name_that_a_face_offers():
    """Importing a module binds it in its package: a function of that name would be gone."""
    import importlib

    packages = {path.parent.name for path in sources("kerastickets") if path.name == "__init__.py"}
    assert packages & PUBLIC_FUNCTIONS == set()
    clashes = []
    for name in sorted(packages - {"kerastickets", "old_paths"}):
        modules = {path.stem for path in (ROOT / "kerastickets" / name).glob("*.py")}
        clashes += [
            f"{name}.{clash}"
            for clash in modules & set(importlib.import_module(f"kerastickets.{name}").__all__)
        ]
    assert clashes == []


WITH_FACES = sorted(name for row in ROWS for name in row if (ROOT / "kerastickets" / name).is_dir())


@pytest.mark.parametrize("face", ["", "plugin", *WITH_FACES])
def test_every_name_that_a_face_offers_is_there(face):
    import importlib

    module = importlib.import_module(f"kerastickets.{face}".rstrip("."))
    assert module.__all__
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018


# Words after `kerastickets.` that are no modules: groups of entry points, and formats that files name.
NO_PATHS = {
    "criteria", "operations", "transfers", "analyzers", "datasets", "models", "exporters", "studies",
    "ticket", "weights",
}  # fmt: skip


def test_every_path_into_the_core_that_a_text_names_is_there():
    import importlib

    def there(path: str) -> bool:
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            place = ROOT.joinpath(*parts[:length])
            if place.with_suffix(".py").is_file() or (place / "__init__.py").is_file():
                thing = importlib.import_module(".".join(parts[:length])) if length < len(parts) else None
                for part in parts[length:]:
                    thing = getattr(thing, part, None)
                return length == len(parts) or thing is not None
        return False

    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]
    texts += [
        path
        for folder in ("kerastickets", "plugins", "cli", "benchmarks", "examples")
        for path in sources(folder)
    ]
    missing = []
    for path in texts:
        if path.name in ("CHANGELOG.md", "entry_points.py") or path.parent.name == "old_paths":
            continue
        for found in re.finditer(r"\bkerastickets((?:\.[A-Za-z_]\w*)+)", path.read_text(encoding="utf-8")):
            name = f"kerastickets{found[1]}"
            pinned = name.startswith(
                ("kerastickets.normalizing", "kerastickets.losses", "kerastickets.metrics")
            )
            if found[1].split(".")[1] not in NO_PATHS and not pinned and not there(name):
                missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert missing == []


OLD_PATHS = sorted(path.stem for path in sources("kerastickets/old_paths") if path.stem != "__init__")
IMPORTING = """
import importlib, json, sys, warnings
import kerastickets as kt
carry, told = kt.transfer, {}
for old in sys.argv[1:]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        importlib.import_module(f"kerastickets.{old}")
    told[old] = [str(warning.message) for warning in caught if "has moved" in str(warning.message)]
print(json.dumps([told, kt.transfer is carry]))
"""


def test_old_paths_work_and_name_the_new_one():
    command = [sys.executable, "-c", IMPORTING, *OLD_PATHS]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]
    told, kept = json.loads(done.stdout)
    assert kept, "importing the old module took the place of the public function"
    for old in OLD_PATHS:
        if old in ("normalizing", "losses", "metrics"):
            assert told[old] == []
        else:
            assert told[old][0].startswith(f"kerastickets.{old} has moved: import from kerastickets")


LIGHT = ("errors", "foundations", "registry", "cutting", "tickets", "runs")


def test_values_tickets_and_run_folders_need_no_tensorflow():
    names = [
        f"kerastickets.{name_of(path)}" for path in sources("kerastickets") if package(name_of(path)) in LIGHT
    ]
    code = f"import {', '.join(['kerastickets', 'kerastickets.plugin', *names])}, sys; print(*sys.modules)"
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
