"""Nets and data as Keras users have them, through prune, train and evaluate; Keras's own numbers are the reference."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, assume, given, settings, strategies as st
from keras import layers

import kerastickets as kt
from kerastickets.models.variables import assign

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_several_inputs_and_outputs": ("True-snip",),
}


RNG = np.random.default_rng(0)
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
QUICK = {"levels": 1, "rate": 0.3, "train": "2it", "batch_size": 10, "jit": "off"}


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


def thirds(x, y, *weights, **fields):
    """The same examples in each split, so that numbers can be compared with Keras's on them."""
    split = x, y, *weights
    return kt.Data("own", split, split, split, **fields)


def two_by_two(names=True):
    """Two inputs, two outputs with a loss each; by name or by position."""
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    h = layers.Dense(5, activation="relu")(layers.Concatenate()([a, b]))
    kind, size = layers.Dense(3, name="kind")(h), layers.Dense(1, name="size")(h)
    if names:
        model = keras.Model({"a": a, "b": b}, {"kind": kind, "size": size})
        model.compile(
            "adam",
            {"kind": LOGITS, "size": "mae"},
            loss_weights={"kind": 1.0, "size": 0.25},
            metrics={"kind": ["accuracy"], "size": ["mse"]},
        )
    else:
        model = keras.Model([a, b], [kind, size])
        model.compile("adam", [LOGITS, "mae"], metrics=[["accuracy"], ["mse"]])
    return model


def arrays(names=True, count=20):
    x, y = (normal(count, 4), normal(count, 3)), (np.arange(count) % 3, normal(count, 1))
    return (dict(zip("ab", x, strict=True)), {"kind": y[0], "size": y[1]}) if names else (x, y)


def same_numbers(found, expected):
    assert expected.keys() <= found.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize(
    ("names", "criterion"), [(True, "snip"), pytest.param(False, "magnitude", marks=pytest.mark.slow)]
)
def test_several_inputs_and_outputs(names, criterion):
    x, y = arrays(names)
    data = thirds(x, y)
    run = kt.prune(two_by_two(names), data, criterion, monitor="val_kind_accuracy", **QUICK)
    ticket = run.tickets[-1]
    assert ticket.kept < ticket.total
    facts = kt.evaluate(ticket, data)
    model = two_by_two(names)
    assign(model, ticket.weights("final"))
    same_numbers(facts, model.evaluate(x, y, verbose=0, return_dict=True))
    (name,) = facts["outputs"]  # the regression has no classes
    assert name == ("kind" if names else "0")
    right = np.asarray(keras.tree.flatten(model.predict(x, verbose=0))[0]).argmax(1) == np.arange(20) % 3
    counted = [row["accuracy"] * row["count"] for row in facts["outputs"][name]["classes"]]
    assert sum(counted) == pytest.approx(right.sum())


def test_what_was_compiled_is_used_by_later_commands():
    """TRIALS E: the loss and metrics of `compile` win over the data's, in every command."""
    x = normal(40, 5)
    data = thirds(x, x[:, :1] * 30, loss="mean_squared_error")
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)])
    model.compile("adam", keras.losses.Huber(delta=3.0), metrics=["mae"])
    ticket = kt.prune(model, data, monitor="val_loss", **QUICK).tickets[1]
    measured = ticket.provenance["metrics"]["test_loss"]
    assert measured == pytest.approx(kt.evaluate(ticket, data)["loss"], rel=1e-6)
    assign(model, ticket.weights("final"))
    same_numbers(kt.evaluate(ticket, data), model.evaluate(x, x[:, :1] * 30, verbose=0, return_dict=True))
    again = kt.train(ticket, data, train="1it", monitor="val_mae", jit="off").ticket
    assert again.provenance["compiled"] == ticket.provenance["compiled"]


