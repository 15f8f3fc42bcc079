"""TFMOT's side of `tfmot.py`, in a process of its own: `python -I _tfmot_side.py FOLDER`.

As TFMOT's guide "Pruning in Keras" has it: `prune_low_magnitude` under `PolynomialDecay`, `UpdatePruningStep`,
`strip_pruning`, and the stripped model saved without its optimizer, as H5 and as LiteRT.
"""

import json
import os
import sys
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


def lenet(weights, shape):
    """LeNet-300-100 for images of one shape, with the given weights, in order of creation."""
    import tf_keras

    dense = tf_keras.layers.Dense
    body = [dense(300, "relu"), dense(100, "relu"), dense(10)]
    model = tf_keras.Sequential([tf_keras.Input(shape), tf_keras.layers.Flatten(), *body])
    model.set_weights(weights)
    return model


def pruned(data, weights, job):
    """Train and prune one net; the stripped model and the seconds of its `fit`."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    tf_keras.utils.set_random_seed(job["seed"])
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        0.0, job["sparsity"], job["begin"], job["end"], power=3, frequency=job["every"]
    )
    model = tfmot.sparsity.keras.prune_low_magnitude(
        lenet(weights, data["x"].shape[1:]), pruning_schedule=schedule
    )
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.Adam(job["lr"], epsilon=job["epsilon"]), loss)
    started = time.perf_counter()
    model.fit(
        data["x"],
        data["y"],
        batch_size=job["batch_size"],
        epochs=job["epochs"],
        verbose=0,
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
    )
    seconds = time.perf_counter() - started
    return tfmot.sparsity.keras.strip_pruning(model), seconds


def accuracy(model, x, y):
    """The share of right answers."""
    return float((model.predict(x, batch_size=1000, verbose=0).argmax(1) == y).mean())


def main(folder):
    """Every job of `jobs.json`, its files named after its number."""
    import tensorflow as tf

    with open(os.path.join(folder, "jobs.json"), encoding="utf-8") as file:
        jobs = json.load(file)
    data = dict(np.load(os.path.join(folder, "data.npz")))
    told = []
    for number, job in enumerate(jobs):
        initial = np.load(os.path.join(folder, f"init-{job['seed']}.npz"))
        model, seconds = pruned(data, [initial[name] for name in initial.files], job)
        place = os.path.join(folder, str(number))
        model.save(f"{place}.h5", save_format="h5", include_optimizer=False)
        with open(f"{place}.tflite", "wb") as file:
            file.write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        kernels = [each for each in model.get_weights() if each.ndim > 1]
        told.append(
            {
                "accuracy": accuracy(model, data["test_x"], data["test_y"]),
                "val_accuracy": accuracy(model, data["val_x"], data["val_y"]),
                "zeros": sum(int((each == 0).sum()) for each in kernels),
                "weights": sum(each.size for each in kernels),
                "seconds": seconds,
            }
        )
        print(f"job {number} of {len(jobs)}", file=sys.stderr)
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
