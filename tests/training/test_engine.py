"""The compiled steps against a loop written out in plain Keras, and evaluation against NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.errors import RecipeError
from kerastickets.models.initial_weights import fresh
from kerastickets.models.variables import snapshot
from kerastickets.training.compilation import environment, use_jit
from kerastickets.training.engine import Engine
from tests.helpers import nets


def plain():
    return keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="relu"), layers.Dense(3)])


def compiled(build=plain, seed=0, optimizer="adam"):
    model = fresh(build, seed)
    model.compile(optimizer, keras.losses.get(CROSS_ENTROPY), metrics=["accuracy"], jit_compile=False)
    return model


def engine(data=None, *, build=plain, batch_size=5, jit=False, optimizer="adam"):
    return Engine(compiled(build, optimizer=optimizer), data or nets.data(), batch_size, jit)


def rows_of(seed, first, count, examples, batch_size):
    """Which examples each step sees, written independently of the engine: epochs drop what is left over."""
    per_epoch = examples // batch_size
    for step in range(first, first + count):
        epoch, at = divmod(step, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(examples)
        yield order[at * batch_size : (at + 1) * batch_size]


def by_hand(model, data, seed, first, count, batch_size):
    """The same training as a loop of `train_step`, op by op."""
    x, y = data.train
    logs = None
    for rows in rows_of(seed, first, count, len(x), batch_size):
        logs = model.train_step((x[rows], y[rows]))
    return {name: float(value) for name, value in logs.items()}


def assert_close(a, b, **tolerance):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_allclose(a[key], b[key], err_msg=key, **tolerance)


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.SGD(0.1, momentum=0.9)])
def test_steps_equal_an_eager_loop_over_the_same_batches(optimizer):
    data, first, count = nets.data(24), 3, 11  # four steps an epoch, so epochs 0 to 3
    mine = engine(data, optimizer=keras.optimizers.get(optimizer))
    logs = mine.train(seed=7, first=first, count=count)
    hand = compiled(optimizer=type(mine.model.optimizer).from_config(mine.model.optimizer.get_config()))
    expected = by_hand(hand, data, 7, first, count, 5)
    assert_close(snapshot(mine.model), snapshot(hand), rtol=0, atol=1e-6)
    assert logs == pytest.approx(expected, abs=1e-6)


def test_steps_with_batch_normalisation_move_its_statistics_as_keras_does():
    def build():
        # Without a bias, whose gradient is 0 but for rounding, which Adam would blow up.
        net = [layers.Dense(6, use_bias=False), layers.BatchNormalization(), layers.Dense(3)]
        return keras.Sequential([keras.Input((4,)), *net])

    mine, hand = engine(build=build), compiled(build)
    mine.train(0, 0, 8)
    by_hand(hand, nets.data(), 0, 0, 8, 5)
    assert_close(snapshot(mine.model), snapshot(hand), rtol=0, atol=1e-6)
    assert np.abs(snapshot(mine.model)["batch_normalization/moving_mean"]).max() > 0.01


def test_xla_agrees_for_the_first_tens_of_steps():
    plain, xla = engine(), engine(jit=True)
    for one in (plain, xla):
        one.train(0, 0, 30)
    assert_close(snapshot(plain.model), snapshot(xla.model), rtol=0, atol=1e-6)
    assert plain.evaluate("test") == pytest.approx(xla.evaluate("test"), abs=1e-6)


def test_steps_cut_anywhere_are_the_same_steps():
    whole, parts = engine(), engine()
    logs = whole.train(3, 0, 13)
    for first, count in ((0, 1), (1, 6), (7, 6)):
        resumed = parts.train(3, first, count, resume=first > 0)
    assert_close(snapshot(whole.model), snapshot(parts.model), rtol=0, atol=0)
    assert resumed == logs  # the metrics go on as well


def test_metrics_cover_the_steps_of_one_call_unless_resumed():
    a, b = engine(), engine()
    a.train(0, 0, 3)
    b.train(0, 0, 3)
    assert a.train(0, 3, 2) != b.train(0, 3, 2, resume=True)


def test_an_epoch_sees_every_example_once_and_the_next_one_another_order():
    seen = np.concatenate(list(rows_of(0, 0, 4, 20, 5)))
    assert sorted(seen) == list(range(20))
    assert seen.tolist() != np.concatenate(list(rows_of(0, 4, 4, 20, 5))).tolist()


@pytest.mark.parametrize("count", [2503, 1000, 7])
@pytest.mark.parametrize("jit", [False, True])
def test_evaluation_covers_every_example_once_as_numpy_does(count, jit):
    x, y = nets.vectors(count, seed=5)
    data = Data("odd", nets.vectors(), (x, y), nets.vectors(), CROSS_ENTROPY, ("accuracy",), classes=3)
    mine = engine(data, jit=jit)
    w = snapshot(mine.model)
    hidden = np.maximum(x @ w["dense/kernel"] + w["dense/bias"], 0)
    logits = (hidden @ w["dense_1/kernel"] + w["dense_1/bias"]).astype("float64")
    loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(count), y]
    found = mine.evaluate("validation")
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == y).mean(), abs=1e-6)
    assert found["loss"] == pytest.approx(loss.mean(), rel=1e-5)


def test_evaluation_changes_no_weights_and_no_random_state():
    mine = engine(build=nets.normalised)
    before = snapshot(mine.model)
    seeds = [v.numpy() for layer in mine.model.layers for v in layer.non_trainable_variables]
    mine.evaluate("validation")
    assert_close(snapshot(mine.model), before, rtol=0, atol=0)
    after = [v.numpy() for layer in mine.model.layers for v in layer.non_trainable_variables]
    for a, b in zip(seeds, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_making_an_engine_leaves_no_trace_of_a_step():
    model = compiled(nets.normalised)
    before = snapshot(model)
    made = Engine(model, nets.data(), 5, False)
    assert_close(snapshot(made.model), before, rtol=0, atol=0)
    assert int(model.optimizer.iterations.numpy()) == 0


def two_dropouts():
    net = [layers.Dropout(0.5), layers.Dense(6), layers.Dropout(0.5), layers.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *net])


def seeds_of(model):
    return [v.numpy().tolist() for layer in model.layers for v in layer.non_trainable_variables]


def test_random_layers_are_keyed_by_seed_layer_and_step():
    one, other = engine(build=two_dropouts), engine(build=two_dropouts)
    for made in (one, other):
        made.reset(seed=4, first=10)
    first, second = seeds_of(one.model)
    assert seeds_of(other.model) == [first, second]  # whatever else was made in this process
    assert first[1] == second[1] == 10
    assert first[0] != second[0]
    one.reset(seed=5, first=10)
    assert first[0] != seeds_of(one.model)[0][0]
    one.train(5, 10, 3)
    assert seeds_of(one.model)[0][1] == 13  # one draw a step: step k draws alike, wherever training began


def test_reset_gives_back_what_a_fresh_optimizer_holds_and_never_zeros():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adagrad(0.25), dynamic_growth_steps=2)
    mine = engine(optimizer=optimizer)
    fresh_state = [v.numpy() for v in optimizer.variables]
    mine.train(0, 0, 8)
    optimizer.learning_rate = 0.01
    assert float(optimizer.dynamic_scale.numpy()) != 2.0**15
    mine.reset(0, 0)
    for before, variable in zip(fresh_state, optimizer.variables, strict=True):
        np.testing.assert_array_equal(before, variable.numpy())
    assert float(optimizer.learning_rate) == 0.25
    assert float(optimizer.dynamic_scale.numpy()) == 2.0**15
    assert optimizer.inner_optimizer.variables[2].numpy().max() == pytest.approx(0.1)  # Adagrad's own start


def sequential(*net, shape=(6, 4)):
    return keras.Sequential([keras.Input(shape), *net])


class Mine(layers.Conv1D):
    """A convolution whose name does not say so."""


@pytest.mark.parametrize(
    ("net", "xla"),
    [
        ([layers.Flatten, lambda: layers.Dense(3)], True),
        ([lambda: layers.Conv1D(2, 2)], False),
        ([lambda: layers.SeparableConv1D(2, 2)], False),
        ([lambda: Mine(2, 2)], False),
        ([lambda: sequential(layers.Conv1D(2, 2))], False),
        ([lambda: layers.Dropout(0.5)], False),
        ([lambda: layers.Dropout(0.0)], True),
        ([lambda: layers.GaussianNoise(0.5)], False),
        ([lambda: layers.LSTM(3)], True),
        ([lambda: layers.Bidirectional(layers.GRU(3))], True),
        ([lambda: layers.LSTM(3, dropout=0.5)], False),
        ([lambda: layers.SimpleRNN(3, recurrent_dropout=0.5)], False),
        ([lambda: layers.RandomCrop(2, 2)], False),
    ],
)
def test_xla_follows_the_rule_unless_told(net, xla):
    shape = (6, 4, 3) if isinstance(net[0](), layers.RandomCrop) else (6, 4)
    model = sequential(*(make() for make in net), shape=shape)
    assert use_jit(model, "auto") is xla
    assert use_jit(model, "on") is True
    assert use_jit(model, "off") is False


def test_xla_takes_attention():
    assert use_jit(nets.attention(), "auto") is True


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(RecipeError, match=r"at most the 24 training examples of vectors.*batch_size=25"):
        engine(batch_size=25)


def test_the_environment_names_what_decides_bits():
    assert environment(True).keys() == {"threads", "onednn", "xla", "devices"}
    assert environment(True)["xla"] is True
    assert environment(False)["threads"] >= 1
    assert environment(False)["devices"] == ["CPU"]


@pytest.mark.parametrize(("variable", "threads"), [("3", 3), ("0", None), ("many", None)])
def test_threads_are_those_that_tensorflow_was_asked_for(monkeypatch, variable, threads):
    import tensorflow as tf

    from kerastickets.foundations.environment import cores

    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", variable)
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    assert environment(False)["threads"] == (threads or cores())
