import pytest
from keras import layers

from kerastickets.tickets.layer_names import made_up, numbered


@pytest.mark.parametrize(
    "name",
    ["ConvLSTM2D", "Conv2DTranspose", "LSTM", "PReLU", "MyNet2Layer", "X2Y", "Net5", "Block_2", "RMSNorm"],
)
def test_names_that_keras_makes_up_are_known_as_such(name):
    made = type(name, (layers.Layer,), {})
    stems = {made_up(made().name, name) for _ in range(3)}
    assert len(stems) == 1
    assert None not in stems


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a", "a", "a"], ["a", "a_1", "a_2"]),
        (["a", "a_1", "a"], ["a", "a_1", "a_2"]),
        (["a_1", "a", "a", "a_1"], ["a_1", "a", "a_2", "a_1_1"]),
        (["a", "a", "a_1", "a_1"], ["a", "a_2", "a_1", "a_1_1"]),
        ([], []),
    ],
)
def test_numbered(names, labels):
    assert list(numbered(names)) == labels
