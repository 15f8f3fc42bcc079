"""Runs two dense layers with NumPy: `python -I dense.py PATH IN.npy OUT.npy`."""

import json
import os
import sys

import numpy as np


def main():
    path = os.path.join(sys.argv[1], "weights.npz") if os.path.isdir(sys.argv[1]) else sys.argv[1]
    weights = dict(np.load(path))
    for name in [name.removeprefix("at|") for name in weights if name.startswith("at|")]:
        dense = np.zeros(weights[f"shape|{name}"], "float32")
        dense.ravel()[weights[f"at|{name}"]] = weights[name]
        weights[name] = dense
    x = np.load(sys.argv[2]) * weights["factor"]
    hidden = np.maximum(x.reshape(len(x), -1) @ weights["dense|kernel"] + weights["dense|bias"], 0)
    np.save(sys.argv[3], hidden @ weights["dense_1|kernel"] + weights["dense_1|bias"])
    told = {
        "isolated": sys.flags.isolated,
        "loaded": sorted({"kerastickets", "keras", "tensorflow"} & set(sys.modules)),
        "folder": os.getcwd(),
        "backend": os.environ["KERAS_BACKEND"] + os.environ["TF_CPP_MIN_LOG_LEVEL"],
    }
    print("a line before")
    print(json.dumps({"runtime": json.dumps(told), "peak_bytes": 123}))


if __name__ == "__main__":
    main()
