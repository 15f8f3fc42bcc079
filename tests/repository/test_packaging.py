"""Guards of the packaging: mistakes that an editable install hides and that a wheel would ship."""

import importlib.metadata
import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = {"kerastickets": "kerastickets", "kerastickets_cli": "cli", "kerastickets_plugins": "plugins"}


def declared_entry_points() -> dict[str, dict[str, str]]:
    scripts = {"console_scripts": PROJECT["project"]["scripts"]}
    return scripts | PROJECT["project"].get("entry-points", {})


def packages_on_disk() -> set[str]:
    found = set()
    for package, folder in FOLDERS.items():
        for file in (ROOT / folder).rglob("*.py"):
            inside = file.parent.relative_to(ROOT / folder).parts
            found.add(".".join([package, *inside]))
    return found


def test_every_folder_of_python_files_is_a_declared_package():
    assert packages_on_disk() == set(PROJECT["tool"]["setuptools"]["packages"])


def test_every_declared_package_has_an_init_file_and_the_roots_are_typed():
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        root, _, inside = package.partition(".")
        assert (ROOT / FOLDERS[root] / inside.replace(".", "/") / "__init__.py").is_file(), package
    for folder in FOLDERS.values():
        assert (ROOT / folder / "py.typed").is_file(), folder


def test_installed_entry_points_are_the_declared_ones():
    installed: dict[str, dict[str, str]] = {}
    for entry in importlib.metadata.distribution("kerastickets").entry_points:
        installed.setdefault(entry.group, {})[entry.name] = entry.value
    assert installed == declared_entry_points(), (
        "run `make setup`: the installed metadata is older than pyproject.toml"
    )


@pytest.mark.parametrize(
    "value", [value for group in declared_entry_points().values() for value in group.values()]
)
def test_every_entry_point_names_a_module_that_exists(value):
    assert importlib.util.find_spec(value.partition(":")[0]) is not None


def test_entry_point_groups_are_known_and_names_are_kebab_case():
    registry = pytest.importorskip("kerastickets.registry")
    groups = {f"kerastickets.{group}" for group in registry.GROUPS}
    for group, entries in PROJECT["project"].get("entry-points", {}).items():
        assert group in groups
        assert [name for name in entries if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []
        assert list(entries) == sorted(entries), f"keep {group} in alphabetical order"


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def closure(requirements: list[str]) -> set[str]:
    """Names of all distributions that `requirements` bring along in this environment."""
    found: set[str] = set()
    queue = [Requirement(text) for text in requirements]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras}
        if name in found or not any(_applies(requirement, extra) for extra in extras):
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            needed = Requirement(text)
            if any(_applies(needed, extra) for extra in extras):
                queue.append(needed)
    return found


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def test_constraints_are_names_and_versions_only():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


def test_constraints_pin_everything_that_an_install_brings():
    project = PROJECT["project"]
    needed = closure(project["dependencies"] + project["optional-dependencies"]["dev"])
    assert needed - constraints().keys() == set()


def repository_files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout: {error}")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


# Spelled in pieces, so that this file does not contain what it looks for.
FORBIDDEN = {
    "an absolute path of somebody's machine": r"(?<![\w.~])/" + r"(?:home|work|root|Users)/\w|[A-Z]:\\Users",
    "a package index address": r"pypi\.org/"
    + r"simple|files\.python"
    + r"hosted|--(?:extra-)?index"
    + r"-url\b",
    "pickle": r"(?:^|\s)(?:import|from) (?:cloud)?" + r"pickle\b",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_of_the_repository_contains(what):
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = []
    for path in repository_files():
        if what == "pickle" and path.is_relative_to(ROOT / "tests"):  # Hostile files have to be made somehow.
            continue
        content = path.read_bytes()
        if b"\0" in content:  # Tickets, images and arrays are not text.
            continue
        match = pattern.search(content.decode("utf-8", errors="replace"))
        if match:
            found.append(f"{path.relative_to(ROOT)}: {match[0]!r}")
    assert found == []
