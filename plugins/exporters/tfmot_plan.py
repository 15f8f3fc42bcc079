"""Write a Keras 3 model as JSON and arrays, from which `tfmot_writer.py` builds a tf_keras model in another process."""

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets.plugin import ExportError, Ticket
from kerastickets_plugins.exporters.plain import plain_copy

if TYPE_CHECKING:
    import keras

_MODELS = ("Functional", "Sequential", "Model")


def write_plan(model: "keras.Model", ticket: Ticket, folder: Path, x: np.ndarray | None = None) -> None:
    """Write `plan.json` and `arrays.npz`.

    The plan has two entries. `model` is the config; each layer in it also has `idle`, a list of the arguments
    that have Keras's default values. `leaves` maps the path of each layer to its weights: `name`, `key`, and
    the names of the weight and its mask in the arrays.

    Args:
        model: a model of Keras's own layers, Sequential or Functional.
        ticket: gives the masks for weights of the model with the same key and shape. For other weights of
            rank above 1, as after compaction, the zeros are masked.
        folder: an empty folder.
        x: inputs to fine-tune on if the model will be quantised, else None.

    Raises:
        ExportError: the model has layers that are not from keras.layers, or `x` is given and the model
            contains other models; the message names all of these layers.
        KerasTicketsError: Keras alone cannot build the model.

    Example:
        >>> import tempfile
        >>> from kerastickets.testing import toy_ticket
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_plan(toy_ticket().build(), toy_ticket(), folder)
        >>> [each["key"] for each in json.loads((folder / "plan.json").read_text())["leaves"]["dense"]]
        ['dense/kernel', 'dense/bias']
    """
    copy, node = plain_copy(model)
    node["config"] = json.loads(json.dumps(copy.get_config()))
    if node["class_name"] not in _MODELS:
        raise refused([(copy.name, f"a {node['class_name']}, which is no Sequential or Functional model")])
    if foreign := [*_foreign(node, ())]:
        raise refused(foreign)
    if x is not None and (nested := [*_nested(node)]):
        raise refused(nested, quantising=True)
    arrays = {} if x is None else {"x": x}
    leaves = {path: _weights(layer, ticket, _keys(copy), arrays) for path, layer in _leaves(copy)}
    _mark_idle(node)
    plan = {"model": node, "leaves": {path: stored for path, stored in leaves.items() if stored}}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    np.savez(folder / "arrays.npz", **arrays)


def refused(layers: list[tuple[str, str]], quantising: bool = False) -> ExportError:
    """The error that lists the layers that tf_keras lacks or that TFMOT cannot quantise.

    Args:
        layers: for each layer its path and the reason.
        quantising: whether the layers were refused by TFMOT's quantisation.

    Example:
        >>> print(refused([("add", "keras.src.ops.numpy.Add, which is no layer of keras.layers")]))
        TFMOT takes layers of tf_keras only. Received: layer 'add': keras.src.ops.numpy.Add, which is no layer ...
    """
    listed = "; ".join(f"layer '{path}': {why.removesuffix('.')}" for path, why in layers)
    if quantising:
        return ExportError(
            f"TFMOT must be able to quantise every layer. Received: {listed}. Export it as litert with int8=true."
        )
    return ExportError(
        f"TFMOT takes layers of tf_keras only. Received: {listed}. Build the model from other layers, such as "
        "keras.layers.Add instead of +, or export it as litert or saved-model."
    )


def _nested(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for child in node["config"]["layers"]:
        if child["class_name"] in _MODELS:
            yield child["config"]["name"], "a model inside the model"


def _foreign(node: Mapping[str, Any], prefix: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The parts of the graph that are not layers from keras.layers, such as the operation of `x + y`."""
    for child in node["config"]["layers"]:
        path = (*prefix, child.get("name") or child["config"].get("name", child["class_name"]))
        if child["class_name"] in _MODELS:
            yield from _foreign(child, path)
        elif child["module"] != "keras.layers":
            yield (
                "/".join(path),
                f"{child['module']}.{child['class_name']}, which is no layer of keras.layers",
            )


def _leaves(model: "keras.Model", prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, "keras.Layer"]]:
    """Every layer that is not itself a model, with its path of names."""
    import keras

    for layer in model.layers:
        path = (*prefix, layer.name)
        if isinstance(layer, keras.Model):
            yield from _leaves(layer, path)
        else:
            yield "/".join(path), layer


def _keys(model: "keras.Model") -> dict[int, str]:
    from kerastickets.plugin import variables

    return {id(variable): key for key, variable in variables(model).items()}


def _weights(
    layer: "keras.Layer", ticket: Ticket, keys: Mapping[int, str], arrays: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """The plan's entries for a layer's weights; their values are added to `arrays`."""
    stored = []
    for variable in layer.weights:
        value = np.asarray(variable)
        value = value if value.dtype.kind in "biuf" else value.astype("float32")  # NumPy has no bfloat16
        key, number = keys[id(variable)], len(arrays)
        mask = ticket.masks.get(key)
        if mask is None or mask.shape != value.shape:
            mask = value != 0 if value.ndim > 1 and not value.all() else None
        stored.append({"name": variable.name, "key": key, "array": f"{number}", "mask": None})
        arrays[f"{number}"] = value
        if mask is not None:
            stored[-1]["mask"], arrays[f"{number} mask"] = f"{number} mask", mask
    return stored


def _mark_idle(node: Any) -> None:
    """List in every layer the arguments that have Keras's default values; tf_keras may ignore unknown ones of these."""
    import keras

    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _mark_idle(child)
    if not (isinstance(node, dict) and node.get("module") == "keras.layers"):
        return
    signature = inspect.signature(getattr(keras.layers, node["class_name"]).__init__)
    defaults = {name: each.default for name, each in signature.parameters.items()}
    config = node["config"]
    node["idle"] = [name for name, value in config.items() if value is None or defaults.get(name) == value]
