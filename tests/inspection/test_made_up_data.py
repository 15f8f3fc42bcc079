"""A made-up batch has the labels that each loss takes, in the structure of the losses."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.errors import RecipeError
from kerastickets.inspection.made_up_data import made_up

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_labels_fit_each_loss": ("False-loss2-labels2", "False-loss1-labels1"),
}


SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def two(as_dict):
    x = keras.Input((4,))
    p, q = layers.Dense(3, name="p")(x), layers.Dense(1, name="q")(x)
    return keras.Model(x, {"p": p, "q": q} if as_dict else [p, q])


def seen(labels):
    return keras.tree.map_structure(lambda y: (y.shape, y.dtype.kind), labels)


@pytest.mark.parametrize(
    ("as_dict", "loss", "labels"),
    [
        (True, {"p": SPARSE, "q": "mse"}, {"p": ((2,), "i"), "q": ((2, 1), "f")}),
        (False, {"p": SPARSE, "q": "mse"}, {"p": ((2,), "i"), "q": ((2, 1), "f")}),
        (False, [SPARSE, "mse"], [((2,), "i"), ((2, 1), "f")]),
        (True, "mse", {"p": ((2, 3), "f"), "q": ((2, 1), "f")}),
    ],
)
def test_labels_fit_each_loss(as_dict, loss, labels):
    data = made_up(two(as_dict), loss)
    flat = [(np.shape(y), y.dtype.kind) for y in keras.tree.flatten(data.train[1])]
    pairs = labels.values() if isinstance(labels, dict) else labels
    assert flat == [*pairs]
    model = two(as_dict)
    model.compile("sgd", loss)
    assert np.isfinite(model.evaluate(*data.train, verbose=0, return_dict=True)["loss"])


def test_label_maps_have_a_class_for_each_place():
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(3, 1)])
    assert made_up(model, SPARSE).train[1].shape == (2, 4, 4)


def test_a_model_without_specs_is_refused():
    class Own(keras.Model):
        def call(self, pair):
            return pair[0] + pair[1]

    model = Own()
    model([np.ones((1, 2)), np.ones((1, 2))])
    with pytest.raises(RecipeError, match="does not tell the shapes of its inputs"):
        made_up(model, "mse")
