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


def given(path):
    """The inputs: one array, or a dict of arrays by name."""
    found = np.load(path)
    return found if isinstance(found, np.ndarray) else dict(found)


def side_by_side(outputs):
    """Several outputs next to each other, `(n, outputs)`."""
    return np.concatenate([np.reshape(one, (len(one), -1)) for one in outputs], axis=1)


def signature_of(path):
    """Which tensor each input and each output is, and the types of the inputs, by the names of the signature."""
    # In an interpreter of its own: the signature keeps references that forbid resizing.
    signature = Interpreter(model_path=path).get_signature_runner()
    inputs, outputs = signature.get_input_details(), signature.get_output_details()
    places, ends = ({name: int(each["index"]) for name, each in found.items()} for found in (inputs, outputs))
    return places, ends, {name: each["dtype"] for name, each in inputs.items()}


def run(path, x):
    """The outputs for the inputs `x`, in batches; the last one may be smaller."""
    interpreter = Interpreter(model_path=path)
    places, ends, dtypes = signature_of(path)
    x = x if isinstance(x, dict) else dict.fromkeys(places, x)
    x = {name: x[name].astype(dtype) for name, dtype in dtypes.items()}
    outputs = []
    for n in range(0, len(next(iter(x.values()))), BATCH):
        for name, array in x.items():
            interpreter.resize_tensor_input(places[name], array[n : n + BATCH].shape)
        interpreter.allocate_tensors()
        for name, array in x.items():
            interpreter.set_tensor(places[name], array[n : n + BATCH])
        interpreter.invoke()
        numbers = sorted(ends, key=lambda name: int(name.rpartition("_")[2]))
        outputs.append(side_by_side([interpreter.get_tensor(ends[name]) for name in numbers]))
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
    np.save(sys.argv[3], run(sys.argv[1], given(sys.argv[2])).astype("float32"))
    print(json.dumps({"runtime": RUNTIME, "peak_bytes": max(0, peak() - before)}))
