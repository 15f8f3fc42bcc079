"""Run a LiteRT file with LiteRT alone: `python -I litert.py FILE.tflite IN.npy OUT.npy`."""

import importlib.metadata
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

try:
    from ai_edge_litert.interpreter import Interpreter

    RUNTIME = f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"
except ImportError:  # TensorFlow contains the same interpreter
    import tensorflow as tf

    Interpreter, RUNTIME = tf.lite.Interpreter, f"tensorflow {tf.__version__}"

BATCH = 256


def run(path, x):
    """The outputs for the inputs `x`, in batches; the last one may be smaller."""
    interpreter = Interpreter(model_path=path)
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    x, outputs = x.astype(given["dtype"]), []
    for part in (x[n : n + BATCH] for n in range(0, len(x), BATCH)):
        interpreter.resize_tensor_input(given["index"], part.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], part)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(made["index"]))
    return np.concatenate(outputs)


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
    print(json.dumps({"runtime": RUNTIME, "peak_bytes": max(0, peak() - before)}))
