"""Durations: what text means, and what is refused."""

import pytest

from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration


@pytest.mark.parametrize(
    ("value", "count", "unit"),
    [("500it", 500, "it"), ("20ep", 20, "ep"), ("0it", 0, "it"), ("007ep", 7, "ep"), (22_900, 22_900, "it")],
)
def test_parse(value, count, unit):
    assert Duration.parse(value) == Duration(count, unit)


def test_parse_leaves_a_duration_as_it_is():
    duration = Duration(3, "ep")
    assert Duration.parse(duration) is duration


@pytest.mark.parametrize("text", ["500it", "20ep", "0it"])
def test_text_is_the_inverse_of_parse(text):
    assert str(Duration.parse(text)) == text


@pytest.mark.parametrize(
    "value",
    [
        "500",
        "it",
        "",
        "5 ep",
        "-5it",
        "1.5ep",
        "5EP",
        "5it\n",
        "120ep50it",
        "\u0665it",
        "9" * 19 + "it",
        1.5,
        True,
        None,
    ],
)
def test_bad_values_are_refused_with_two_good_ones(value):
    with pytest.raises(RecipeError, match=r"like '500it' or '20ep'\. Received: ") as caught:
        Duration.parse(value)
    assert repr(value) in str(caught.value)


def test_negative_number_of_iterations():
    with pytest.raises(RecipeError, match=r"at least 0\. Received: count=-1"):
        Duration.parse(-1)


@pytest.mark.parametrize("count", [-1, 1.0, True, "5"])
def test_count_must_be_a_natural_number(count):
    with pytest.raises(RecipeError, match="count must be an integer"):
        Duration(count, "it")


def test_unit_is_one_of_two():
    with pytest.raises(RecipeError, match=r"unit must be 'it' .* Received: unit='steps'"):
        Duration(1, "steps")


def test_epochs_are_floor_of_examples_over_batch_iterations():
    assert Duration(25, "ep").iterations(55_000 // 60) == 22_900  # Document B: at most 25 epochs.
    assert Duration(500, "it").iterations(55_000 // 60) == 500


def test_durations_have_no_order_but_are_values():
    assert {Duration(1, "ep"), Duration.parse("1ep")} == {Duration(1, "ep")}
    assert Duration(1, "ep") != Duration(1, "it")
    with pytest.raises(TypeError):
        Duration(1, "ep") < Duration(2, "ep")  # noqa: B015
