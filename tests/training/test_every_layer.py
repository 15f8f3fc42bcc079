"""Every kind of layer that has kernels: what of it is prunable, and that training keeps its zeros and its masks."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerastickets import layers as aware_layers
from kerastickets.callbacks import KeepMasks
from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.models.initial_weights import fresh
from kerastickets.models.masking import assign_masks, masks_of
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import snapshot
from kerastickets.pruning.prune_model import prune
from kerastickets.training.recipe import Recipe
from kerastickets.training.trainer import Trainer

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_zeros_and_masks_hold": ("mask-aware layers in fit-*", "plain layers in the trainer-*"),
}


CELL = "{}_cell/{}"
RECURRENT = ("kernel", "recurrent_kernel")
ATTENTION = ("query/kernel", "key/kernel", "value/kernel", "attention_output/kernel")


def both(name):
    return tuple(f"{way}_{name}/{name}_cell/{part}" for way in ("forward", "backward") for part in RECURRENT)


# Each kind on an image of 4 x 4 x 2, a row of 16 x 2, a cube of 2 x 4 x 2 x 2, a line of 32, or 8 numbers up to 6:
# how it is made of a class, and what of it is prunable. None stands for a kind that wraps other layers.
KINDS = {
    "Dense": ("line", lambda cls: cls(3, activation="tanh"), ("kernel",)),
    "EinsumDense": ("row", lambda cls: cls("abc,cd->abd", (16, 3)), ("kernel",)),
    "Embedding": ("numbers", lambda cls: cls(7, 3), ("embeddings",)),
    "Conv1D": ("row", lambda cls: cls(3, 3), ("kernel",)),
    "Conv2D": ("image", lambda cls: cls(3, 2, use_bias=False), ("kernel",)),
    "Conv3D": ("cube", lambda cls: cls(3, 2), ("kernel",)),
    "Conv1DTranspose": ("row", lambda cls: cls(3, 3, strides=2), ("kernel",)),
    "Conv2DTranspose": ("image", lambda cls: cls(3, 2), ("kernel",)),
    "Conv3DTranspose": ("cube", lambda cls: cls(3, 2), ("kernel",)),
    "DepthwiseConv1D": ("row", lambda cls: cls(3, depth_multiplier=2), ("kernel",)),
    "DepthwiseConv2D": ("image", lambda cls: cls(2, depth_multiplier=2), ("kernel",)),
    "SeparableConv1D": ("row", lambda cls: cls(3, 3), ("depthwise_kernel", "pointwise_kernel")),
    "SeparableConv2D": ("image", lambda cls: cls(3, 2), ("depthwise_kernel", "pointwise_kernel")),
    "MultiHeadAttention": ("row", lambda cls: cls(2, 3), ATTENTION),
    "LSTM": ("row", lambda cls: cls(3), tuple(CELL.format("lstm", part) for part in RECURRENT)),
    "GRU": ("row", lambda cls: cls(3), tuple(CELL.format("gru", part) for part in RECURRENT)),
    "SimpleRNN": ("row", lambda cls: cls(3), tuple(CELL.format("simple_rnn", part) for part in RECURRENT)),
    "Bidirectional": ("row", None, both("lstm")),
}


def name_of(kind):
    """The name that Keras makes up for the first layer of a class."""
    return keras.src.utils.naming.to_snake_case(kind)


def branch(kind, source, kit):
    if kind == "Bidirectional":
        layer = layers.Bidirectional(kit.LSTM(2), name="bidirectional")
    else:
        layer = KINDS[kind][1](getattr(kit, kind))
    found = layer(source, source) if kind == "MultiHeadAttention" else layer(source)
    return layers.Flatten()(found)


def zoo(kit):
    """One model with a branch for every kind, so that all of them are compiled once."""
    x = keras.Input((4, 4, 2))
    line = layers.Flatten()(x)
    sources = {
        "image": x,
        "row": layers.Reshape((16, 2))(x),
        "cube": layers.Reshape((2, 4, 2, 2))(x),
        "line": line,
        "numbers": ops.cast(ops.clip(3.5 + 2 * line[:, :8], 0, 6), "int32"),
    }
    joined = layers.Concatenate()([branch(kind, sources[KINDS[kind][0]], kit) for kind in KINDS])
    return keras.Model(x, kit.Dense(3)(joined))


def data():
    generator = np.random.default_rng(5)
    splits = [(generator.normal(size=(n, 4, 4, 2)).astype("float32"), np.arange(n) % 3) for n in (24, 6, 6)]
    return Data("images", *splits, CROSS_ENTROPY, ("accuracy",), classes=3)


def halves(model):
    generator = np.random.default_rng(3)
    return {entry.key: generator.random(entry.shape) < 0.6 for entry in weight_reports(model) if entry.masked}


def by_trainer(build):
    """The weights before and after nine steps of the trainer, the masks given and the masks held then."""
    model = fresh(build, 0)
    before, masks = snapshot(model), halves(model)
    config = {"class_name": "Adam", "config": {"learning_rate": 0.01, "global_clipnorm": 1.0}}
    recipe = Recipe(train="9it", eval_every="9it", batch_size=8, jit="off", keep="last", optimizer=config)
    trainer = Trainer(build, data(), recipe, masks)
    outcome = trainer.train(before, masks, seed=0)
    return before, outcome.final, masks, masks_of(trainer.model)


def by_fit(build):
    """The same in Keras's own `fit` of mask-aware layers."""
    model = fresh(build, 0)
    before, masks = snapshot(model), halves(model)
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assign_masks(model, masks)
    model.fit(*data().train, batch_size=8, epochs=3, verbose=0, callbacks=[KeepMasks()])
    return before, snapshot(model), masks, masks_of(model)


