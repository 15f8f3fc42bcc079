"""Sizes on disk of one net: dense, pruned, quantised by Keras, and both, as `.keras` files and compressed by gzip.

LeNet-300-100 on MNIST is trained for 3 epochs by Keras's `fit`. One copy is cut to 20 % of its weights by `cut_model`
and trained 2 epochs more. Every copy is quantised by Keras's own `quantize`. Beside the sizes stand the accuracy on
test data and the pruned weights that are not zero afterwards, of which there must be none.
"""

import tempfile
from pathlib import Path
from typing import Any

import keras
from _harness import parser, settings, write

import kerastickets as kt
from kerastickets.data.spec import data_of
from kerastickets.exporting.report import gzip_size

MODES = (None, "int8", "int4")


def trained(data: Any, widths: tuple[int, int], epochs: int) -> keras.Model:
    """A dense net of two hidden layers, trained by `fit`."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(width, activation="relu") for width in widths]
    last = keras.layers.Dense(data.outputs)
    model = keras.Sequential([keras.Input(data.input_shape), keras.layers.Flatten(), *hidden, last])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(*data.train, batch_size=60, epochs=epochs, verbose=0)
    return model


def measured(model: keras.Model, masks: Any, mode: str | None, data: Any) -> dict[str, float]:
    """The sizes, the accuracy and the lost zeros of a copy of `model`, quantised if `mode` says so."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    if mode:
        copy.quantize(mode)
    copy.compile(metrics=["accuracy"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.keras")
        copy.save(path)
        sizes = {"bytes": path.stat().st_size, "bytes_gzip": gzip_size(path)}
    accuracy = copy.evaluate(*data.test, batch_size=1000, verbose=0, return_dict=True)["accuracy"]
    return {
        **sizes,
        "accuracy": round(float(accuracy), 4),
        "lost_zeros": sum(kt.lost_zeros(copy, masks).values()),
    }


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__)
    made.add_argument("--dataset", default="mnist", help="images to train on")
    made.add_argument("--widths", type=int, nargs=2, default=(300, 100), help="units of the hidden layers")
    given = settings(made, dataset="digits", widths=(16, 8))
    data = data_of(given.dataset)
    model = trained(data, tuple(given.widths), 3)
    rows = {mode or "dense": measured(model, {}, mode, data) for mode in MODES}
    kt.cut_model(model, 0.8)
    model.fit(*data.train, batch_size=60, epochs=2, verbose=0)
    masks = kt.masks_of(model)
    kt.strip(model)
    rows |= {"pruned" + (f" {mode}" if mode else ""): measured(model, masks, mode, data) for mode in MODES}
    print(f"{'':12}  .keras KiB  gzip KiB  accuracy  lost zeros")
    for name, row in rows.items():
        sizes = f"{row['bytes'] / 1024:10.1f}  {row['bytes_gzip'] / 1024:8.1f}"
        print(f"{name:12}  {sizes}  {row['accuracy']:8.2%}  {row['lost_zeros']:10}")
    write("quantised", {"dataset": given.dataset, "sparsity": 0.8, "rows": rows}, folder=given.results)


if __name__ == "__main__":
    main()
