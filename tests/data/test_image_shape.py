"""Images made to fit: by hand, and refused where nothing makes them fit."""

import dataclasses

import numpy as np
import pytest

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.data.image_shape import adapted, check_fits, parse_adapt
from kerastickets.errors import RecipeError
from kerastickets.testing import toy_tasks


def images(*shape):
    x = np.arange(2 * np.prod(shape), dtype="float32").reshape(2, *shape)
    split = (x, np.array([0, 1]))
    return Data("images", split, split, split, CROSS_ENTROPY, ("accuracy",), classes=2)


def test_colours_become_gray_as_the_eye_weighs_them():
    data = images(1, 1, 3)  # (0, 1, 2) and (3, 4, 5)
    weight = 0.2989 + 0.5870 + 0.1140
    expected = [(0.5870 + 2 * 0.1140) / weight, (3 * 0.2989 + 4 * 0.5870 + 5 * 0.1140) / weight]
    made = adapted(data, (1, 1, 1), "gray")
    for split in (made.train, made.validation, made.test):
        assert split[0].shape == (2, 1, 1, 1)
        np.testing.assert_allclose(split[0].ravel(), expected, rtol=1e-6)
    assert made.name == "images"


def test_adapted_images_are_no_longer_scaled_bytes_and_images_that_fit_still_are():
    data = dataclasses.replace(images(2, 2, 1), scaling=(0, 1))
    assert adapted(data, (2, 2, 3), "rgb").scaling is None
    assert adapted(data, (2, 2, 1), "rgb").scaling is not None


def test_gray_becomes_three_equal_channels():
    made = adapted(images(2, 2, 1), (2, 2, 3), "rgb")
    assert made.train[0][0, 1, 0].tolist() == [2, 2, 2]


def test_images_shrink_to_means_and_constants_stay():
    made = adapted(images(4, 4, 1), (2, 2, 1), "resize")
    assert made.train[0].mean() == pytest.approx(images(4, 4, 1).train[0].mean(), abs=1e-4)
    constant = dataclasses.replace(images(4, 4, 1), train=(np.full((2, 4, 4, 1), 7.0), np.array([0, 1])))
    np.testing.assert_allclose(adapted(constant, (8, 6, 1), "resize").train[0], 7, rtol=1e-6)


def test_both_at_once_and_nothing_where_nothing_is_needed():
    assert adapted(images(4, 4, 3), (2, 2, 1), "resize+gray").input_shape == (2, 2, 1)
    data = images(4, 4, 1)
    assert adapted(data, (4, 4, 1), "resize+rgb") is data
    assert adapted(data, (None, None, 1), "resize") is data
    assert adapted(data, (4, 4, 3), "resize+rgb").input_shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 8, 1), "Use --adapt resize "),
        ((4, 4, 3), "Use --adapt rgb "),
        ((8, 8, 3), r"Use --adapt resize\+rgb "),
        ((4, 4, 2), "No adaptation"),
        ((16,), "No adaptation"),
    ],
)
def test_data_that_do_not_fit_are_told_what_would_help(shape, said):
    with pytest.raises(RecipeError, match=said):
        check_fits(images(4, 4, 1), shape)


def test_an_adaptation_that_does_not_help_is_refused():
    with pytest.raises(RecipeError, match=r"Received: \(4, 4, 1\). Use --adapt resize\+rgb"):
        adapted(images(4, 4, 1), (8, 8, 3), "gray")
    with pytest.raises(RecipeError, match="tasks that name inputs"):
        adapted(toy_tasks(), (4, 4, 1), "resize")


@pytest.mark.parametrize("text", ["", "grey", "gray+rgb", "resize+resize", None])
def test_words_that_mean_nothing(text):
    with pytest.raises(RecipeError, match="must be resize, gray, rgb"):
        parse_adapt(text)