WAYS = {
    "plain layers in the trainer": lambda: by_trainer(lambda: zoo(layers)),
    "mask-aware layers in the trainer": lambda: by_trainer(lambda: zoo(aware_layers)),
    "mask-aware layers in fit": lambda: by_fit(lambda: zoo(aware_layers)),
}


@functools.cache
def trained(way):
    return WAYS[way]()


def check(before, after, masks, held, keys):
    for key in keys:
        mask = masks[key]
        assert (held[key] == mask).all()
        assert not after[key][~mask].any()
        # Some rows of an embedding are met nowhere; a few other weights are cut off from the output.
        moved = after[key][mask] != before[key][mask]
        assert moved.mean() > (0.5 if key.endswith("embeddings") else 0.75), f"{key} stood still"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_zeros_and_masks_hold(way, kind):
    before, after, masks, held = trained(way)
    expected = [f"{name_of(kind)}/{part}" for part in KINDS[kind][2]]
    assert [key for key in masks if key.split("/")[0] == name_of(kind)] == expected
    check(before, after, masks, held, expected)


def test_every_mask_aware_layer_is_tried_here():
    public = {name for name, value in vars(aware_layers).items() if isinstance(value, type)}
    offered = {name for name in public if hasattr(layers, name)}
    assert offered == KINDS.keys() - {"Bidirectional"}


def test_nothing_else_of_these_layers_is_prunable():
    report = weight_reports(zoo(layers))
    expected = {f"{name_of(kind)}/{part}" for kind, (_, _, parts) in KINDS.items() for part in parts}
    # Dense branch and head are the first and second of their class.
    assert {entry.key for entry in report if entry.masked} == expected | {"dense_1/kernel"}
    assert {entry.key.rpartition("/")[2] for entry in report if not entry.masked} == {"bias"}


class Mixed(keras.Model):
    """Somebody's own model, which Keras cannot write down: kinds in a list, a loop and a weight of its own."""

    def __init__(self, make):
        super().__init__()
        self.convolution = layers.Conv2D(3, 2, activation="tanh")
        self.recurrent = layers.Bidirectional(layers.GRU(2))
        self.blocks = [make(6), make(6)]
        self.scale_kernel = self.add_weight(name="scale_kernel", shape=(6, 3), initializer="glorot_uniform")

    def call(self, x):
        h = self.convolution(x)
        h = self.recurrent(ops.reshape(h, (-1, 9, 3)))
        for block in self.blocks:
            h = ops.tanh(block(h))
        return ops.matmul(h, self.scale_kernel)


def mixed(data=None):
    model = Mixed(lambda units: layers.Dense(units))
    model(np.zeros((1, 4, 4, 2), "float32"))
    return model


@pytest.mark.slow
def test_zeros_and_masks_hold_in_a_subclassed_model():
    before, after, masks, held = by_trainer(mixed)
    assert {key.rpartition("/")[2] for key in masks} == {"kernel", "recurrent_kernel", "scale_kernel"}
    assert len(masks) == 1 + 4 + 2 + 1
    check(before, after, masks, held, masks)


@pytest.mark.slow
def test_a_function_that_makes_a_subclassed_model_is_pruned():
    run = prune(mixed, data(), levels=2, rate=0.5, train="1ep", batch_size=8, jit="off", optimizer="adamw")
    first, second, third = (ticket.kept for ticket in run.tickets)
    assert first > 1.9 * second > 3.6 * third > 0
    for ticket in run.tickets:
        assert len(ticket.masks) == 8
        for key, mask in ticket.masks.items():
            assert not ticket.snapshots["final"][key][~mask].any()
    for earlier, later in zip(run.tickets, run.tickets[1:], strict=False):
        assert not any((later.masks[key] & ~earlier.masks[key]).any() for key in later.masks)
