"""How small and how fast a net becomes without half of its units: ResNet-50, MobileNetV2 and a small ViT.

The nets have random weights. `cut_model(model, 0.5, granularity="channel", scope="layer")` takes half of the units of
every layer: channels, heads and hidden neurons, also those that a sum of several layers shares. `compact` builds the
net without them. Three counts of weights are compared: what compaction leaves; the sum by hand, from the sizes of the
layers alone; and what the dependency graph of Torch-Pruning leaves of the torchvision net of the same name. The outputs
of the compacted net must equal those of the masked one. Times are ratios of interleaved rounds in TensorFlow.

A ViT keeps the width of its residual stream: LayerNormalization takes its mean over the whole stream, so that a net
without a part of the stream computes something else than the net with zeros there. Torch-Pruning takes that part too,
and changes what the net computes; told to leave the stream alone, it takes heads and hidden neurons as here.
"""

import warnings
from collections.abc import Callable
from typing import Any

from _harness import installed, parser, settings, write

TINY = {"size": 32, "seconds": 0.05, "nets": ["MobileNetV2"]}
CLASSES = 10
WIDTH, HEADS, HIDDEN, BLOCKS, PATCH = 64, 4, 128, 2, 8


def vit(size: int) -> Any:
    """A small vision transformer of Keras layers."""
    from keras import Input, Model, layers

    x = Input((size, size, 3))
    h = layers.Conv2D(WIDTH, PATCH, PATCH)(x)
    h = layers.Reshape(((size // PATCH) ** 2, WIDTH))(h)
    for _ in range(BLOCKS):
        a = layers.LayerNormalization(epsilon=1e-6)(h)
        h = layers.Add()([h, layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(a, a)])
        a = layers.LayerNormalization(epsilon=1e-6)(h)
        h = layers.Add()([h, layers.Dense(WIDTH)(layers.Dense(HIDDEN, "gelu")(a))])
    h = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(h))
    return Model(x, layers.Dense(CLASSES)(h))


def application(name: str) -> Callable[[int], Any]:
    """A net of keras.applications with random weights."""

    def make(size: int) -> Any:
        import keras

        made = getattr(keras.applications, name)
        return made(input_shape=(size, size, 3), weights=None, classes=CLASSES, classifier_activation=None)

    return make


NETS = {"ResNet-50": application("ResNet50"), "MobileNetV2": application("MobileNetV2"), "small ViT": vit}


def by_hand(model: Any) -> int:
    """The weights of a convolutional net if every number of channels is halved but the image's and the classes'."""
    from keras import layers

    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.DepthwiseConv2D):
            total += sum(
                int(weight.shape[0]) * int(weight.shape[1]) * (int(weight.shape[2]) // 2)
                for weight in layer.weights
            )
        elif isinstance(layer, layers.Conv2D):
            height, width, given, made = map(int, layer.kernel.shape)
            given = given if given == 3 else given // 2
            total += (height * width * given + layer.use_bias) * (made // 2)
        elif isinstance(layer, layers.Dense):
            total += (int(layer.kernel.shape[0]) // 2 + 1) * CLASSES
        elif isinstance(layer, layers.BatchNormalization):
            total += sum(int(weight.shape[0]) // 2 for weight in layer.weights)
    return total


def by_hand_vit(size: int) -> int:
    """The weights of the ViT without half of its heads and half of its hidden neurons; the stream keeps its width."""
    head = WIDTH // HEADS * (HEADS // 2)
    attention = 3 * (WIDTH * head + head) + head * WIDTH + WIDTH
    dense = WIDTH * (HIDDEN // 2) + HIDDEN // 2 + (HIDDEN // 2) * WIDTH + WIDTH
    norms = 2 * (2 * WIDTH)
    patches = PATCH * PATCH * 3 * WIDTH + WIDTH
    return patches + BLOCKS * (attention + dense + norms) + 2 * WIDTH + WIDTH * CLASSES + CLASSES


def kernels_of(model: Any) -> int:
    """The weights in arrays of two axes and more. Biases and statistics are kept differently in other libraries."""
    return sum(int(weight.size) for weight in (keras_value(one) for one in model.weights) if weight.ndim > 1)


def keras_value(weight: Any) -> Any:
    """A weight as an array."""
    from keras import ops

    return ops.convert_to_numpy(weight)


def torch_pruning(name: str, size: int) -> float | None:
    """The share of kernels that the dependency graph leaves of the torchvision net, with half of every group pruned."""
    import torch
    import torch_pruning as tp
    import torchvision

    x = torch.randn(1, 3, size, size)
    options: dict[str, Any] = {}
    if name == "small ViT":
        sizes = {"num_layers": BLOCKS, "num_heads": HEADS, "hidden_dim": WIDTH, "mlp_dim": HIDDEN}
        model = torchvision.models.VisionTransformer(size, PATCH, **sizes, num_classes=CLASSES)
        model.eval()
        stream = [model.conv_proj]
        heads = {part: HEADS for part in model.modules() if isinstance(part, torch.nn.MultiheadAttention)}
        options = {"num_heads": heads, "prune_num_heads": True, "ignored_layers": [*stream, model.heads]}
    else:
        made = {"ResNet-50": "resnet50", "MobileNetV2": "mobilenet_v2"}[name]
        model = getattr(torchvision.models, made)(num_classes=CLASSES).eval()
        options = {"ignored_layers": [part for part in model.modules() if isinstance(part, torch.nn.Linear)]}
    before = sum(weight.numel() for weight in model.parameters() if weight.dim() > 1)
    pruner = tp.pruner.MagnitudePruner(
        model, x, importance=tp.importance.MagnitudeImportance(), pruning_ratio=0.5, **options
    )
    pruner.step()
    return sum(weight.numel() for weight in model.parameters() if weight.dim() > 1) / before


def measured(name: str, size: int, seconds: float, peer: bool) -> dict[str, Any]:
    """Cut, compact, compare and time one net."""
    import keras
    import numpy as np

    import kerastickets as kt
    from kerastickets.exporting.latency import latencies

    keras.utils.set_random_seed(0)
    model = NETS[name](size)
    before, kernels = model.count_params(), kernels_of(model)
    kt.cut_model(model, 0.5, granularity="channel", scope="layer")
    small = kt.compact(model).model
    x = np.random.default_rng(0).normal(size=(16, size, size, 3)).astype("float32")
    expected, found = (np.asarray(one(x, training=False)) for one in (model, small))
    times = latencies({"masked": model, "compacted": small}, x, batches=(1, 16), seconds=seconds)
    hand = by_hand_vit(size) if name == "small ViT" else by_hand(NETS[name](size))
    share = torch_pruning(name, size) if peer else None
    return {
        "weights": before,
        "left": small.count_params(),
        "by hand": hand,
        "share of kernels": round(kernels_of(small) / kernels, 6),
        "share of kernels by Torch-Pruning": None if share is None else round(share, 6),
        "relative difference": float(np.abs(expected - found).max() / np.abs(expected).max()),
        "faster": {
            batch: [round(row[f"ratio_p{n}"], 2) for n in (10, 50, 90)]
            for batch, row in times["compacted"].items()
        },
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--size", type=int, default=64, help="height and width of the images")
    made.add_argument(
        "--seconds", type=float, default=10.0, help="the longest measurement of a net and batch size"
    )
    made.add_argument("--nets", nargs="+", choices=[*NETS], default=[*NETS], help="the nets to measure")
    chosen = settings(made, **TINY)
    peer = installed("Torch-Pruning", "torch_pruning")
    facts: dict[str, Any] = {}
    for name in chosen.nets:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            facts[name] = row = measured(name, chosen.size, chosen.seconds, peer)
        low, middle, high = row["faster"]["16"]
        other = row["share of kernels by Torch-Pruning"]
        print(
            f"{name}: {row['left']:,} of {row['weights']:,} weights left, {row['by hand']:,} by hand; of the kernels "
            f"{row['share of kernels']:.2%}, {'not measured' if other is None else f'{other:.2%}'} by Torch-Pruning; "
            "outputs differ by "
            f"{row['relative difference']:.1e}; {middle:.2f} times as fast for 16 images ({low:.2f} to {high:.2f})"
        )
    packages = ("kerastickets", "keras", "tensorflow", *(("torch-pruning", "torchvision") if peer else ()))
    write("channels", {"size": chosen.size, "nets": facts}, packages, folder=chosen.results)


if __name__ == "__main__":
    main()