@pytest.mark.parametrize("activation", [None, pytest.param("sigmoid", marks=pytest.mark.slow)])
def test_one_unit_for_two_classes(activation):
    """TRIALS D."""
    x = normal(60, 4)
    data = thirds(x, (x[:, 0] > 0).astype("int64"), loss=kt.CROSS_ENTROPY, metrics=("accuracy",), classes=2)

    def build():
        return keras.Sequential([keras.Input((4,)), layers.Dense(1, activation=activation)])

    ticket = kt.prune(build, data, **QUICK | {"train": "20ep", "lr": 0.1, "rate": 0.5}).tickets[-1]
    facts = kt.evaluate(ticket, data)
    final = ticket.weights("final")
    right = ((x @ final["dense/kernel"] + final["dense/bias"])[:, 0] > 0) == (x[:, 0] > 0)
    assert facts["accuracy"] == pytest.approx(right.mean())
    for row, mask in zip(facts["classes"], (x[:, 0] <= 0, x[:, 0] > 0), strict=True):
        assert row["accuracy"] == pytest.approx(right[mask].mean())
    assert kt.train(ticket, data, train="1it").metrics["test_accuracy"] > 0.5


@pytest.mark.slow
def test_label_maps():
    """TRIALS O: one class for each pixel."""
    x = normal(20, 4, 4, 1)
    maps = (x[..., 0] > 0).astype("int64")
    data = thirds(x, maps, loss=kt.CROSS_ENTROPY, metrics=("accuracy",), classes=2)

    def build():
        return keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 1)])

    ticket = kt.prune(build, data, "snip", **QUICK).tickets[-1]
    facts = kt.evaluate(ticket, data)
    assert sum(row["count"] for row in facts["classes"]) == 20 * 16
    shares = [row["accuracy"] * row["count"] for row in facts["classes"]]
    assert sum(shares) / (20 * 16) == pytest.approx(facts["accuracy"])


def test_padding_counts_in_no_class():
    words = np.tile([[1, 2, 0]], (20, 1))  # 0 is padding
    labels = np.tile([[0, 1, 1]], (20, 1))
    model = keras.Sequential([keras.Input((3,)), layers.Embedding(3, 2, mask_zero=True), layers.Dense(2)])
    model.compile("adam", LOGITS, metrics=["accuracy"])
    data = thirds(words, labels)
    ticket = kt.prune(model, data, **QUICK).tickets[-1]
    facts = kt.evaluate(ticket, data)
    assert [row["count"] for row in facts["classes"]] == [20, 20]
    shares = [row["accuracy"] * row["count"] for row in facts["classes"]]
    assert sum(shares) / 40 == pytest.approx(facts["accuracy"])


def test_sample_weights_count_in_training_scoring_and_evaluation():
    """Examples of weight 0 might as well not be there."""
    x, y = normal(20, 4), np.arange(20) % 2
    weights = np.repeat([1.0, 0.0], 10)
    spoilt = np.where(weights[:, None] > 0, x, 100.0)

    def build(data):
        return keras.Sequential([keras.Input((4,)), layers.Dense(2, kernel_initializer="ones")])

    fields = {"loss": kt.CROSS_ENTROPY, "metrics": (), "classes": 2}
    settings = QUICK | {"batch_size": 20, "monitor": "val_loss"}
    found = [
        kt.prune(build, thirds(each, y, weights, **fields), "snip", **settings).tickets[-1]
        for each in (x, spoilt)
    ]
    assert found[0].masks["dense/kernel"].tolist() == found[1].masks["dense/kernel"].tolist()
    assert np.array_equal(*(ticket.weights("final")["dense/kernel"] for ticket in found))
    measured = kt.evaluate(found[0], thirds(spoilt, y, weights, **fields))["loss"]
    plain = kt.evaluate(found[0], thirds(x[:10], y[:10], **fields))["loss"]
    assert measured == pytest.approx(plain / 2, rel=1e-5)  # Keras divides by the number of examples


@keras.saving.register_keras_serializable("structures")
class NoXla(layers.Layer):
    """A layer that XLA cannot compile, although it does not say so."""

    def call(self, x):
        found = tf.py_function(lambda value: value * 2.0, [x], tf.float32)
        found.set_shape(x.shape)
        return tf.stop_gradient(found) + x

    def compute_output_shape(self, shape):
        return shape


def no_xla(data):
    return keras.Sequential([keras.Input((4,)), NoXla(), layers.Dense(2)])


