"""Does `kt shrink` keep what it promises? Ten splits of CIFAR-10, and examples that the command never saw.

For each split a small convolutional net is trained by a plain `fit` and saved. One command looks for the smallest
ticket whose accuracy drops by at most `--max-drop` points with 95 % confidence, judged on 5 000 validation examples,
and exports it as ONNX. Then the net and the ticket answer 20 000 further examples. The drop there has an error of its
own, about 0.25 points, so that the drop is also counted where it is within the goal by more than its standard error.
Also measured: whether level 0 is what `model.evaluate` says, and how far the ONNX file is from the ticket on raw rows,
read by a process that knows nothing of this library.

The command sees 25 000 training, 5 000 validation and 5 000 test examples in an `npz` file.
"""

import itertools
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _harness import parser, settings, write

TINY = {"splits": 1, "examples": 1200, "epochs": 1, "train": "1ep", "dataset": "digits", "max_drop": 30.0}
FILES = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test")

# A stranger's script: it reads the export and raw rows.
STRANGER = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
x = np.load(sys.argv[2])
np.save(sys.argv[3], session.run(None, {session.get_inputs()[0].name: x})[0])
assert not [name for name in sys.modules if name.startswith("kerastickets")]
"""


def images(dataset: str) -> tuple[Any, Any]:
    """All images of a data set from 0 to 1, and their classes."""
    import numpy as np

    from kerastickets.data.spec import data_of

    data = data_of(dataset)
    mean, std = data.scaling or (0.0, 1.0)
    x = np.concatenate([split[0] for split in (data.train, data.validation, data.test)]) * std + mean
    y = np.concatenate([split[1] for split in (data.train, data.validation, data.test)])
    return (x / x.max()).astype("float32"), y


def trained(x: Any, y: Any, seed: int, epochs: int) -> Any:
    """A net that a plain `fit` trained."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = [keras.Input(x.shape[1:])]
    for width in (16, 32, 32):
        layers.append(keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu"))
    layers += [keras.layers.Flatten(), keras.layers.Dense(64, "relu"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


def one_split(x: Any, y: Any, seed: int, chosen: Any, folder: Path) -> dict[str, Any]:
    """Train, shrink by the command, and measure on examples that it never saw."""
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(x))[: chosen.examples]
    # Of 11 parts: 5 train, 1 validation, 1 test, and 4 that the command never sees.
    ends = [len(order) * n // 11 for n in (0, 5, 6, 7, 11)]
    parts = [order[a:b] for a, b in itertools.pairwise(ends)]
    model = trained(x[parts[0]], y[parts[0]], seed, chosen.epochs)
    model.save(folder / "net.keras")
    arrays = [array[part] for part in parts[:3] for array in (x, y)]
    np.savez(folder / "data.npz", **dict(zip(FILES, arrays, strict=True)))
    command = [
        "shrink",
        "net.keras",
        "--dataset",
        "npz:data.npz,standardise=no",
        "--max-drop",
        str(chosen.max_drop),
    ]
    command += ["--train", chosen.train, "--export", "onnx", "--out", "out", "--batch-size", "64", "--json"]
    kt = [str(Path(sys.executable).with_name("kt")), *command]
    done = subprocess.run(kt, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    facts = json.loads(done.stdout)
    unseen = x[parts[3]]
    np.save(folder / "raw.npy", unseen[:1000])
    stranger = [sys.executable, "-I", "-c", STRANGER, "out/model.onnx", "raw.npy", "read.npy"]
    subprocess.run(stranger, cwd=folder, check=True)
    small = ticket_net(folder / "out" / "ticket.safetensors")
    given, found = (net.predict(unseen, batch_size=1000, verbose=0) for net in (model, small))
    lost = (given.argmax(1) == y[parts[3]]).astype(int) - (found.argmax(1) == y[parts[3]])
    level_0 = facts["tried"][0]["value"]
    return {
        "density": facts["chosen"]["density"],
        "bound": facts["chosen"]["drop_bound"],
        "drop on unseen": 100 * float(lost.mean()),
        "standard error": 100 * float(lost.std() / math.sqrt(len(lost))),
        "accuracy": float((given.argmax(1) == y[parts[3]]).mean()),
        "level 0 minus evaluate": level_0 - model.evaluate(x[parts[1]], y[parts[1]], verbose=0)[1],
        "onnx difference": float(np.abs(np.load(folder / "read.npy") - found[:1000]).max()),
        "tries": len(facts["tried"]),
    }


def ticket_net(path: Path) -> Any:
    """The trained net of a ticket."""
    from kerastickets.models.trained_model import trained_model
    from kerastickets.tickets.ticket import Ticket

    return trained_model(Ticket.load(path))


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--splits", type=int, default=10, help="how many splits")
    made.add_argument("--dataset", default="cifar10", help="where the images come from")
    made.add_argument("--examples", type=int, default=55_000, help="how many examples of it")
    made.add_argument("--epochs", type=int, default=6, help="how long the given net is trained")
    made.add_argument("--train", default="1ep", help="how long each level is fine-tuned")
    made.add_argument("--max-drop", type=float, default=2.0, help="the asked drop in points")
    chosen = settings(made, **TINY)
    x, y = images(chosen.dataset)
    rows = []
    for seed in range(chosen.splits):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row := one_split(x, y, seed, chosen, Path(folder)))
        print(
            f"split {seed}: {row['density']:.1%} of the weights, drop on unseen examples "
            f"{row['drop on unseen']:.2f} points (± {row['standard error']:.2f}), bound {row['bound']:.2f}",
            flush=True,
        )
    kept = sum(row["drop on unseen"] <= chosen.max_drop for row in rows)
    print(
        f"The drop of at most {chosen.max_drop:g} points was kept in {kept} of {len(rows)} splits. Level 0 "
        "differs from evaluate by at most "
        f"{max(abs(row['level 0 minus evaluate']) for row in rows):.1e}, the ONNX file from the ticket by at most "
        f"{max(row['onnx difference'] for row in rows):.1e}."
    )
    facts = {"asked": chosen.max_drop, "kept": kept, "splits": rows}
    write("tolerance", facts, ("kerastickets", "keras", "tensorflow", "onnxruntime"), folder=chosen.results)


if __name__ == "__main__":
    main()
