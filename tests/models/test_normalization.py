"""Local response normalisation beside its formula, and tickets with it rebuilt in another process."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from kerastickets.models.normalization import LocalResponseNormalization
from kerastickets.testing import toy_ticket


def by_formula(x, radius, bias, alpha, beta):
    """The definition, value by value."""
    y = np.zeros_like(x, dtype="float64")
    for place in np.ndindex(x.shape):
        *pixel, channel = place
        total = 0.0
        for other in range(max(0, channel - radius), min(x.shape[-1], channel + radius + 1)):
            total += float(x[(*pixel, other)]) ** 2
        y[place] = x[place] / (bias + alpha * total) ** beta
    return y


@pytest.mark.parametrize(
    "constants", [(4, 1.0, 0.001 / 9.0, 0.75), (1, 2.0, 0.5, 0.75), (0, 1.0, 1.0, 0.5), (9, 1.0, 1.0, 1.0)]
)
def test_it_is_the_formula(constants):
    x = np.random.default_rng(0).normal(0, 3, (2, 3, 2, 12)).astype("float32")
    found = keras.ops.convert_to_numpy(LocalResponseNormalization(*constants)(x))
    np.testing.assert_allclose(found, by_formula(x, *constants), rtol=2e-5, atol=1e-7)


def test_its_gradient_is_the_formula_s():
    import tensorflow as tf

    constants = (2, 1.0, 0.3, 0.75)
    x = np.random.default_rng(1).normal(size=(1, 1, 1, 6)).astype("float32")
    weights = np.arange(1.0, 7.0)
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(LocalResponseNormalization(*constants)(variable) * weights.astype("float32"))
    slopes = []
    for channel in range(6):
        step = np.zeros_like(x, dtype="float64")
        step[..., channel] = 1e-5
        high, low = ((by_formula(x + sign * step, *constants) * weights).sum() for sign in (1, -1))
        slopes.append((high - low) / 2e-5)
    np.testing.assert_allclose(tape.gradient(loss, variable).numpy().ravel(), slopes, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float64", "mixed_float16", "mixed_bfloat16"])
def test_it_keeps_the_dtype_that_it_is_given(dtype):
    layer = LocalResponseNormalization(dtype=dtype)
    found = layer(np.ones((1, 1, 1, 3)))
    assert keras.backend.standardize_dtype(found.dtype) == layer.compute_dtype
    assert layer.compute_output_shape((None, 2, 2, 3)) == (None, 2, 2, 3)


def test_its_constants_are_saved():
    layer = LocalResponseNormalization(2, 1.5, 0.25, 0.5, name="lrn")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is LocalResponseNormalization
    assert again.get_config() == layer.get_config()


@pytest.mark.slow
def test_a_ticket_with_it_rebuilds_where_nothing_was_imported(tmp_path):
    from kerastickets.models.architecture import architecture
    from kerastickets.models.variables import snapshot
    from kerastickets.tickets.ticket import Ticket

    model = keras.Sequential([keras.Input((2, 2, 3)), LocalResponseNormalization(), keras.layers.Dense(2)])
    key = "dense/kernel"
    masks = {key: np.ones((3, 2), bool)}
    Ticket(architecture(model), masks, {"init": snapshot(model)}, dict(toy_ticket().provenance)).save(
        tmp_path / "lrn.safetensors"
    )
    code = (
        "from kerastickets import Ticket; import sys; model = Ticket.load(sys.argv[1]).build(); "
        "print(type(model.layers[0]).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "lrn.safetensors"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "LocalResponseNormalization"), done.stderr
