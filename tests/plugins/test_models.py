"""The built-in models: weights counted as the papers print them, initialised as the papers say."""

import keras
import numpy as np
import pytest

from kerastickets import registry
from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.errors import DataError, PluginError, RecipeError
from kerastickets.foundations import memory
from kerastickets.pruning.prune_model import prune
from kerastickets.training.optimizers import make_optimizer
from kerastickets.training.recipe import Recipe
from kerastickets_plugins.models import parts


def images(*shape, classes=10):
    split = np.zeros((classes, *shape), np.float32), np.arange(classes)
    return Data("toy", split, split, split, CROSS_ENTROPY, (), classes)


def build(spec, data):
    return registry.create("models", spec)(data)


def kernels(model):
    return [weight for weight in model.trainable_weights if weight.name == "kernel"]


@pytest.mark.parametrize(
    ("spec", "shape", "counts"),
    [
        ("lenet-300-100", (28, 28, 1), [235200, 30000, 1000]),  # 266200 in all
        ("mlp:widths=20", (4,), [80, 200]),
        ("mlp:widths=784-392", (1568,), [1229312, 307328, 3920]),
        ("conv-2", (32, 32, 3), [1728, 36864, 4194304, 65536, 2560]),  # 4300992
        ("conv-2:padding=valid", (32, 32, 3), [1728, 36864, 3211264, 65536, 2560]),  # 3317952
        ("conv-4", (32, 32, 3), [1728, 36864, 73728, 147456, 2097152, 65536, 2560]),  # 2425024
        (
            "conv-6",
            (32, 32, 3),
            [1728, 36864, 73728, 147456, 294912, 589824, 1048576, 65536, 2560],  # 2261184
        ),
        ("lenet-5", (28, 28, 1), [150, 2400, 48000, 10080, 840]),  # 61470
        (
            "resnet-20",
            (32, 32, 3),
            # The first of the 1x1 projections, 512 and 2048, stands where its block joins.
            [432, *[2304] * 6, 4608, 9216, 512, *[9216] * 4, 18432, 36864, 2048, *[36864] * 4, 640],
        ),
        ("vgg-19:width=8", (32, 32, 3), [216, 576, 1152, 2304, 4608, *[9216] * 3, 18432, *[36864] * 7, 640]),
    ],
)
def test_weights_are_counted_as_published(spec, shape, counts):
    assert [int(np.prod(kernel.shape)) for kernel in kernels(build(spec, images(*shape)))] == counts


def test_published_totals():
    def total(spec, *shape):
        return sum(int(np.prod(kernel.shape)) for kernel in kernels(build(spec, images(*shape))))

    assert total("lenet-300-100", 28, 28, 1) == 266200
    assert total("conv-2", 32, 32, 3) == 4300992
    assert total("conv-2:padding=valid", 32, 32, 3) == 3317952
    assert total("conv-4", 32, 32, 3) == 2425024
    assert total("conv-6", 32, 32, 3) == 2261184
    assert total("lenet-5", 28, 28, 1) == 61470


def test_resnet_20_is_counted_as_published():
    """274,042 numbers are 270,896 weights, ten biases, and four numbers for each of 784 normalised channels."""
    model = build("resnet-20", images(32, 32, 3))
    assert sum(int(np.prod(kernel.shape)) for kernel in kernels(model)) == 270896
    assert model.count_params() == 270896 + 10 + 4 * (16 + 6 * (16 + 32 + 64) + 32 + 64) == 274042
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trained == 274042 - 2 * 784  # means and variances do not train
    assert sorted(weight.name for weight in model.trainable_weights).count("bias") == 1


def test_vgg_19_is_counted_as_published():
    model = build("vgg-19", images(32, 32, 3))
    assert sum(int(np.prod(kernel.shape)) for kernel in kernels(model)) == 20_024_000
    channels = 2 * 64 + 2 * 128 + 4 * 256 + 8 * 512
    assert model.count_params() == 20_024_000 + 10 + 4 * channels == 20_046_026