@pytest.mark.slow
def test_a_net_that_xla_cannot_compile_trains_without_it():
    data = thirds(normal(20, 4), np.arange(20) % 2, loss=kt.CROSS_ENTROPY, metrics=("accuracy",), classes=2)
    with pytest.warns(RuntimeWarning, match="XLA cannot compile this net"):
        run = kt.prune(no_xla, data, **QUICK | {"jit": "auto"})
    assert run.tickets[-1].provenance["environment"]["xla"] is False
    plain = kt.prune(no_xla, data, **QUICK)
    assert np.array_equal(*(one.tickets[-1].weights("final")["dense/kernel"] for one in (run, plain)))
    with pytest.raises(kt.RecipeError, match="With jit=on, XLA must be able to compile the net"):
        kt.prune(no_xla, data, **QUICK | {"jit": "on"})


@pytest.mark.slow
def test_a_net_with_a_fixed_batch_size_takes_whole_batches_only():
    """TRIALS I: a stateful layer."""
    model = keras.Sequential(
        [keras.Input((3, 2), batch_size=10), layers.GRU(4, stateful=True), layers.Dense(2)]
    )
    model.compile("adam", LOGITS, metrics=["accuracy"])
    x, y = normal(20, 3, 2), np.arange(20) % 2
    ticket = kt.prune(model, thirds(x, y), **QUICK).tickets[-1]
    assert kt.evaluate(ticket, thirds(x, y))["examples"] == 20
    with pytest.raises(kt.DataError, match=r"batches of 10 examples only. Received: batch_size=5"):
        kt.prune(model, thirds(x, y), **QUICK | {"batch_size": 5})
    odd = kt.Data("odd", (x, y), (x[:15], y[:15]), (x, y))
    with pytest.raises(kt.DataError, match="Received: 15 examples in validation"):
        kt.prune(model, odd, **QUICK)


@pytest.mark.slow
def test_the_evaluation_batch_size_is_a_setting():
    data = thirds(normal(20, 4), np.arange(20) % 2, loss=kt.CROSS_ENTROPY, metrics=("accuracy",), classes=2)
    one, other = (
        kt.prune("mlp:4", data, **QUICK | {"eval_batch_size": size}).tickets[-1] for size in (7, 1000)
    )
    assert one.provenance["recipe"]["eval_batch_size"] == 7
    assert "eval_batch_size" not in other.provenance["recipe"]
    assert one.provenance["metrics"]["test_loss"] == pytest.approx(
        other.provenance["metrics"]["test_loss"], rel=1e-5
    )
    assert kt.evaluate(one, data, batch_size=3)["loss"] == pytest.approx(
        kt.evaluate(one, data)["loss"], rel=1e-5
    )
    with pytest.raises(kt.RecipeError, match="`batch_size` must be at least 1"):
        kt.evaluate(one, data, batch_size=0)


def nested(leaf):
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2),
            st.dictionaries(st.sampled_from("pqr"), inner, min_size=1, max_size=2),
        ),
        max_leaves=3,
    )


@pytest.mark.slow
@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(inputs=nested(st.integers(1, 3)), outputs=nested(st.integers(1, 3)), shared=st.booleans())
def test_any_structure_gives_the_numbers_of_keras(inputs, outputs, shared):
    names = iter(range(100))
    tensors = keras.tree.map_structure(lambda width: keras.Input((width,), name=f"i{next(names)}"), inputs)
    layer = layers.Dense(4, activation="relu")
    flat = [layers.Dense(2)(tensor) for tensor in keras.tree.flatten(tensors)]
    joined = layers.Concatenate()(flat) if len(flat) > 1 else flat[0]
    h = layer(layer(layers.Dense(4)(joined))) if shared else layer(joined)
    made = keras.tree.map_structure(lambda width: layers.Dense(width, name=f"o{next(names)}")(h), outputs)
    model = keras.Model(tensors, made)
    model.compile("adam", "mse")
    x, y = (keras.tree.map_structure(lambda width: normal(10, width), one) for one in (inputs, outputs))
    try:
        model.evaluate(x, y, verbose=0)
    except (ValueError, TypeError):
        assume(False)  # Keras itself does not take every structure, such as a dict of lists of one
    data = thirds(x, y)
    ticket = kt.prune(model, data, "snip", monitor="val_loss", **QUICK).tickets[-1]
    assign(model, ticket.weights("final"))
    expected = model.evaluate(x, y, batch_size=10, verbose=0, return_dict=True)
    same_numbers(kt.evaluate(ticket, data), expected)
    assert ticket.provenance["metrics"]["test_loss"] == pytest.approx(expected["loss"], rel=1e-5)
