"""A net that cannot be rebuilt or cannot train on the data: one sentence, before there is a folder."""

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets.data.own_arrays import data_from
from kerastickets.errors import AlignError, DataError, KerasTicketsError, RecipeError
from kerastickets.pruning.prune_model import prune
from tests.helpers.training import data, plain

DIALS = {"levels": 1, "rate": 0.5, "train": "1ep", "batch_size": 8, "jit": "off"}


def net(inputs=4, outputs=3):
    return keras.Sequential([keras.Input((inputs,)), layers.Dense(4), layers.Dense(outputs)])


def compiled(model, loss):
    model.compile("adam", loss)
    return model


@keras.saving.register_keras_serializable("refusals")
class Subclassed(keras.Model):
    """A model whose inputs are not known before it is called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = layers.Dense(3)

    def build(self, shape):
        self.head.build(shape)

    def call(self, x):
        return self.head(x)


def subclassed(width):
    model = Subclassed()
    model.build((None, width))
    return model


def refuses(y, predictions):
    raise KeyError("no such column")


class Forgetful(layers.Layer):
    """A layer whose config lacks an argument that changes what it computes."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def get_config(self):
        return {"name": self.name}

    def call(self, x):
        return x * self.scale


def forgetful():
    return keras.Sequential([keras.Input((4,)), layers.Dense(4), Forgetful(2.0), layers.Dense(3)])


X, Y = data().train
OWN = data_from((X, Y))
REFUSED = {
    "inputs": (lambda: net(inputs=5), data(), DataError, "must take inputs (4,)"),
    "outputs": (lambda: net(outputs=2), data(), DataError, "needs 3 outputs. Received: a model with 2"),
    "no loss anywhere": (net, OWN, DataError, "must be compiled with a loss"),
    "labels": (
        lambda: compiled(net(), keras.losses.CategoricalCrossentropy(from_logits=True)),
        OWN,
        DataError,
        "must compare outputs with labels of the same shape",
    ),
    "unknown inputs": (
        lambda: subclassed(5),
        data(),
        RecipeError,
        "must take the examples of toy. Received: ",
    ),
    "own loss": (
        lambda: compiled(net(), refuses),
        OWN,
        RecipeError,
        "must take the examples of data. Received: KeyError: 'no such column'",
    ),
    "rebuilt otherwise": (forgetful, data(), AlignError, "first in the layer 'forgetful"),
    "not built": (
        lambda: keras.Sequential([layers.Dense(3)]),
        data(),
        RecipeError,
        "must be built, so that it has weights",
    ),
    "batch": (net, data(20), RecipeError, "`batch_size` must be at most the 20 training examples"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_train_is_refused_before_there_is_a_folder(case, tmp_path):
    make, on, error, message = REFUSED[case]
    dials = DIALS | ({"batch_size": 21} if case == "batch" else {})
    with pytest.raises(error) as caught:
        prune(make(), on, out=tmp_path / "run", **dials)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_folder_of_a_finished_run_is_read_without_a_trainer(tmp_path, monkeypatch):
    prune(plain, data(), out=tmp_path / "run", **DIALS)
    monkeypatch.setattr("kerastickets.training.trainer.Trainer.__init__", lambda *args, **kwargs: 1 / 0)
    assert len(prune(plain, data(), out=tmp_path / "run", **DIALS).tickets) == 2


def test_data_of_another_type_than_the_net_takes_is_one_sentence(tmp_path):
    words = keras.Sequential(
        [keras.Input((4,), dtype="int32"), layers.Embedding(3, 2), layers.Flatten(), layers.Dense(3)]
    )
    with pytest.raises(KerasTicketsError, match="must take the examples of toy"):
        prune(words, data(), out=tmp_path / "run", **DIALS | {"jit": "off"})
    assert not (tmp_path / "run").exists()
    assert np.min(data().train[0]) < 0  # no token is negative