def test_resnet_20_adds_identities_and_two_projections():
    model = build("resnet-20:width=1", images(32, 32, 3))
    added = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert [layer.output.shape[1:] for layer in added] == [
        *[(32, 32, 1)] * 3, *[(16, 16, 2)] * 3, *[(8, 8, 4)] * 3
    ]  # fmt: skip
    projected = [layer for layer in model.layers if getattr(layer, "kernel_size", None) == (1, 1)]
    assert [layer.strides for layer in projected] == [(2, 2), (2, 2)]
    for layer in added:
        names = {type(tensor._keras_history[0]).__name__ for tensor in layer.input}
        first = any(tensor._keras_history[0].__class__.__name__ == "ReLU" for tensor in layer.input)
        assert names == ({"BatchNormalization", "ReLU"} if first else {"BatchNormalization"})


def test_every_convolution_is_normalised_and_has_no_bias():
    for spec, count in (("resnet-20:width=1", 21), ("vgg-19:width=1", 16)):
        model = build(spec, images(32, 32, 3))
        convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
        assert len(convolutions) == count
        for layer in convolutions:
            (after,) = (node.operation for node in layer._outbound_nodes)
            assert isinstance(after, keras.layers.BatchNormalization)
            assert not layer.use_bias


@pytest.mark.parametrize(
    ("spec", "shape", "variances"),
    [
        ("lenet-300-100", (28, 28, 1), [2 / (784 + 300), 2 / (300 + 100)]),
        ("mlp:widths=300-100,initializer=kaiming", (28, 28, 1), [2 / 784, 2 / 300]),
        ("conv-2:padding=valid", (10, 10, 3), [None, 2 / (9 * 64 + 9 * 64), 2 / (576 + 256)]),
        ("lenet-5", (28, 28, 1), [None, 2 / (25 * 6 + 25 * 16), 2 / (400 + 120)]),
    ],
)
def test_kernels_start_untruncated_and_biases_at_zero(spec, shape, variances):
    keras.utils.set_random_seed(0)
    model = build(spec, images(*shape))
    for kernel, variance in zip(kernels(model), variances, strict=False):
        if variance:
            values = kernel.numpy() / np.sqrt(variance)
            assert values.std() == pytest.approx(1, rel=0.02)
            assert np.abs(values).max() > 3.5  # a truncated normal of this deviation ends at 2.28
    assert all(not w.numpy().any() for w in model.trainable_weights if w.name == "bias")


def test_layers_of_equal_shape_start_differently():
    first, second, _ = kernels(build("mlp:widths=8-8", images(8)))
    assert not np.array_equal(first.numpy(), second.numpy())


@pytest.mark.parametrize(
    "spec",
    [
        *("lenet-300-100", "mlp:widths=5,activation=tanh", "conv-2", "conv-4", "conv-6", "lenet-5"),
        *("resnet-20:width=2", "vgg-19:width=2"),
    ],
)
def test_models_end_in_logits_and_are_rebuilt_from_their_config(spec):
    data = images(12, 12, 1, classes=3)
    model = build(spec, data)
    again = type(model).from_config(model.get_config())
    assert model.output_shape == again.output_shape == (None, 3)
    assert model.layers[-1].activation is keras.activations.linear
    shapes = [tuple(weight.shape) for weight in model.weights]
    assert [tuple(weight.shape) for weight in again.weights] == shapes


def test_targets_get_one_unit_each():
    split = np.zeros((4, 4)), np.zeros((4, 2))
    data = Data("toy", split, split, split, "mse", (), None)
    assert build("mlp:widths=7", data).output_shape == (None, 2)


def adam(lr, conv):
    rate = {"conv": conv, "dense": 0.2, "output": 0.1}
    return {"optimizer": "adam", "lr": lr, "epsilon": 1e-8, "batch_size": 60, "rate": rate}


def sgd(train, lr_schedule, batch_size):
    dials = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "lr_schedule": lr_schedule, "warmup": "10000it"}
    dials |= {"train": train, "batch_size": batch_size, "augment": "flip+crop:4"}
    return dials | {"rate": {"*": 0.2, "dense": 0}, "scope": "global"}


