import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.errors import AlignError, TicketError
from kerastickets.layers import aware
from kerastickets.models.alignment import align
from kerastickets.models.masking import sparsify
from kerastickets.models.variables import (
    assign,
    check_aligned,
    paths,
    snapshot,
    variables,
    walk,
)
from kerastickets.testing.toys import toy_ticket
from kerastickets.tickets.ticket import Ticket
from tests.helpers import nets

ids = {"ids": lambda build: build.__name__}


def shapes(model):
    return [(place.key, tuple(place.variable.shape)) for place in walk(model)]


def clone(model):
    if isinstance(model, nets.WithConfig):
        copy = nets.WithConfig.from_config(model.get_config())
        copy(np.zeros((1, 4), "float32"))
        return copy
    return keras.models.clone_model(model)


def saved(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


@pytest.mark.parametrize("build", [*nets.REBUILDABLE, nets.opaque], **ids)
def test_keys_are_unique_and_name_every_weight(build):
    model = build()
    keys = [place.key for place in walk(model)]
    assert len(set(keys)) == len(keys)
    weights = {id(weight) for weight in model.weights if not weight.path.startswith("seed")}
    seeds = {id(state.state) for _, layer in paths(model) for state in layer._seed_generators}
    assert {id(place.variable) for place in walk(model)} == weights - seeds


@pytest.mark.parametrize("build", [*nets.REBUILDABLE, nets.opaque], **ids)
def test_keys_are_equal_in_a_second_build(build):
    assert shapes(build()) == shapes(build())


@pytest.mark.parametrize("build", nets.REBUILDABLE, **ids)
def test_keys_are_equal_after_saving_and_in_clones(build, tmp_path):
    model = build()
    assert shapes(saved(model, tmp_path)) == shapes(model)
    assert shapes(clone(model)) == shapes(model)


@pytest.mark.parametrize("build", [nets.branched, nets.nested, nets.shared], **ids)
def test_values_stay_with_their_keys_after_saving(build, tmp_path):
    model = build()
    loaded = snapshot(saved(model, tmp_path))
    assert all((loaded[key] == value).all() for key, value in snapshot(model).items())


def test_keys_of_a_nested_model():
    assert [key for key in variables(nets.nested()) if key.endswith("kernel")] == [
        "dense/kernel",
        "sequential/functional/dense/kernel",
        "sequential/functional/dense_1/kernel",
        "sequential/dense/kernel",
        "dense_1/kernel",
    ]


def test_keys_of_recurrent_and_wrapped_layers():
    assert [key for key in variables(nets.recurrent()) if not key.endswith("bias")] == [
        "lstm/lstm_cell/kernel",
        "lstm/lstm_cell/recurrent_kernel",
        "time_distributed/dense/kernel",
        "bidirectional/forward_gru/gru_cell/kernel",
        "bidirectional/forward_gru/gru_cell/recurrent_kernel",
        "bidirectional/backward_gru/gru_cell/kernel",
        "bidirectional/backward_gru/gru_cell/recurrent_kernel",
        "dense/kernel",
    ]


def test_keys_of_a_subclassed_model():
    assert [*variables(nets.opaque())][:3] == ["scale", "dense/kernel", "dense/bias"]
    assert "sequential/dense_1/kernel" in variables(nets.subclassed())


def test_a_shared_layer_has_one_key_at_its_first_place():
    kernels = [key for key in variables(nets.shared()) if key.endswith("kernel")]
    assert kernels == ["dense/kernel", "sequential/dense/kernel", "dense_1/kernel"]


def test_a_name_somebody_chose_is_kept_and_numbers_go_around_it():
    kernels = [key for key in variables(nets.named()) if key.endswith("kernel")]
    assert kernels == ["dense/kernel", "dense_2/kernel", "head/kernel", "dense_1/kernel"]


def test_a_name_that_ends_like_a_made_up_one_is_still_somebodys_own():
    stack = [layers.Dense(4, name="fc_dense_2"), layers.Dense(3, name="fc_dense_1"), layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *stack])
    kernels = [key for key in variables(model) if key.endswith("kernel")]
    assert kernels == ["fc_dense_2/kernel", "fc_dense_1/kernel", "dense/kernel"]


def test_unnamed_weights_are_numbered_within_their_layer():
    class Two(layers.Layer):
        def build(self, shape):
            self.a, self.b = self.add_weight(shape=(1,)), self.add_weight(shape=(2,))

        def call(self, x):
            return x

    layers.Dense(1).build((None, 1))  # other variables before do not count
    model = keras.Sequential([keras.Input((4,)), Two()])
    assert shapes(model) == [("two/variable", (1,)), ("two/variable_1", (2,))]


def test_masks_seeds_and_optimizer_slots_are_no_weights():
    model = nets.normalised()
    before = shapes(model)
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 4)), np.zeros((4, 3)), verbose=0)
    sparsify(model)
    assert shapes(model) == before
    assert "batch_normalization/moving_mean" in variables(model)
    aware_model = keras.Sequential([keras.Input((4,)), aware(layers.Dense)(6), aware(layers.Dense)(3)])
    assert shapes(aware_model) == shapes(nets.plain())


