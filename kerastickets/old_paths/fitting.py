"""Moved to `kerastickets.statistics`."""

from kerastickets.old_paths import moved
from kerastickets.statistics.curve_fitting import *  # noqa: F403

moved(__name__, "kerastickets.statistics")
