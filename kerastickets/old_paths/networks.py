"""Moved to `kerastickets`."""

from kerastickets.old_paths import moved
from kerastickets.structure.networkx_graph import *  # noqa: F403

moved(__name__, "kerastickets")
