"""Where losses were; `.keras` files that were compiled with one name this path."""

from kerastickets.data.losses import *  # noqa: F403
