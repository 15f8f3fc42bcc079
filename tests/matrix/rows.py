"""The models of the matrix: families of `keras.applications`, and tasks and backbones of keras-hub made small."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

SIZE, CLASSES, WORDS, LENGTH = 32, 2, 30, 8


@dataclass(frozen=True)
class Row:
    """A model of the matrix.

    Args:
        name: its name in the table.
        source: `keras` or `keras-hub`.
        build: makes a small model, compiled or not.
        custom: makes the custom objects that a ticket of it needs, if any.
    """

    name: str
    source: str
    build: Callable[[], keras.Model]
    custom: Callable[[], dict[str, Any]] = dict


def arrays(model: keras.Model, count: int, seed: int) -> tuple[Any, Any]:
    """Inputs made from a model's specs, and labels or targets that its loss takes.

    A model that compiles itself is a classifier of the example, or of each word. Others learn fixed random targets.
    """
    rng = np.random.default_rng(seed)

    def example(spec: Any) -> np.ndarray:
        shape = (count, *(axis or LENGTH for axis in spec.shape[1:]))
        if len(spec.shape) == 4:
            shape = (count, *(axis or SIZE for axis in spec.shape[1:3]), spec.shape[3])
        kind = keras.backend.standardize_dtype(spec.dtype)
        if "int" in kind or kind == "bool":
            high = 2 if "mask" in spec.name or "segment" in spec.name else WORDS
            low = 1 if "mask" in spec.name else 0
            return rng.integers(low, high, size=shape)
        return rng.normal(size=shape).astype("float32")

    taken = getattr(getattr(model, "_functional", None) or model, "_inputs_struct", None)
    x = keras.tree.map_structure(example, taken)
    outputs = model(keras.tree.map_structure(lambda array: keras.ops.convert_to_tensor(array[:1]), x))
    if model.compiled:
        (shape,) = [tuple(one.shape[1:-1]) for one in keras.tree.flatten(outputs)]
        return x, np.resize(np.arange(CLASSES), (count, *shape))
    return x, keras.tree.map_structure(
        lambda one: rng.normal(size=(count, *one.shape[1:])).astype("float32"), outputs
    )


def rows() -> list[Row]:
    """All rows. Those of keras-hub are there if it is installed."""
    return [*_keras(), *_hub()]


def _keras() -> list[Row]:
    from keras.src import applications as zoo

    given: dict[str, Any] = {"weights": None, "classes": CLASSES, "input_shape": (SIZE, SIZE, 3)}
    large = given | {"input_shape": (96, 96, 3)}
    resnet, resnet_v2, nasnet = zoo.resnet, zoo.resnet_v2, zoo.nasnet

    def stack(block: Any) -> Any:
        return lambda x: block(block(x, 8, 1, stride1=1, name="conv2"), 16, 1, name="conv3")

    v1, v2 = stack(resnet.stack_residual_blocks_v1), stack(resnet.stack_residual_blocks_v2)
    assert resnet_v2
    small = {"width_coefficient": 0.1, "depth_coefficient": 0.1, "default_size": SIZE, "name": "small"}
    made: dict[str, Callable[[], keras.Model]] = {
        "ConvNeXt": lambda: zoo.convnext.ConvNeXt((1, 1, 1, 1), (8, 8, 16, 16), name="small", **given),
        "DenseNet": lambda: zoo.densenet.DenseNet([1, 1, 1, 1], name="small", **given),
        "EfficientNet": lambda: zoo.efficientnet.EfficientNet(**small, **given),
        "EfficientNetV2": lambda: zoo.efficientnet_v2.EfficientNetV2(
            **small | {"name": "efficientnetv2-b0"}, **given
        ),
        "InceptionResNetV2": lambda: keras.applications.InceptionResNetV2(**large),
        "InceptionV3": lambda: keras.applications.InceptionV3(**large),
        "MobileNet": lambda: keras.applications.MobileNet(alpha=0.25, **given),
        "MobileNetV2": lambda: keras.applications.MobileNetV2(alpha=0.35, **given),
        "MobileNetV3": lambda: keras.applications.MobileNetV3Small(alpha=0.75, minimalistic=True, **given),
        "MobileNetV3, squeeze and excite": lambda: keras.applications.MobileNetV3Small(alpha=0.75, **given),
        "NASNet": lambda: nasnet.NASNet(
            penultimate_filters=48, num_blocks=1, stem_block_filters=8, skip_reduction=False, **given
        ),
        "ResNet": lambda: resnet.ResNet(v1, False, True, name="small", **given),
        "ResNetV2": lambda: resnet.ResNet(v2, True, True, name="small", **given),
        "VGG": lambda: keras.applications.VGG16(
            include_top=False, pooling="avg", weights=None, input_shape=(SIZE, SIZE, 3)
        ),
        "Xception": lambda: keras.applications.Xception(**large),
    }
    return [Row(name, "keras", build) for name, build in made.items()]


def _hub() -> list[Row]:
    try:
        import keras_hub
    except ImportError:
        return []
    models = keras_hub.models
    text: dict[str, Any] = {
        "vocabulary_size": WORDS,
        "num_layers": 1,
        "num_heads": 2,
        "hidden_dim": 8,
        "intermediate_dim": 16,
        "dropout": 0.0,
    }
    grouped = {name: value for name, value in text.items() if name != "num_heads"} | {
        "num_query_heads": 2,
        "num_key_value_heads": 1,
    }
    seen: dict[str, Any] = {"image_shape": (16, 16, 3)}

    def bert() -> Any:
        return models.BertBackbone(**text, max_sequence_length=LENGTH)

    def distil() -> Any:
        return models.DistilBertBackbone(**text, max_sequence_length=LENGTH)

    def gpt2() -> Any:
        return models.GPT2Backbone(**text, max_sequence_length=LENGTH)

    def gemma() -> Any:
        return models.GemmaBackbone(**grouped, head_dim=4)

    def llama() -> Any:
        return models.LlamaBackbone(**grouped)

    def vit() -> Any:
        return models.ViTBackbone(patch_size=8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, **seen)

    def resnet() -> Any:
        return models.ResNetBackbone(
            input_conv_filters=[8],
            input_conv_kernel_sizes=[3],
            stackwise_num_filters=[8, 16],
            stackwise_num_blocks=[1, 1],
            stackwise_num_strides=[1, 2],
            block_type="basic_block",
            **seen,
        )

    made: dict[str, Callable[[], keras.Model]] = {
        "BertBackbone": bert,
        "BertTextClassifier": lambda: models.BertTextClassifier(bert(), CLASSES, preprocessor=None),
        "DistilBertTextClassifier": lambda: models.DistilBertTextClassifier(
            distil(), CLASSES, preprocessor=None
        ),
        "GPT2Backbone": gpt2,
        "GPT2CausalLM": lambda: models.GPT2CausalLM(gpt2(), preprocessor=None),
        "GemmaBackbone": gemma,
        "GemmaCausalLM": lambda: models.GemmaCausalLM(gemma(), preprocessor=None),
        "LlamaBackbone": llama,
        "LlamaCausalLM": lambda: models.LlamaCausalLM(llama(), preprocessor=None),
        "T5Backbone": lambda: models.T5Backbone(**text),
        "ViTBackbone": vit,
        "ViTImageClassifier": lambda: models.ViTImageClassifier(vit(), CLASSES, preprocessor=None),
        "ResNetBackbone": resnet,
        "ResNetImageClassifier": lambda: models.ResNetImageClassifier(resnet(), CLASSES, preprocessor=None),
        "WhisperBackbone": lambda: models.WhisperBackbone(
            **text, num_mels=8, max_encoder_sequence_length=2 * LENGTH, max_decoder_sequence_length=LENGTH
        ),
    }

    def custom() -> dict[str, Any]:
        from keras.src.saving.object_registration import GLOBAL_CUSTOM_OBJECTS

        own = {name: value for name, value in GLOBAL_CUSTOM_OBJECTS.items() if name.startswith("keras_hub>")}
        return own | {name.partition(">")[2]: value for name, value in own.items()}

    return [Row(name, "keras-hub", build, custom) for name, build in made.items()]
