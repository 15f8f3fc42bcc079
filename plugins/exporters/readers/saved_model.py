"""Run a SavedModel with TensorFlow alone: `python -I saved_model.py FOLDER IN.npy OUT.npy`."""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

BATCH = 256


def run(path, x):
    """The outputs for the inputs `x`, in batches."""
    serve = tf.saved_model.load(path).signatures["serving_default"]
    ((name, spec),) = serve.structured_input_signature[1].items()
    x = x.astype(spec.dtype.as_numpy_dtype)
    made = [serve(**{name: tf.constant(x[n : n + BATCH])}) for n in range(0, len(x), BATCH)]
    return np.concatenate([outputs["output_0"].numpy() for outputs in made])


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
    np.save(sys.argv[3], run(sys.argv[1], np.load(sys.argv[2])).astype("float32"))
    print(json.dumps({"runtime": f"tensorflow {tf.__version__}", "peak_bytes": max(0, peak() - before)}))
