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
}


def run(path, x):
    """The outputs for the inputs `x`, in batches."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    x = x.astype(DTYPES[given.type])
    return np.concatenate(
        [session.run(None, {given.name: x[n : n + BATCH]})[0] for n in range(0, len(x), BATCH)]
    )


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
    print(
        json.dumps(
            {"runtime": f"onnxruntime {onnxruntime.__version__}", "peak_bytes": max(0, peak() - before)}
        )
    )
