import keras
import numpy as np
import pytest
from keras import layers

from kerastickets import compact
from kerastickets.callbacks import PruneDuringTraining
from kerastickets.data import Data
from kerastickets.errors import RecipeError
from kerastickets.models.masking import masks_of, sparsify
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.pruning.prune_model import prune


def fates(model, **patterns):
    return {
        entry.key.rpartition("/")[2]: (entry.masked, entry.why) for entry in weight_reports(model, **patterns)
    }


def sequential(*parts, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *parts])


class Own(keras.Layer):
    """A layer of one's own, whose weights have names of one's own."""

    def __init__(self, shapes, **options):
        super().__init__(**options)
        self.shapes = shapes

    def build(self, _):
        self.made = [self.add_weight(name=name, shape=shape) for name, shape in self.shapes.items()]

    def call(self, x):
        return x


class Norm(Own):
    epsilon = 1e-3


SHAPES = {
    "w": (4, 3),
    "filters": (3, 3, 2, 5),
    "table": (9, 2),
    "b": (3,),
    "query_bias": (2, 3),
    "token": (1, 1, 6),
    "gamma": (2, 3),
    "lora_w_a": (4, 2),
}


def test_a_weight_of_an_own_layer_is_a_kernel_by_what_it_is():
    found = fates(sequential(Own(SHAPES)))
    assert [name for name, (masked, _) in found.items() if masked] == ["w", "filters", "table"]
    assert found["w"] == (True, "kernel")
    assert found["token"] == (False, "the same for all but its last axis")
    assert found["b"] == found["query_bias"] == found["lora_w_a"] == (False, "not a kernel or embedding")


def test_the_weights_of_an_own_normalisation_are_none():
    assert fates(sequential(Norm({"w": (4, 3)}))) == {"w": (False, "a weight of a normalisation")}
    assert fates(sequential(Norm({"kernel": (4, 3)}))) == {"kernel": (True, "kernel")}


def test_weights_that_do_not_train_or_are_whole_numbers_are_none():
    class Counts(keras.Layer):
        def build(self, _):
            self.add_weight(name="statistic", shape=(2, 3), trainable=False)
            self.add_weight(name="w", shape=(2, 3), dtype="int32", initializer="zeros")

    assert fates(sequential(Counts())) == {"w": (False, "int32 is not a float type")}


def test_a_model_of_ones_own_may_hold_the_weights_itself():
    class Direct(keras.Model):
        def build(self, shape):
            self.w = self.add_weight(name="w", shape=(shape[-1], 3))
            self.dense = layers.Dense(3)
            self.dense.build(shape)

        def call(self, x):
            return x @ self.w + self.dense(x)

    model = Direct()
    model(np.zeros((1, 4), "float32"))
    assert [(entry.key, entry.masked) for entry in weight_reports(model)] == [
        *(("w", True), ("dense/kernel", True), ("dense/bias", False)),
    ]


def test_weights_of_rank_2_of_kerass_layers_are_selected_as_before():
    parts = {
        "prelu": (layers.PReLU(), (5, 4)),
        "norm": (layers.LayerNormalization(axis=(1, 2)), (5, 4)),
        "einsum": (layers.EinsumDense("abc,cd->abd", (5, 3), bias_axes="bd"), (5, 4)),
        "gru": (layers.GRU(3), (5, 4)),
        "group": (layers.GroupNormalization(2), (5, 4)),
    }
    found = {name: fates(sequential(part, shape=shape)) for name, (part, shape) in parts.items()}
    chosen = {name: [key for key, (masked, _) in one.items() if masked] for name, one in found.items()}
    assert chosen == {
        "prelu": [],
        "norm": [],
        "einsum": ["kernel"],
        "gru": ["kernel", "recurrent_kernel"],
        "group": [],
    }
    assert {why for one in found.values() for masked, why in one.values() if not masked} == {
        "not a kernel or embedding"
    }


def test_pruning_prunes_an_own_weight():
    class Times(keras.Layer):
        def build(self, shape):
            self.w = self.add_weight(name="w", shape=(shape[-1], 6))

        def call(self, x):
            return x @ self.w

    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    parts = [
        (x[part], (x[part, 0] > 0).astype("int64")) for part in (slice(40), slice(40, 50), slice(50, 60))
    ]
    loss = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}
    data = Data("d", *parts, loss, ("accuracy",), 2)
    model = sequential(Times(), layers.Dense(2))
    ticket = prune(model, data, levels=1, rate=0.5, train="1it", batch_size=20, jit="off").tickets[1]
    assert {key: mask.shape for key, mask in ticket.masks.items()} == {
        "dense/kernel": (6, 2),
        "times/w": (4, 6),
    }
    assert (ticket.kept, ticket.total) == (18, 36)


# Frozen weights


def frozen():
    return sequential(
        layers.Dense(3, trainable=False, name="still"),
        layers.BatchNormalization(name="norm"),
        layers.Dense(2, name="head"),
    )


def test_a_pattern_names_frozen_weights():
    assert "still/kernel" not in [entry.key for entry in weight_reports(frozen())]
    report = {entry.key: entry.masked for entry in weight_reports(frozen(), include=["still/kernel"])}
    assert list(report) == ["still/kernel", "norm/gamma", "norm/beta", "head/kernel", "head/bias"]
    assert report["still/kernel"]
    model = frozen()
    sparsify(model, include=["still"], exclude=["still/bias"])
    assert sorted(masks_of(model)) == ["head/kernel", "still/kernel"]


def test_a_pattern_that_matches_weights_that_train_names_only_these():
    report = {entry.key for entry in weight_reports(frozen(), include=["*/bias", "norm"])}
    assert report == {"norm/gamma", "norm/beta", "head/kernel", "head/bias"}


def test_statistics_cannot_be_named():
    with pytest.raises(
        RecipeError, match=r"Received: 'norm/moving_mean'. Weights: .*head/bias, still/kernel"
    ):
        weight_reports(frozen(), include=["norm/moving_mean"])


# Models without weights to prune


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_quantised_model_is_refused_in_one_sentence(mode):
    model = sequential(layers.Dense(16), layers.Dense(8), shape=(8,))
    model.quantize(mode)
    said = r"must be of a float type to be pruned. Received: dense/kernel of int8, as quantize\(\) makes it"
    with pytest.raises(RecipeError, match=said):
        sparsify(model)
    model.compile("sgd", "mse")
    x = np.zeros((4, 8), "float32")
    with pytest.raises(RecipeError, match=said):
        model.fit(x, x, verbose=0, callbacks=[PruneDuringTraining("magnitude", {0: 0.5})])
    assert [entry.masked for entry in sparsify(model, exclude=["dense", "dense_1"])] == [False, False]


def test_a_model_that_is_partly_quantised_is_refused_unless_that_part_is_excluded():
    model = sequential(layers.Conv1D(3, 2), layers.Flatten(), layers.Dense(8), shape=(5, 2))
    model.quantize("int8")
    with pytest.raises(RecipeError, match="Received: dense/kernel of int8"):
        sparsify(model)
    assert [entry.key for entry in sparsify(model, exclude=["dense"]) if entry.masked] == ["conv1d/kernel"]


@pytest.mark.parametrize(
    "use", [sparsify, compact, lambda model: prune(model, "digits", levels=1, rate=0.5, train="1it")]
)
def test_a_sequential_without_an_input_is_told_how_to_be_built(use):
    model = keras.Sequential([layers.Flatten(), layers.Dense(10)], name="own")
    said = r"Received: own, a Sequential that is not built. Give it keras.Input\(shape\) as its first layer, or call"
    with pytest.raises(RecipeError, match=said):
        use(model)
