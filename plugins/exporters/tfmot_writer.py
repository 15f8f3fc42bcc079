"""Write a model as tf_keras with TensorFlow Model Optimization: `python -I tfmot_writer.py FOLDER OUT OPTIONS`.

FOLDER holds the files that `tfmot_plan.py` wrote. OPTIONS is a JSON object. TFMOT works only with tf_keras,
and importing it switches all of `tf.keras` to tf_keras. Therefore this script runs in a separate process, and
imports TFMOT only inside functions. It prints one JSON object: the facts of the export, or `refused` (pairs
of a layer and the reason why it cannot be converted) and `quantising` (whether that happened while
quantising).
"""

import json
import os
import sys

import numpy as np

# With -I, Python does not search the script's own folder for modules.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from tfmot_build import Builder, RefusedError, give
from tfmot_int8 import quantised, zeros_kept

# The layers in which TFMOT prunes exactly one weight, and the name of that weight.
WEIGHTS = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose"), "kernel"),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), "pointwise_kernel"),
    "Embedding": "embeddings",
}
# A step that is never reached: the masks are given, so TFMOT must never search for its own.
NEVER = 2**30


def converted(plan, arrays):
    """The tf_keras model with TFMOT's wrappers and the plan's masks, and the keys of the weights in these wrappers."""
    from tensorflow_model_optimization.sparsity import keras as sparsity

    wrapped = {}

    def wrap(path, layer):
        name = WEIGHTS.get(type(layer).__name__)
        masks = [each for each in plan["leaves"].get(path, ()) if each["mask"] and each["name"] == name]
        if not masks:
            return layer
        density = float(arrays[masks[0]["mask"]].mean())
        schedule = sparsity.ConstantSparsity(min(1 - density, 0.999999), begin_step=NEVER)
        wrapped[path] = sparsity.prune_low_magnitude(layer, schedule), masks[0]
        return wrapped[path][0]

    builder = Builder(plan["model"], wrap)
    model = builder.model()
    for path, layer in builder.leaves.items():
        give(path, layer, plan["leaves"].get(path, ()), arrays)
    for wrapper, stored in wrapped.values():
        ((_, mask, _),) = wrapper.pruning_vars
        mask.assign(arrays[stored["mask"]].astype("float32"))
    return model, [stored["key"] for _, stored in wrapped.values()]


def main(folder, out, options):
    """Convert the model, write the file, and return the facts."""
    import tf_keras
    from tensorflow_model_optimization.sparsity import keras as sparsity

    with open(os.path.join(folder, "plan.json"), encoding="utf-8") as file:
        plan = json.load(file)
    with np.load(os.path.join(folder, "arrays.npz"), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    model, guarded = converted(plan, arrays)
    masked = [each["key"] for leaf in plan["leaves"].values() for each in leaf if each["mask"]]
    facts = {"tf_keras": tf_keras.__version__, "guarded": guarded}
    facts["unguarded"] = [key for key in masked if key not in guarded]
    if not options["wrapped"]:
        model = sparsity.strip_pruning(model)
    if not options["int8"]:
        model.save(out, save_format="h5", include_optimizer=False)
        return facts
    try:
        content = quantised(model, arrays["x"], options)
    except (ValueError, RuntimeError) as error:
        # TFMOT's message names the layer.
        return {"refused": [(model.name, str(error).strip().splitlines()[0])], "quantising": True}
    with open(out, "wb") as file:
        file.write(content)
    return facts | {"zeros_kept": zeros_kept(content, plan, arrays, guarded)}


if __name__ == "__main__":
    try:
        told = main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    except RefusedError as error:
        told = {"refused": error.args[0], "quantising": False}
    print(json.dumps(told))
