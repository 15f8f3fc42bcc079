"""The kerastickets side of the race: its trainer, as `kt prune` uses it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.foundations.duration import Duration
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import snapshot
from kerastickets.training.recipe import Recipe
from kerastickets.training.trainer import Trainer
from kerastickets_cli.race.nets import Net
from kerastickets_cli.race.side import serve


def build(net: Net) -> keras.Model:
    """The net as a Keras model."""
    layers = [keras.Input(net.inputs)]
    if net.conv:
        layers += [keras.layers.Conv2D(64, 3, padding="same", activation="relu") for _ in range(2)]
        layers += [keras.layers.MaxPooling2D(), keras.layers.Flatten()]
    layers += [keras.layers.Dense(width, activation="relu") for width in net.widths[:-1]]
    return keras.Sequential([*layers, keras.layers.Dense(net.widths[-1])])


def prepare(net: Net, variant: str) -> Callable[[int, int], Any]:
    """A function that trains steps `first` to `first + count`."""
    x, y = net.data()
    few = (x[: net.batch * 2], y[: net.batch * 2])
    data = Data(net.name, (x, y), few, few, CROSS_ENTROPY, ("accuracy",), classes=net.widths[-1])
    model = build(net)
    rng = np.random.default_rng(1)
    masks = {entry.key: rng.random(entry.shape) < 0.5 for entry in weight_reports(model) if entry.masked}
    recipe = Recipe(batch_size=net.batch, lr=net.lr, epsilon=1e-8, train=Duration(10**9, "it"))
    trainer = Trainer(lambda: build(net), data, recipe, masks)
    trainer.load(snapshot(model), masks, seed=0)
    return lambda first, count: trainer.engine.train(0, first, count)


if __name__ == "__main__":
    serve(prepare)
