"""Moved to `kerastickets.figures`."""

from kerastickets.figures.chart import *  # noqa: F403
from kerastickets.old_paths import moved

moved(__name__, "kerastickets.figures")
