"""A process says so before XLA has used up its memory maps."""

import warnings

import pytest

from kerastickets.errors import RecipeError
from kerastickets.foundations.environment import memory_maps
from kerastickets.training import compilation
from kerastickets.training.compilation import check_room


@pytest.mark.parametrize(("held", "word"), [(699, None), (701, "warn"), (949, "warn"), (951, "refuse")])
def test_maps_that_run_out_are_said_in_time(monkeypatch, held, word):
    monkeypatch.setattr(compilation, "memory_maps", lambda: (held, 1000))
    message = rf"holds {held} of the 1,000 memory maps .* Start a new process"
    check_room(False)  # without XLA, nothing is kept
    if word == "refuse":
        with pytest.raises(RecipeError, match=message):
            check_room(True)
    elif word == "warn":
        with pytest.warns(RuntimeWarning, match=message):
            check_room(True)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_room(True)


def test_a_system_that_does_not_tell_is_no_matter(monkeypatch):
    monkeypatch.setattr(compilation, "memory_maps", lambda: None)
    check_room(True)


def test_this_process_has_maps_left():
    found = memory_maps()
    assert found is None or 0 < found[0] < found[1]
