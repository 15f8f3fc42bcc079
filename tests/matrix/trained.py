"""Trained models that ship inside packages: pruned to several sparsities without training, exported, compared."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kerastickets as kt
from kerastickets import registry
from kerastickets.models.architecture import custom_classes, faithful_architecture
from kerastickets.models.masking import sparsify
from kerastickets.models.variables import assign, snapshot

SPARSITIES = (0.2, 0.5, 0.8)
EXPORTERS = ("keras", "saved-model", "onnx", "litert", "safetensors")
_COUNT = 40


def models() -> dict[str, Callable[[], tuple[keras.Model, Any]]]:
    """A function for each trained model that is installed; it makes the model and examples of its inputs."""
    found: dict[str, Callable[[], tuple[keras.Model, Any]]] = {}
    try:
        import deepcut  # noqa: F401 - only to know whether it is there
    except ImportError:
        pass
    else:
        found["deepcut"] = _deepcut
    try:
        import mtcnn  # noqa: F401
    except ImportError:
        return found
    return found | {f"mtcnn, {name}": lambda name=name: _mtcnn(name) for name in ("pnet", "rnet", "onet")}  # type: ignore[misc]


def _deepcut() -> tuple[keras.Model, Any]:
    """Thai word segmentation: codes of 21 characters and of their kinds, and the chance that a word begins."""
    import deepcut
    from deepcut.model import get_convo_nn2

    model = get_convo_nn2()
    model.load_weights(Path(deepcut.__file__).parent / "weight" / "cnn_without_ne_ab.h5")
    rng = np.random.default_rng(0)
    return model, [rng.integers(high, size=(_COUNT, 21)) for high in (178, 12)]


def _mtcnn(name: str) -> tuple[keras.Model, Any]:
    """A stage of face detection: images, and boxes, marks of faces and chances of faces."""
    from importlib import import_module

    from mtcnn.utils.tensorflow import load_weights

    kind = getattr(
        import_module(f"mtcnn.network.{name}"), {"pnet": "PNet", "rnet": "RNet", "onet": "ONet"}[name]
    )
    model, size = kind(), {"pnet": 12, "rnet": 24, "onet": 48}[name]
    model.build()
    model.set_weights(load_weights(f"{name}.lz4"))
    x = np.random.default_rng(0).uniform(-1, 1, size=(_COUNT, size, size, 3)).astype("float32")
    model(x[:1])
    return model, x


def tried(name: str) -> list[dict[str, Any]]:
    """Prune a trained model to each sparsity, export each, and compare.

    Returns:
        One row per sparsity: the mean difference of its outputs from the dense model's, relative to their mean size,
        and by exporter the largest difference of the export from the pruned net, or the reason why there is none.
    """
    model, x = models()[name]()
    y = model.predict(x, verbose=0)
    model.compile("sgd", "mse")
    data = kt.data_from((x, y), name=name.split(",")[0])
    weights = snapshot(model)
    custom = custom_classes(model)
    architecture = faithful_architecture(model, custom)
    sparsify(model)
    scores = {key: np.abs(weights[key]) for key in kt.masks_of(model)}
    return [
        _row(model, architecture, weights, scores, sparsity, data, custom, (x, y)) for sparsity in SPARSITIES
    ]


def _row(
    model: keras.Model,
    architecture: Any,
    weights: Any,
    scores: Any,
    sparsity: float,
    data: Any,
    custom: Any,
    pair: Any,
) -> dict[str, Any]:
    x, y = pair
    count = round(sum(score.size for score in scores.values()) * (1 - sparsity))
    masks = kt.cut(scores, count, {key: np.ones(score.shape, bool) for key, score in scores.items()}, "layer")
    pruned = {key: value * masks.get(key, 1) for key, value in weights.items()}
    assign(model, pruned)
    now = model.predict(x, verbose=0)
    pairs = list(zip(keras.tree.flatten(now), keras.tree.flatten(y), strict=True))
    change = max(float(np.abs(one - other).mean() / np.abs(other).mean()) for one, other in pairs)
    ticket = kt.Ticket(architecture, masks, {"init": pruned, "final": pruned}, {"dataset": data.name})
    cells = {exporter: _exported(ticket, exporter, data, custom, model) for exporter in EXPORTERS}
    return {
        "sparsity": sparsity,
        "kept": ticket.kept,
        "total": ticket.total,
        "change": change,
        "cells": cells,
    }


def _exported(ticket: kt.Ticket, exporter: str, data: Any, custom: Any, model: keras.Model) -> str:
    suffix = registry.create("exporters", exporter).suffix
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = kt.export(
                ticket, exporter, Path(folder) / f"net{suffix}", data=data, custom_objects=custom
            )
        except kt.KerasTicketsError as error:
            return " ".join(str(error).split())[:300]
        except Exception as error:  # a fault of ours, or of a library
            return f"FAULT {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return f"{report.max_abs_difference:.1e}"
