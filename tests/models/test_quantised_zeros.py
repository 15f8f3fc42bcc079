"""Pruned, then quantised by Keras: zeros stay zeros, and where one does not it is told."""

import keras
import numpy as np
import pytest
from keras import layers

import kerastickets as kt
from kerastickets.errors import AlignError

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_zeros_stay_zeros": ("int4*", "mode2*"),
}


MODES = ["int8", "int4", keras.quantizers.Int4QuantizationConfig(block_size=-1)]


def quantised(model, how):
    return model.quantize(how) if isinstance(how, str) else model.quantize(config=how)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
@pytest.mark.parametrize(("mode", "attached"), zip(MODES, [True, False, False], strict=True))
def test_zeros_stay_zeros(mode, attached):
    x = keras.Input((8,))
    h = layers.Embedding(20, 16)(x)
    h = layers.EinsumDense("abc,cde->abde", (None, 2, 4))(h)
    model = kt.cut_model(keras.Model(x, layers.Dense(7)(h)), 0.8, scope="layer")
    masks = kt.masks_of(model)
    assert len(masks) == 3
    if not attached:
        kt.strip(model)
    quantised(model, mode)
    assert kt.lost_zeros(model, masks) == {}
    # The same masks moved by one place meet weights that are not zero.
    assert kt.lost_zeros(model, {key: np.roll(mask, 1) for key, mask in masks.items()})


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
@pytest.mark.parametrize("mode", MODES, ids=["int8", "int4", "int4 by channel"])
def test_what_is_told_is_what_the_model_computes_with(mode):
    """One input at a time shows a row of the kernel: an output is zero exactly where its weight is."""
    model = keras.Sequential([keras.Input((16,)), layers.Dense(16, use_bias=False)])
    model.layers[0].kernel.assign(np.random.default_rng(0).normal(0.5, 0.5, (16, 16)))
    masks = kt.masks_of(kt.cut_model(model, 0.5))
    quantised(model, mode)
    shown = np.asarray(model(np.eye(16, dtype="float32"))) != 0
    assert not shown[~masks["dense/kernel"]].any()
    none = {"dense/kernel": np.zeros((16, 16), bool)}
    assert kt.lost_zeros(model, none) == {"dense/kernel": int(shown.sum())}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_gptq_is_read_as_it_computes():
    x = keras.Input((8,))
    first, block = layers.Embedding(20, 16), keras.Sequential([keras.Input((8, 16)), layers.Dense(12)])
    model = keras.Model(x, block(first(x)))
    masks = kt.masks_of(kt.cut_model(model, 0.8, exclude=["embedding"]))
    kt.strip(model)
    parts = {"pre_block_layers": [first], "sequential_blocks": [block]}
    words = [np.random.default_rng(seed).integers(0, 20, (1, 8)) for seed in range(16)]
    config = keras.quantizers.GPTQConfig(
        dataset=words,
        tokenizer=lambda text: text,
        weight_bits=4,
        num_samples=16,
        sequence_length=8,
        group_size=-1,
        quantization_layer_structure=parts,
    )
    model.quantize(config=config)
    dense = block.layers[0]
    shown = np.asarray(dense(np.eye(16, dtype="float32")[None]))[0] - np.asarray(dense.bias)
    key = "sequential/dense/kernel"
    expected = int(np.count_nonzero(shown[~masks[key]]))
    assert kt.lost_zeros(model, masks) == ({key: expected} if expected else {})
    assert kt.lost_zeros(model, {key: np.zeros((16, 12), bool)}) == {key: np.count_nonzero(shown)}


def test_masks_that_do_not_fit():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(AlignError, match="must name weights of the model"):
        kt.lost_zeros(model, {"head/kernel": np.ones((4, 2), bool)})
    with pytest.raises(AlignError, match=r"must have 6 entries, as its mask\. Received: 8"):
        kt.lost_zeros(model, {"dense/kernel": np.ones((3, 2), bool)})
