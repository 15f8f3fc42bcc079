"""TRIALS R: a plain file of a pruned model keeps its zeros, and the masks come back from them."""

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets as kt
from kerastickets.callbacks import KeepMasks
from kerastickets.errors import RecipeError
from kerastickets.models.pruned_weights import held_masks

KERNEL = np.arange(40).reshape(10, 4) % 3 > 0  # 14 of 40 are pruned
HEAD = np.array([[True, False]] * 4)
MASKS = {"dense/kernel": KERNEL, "dense_1/kernel": HEAD}


def net(*inner):
    model = keras.Sequential([keras.Input((10,)), *(inner or [layers.Dense(4, "relu")]), layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    return model


def fit(model, *callbacks):
    x = np.random.default_rng(0).normal(size=(80, 10)).astype("float32")
    model.fit(x, (x[:, 0] > 0).astype("int64"), batch_size=20, verbose=0, callbacks=list(callbacks))
    return model


def pruned_file(folder):
    """The file of a model with masks, trained under them."""
    model = net()
    kt.sparsify(model, MASKS)
    fit(model).save(folder / "pruned.keras")
    return folder / "pruned.keras"


def zeros(model):
    return sum(int((np.asarray(v) == 0).sum()) for v in model.trainable_variables if v.name == "kernel")


def test_zeros_of_a_plain_file_become_masks_again_and_stay(tmp_path):
    file = pruned_file(tmp_path)
    assert zeros(fit(keras.models.load_model(file))) == 0  # what happens without masks
    model = keras.models.load_model(file)
    report = kt.sparsify(model, "zeros")
    assert [(e.key, e.masked, e.why) for e in report if e.masked] == [
        ("dense/kernel", True, "its zeros"),
        ("dense_1/kernel", True, "its zeros"),
    ]
    assert all((mask == MASKS[key]).all() for key, mask in kt.masks_of(model).items())
    before = [np.array(value) for value in model.get_weights()]
    assert zeros(fit(model)) == 14 + 4
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))  # it did train


def test_keep_masks_takes_zeros_itself_and_says_how_without(tmp_path):
    file = pruned_file(tmp_path)
    model = keras.models.load_model(file)
    with pytest.raises(
        RecipeError, match=r"here 18, and not its masks: .* KeepMasks\(\"zeros\"\) or sparsify\(model, "
    ):
        fit(model, KeepMasks())
    keep = KeepMasks("zeros")
    assert zeros(fit(fit(model, keep), keep)) == 18
    with pytest.raises(RecipeError, match=r"Received: none\. Call sparsify"):
        fit(net(), KeepMasks())


def test_masks_that_are_there_stay_and_only_the_others_come_from_zeros():
    model = net()
    kt.sparsify(model, {"dense/kernel": KERNEL})
    dense, head = model.layers
    kernel = np.array(dense.kernel)
    kernel[KERNEL] = np.where(np.arange(26) == 0, 0, 1)  # one kept weight is zero by chance
    dense.kernel.assign(kernel)
    head.kernel.assign(np.where(HEAD, 1.0, -0.0))
    why = {entry.key: entry.why for entry in kt.sparsify(model, "zeros") if entry.masked}
    assert why == {"dense/kernel": "kernel", "dense_1/kernel": "its zeros"}
    assert all((mask == MASKS[key]).all() for key, mask in held_masks(model).items())


def test_biases_and_excluded_weights_have_no_masks_of_zeros(tmp_path):
    model = keras.models.load_model(pruned_file(tmp_path))
    model.layers[1].bias.assign([0.0, 1.0])
    kt.sparsify(model, "zeros", exclude=["dense_1"])
    assert held_masks(model).keys() == {"dense/kernel"}
    kt.sparsify(model, "zeros", include=["dense_1/bias"])
    assert held_masks(model)["dense_1/bias"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("make", "masks", "message"),
    [
        (net, "zeros", "There must be zeros among the prunable weights"),
        (
            lambda: net(layers.Dense(4, kernel_initializer="zeros")),
            "zeros",
            "Received: dense/kernel. Leave it out",
        ),
        (net, "zeroes", "`masks` must be boolean arrays by key, \"zeros\" or None. Received: 'zeroes'"),
    ],
)
def test_zeros_that_are_no_masks_are_refused(make, masks, message):
    model = make()
    with pytest.raises(RecipeError) as caught:
        kt.sparsify(model, masks)
    assert message in str(caught.value)
    assert held_masks(model) == {}


def test_mask_aware_layers_keep_their_masks_through_a_file_and_train_under_them(tmp_path):
    model = net(kt.layers.Dense(4, "relu"))
    kt.sparsify(model, {"dense/kernel": KERNEL})
    fit(model).save(tmp_path / "aware.keras")
    loaded = keras.models.load_model(tmp_path / "aware.keras")
    assert (held_masks(loaded)["dense/kernel"] == KERNEL).all()
    assert int((np.asarray(fit(loaded).layers[0].kernel) == 0).sum()) == 14
    assert int((np.asarray(fit(loaded, KeepMasks()).layers[0].kernel) == 0).sum()) == 14
