"""What can be asked for."""

import pytest

from kerastickets.errors import RecipeError
from kerastickets.shrinking.goal import Goal


@pytest.mark.parametrize(
    ("given", "count"),
    [(300, 300), ("300", 300), ("200KiB", 204_800), ("1.5 MiB", 1_572_864), ("2kb", 2000), ("1e3B", 1000)],
)
def test_sizes_are_bytes(given, count):
    assert Goal(max_size=given).max_size == count


@pytest.mark.parametrize(("given", "ms"), [(2, 2.0), ("2ms", 2.0), ("0.5 s", 500.0), ("250us", 0.25)])
def test_times_are_milliseconds(given, ms):
    assert Goal(max_latency=given).max_latency == pytest.approx(ms)


@pytest.mark.parametrize("given", ["", "KiB", "2 parsecs", "-3", "0", True, "1.2.3", float("nan"), "1e999"])
def test_what_is_no_amount_is_refused(given):
    with pytest.raises(RecipeError, match=r"`max_size` must be an amount above 0, in bytes, KiB"):
        Goal(max_size=given)


@pytest.mark.parametrize("given", [-1, "0.5", True, float("inf"), float("nan")])
def test_a_drop_is_a_number_of_at_least_0(given):
    with pytest.raises(RecipeError, match="`max_drop` must be a number of at least 0"):
        Goal(max_drop=given)


def test_something_must_be_asked_for():
    with pytest.raises(RecipeError, match="Received: none of them"):
        Goal()
