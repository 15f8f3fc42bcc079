"""Build a tf_keras model from the config of a Keras 3 model, as written by `tfmot_plan.py`.

`tfmot_writer.py` uses this module.

This module does not import Keras or kerastickets. It imports tf_keras only inside functions.
"""

import inspect

MODELS = ("Functional", "Sequential", "Model")


class RefusedError(Exception):
    """Raised with a list of layers that cannot be converted, each with the reason."""


def plain(config, idle, accepted):
    """A layer's arguments in the form of tf_keras.

    Raises a ValueError that names an argument tf_keras lacks.
    """
    kept = {}
    for name, value in config.items():
        if name.endswith("_initializer") or name == "quantization_config" or name.startswith("lora_"):
            continue
        if name == "dtype" and isinstance(value, dict):
            if value["class_name"] != "DTypePolicy":
                raise ValueError(f"a {value['class_name']}, which tf_keras lacks")
            value = value["config"]["name"]
        if name == "negative_slope" and name not in accepted and "alpha" in accepted:
            name = "alpha"
        if name in accepted:
            kept[name] = part(value)
        elif name not in idle:
            raise ValueError(f"{name}={value!r}, which tf_keras lacks")
    return kept


def part(value):
    """Convert an argument: a nested layer is built.

    Any other object is described as tf_keras describes it.
    """
    if not (isinstance(value, dict) and "class_name" in value):
        return value
    if value.get("module") == "keras.layers":
        return layer_of(value)
    return {"class_name": value["class_name"], "config": value["config"]}


def layer_of(node):
    """Build the tf_keras layer for a Keras 3 layer; raises a ValueError with the reason if there is none."""
    import tf_keras

    found = getattr(tf_keras.layers, node["class_name"], None)
    if node.get("module") != "keras.layers":
        raise ValueError(f"{node.get('module')}.{node['class_name']}, which is no layer of keras.layers")
    if found is None:
        raise ValueError(f"a {node['class_name']}, which tf_keras lacks")
    accepted = {"name", "trainable", "dtype", "activity_regularizer"}
    for base in found.__mro__:
        if base.__module__.startswith("tf_keras") and base is not tf_keras.layers.Layer:
            accepted |= {*inspect.signature(base.__init__).parameters}
    try:
        return found(**plain(node["config"], node.get("idle", ()), accepted - {"self", "args", "kwargs"}))
    except TypeError as error:
        raise ValueError(str(error)) from error


class Builder:
    """Builds a tf_keras model from the config of a Keras 3 model.

    `leaves` maps the path of each layer (names from the model down) to the tf_keras layer that receives its
    weights.

    Args:
        node: the model's class and config.
        wrap: called with the path of a layer and the layer; returns the layer to use.
    """

    def __init__(self, node, wrap):
        self.node, self.wrap, self.leaves = node, wrap, {}
        refused = []
        self._make(node, (), refused)
        if refused:
            raise RefusedError(refused)

    def _make(self, node, prefix, refused):
        for child in node["config"]["layers"]:
            path = (*prefix, child["config"]["name"] if "name" in child["config"] else child["name"])
            if child["class_name"] in MODELS:
                self._make(child, path, refused)
            elif child["class_name"] != "InputLayer":
                try:
                    self.leaves["/".join(path)] = layer_of(child)
                except (ValueError, KeyError) as error:
                    refused.append(("/".join(path), str(error)))

    def model(self):
        """Build the model, with newly drawn weights."""
        return self._model(self.node, ())

    def _model(self, node, prefix):
        make = self._sequential if node["class_name"] == "Sequential" else self._functional
        return make(node["config"], prefix)

    def _layer(self, node, prefix):
        path = (*prefix, node["config"]["name"])
        if node["class_name"] in MODELS:
            return self._model(node, path)
        return self.wrap("/".join(path), self.leaves["/".join(path)])

    def _sequential(self, config, prefix):
        import tf_keras

        model = tf_keras.Sequential(name=config["name"])
        nodes = config["layers"]
        if nodes[0]["class_name"] != "InputLayer":
            model.add(tf_keras.Input(config["build_input_shape"][1:]))
        for node in nodes:
            first = node["class_name"] == "InputLayer"
            model.add(given(node) if first else self._layer(node, prefix))
        return model

    def _functional(self, config, prefix):
        import tf_keras

        nodes = {node["name"]: node for node in config["layers"]}
        layers = {
            name: given(node) if node["class_name"] == "InputLayer" else self._layer(node, prefix)
            for name, node in nodes.items()
        }
        made = {
            (name, 0): [layers[name]] for name, node in nodes.items() if node["class_name"] == "InputLayer"
        }
        waiting = [(name, n) for name, node in nodes.items() for n in range(len(node["inbound_nodes"]))]
        while waiting:
            ready = [each for each in waiting if all(one in made for one in needs(nodes, each))]
            if not ready:
                raise RefusedError([(name, "inputs that nothing gives") for name, _ in waiting])
            for name, n in ready:
                made[name, n] = called(name, layers[name], nodes[name]["inbound_nodes"][n], made)
            waiting = [each for each in waiting if each not in made]
        ends = [ends_of(config[side], made) for side in ("input_layers", "output_layers")]
        return tf_keras.Model(*ends, name=config["name"])