def test_recipes():
    assert {name: dict(registry.load("models", name).recipe) for name in registry.names("models")} == {
        "lenet-300-100": {
            "optimizer": "adam",
            "lr": 1.2e-3,
            "epsilon": 1e-8,
            "batch_size": 60,
            "rate": {"dense": 0.2, "output": 0.1},
        },
        "mlp": {"optimizer": "adam", "lr": 1e-3, "epsilon": 1e-8, "batch_size": 64, "rate": {"*": 0.2}},
        "conv-2": adam(2e-4, 0.1),
        "conv-4": adam(3e-4, 0.1),
        "conv-6": adam(3e-4, 0.15),
        "krizhevsky-lrn": {"optimizer": "sgd", "lr": 0.01, "batch_size": 256, "augment": "crop:2"},
        "lenet-5": adam(1.2e-3, 0.1),
        "resnet-20": sgd("30000it", "steps:20000it=0.1,25000it=0.01", 128),
        "vgg-19": sgd("112000it", "steps:56000it=0.1,84000it=0.01", 64),
    }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width"), [("resnet-20", 2), ("vgg-19", 1)])
def test_recipes_of_deep_nets_run_by_themselves(name, width):
    """Two iterations of the recipe: global counts of convolutions, and a dense layer that has no mask."""
    size = registry.load("models", name).recipe["batch_size"]
    dials = {"train": "2it", "eval_every": "2it", "train_size": size, "levels": 2}
    run = prune(f"{name}:width={width}", "digits", **dials)
    start = run.tickets[0].total
    assert [ticket.kept for ticket in run.tickets] == [start, round(start * 0.8), round(start * 0.8**2)]
    assert all(key.startswith("conv2d") for key in run.tickets[2].masks)
    shares = {round(row["density"], 3) for row in run.tickets[2].layers}
    assert len(shares) > 1  # ranked all together
    found = run.tickets[2].provenance
    assert (found["recipe"]["augment"], found["recipe"]["momentum"]) == ("flip+crop:4", 0.9)
    assert (found["method"]["scope"], found["method"]["rate"]) == ("global", {"*": 0.2, "dense": 0})


@pytest.mark.parametrize("recipe", [(128, 20000, 25000, 30000), (64, 56000, 84000, 112000)])
def test_the_rate_rises_and_falls_in_steps(recipe):
    size, *moments = recipe
    name = {128: "resnet-20", 64: "vgg-19"}[size]
    own = {k: v for k, v in registry.load("models", name).recipe.items() if k not in ("rate", "scope")}
    optimizer, position = make_optimizer(Recipe(**own), moments[-1], per_epoch=351)
    at = {0: 1e-5, 4999: 0.05, 9999: 0.1, moments[0] - 1: 0.1, moments[0]: 0.01, moments[1]: 0.001}
    assert {step: float(position(step)) for step in at} == pytest.approx(at)
    assert float(optimizer.momentum) == 0.9


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        (
            "conv-2:padding=valid",
            (5, 8, 1),
            r"at least 6x6. Received: data set 'toy' with inputs \(5, 8, 1\)",
        ),
        ("conv-2", (1, 8, 1), "at least 2x2"),
        ("conv-4", (3, 8, 1), "conv-4 must have images .* at least 4x4"),
        ("conv-6", (8, 7, 1), "conv-6 must have images .* at least 8x8"),
        ("lenet-5", (3, 4, 1), "lenet-5 must have images .* at least 4x4"),
        ("conv-2", (64,), r"must have images .* with inputs \(64,\)"),
        ("resnet-20", (64,), r"resnet-20 must have images .* with inputs \(64,\)"),
        ("vgg-19", (64, 3), r"vgg-19 must have images .* with inputs \(64, 3\)"),
    ],
)
def test_convolutional_nets_refuse_what_they_cannot_convolve(spec, shape, message):
    with pytest.raises(DataError, match=message):
        build(spec, images(*shape))


@pytest.mark.parametrize(
    ("spec", "side", "units"),
    [("conv-4", 4, 128), ("conv-6", 8, 256), ("lenet-5", 12, 16), ("lenet-5", 8, 64), ("lenet-5", 4, 16)],
)
def test_deeper_nets_take_the_smallest_image_that_fits(spec, side, units):
    model = build(spec, images(side, side, 1))
    flatten = next(layer for layer in model.layers if isinstance(layer, keras.layers.Flatten))
    assert flatten.output.shape == (None, units)


