"""Plugins made of one function, for the tests of what the contract suite refuses."""

from dataclasses import dataclass

import pytest


def plugin(call, **attributes):
    """An instance of a frozen dataclass, `Bad`, that does `call`."""
    body = {"__call__": lambda self, *args, **kwargs: call(*args, **kwargs)} | attributes
    return dataclass(frozen=True)(type("Bad", (), body))()


def refused(check, call, message, **attributes):
    """Assert that `check` refuses a plugin that does `call` with an error that holds `message`."""
    with pytest.raises(AssertionError, match=message):
        check(plugin(call, **attributes))
