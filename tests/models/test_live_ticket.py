"""A ticket of a live model: its masks, its weights, and its objective; and a ticket like any other afterwards."""

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets as kt
from kerastickets import registry
from kerastickets.errors import RecipeError, TicketError
from kerastickets.models.live_ticket import exported_ticket
from kerastickets.models.variables import snapshot
from kerastickets.testing import toy_data
from tests.helpers import nets
from tests.helpers.training import same


def digits(seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10)])
    model.compile(keras.optimizers.Adam(0.003), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_it_has_the_masks_and_the_weights_of_the_model():
    model = kt.cut_model(nets.plain(), 0.5)
    ticket = kt.Ticket.of(model)
    assert same(dict(ticket.masks), kt.masks_of(model))
    assert ticket.kept == 21
    for name in ("init", "final"):
        assert same(dict(ticket.weights(name)), snapshot(model))
    assert (ticket.start, ticket.provenance["operation"], ticket.provenance["model"]) == (
        "init",
        "from-model",
        "sequential",
    )
    assert "compiled" not in ticket.provenance


def test_it_goes_where_every_ticket_goes(tmp_path):
    data, model = toy_data(), digits()
    ticket = kt.Ticket.of(kt.cut_model(model, 0.8))
    assert kt.Ticket.load(ticket.save(tmp_path / "a.safetensors")) == ticket
    built = ticket.build()
    assert (built.predict(data.test[0], verbose=0) == model.predict(data.test[0], verbose=0)).all()
    trained = kt.train(ticket, data, train="2it", batch_size=10, jit="off")
    assert trained.ticket.kept == ticket.kept == 128
    assert {"val_loss", "val_accuracy"} <= trained.metrics.keys()
    other = kt.Ticket.of(kt.cut_model(digits(1), 0.8))
    merged = registry.create("operations", "atm")(trained.ticket, other)
    assert 128 < merged.kept <= 256


def test_it_trains_on_with_the_loss_and_the_optimizer_of_the_model():
    """From w = 3 on x = 1, y = 0: SGD of 0.25 on the absolute error takes 0.25 off; on the squared one it takes 1.5."""
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[3.0]])])
    model.compile(keras.optimizers.SGD(0.25), "mae")
    kt.sparsify(model)
    x, y = np.ones((10, 1), "float32"), np.zeros((10, 1), "float32")
    data = kt.Data("line", (x, y), (x, y), (x, y), loss="mse", metrics=("mean_squared_error",), classes=None)
    ticket = kt.Ticket.of(model)
    trained = kt.train(ticket, data, train="1it", batch_size=10, jit="off", monitor="val_loss")
    assert trained.ticket.weights("final")["dense/kernel"] == pytest.approx(2.75)
    assert trained.metrics["test_loss"] == pytest.approx(2.75)
    assert trained.metrics["test_mean_squared_error"] == pytest.approx(2.75**2)  # no metric was compiled


def test_a_loss_that_is_not_compiled_comes_from_the_data():
    model = nets.plain()
    model.compile("sgd")
    ticket = kt.Ticket.of(kt.cut_model(model, 0.5))
    assert ticket.provenance["compiled"] == {"loss": None}
    assert "val_accuracy" in kt.train(ticket, nets.data(), train="1it", batch_size=10, jit="off").metrics


def test_exact_zeros_are_masks_only_on_request(tmp_path):
    model = kt.cut_model(nets.plain(), 0.5)
    masks = kt.masks_of(model)
    model.save(tmp_path / "net.keras")
    plain = keras.models.load_model(tmp_path / "net.keras")
    with pytest.raises(
        TicketError, match=r"Received: none, and 21 prunable .* kt\.Ticket\.of\(model, zeros=True\)"
    ):
        kt.Ticket.of(plain)
    assert same(dict(kt.Ticket.of(plain, zeros=True).masks), masks)
    # A mask that the model holds is what it was, also where a kept weight is zero.
    kernel = np.asarray(model.layers[0].kernel)
    row, column = np.argwhere(masks["dense/kernel"])[0]
    kernel = np.where((np.arange(4)[:, None] == row) & (np.arange(6) == column), 0, kernel)
    model.layers[0].kernel.assign(kernel)
    assert same(dict(kt.Ticket.of(model, zeros=True).masks), masks)
    assert kt.Ticket.of(nets.plain(), zeros=True).density == 1


def test_what_is_zero_everywhere_is_no_mask():
    model = nets.plain()
    model.layers[0].kernel.assign(np.zeros((4, 6)))
    with pytest.raises(RecipeError, match=r"must not be zero everywhere.*exclude=\['dense/kernel'\]"):
        kt.Ticket.of(model, zeros=True)
    assert exported_ticket(model).density == 1


@pytest.mark.parametrize("wrong", [None, 5, {"a": 1}, keras.layers.Dense(2)])
def test_what_is_neither_a_ticket_nor_a_file_nor_a_model(wrong):
    with pytest.raises(TicketError, match=f"Received: {type(wrong).__name__}"):
        kt.Ticket.of(wrong)


@pytest.mark.slow
def test_a_quantised_model_has_no_zeros_to_take():
    model = nets.plain()
    model.quantize("int8")
    with pytest.raises(RecipeError, match="Prune the model first, and quantise it afterwards"):
        kt.Ticket.of(model, zeros=True)
