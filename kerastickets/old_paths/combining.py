"""Moved to `kerastickets.plugin`."""

from kerastickets.old_paths import moved
from kerastickets.tickets.operation import *  # noqa: F403

moved(__name__, "kerastickets.plugin")
