"""Lazy imports: a package's public names load on first use and are listed in one place."""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
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
    loader: Any = spec.loader if spec else None
    homes: dict[str, str] = {}
    for node in ast.parse(loader.get_source(package)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for found in node.body:
                if isinstance(found, ast.ImportFrom):
                    own = found.module == package
                    homes |= {
                        a.name: f"{package}.{a.name}" if own else str(found.module) for a in found.names
                    }
    return homes
