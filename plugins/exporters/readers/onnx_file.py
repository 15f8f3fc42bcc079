"""Run an ONNX file with ONNX Runtime alone: `python -I onnx_file.py FILE.onnx IN.npy OUT.npy`."""

import json
import sys

import numpy as np
import onnxruntime

BATCH = 256
DTYPES = {
    "tensor(float)": "float32",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    "tensor(float16)": "float16",
}


def given(path):
    """The inputs: one array, or a dict of arrays by name."""
    found = np.load(path)
    return found if isinstance(found, np.ndarray) else dict(found)


def side_by_side(outputs):
    """Several outputs next to each other, `(n, outputs)`."""
    return np.concatenate([np.reshape(one, (len(one), -1)) for one in outputs], axis=1)


def run(path, x):
    """The outputs for the inputs `x`, in batches."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = x if isinstance(x, dict) else {one.name: x for one in session.get_inputs()}
    x = {one.name: x[one.name].astype(DTYPES[one.type]) for one in session.get_inputs()}
    made = []
    for n in range(0, len(next(iter(x.values()))), BATCH):
        outputs = session.run(None, {name: array[n : n + BATCH] for name, array in x.items()})
        made.append(side_by_side(outputs))
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
    print(
        json.dumps(
            {"runtime": f"onnxruntime {onnxruntime.__version__}", "peak_bytes": max(0, peak() - before)}
        )
    )
