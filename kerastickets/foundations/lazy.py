"""Lazy imports: a package's public names load on first use and are listed in one place."""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def offered(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The values that a package's `__init__.py` assigns to `__getattr__, __dir__, __all__`.

    The public names are the imports under `if TYPE_CHECKING:` in the package's own source
    (`from package.module import Name as Name`). Type checkers read the same lines, so no name is written
    twice. Importing the package imports none of its modules.

    Args:
        package: the package's `__name__`.

    Returns:
        Three values: `__getattr__`, which imports a name's module on first use; `__dir__`; and `__all__`,
        sorted.

    Example:
        >>> load, names, everything = offered("kerastickets.registry")
        >>> "create" in everything, load("create").__name__
        (True, 'create')
    """
    homes = _homes(package)

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(homes[name])
        value = module if homes[name] == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: sorted(homes), sorted(homes)


def _homes(package: str) -> dict[str, str]:
    """Map each public name to the module to import; a module of the package maps to itself."""
    spec = sys.modules[package].__spec__ or find_spec(package)
    assert spec is not None, package
    loader: Any = spec.loader
    # Some loaders, such as pytest's, cannot give the source; then its file is read.
    get_source = getattr(loader, "get_source", None)
    source = get_source(package) if get_source else Path(str(spec.origin)).read_text(encoding="utf-8")
    homes: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for found in node.body:
                if isinstance(found, ast.ImportFrom):
                    own = found.module == package
                    homes |= {
                        a.name: f"{package}.{a.name}" if own else str(found.module) for a in found.names
                    }
    return homes
