"""Where metrics were; `.keras` files that were compiled with one name this path."""

from kerastickets.data.metrics import *  # noqa: F403
