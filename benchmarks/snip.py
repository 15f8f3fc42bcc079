"""Scoring by SNIP, against one plain forward-backward pass over the same batch: within 1.5 times.

Both run eagerly, as scoring does: once per level, where compiling would cost more than it saves.
"""

import os
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _harness import interleaved, parser, settings, spread, summary, table, timed, write

from kerastickets import registry
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import snapshot
from kerastickets.pruning.scoring import Batches, Scoring
from kerastickets_cli.race.keras_side import build
from kerastickets_cli.race.nets import NETS, Net

PLAIN = "forward and backward"


def sides(net: Net) -> dict[str, Callable[[], float]]:
    """The two contestants for one net."""
    x, y = net.data()
    model = build(net)
    masks = {entry.key: np.ones(entry.shape, bool) for entry in weight_reports(model) if entry.masked}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    scoring = Scoring(model, masks, snapshot(model), None, Batches((x, y), net.batch, 0, 0), loss, 0)
    snip = registry.create("criteria", "snip")
    batch = tuple(tf.constant(array[: net.batch]) for array in (x, y))

    def plain() -> None:
        with tf.GradientTape() as tape:
            value = loss(batch[1], model(batch[0], training=True))
        [gradient.numpy() for gradient in tape.gradient(value, model.trainable_variables)]

    return {PLAIN: lambda: timed(plain), "SNIP": lambda: timed(lambda: snip(scoring))}


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__, repeats=15)
    made.add_argument("--examples", type=int, help="in memory, to draw the batch from; each net's own")
    args = settings(made, repeats=1, examples=120)
    results = {}
    for name in ("lenet-300-100", "conv-2"):
        net = NETS[name] if args.examples is None else replace(NETS[name], examples=args.examples)
        measured = interleaved(sides(net), args.repeats)
        facts = summary(measured, against=PLAIN)
        print(f"{name}\n{table(facts, against=PLAIN)}")
        print(f"  SNIP takes {spread(measured['SNIP'], measured[PLAIN])} as long")
        ratio = facts["SNIP"]["ratio"]
        results[name] = {"seconds": facts, "goal": 1.5, "measured": ratio, "met": ratio <= 1.5}
    write(
        "snip",
        {"repeats": args.repeats, "nets": results},
        packages=("kerastickets", "tensorflow", "keras"),
        folder=args.results,
    )


if __name__ == "__main__":
    main()
