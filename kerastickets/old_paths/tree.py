"""Moved to `kerastickets.plugin`."""

from kerastickets.foundations.tree import *  # noqa: F403
from kerastickets.old_paths import moved

moved(__name__, "kerastickets.plugin")
