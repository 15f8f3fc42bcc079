"""The net of the transfer paper: its layers and weights, its crops, and that masks and the trainer take it."""

import keras
import numpy as np
import pytest

from kerastickets import registry
from kerastickets.data.augmentation import Augmentation
from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.errors import DataError
from kerastickets.models.normalization import LocalResponseNormalization
from kerastickets.pruning.prune_model import prune
from kerastickets.training.compilation import use_jit
from kerastickets_plugins.models.krizhevsky import KrizhevskyLrn


def images(side, channels=3, classes=5, count=10):
    split = np.zeros((count, side, side, channels), np.float32), np.arange(count) % classes
    return Data("toy", split, split, split, CROSS_ENTROPY, (), classes)


def test_its_layers_are_the_paper_s():
    net = registry.create("models", "krizhevsky-lrn")(images(32))
    assert [(type(layer).__name__, layer.output.shape[1:]) for layer in net.layers] == [
        ("Cropping2D", (28, 28, 3)),
        ("Conv2D", (28, 28, 64)),
        ("MaxPooling2D", (14, 14, 64)),
        ("LocalResponseNormalization", (14, 14, 64)),
        ("Conv2D", (14, 14, 64)),
        ("MaxPooling2D", (7, 7, 64)),
        ("LocalResponseNormalization", (7, 7, 64)),
        ("Flatten", (3136,)),
        ("Dense", (384,)),
        ("Dense", (192,)),
        ("Dense", (5,)),
    ]
    kernels = [int(np.prod(weight.shape)) for weight in net.trainable_weights if weight.name == "kernel"]
    assert kernels == [5 * 5 * 3 * 64, 5 * 5 * 64 * 64, 3136 * 384, 384 * 192, 192 * 5]
    assert sum(kernels) == 1_386_112
    pools = [layer for layer in net.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert {(pool.pool_size, pool.strides, pool.padding) for pool in pools} == {((3, 3), (2, 2), "same")}
    lrn = [layer for layer in net.layers if isinstance(layer, LocalResponseNormalization)]
    assert {(one.depth_radius, one.bias, one.alpha, one.beta) for one in lrn} == {(4, 1.0, 0.001 / 9, 0.75)}


def test_a_convolution_on_a_cpu_is_not_compiled_by_xla():
    assert not use_jit(KrizhevskyLrn(width=2)(images(8)), "auto")


def test_training_sees_random_crops_and_the_test_the_middle():
    """Of 32x32 pixels that all differ: each crop is a 28x28 window of the image, and every window occurs."""
    side = 32
    pixels = np.arange(1, side * side + 1, dtype="float32").reshape(1, side, side, 1)
    x = np.repeat(pixels, 400, axis=0)
    net = KrizhevskyLrn(width=1)(images(side, channels=1))
    crop = net.layers[0]
    inner = side - 4
    np.testing.assert_array_equal(crop(x[:1]), pixels[:, 2:-2, 2:-2])
    augment = Augmentation.parse(KrizhevskyLrn.recipe["augment"])
    seen = keras.ops.convert_to_numpy(crop(augment(x, augment.key(0), 3)))
    windows = {
        pixels[0, row : row + inner, column : column + inner].tobytes(): (row, column)
        for row in range(5)
        for column in range(5)
    }
    found = [windows[image.tobytes()] for image in seen]  # a KeyError were no window, or one with zeros in it
    counts = np.array([found.count(corner) for corner in windows.values()])
    assert counts.min() > 0
    assert ((counts - 16) ** 2 / 16).sum() < 51.2  # chi squared with 24 degrees of freedom, p = .001
    again = keras.ops.convert_to_numpy(crop(augment(x, augment.key(0), 3)))
    np.testing.assert_array_equal(seen, again)
    assert not np.array_equal(seen, crop(augment(x, augment.key(0), 4)))


def test_one_shot_pruning_takes_the_rounded_share_of_each_layer_and_no_bias():
    dials = {"train": "2it", "train_size": 64, "batch_size": 32, "keep": "last"}
    cut = {"levels": 1, "rate": 0.9, "scope": "layer", "no_train": True}
    dense, ticket = prune("krizhevsky-lrn:width=3", "digits", **dials, **cut).tickets
    for key, mask in ticket.masks.items():
        assert key.endswith("/kernel")
        assert mask.size - mask.sum() == round(mask.size * 0.9)
    assert "final" not in ticket.snapshots
    assert ticket.start == "init"
    largest = np.abs(dense.weights("final")["dense/kernel"])[ticket.masks["dense/kernel"]].min()
    assert (np.abs(dense.weights("final")["dense/kernel"])[~ticket.masks["dense/kernel"]] <= largest).all()
    built = ticket.build()
    assert [type(layer) for layer in built.layers].count(LocalResponseNormalization) == 2


def test_images_must_be_large_enough():
    with pytest.raises(DataError, match="at least 8x8"):
        KrizhevskyLrn()(images(7))
