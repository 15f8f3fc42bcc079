"""Module paths that documentation named before the core had packages. They work for one more version, and warn.

This folder is on the search path of `kerastickets`, so that `kerastickets.scoring` is found here. `normalizing`,
`losses` and `metrics` stay for good, and do not warn: `.keras` files name them.
"""

import warnings


def moved(old: str, new: str) -> None:
    """Warn whoever imports a module by its old path."""
    # The frame above is the old module's; above it are importlib's, which Python leaves out of the count.
    warnings.warn(f"{old} has moved: import from {new} instead.", DeprecationWarning, stacklevel=3)