def test_a_layer_that_knows_its_parent_does_not_end_the_walk():
    class Child(layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 2))

        def call(self, x):
            return x @ self.kernel

    class Parent(keras.Model):
        def __init__(self):
            super().__init__()
            self.child = Child()
            self.child.parent = self

        def call(self, x):
            return self.child(x)

    model = Parent()
    model(np.zeros((1, 4), "float32"))
    assert list(variables(model)) == ["child/kernel"]


def test_snapshot_copies_and_assign_restores():
    model = nets.plain()
    before = snapshot(model)
    kernel = before["dense/kernel"].copy()
    model.layers[0].kernel.assign(np.ones((4, 6)))
    assert (before["dense/kernel"] == kernel).all()
    assign(model, before)
    assert (snapshot(model)["dense/kernel"] == kernel).all()


def test_bfloat16_becomes_float32():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, dtype="bfloat16")])
    assert snapshot(model)["dense/kernel"].dtype == np.float32
    assign(model, snapshot(model))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"dense/kernel": np.zeros((4, 6))}, "The model has dense/bias. Received: no such key"),
        ({"dense/kernel": np.zeros((6, 4))}, r"has dense/kernel of shape \(4, 6\). Received: .* \(6, 4\)"),
        ({"dense/kernel": np.zeros((4, 6)), "x": np.zeros(1)}, "no such key; keys are dense/kernel, x"),
    ],
)
def test_assign_names_the_first_mismatch(weights, message):
    with pytest.raises(AlignError, match=message):
        assign(nets.plain(), weights)


def test_check_aligned_names_a_key_too_many_and_shortens_long_lists():
    with pytest.raises(AlignError, match=r"keys a. Received: b"):
        check_aligned({"a": (1,)}, {"a": (1,), "b": (1,)})
    many = {f"k{n}": (1,) for n in range(10)}
    with pytest.raises(AlignError, match="k0, k1, k2, k3, k4, k5 and 4 more"):
        check_aligned({"a": (1,)}, many)


def ticket_of(model):
    from kerastickets.models.architecture import architecture

    return Ticket(architecture(model), {}, {"init": snapshot(model)})


def renamed(widths=(6, 3)):
    """`nets.plain` under other names, whose alphabetical order is not their order."""
    first, second = layers.Dense(widths[0], name="z"), layers.Dense(widths[1], name="a")
    return keras.Sequential([keras.Input((4,)), first, second])


def test_align_by_key():
    model = nets.plain()
    assert align(ticket_of(model), model) == variables(model)
    with pytest.raises(AlignError, match=r"The model has z/kernel. Received: no such key"):
        align(ticket_of(model), renamed())


def test_align_by_order_follows_the_models_not_the_alphabet():
    model = renamed((4, 4))  # kernels of equal shape: nothing but the order tells them apart
    ticket = ticket_of(keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.Dense(4)]))
    found = align(ticket, model, by="order")
    assert found["dense/kernel"] is model.layers[0].kernel
    assert found["dense/bias"] is model.layers[0].bias
    assert found["dense_1/kernel"] is model.layers[1].kernel
    back = align(ticket_of(model), ticket.build(), by="order")
    assert list(back) == ["z/kernel", "z/bias", "a/kernel", "a/bias"]


def test_align_by_order_where_ten_layers_sort_otherwise():
    def deep(name=None):
        made = [layers.Dense(2, name=name and f"{name}{n}") for n in range(11)]
        return keras.Sequential([keras.Input((2,)), *made])

    model = deep("own")
    found = align(ticket_of(deep()), model, by="order")
    assert found["dense_10/kernel"] is model.layers[10].kernel
    assert found["dense_2/kernel"] is model.layers[2].kernel


def test_align_by_order_names_the_first_mismatch():
    ticket = ticket_of(nets.plain())
    with pytest.raises(AlignError, match=r"has a/kernel of shape \(6, 2\). Received: dense_1/kernel"):
        align(ticket, renamed((6, 2)), by="order")
    short = keras.Sequential([keras.Input((4,)), layers.Dense(6)])
    with pytest.raises(AlignError, match=r"The model has 2 variables. Received: 4"):
        align(ticket, short, by="order")


def test_align_by_order_needs_a_model_and_takes_custom_objects():
    with pytest.raises(TicketError, match="no architecture"):
        align(toy_ticket().replace(architecture={}), nets.plain(), by="order")
    model = nets.custom()
    found = align(ticket_of(model), model, by="order", custom_objects={"Scaled": nets.Scaled})
    assert list(found) == list(variables(model))


def test_align_refuses_another_way():
    with pytest.raises(AlignError, match=r"must be 'key' or 'order'. Received: by='name'"):
        align(toy_ticket(), nets.plain(), by="name")
