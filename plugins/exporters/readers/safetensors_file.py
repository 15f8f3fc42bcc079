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


def run(path, x):
    """The outputs for the inputs `x`, in batches."""
    about, arrays = read(path)
    model = keras.saving.deserialize_keras_object(about["architecture"])
    model.set_weights([*arrays.values()])
    made = [model(x[n : n + BATCH], training=False) for n in range(0, len(x), BATCH)]
    return np.concatenate([keras.ops.convert_to_numpy(outputs) for outputs in made])


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
    np.save(sys.argv[3], run(sys.argv[1], np.load(sys.argv[2])).astype("float32"))
    print(json.dumps({"runtime": f"keras {keras.__version__}", "peak_bytes": max(0, peak() - before)}))
