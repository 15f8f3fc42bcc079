"""Moved to `kerastickets.plugin`."""

from kerastickets.old_paths import moved
from kerastickets.pruning.scoring import *  # noqa: F403

moved(__name__, "kerastickets.plugin")