@pytest.mark.parametrize(("spec", "side"), [("conv-2:padding=valid", 6), ("conv-2", 2)])
def test_conv_2_takes_the_smallest_image_that_fits(spec, side):
    assert build(spec, images(side, side, 1)).layers[2].output.shape == (None, 1, 1, 64)


@pytest.mark.parametrize(("spec", "side", "units"), [("resnet-20:width=1", 1, 4), ("vgg-19:width=1", 1, 8)])
def test_normalised_nets_take_any_image(spec, side, units):
    assert build(spec, images(side, side, 1)).layers[-2].output.shape == (None, units)


@pytest.mark.parametrize("name", ["resnet-20", "vgg-19"])
def test_a_net_needs_a_width(name):
    with pytest.raises(PluginError, match=r"`width` must be at least 1\. Received: width=0"):
        registry.create("models", f"{name}:width=0")


def test_mlp_refuses_bad_options():
    with pytest.raises(
        PluginError, match=r"`widths` must be one or more numbers above 0. Received: widths=\(0,\)"
    ):
        registry.create("models", "mlp:widths=0")
    with pytest.raises(PluginError, match=r"must be a Keras activation. Received: activation='rellu'"):
        build("mlp:activation=rellu", images(4))


@pytest.mark.parametrize(
    "spec",
    [
        "mlp:999999999999",
        "mlp:999999999999999999-999999999999999999",
        "vgg-19:width=999999999999999999",
        "resnet-20:width=999999999999999999",
        "krizhevsky-lrn:width=999999999999999999",
    ],
)
def test_a_model_that_does_not_fit_into_memory_is_refused(spec):
    with pytest.raises(
        RecipeError, match=r"The weights of .* must fit into the memory of this machine, of which"
    ):
        build(spec, images(32, 32, 3))


@pytest.mark.parametrize("width", [10**12, 2**63 - 1, 2**63, 10**20, 10**400])
def test_widths_of_any_size_are_refused_by_one_error(width):
    plugin = registry.create("models", "mlp", {"widths": (width,)})
    with pytest.raises(RecipeError, match="The weights of mlp must fit into the memory of this machine"):
        plugin(images(4, 4, 1))


def test_widths_of_more_digits_than_an_integer_holds_are_refused():
    with pytest.raises(PluginError, match="Option 'widths' of Mlp must be"):
        registry.create("models", "mlp:99999999999999999999")


@pytest.mark.parametrize("name", ["conv-2", "lenet-5", "lenet-300-100", "krizhevsky-lrn"])
def test_large_images_make_a_model_too_large(name, monkeypatch):
    # The first dense layer has a weight for every value of an image and each of its units.
    build(name, images(32, 32, 3))
    monkeypatch.setattr(memory, "free_memory", lambda: 100_000)
    with pytest.raises(
        RecipeError, match=r"must fit into the memory of this machine, of which 97.7 KiB are free"
    ):
        build(name, images(32, 32, 3))


def test_weights_are_counted_before_they_are_allocated(monkeypatch):
    counted = []
    monkeypatch.setattr(parts, "check_weights", lambda model, weights: counted.append(weights))
    for name, total in (
        ("lenet-300-100", 266200),
        ("lenet-5", 61470),
        ("mlp:20-10", 28 * 28 * 20 + 200 + 100),
    ):
        build(name, images(28, 28, 1))
        assert counted.pop() == total
    for name, total in (("conv-2", 4300992), ("conv-4", 2425024), ("conv-6", 2261184)):
        build(name, images(32, 32, 3))
        assert counted.pop() == total


@pytest.mark.parametrize("name", ["vgg-19", "resnet-20", "krizhevsky-lrn"])
def test_a_width_is_at_least_1(name):
    with pytest.raises(PluginError, match=r"`width` must be at least 1. Received: width=0"):
        registry.create("models", f"{name}:width=0")
