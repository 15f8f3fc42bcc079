"""Run a tf_keras file with tf_keras: `python -I tfmot_file.py FILE.h5 IN.npy OUT.npy`.

Only a file with TFMOT's wrappers also needs TFMOT.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

BATCH = 256


def load(path):
    """The model, and the name and version of the libraries that loaded it."""
    import tf_keras

    runtime = f"tf_keras {tf_keras.__version__}"
    try:
        return tf_keras.models.load_model(path, compile=False), runtime
    except (TypeError, ValueError):  # an unknown class, which can only be one of TFMOT's
        import tensorflow_model_optimization as tfmot

        with tfmot.sparsity.keras.prune_scope():
            model = tf_keras.models.load_model(path, compile=False)
        return model, f"{runtime}, tensorflow-model-optimization {tfmot.__version__}"


def run(model, x):
    """The outputs for the inputs `x`, in batches."""
    made = [model(x[n : n + BATCH], training=False).numpy() for n in range(0, len(x), BATCH)]
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
    import tf_keras  # noqa: F401 - imported before measuring, so that its memory does not count

    before = peak()
    model, runtime = load(sys.argv[1])
    np.save(sys.argv[3], run(model, np.load(sys.argv[2])).astype("float32"))
    print(json.dumps({"runtime": runtime, "peak_bytes": max(0, peak() - before)}))
