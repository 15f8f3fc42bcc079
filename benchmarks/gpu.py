"""Training steps per second on the device that TensorFlow chooses, a GPU where there is one, with and without XLA.

LeNet-300-100 on images of MNIST's size and Conv-2 on images of CIFAR-10's size, all of them noise: only time counts.
Needs no data set and no peer. `make gpu-check` runs it.
"""

import statistics
import time
from typing import Any

from _harness import parser, settings, write
from _training import compiled

#: Model, shape of an image, number of training images, batch size.
NETS = {
    "lenet-300-100": ("lenet-300-100", (28, 28, 1), 55_000, 60),
    "conv-2": ("conv-2", (32, 32, 3), 45_000, 60),
}


def noise(shape: tuple[int, ...], count: int) -> Any:
    """A data set of noise: `count` images of `shape` with ten classes."""
    import numpy as np

    import kerastickets as kt

    rng = np.random.default_rng(0)
    splits = [
        (rng.normal(size=(size, *shape)).astype("float32"), (np.arange(size) % 10).astype("int64"))
        for size in (count, 1000, 1000)
    ]
    return kt.Data("noise", *splits, kt.CROSS_ENTROPY, ("accuracy",), classes=10)


def measure(name: str, jit: str, steps: int, repeats: int, count: int | None) -> dict[str, Any]:
    """Steps per second of one net: the median and the extremes of some rounds."""
    model, shape, images, batch = NETS[name]
    trainer, _ = compiled(
        model, noise(shape, count or images), range(1), train="2it", batch_size=batch, jit=jit
    )
    trainer.engine.train(0, 0, steps)
    rates = []
    for _ in range(repeats):
        started = time.perf_counter()
        trainer.engine.train(0, 0, steps)
        rates.append(steps / (time.perf_counter() - started))
    return {"per_second": statistics.median(rates), "least": min(rates), "most": max(rates)}


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__, repeats=5)
    made.add_argument("--net", choices=sorted(NETS), action="append", help="only these")
    made.add_argument("--steps", type=int, default=2000, help="steps of one measurement")
    made.add_argument("--images", type=int, help="training images; each net's own")
    args = settings(made, repeats=1, steps=5, images=600, net=["lenet-300-100"])
    import tensorflow as tf

    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    device = gpus[0].get("device_name", "GPU") if gpus else "CPU"
    print(f"device: {device}")
    facts: dict[str, Any] = {"device": device, "batch": 60, "steps": args.steps, "nets": {}}
    for name in args.net or NETS:
        for jit in ("on", "off"):
            if jit == "on" and not gpus and name == "conv-2":
                continue  # XLA's convolutions on a CPU take a hundred times as long
            row = measure(name, jit, args.steps, args.repeats, args.images)
            facts["nets"][f"{name}, XLA {jit}"] = row
            print(
                f"{name}, XLA {jit}: {row['per_second']:.0f} ({row['least']:.0f} to {row['most']:.0f}) steps per second"
            )
    write("gpu", facts, packages=("kerastickets", "tensorflow", "keras"), folder=args.results)


if __name__ == "__main__":
    main()
