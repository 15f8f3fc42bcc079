"""Moved to `kerastickets`."""

from kerastickets.old_paths import moved
from kerastickets.tickets.ticket import *  # noqa: F403

moved(__name__, "kerastickets")
