"""Run a .keras file with Keras alone: `python -I keras_file.py FILE.keras IN.npy OUT.npy`."""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

BATCH = 256


def run(path, x):
    """The outputs for the inputs `x`, in batches."""
    model = keras.saving.load_model(path, compile=False)
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
    before = peak()
    np.save(sys.argv[3], run(sys.argv[1], np.load(sys.argv[2])).astype("float32"))
    print(json.dumps({"runtime": f"keras {keras.__version__}", "peak_bytes": max(0, peak() - before)}))
