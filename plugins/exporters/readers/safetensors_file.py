"""Run a safetensors export with safetensors, NumPy and Keras: `python -I safetensors_file.py FILE IN.npy OUT.npy`.

The function `read` needs no Keras and is a complete reader of the format.
"""

import json
import os
import sys

import numpy as np
from safetensors import safe_open


def read(path):
    """The file's metadata, and every weight as a dense array by key, in the model's order."""
    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["kerastickets"])
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    arrays = {}
    for key, shape, encoding in ((each["key"], each["shape"], each["encoding"]) for each in about["weights"]):
        if encoding == "dense":
            arrays[key] = stored[key]
            continue
        values, at = stored[f"{key}:values"], stored[f"{key}:{encoding}"]
        at = np.flatnonzero(np.unpackbits(at)) if encoding == "mask" else np.cumsum(at, dtype=int)
        flat = np.zeros(np.prod(shape, dtype=int), values.dtype)
        flat[at] = values
        arrays[key] = flat.reshape(shape)
    return about, arrays


BATCH = 256


def given(path):
    """The inputs: one array, or a dict of arrays by name."""
    found = np.load(path)
    return found if isinstance(found, np.ndarray) else dict(found)


def side_by_side(outputs):
    """Several outputs next to each other, `(n, outputs)`."""
    return np.concatenate([np.reshape(one, (len(one), -1)) for one in outputs], axis=1)


def run(path, x):
    """The outputs for the inputs `x`, in batches."""
    about, arrays = read(path)
    model = keras.saving.deserialize_keras_object(about["architecture"])
    model.set_weights([*arrays.values()])
    for layer in model._flatten_layers():
        if layer.weights and hasattr(layer, "finalize_state"):
            layer.finalize_state()  # as Normalization, which computes with numbers made of its weights
    several = isinstance(x, dict)
    # Several inputs in the order of the model's own.
    arrays = [x[tensor._keras_history.operation.name] for tensor in model.inputs] if several else [x]
    made = []
    for n in range(0, len(arrays[0]), BATCH):
        part = [array[n : n + BATCH] for array in arrays]
        whole = keras.tree.pack_sequence_as(model._inputs_struct, part) if several else part[0]
        outputs = keras.tree.flatten(model(whole, training=False))
        made.append(side_by_side([keras.ops.convert_to_numpy(one) for one in outputs]))
    return np.concatenate(made)


def peak():
    """The peak memory of this process so far, in bytes."""
    try:  # not ru_maxrss: on Linux it includes the memory of the process that started this one
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    before = peak()
    np.save(sys.argv[3], run(sys.argv[1], given(sys.argv[2])).astype("float32"))
    print(json.dumps({"runtime": f"keras {keras.__version__}", "peak_bytes": max(0, peak() - before)}))
