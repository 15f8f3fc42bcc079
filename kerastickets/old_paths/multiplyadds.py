"""Moved to `kerastickets.models`."""

from kerastickets.models.multiply_adds import *  # noqa: F403
from kerastickets.old_paths import moved

moved(__name__, "kerastickets.models")
