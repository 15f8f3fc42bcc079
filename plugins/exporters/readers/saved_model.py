"""Run a SavedModel with TensorFlow alone: `python -I saved_model.py FOLDER IN.npy OUT.npy`."""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

BATCH = 256


def given(path):
    """The inputs: one array, or a dict of arrays by name."""
    found = np.load(path)
    return found if isinstance(found, np.ndarray) else dict(found)


def side_by_side(outputs):
    """Several outputs next to each other, `(n, outputs)`."""
    return np.concatenate([np.reshape(one, (len(one), -1)) for one in outputs], axis=1)


def in_order(outputs):
    """The outputs by their numbers: output_0, output_1, ..."""
    return [outputs[name] for name in sorted(outputs, key=lambda name: int(name.rpartition("_")[2]))]


def run(path, x):
    """The outputs for the inputs `x`, in batches."""
    serve = tf.saved_model.load(path).signatures["serving_default"]
    specs = serve.structured_input_signature[1]
    x = x if isinstance(x, dict) else dict.fromkeys(specs, x)
    x = {name: x[name].astype(spec.dtype.as_numpy_dtype) for name, spec in specs.items()}
    made = []
    for n in range(0, len(next(iter(x.values()))), BATCH):
        outputs = serve(**{name: tf.constant(array[n : n + BATCH]) for name, array in x.items()})
        made.append(side_by_side([one.numpy() for one in in_order(outputs)]))
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
    before = peak()
    np.save(sys.argv[3], run(sys.argv[1], given(sys.argv[2])).astype("float32"))
    print(json.dumps({"runtime": f"tensorflow {tf.__version__}", "peak_bytes": max(0, peak() - before)}))