def given(node):
    """The input tensor of an InputLayer."""
    import tf_keras

    config = node["config"]
    return tf_keras.Input(config["batch_shape"][1:], name=config["name"], dtype=config["dtype"])


def tensors(value):
    """All references to tensors in the arguments of a call, as (layer, node, index)."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield tuple(value["config"]["keras_history"])
        else:
            for child in value.values():
                yield from tensors(child)
    elif isinstance(value, list):
        for child in value:
            yield from tensors(child)


def needs(nodes, call):
    """The calls that must be made before this one."""
    name, n = call
    return {(layer, at) for layer, at, _ in tensors(nodes[name]["inbound_nodes"][n])}


def called(name, layer, call, made):
    """Call a layer with the arguments of one recorded call; returns its outputs as a list."""

    def filled(value):
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            source, node, index = value["config"]["keras_history"]
            return made[source, node][index]
        return [filled(child) for child in value] if isinstance(value, list) else value

    # Drop `training`: Keras 3 records it, but the caller decides whether the model trains.
    named = {key: filled(value) for key, value in call["kwargs"].items() if value is not None}
    named.pop("training", None)
    try:
        outputs = layer(*map(filled, call["args"]), **named)
    except (TypeError, ValueError) as error:
        raise RefusedError([(name, f"a call that tf_keras refuses: {str(error).splitlines()[0]}")]) from error
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def ends_of(places, made):
    """The tensors at a model's inputs or outputs; for a single tensor `places` may lack the outer list."""
    if places and isinstance(places[0], str):
        return made[places[0], places[1]][places[2]]
    found = [made[name, node][index] for name, node, index in places]
    return found[0] if len(found) == 1 else found


def give(path, layer, stored, arrays):
    """Copy weights into a layer, matched by name; weights with the same name are matched in order.

    If the names differ, all weights are matched in order.
    """
    own = [(variable.name.split(":")[0].rsplit("/", 1)[-1], variable) for variable in layer.weights]
    theirs = [(each["name"], arrays[each["array"]]) for each in stored]
    names = sorted(name for name, _ in own)
    if names == sorted(name for name, _ in theirs):
        own, theirs = (sorted(side, key=lambda pair: pair[0]) for side in (own, theirs))
    if [tuple(variable.shape) for _, variable in own] != [array.shape for _, array in theirs]:
        raise RefusedError([(path, f"weights {names} of other shapes in tf_keras")])
    for (_, variable), (_, array) in zip(own, theirs, strict=True):
        variable.assign(array)
