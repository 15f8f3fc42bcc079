"""Small tickets, scorings and data sets for examples and tests; all use 8x8 images and ten outputs."""

import functools
from collections.abc import Callable

import keras
import numpy as np

from kerastickets.cutting.cut_scores import cut, ones
from kerastickets.data.dataset import CROSS_ENTROPY, Data, Split, Task, task_cross_entropy
from kerastickets.foundations.duration import Duration
from kerastickets.foundations.tree import Tree, frozen, generator, masked, total
from kerastickets.models.architecture import faithful_architecture
from kerastickets.models.initial_weights import fresh
from kerastickets.models.masking import sparsify
from kerastickets.models.prunable_weights import weight_reports
from kerastickets.models.variables import assign, snapshot
from kerastickets.pruning.scoring import Batches, Scoring
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.recipe import Recipe


@functools.cache
def toy_ticket(seed: int = 0) -> Ticket:
    """A ticket of a 64-6-10 net for the data set `digits` that keeps half of its 444 weights; cached.

    It has the snapshots `init`, `rewind@3` and `final`, and enough provenance for `train` and `evaluate`.

    Args:
        seed: random seed of the mask and of the `final` weights. All seeds share the same initial weights.

    Example:
        >>> toy_ticket()
        <Ticket: 222 of 444 weights kept (50.00%), init rewind@3 final>
        >>> sorted(toy_ticket().masks)
        ['dense/kernel', 'dense_1/kernel']
    """
    model = fresh(_dense_net, 0)
    masks, init = _masks(model, 0.5, seed), snapshot(model)
    snapshots = {"init": init, "rewind@3": _moved(init, 3), "final": masked(_moved(init, 60, seed), masks)}
    provenance = {
        "operation": "prune",
        "criterion": "random",
        "options": {},
        "level": 1,
        "model": None,
        "dataset": "digits",
        "recipe": Recipe(train=Duration(1, "ep")).describe(),
        "seeds": {"init": 0, "data": seed, "scoring": seed},
        "parents": [],
        "metrics": {},
        "start": "init",
    }
    return Ticket(faithful_architecture(model), masks, snapshots, provenance)


def toy_scoring() -> Scoring:
    """The input of a criterion, for a 64-6-10 net before any pruning; each call builds a new model.

    Example:
        >>> scoring = toy_scoring()
        >>> {key: weight.shape for key, weight in scoring.weights.items()}
        {'dense/kernel': (64, 6), 'dense_1/kernel': (6, 10)}
    """
    return scoring_of(_dense_net)


@functools.cache
def toy_data() -> Data:
    """A classification data set that a net can learn: noisy copies of ten 8x8 patterns.

    Example:
        >>> toy_data()
        Data('toy', train=100, validation=30, test=30, inputs=(8, 8, 1), outputs=10)
    """
    patterns = generator("toy", "patterns").normal(size=(10, 8, 8, 1))

    def split(name: str, count: int) -> Split:
        labels = np.arange(count) % 10
        return patterns[labels] + 0.3 * generator("toy", name).normal(size=(count, 8, 8, 1)), labels

    splits = split("train", 100), split("validation", 30), split("test", 30)
    return Data("toy", *splits, loss=CROSS_ENTROPY, metrics=("accuracy",), classes=10)


@functools.cache
def toy_tasks() -> Data:
    """A data set of two tasks on 8x8 images: each half of an image shows one of five classes.

    Example:
        >>> toy_tasks()
        Data('toy-tasks', train=100, validation=30, test=30, inputs=(8, 8, 1), outputs=10)
        >>> [(name, task.inputs[0], task.outputs) for name, task in toy_tasks().tasks.items()]
        [('upper', 0, (0, 1, 2, 3, 4)), ('lower', 32, (5, 6, 7, 8, 9))]
    """
    patterns = generator("toy", "tasks").normal(size=(2, 5, 4, 8, 1))

    def split(name: str, count: int) -> Split:
        labels = np.stack([np.arange(count) % 5, np.arange(count) // 5 % 5], axis=1)
        halves = [patterns[task][labels[:, task]] for task in range(2)]
        noise = generator("toy", "tasks", name).normal(size=(count, 8, 8, 1))
        return np.concatenate(halves, axis=1) + 0.3 * noise, labels

    splits = split("train", 100), split("validation", 30), split("test", 30)
    tasks = {
        name: Task(tuple(range(32 * n, 32 * n + 32)), tuple(range(5 * n, 5 * n + 5)), CROSS_ENTROPY)
        for n, name in enumerate(("upper", "lower"))
    }
    return Data("toy-tasks", *splits, loss=task_cross_entropy(5, 5), metrics=(), classes=(5, 5), tasks=tasks)


def scoring_of(build: Callable[[], keras.Model], density: float = 1.0, *, trained: bool = False) -> Scoring:
    """A scoring like those of the pruning loop, on `toy_data`, with masks attached and the optimizer built.

    Args:
        build: builds a model for 8x8x1 inputs and ten outputs; its weights are drawn with seed 0.
        density: fraction of the prunable weights to keep; which ones is random.
        trained: whether the weights have moved since `init`; if so, there is also a rewind point.

    Example:
        >>> scoring = scoring_of(toy_ticket().build, 0.5, trained=True)
        >>> sum(int((weight != 0).sum()) for weight in scoring.weights.values())
        222
    """
    model = fresh(build, 0)
    masks, init = _masks(model, density), snapshot(model)
    if trained:
        assign(model, _moved(init, 60))
    sparsify(model, masks)
    loss = keras.losses.get(CROSS_ENTROPY)
    model.compile("adam", loss)
    model.optimizer.build(model.trainable_variables)
    sparsify(model)  # guards the optimizer
    batches = Batches(toy_data().train, 10, seed=0, step=0)
    return Scoring(model, masks, init, _moved(init, 3) if trained else None, batches, loss, seed=0)


def _dense_net() -> keras.Model:
    dense = keras.layers.Dense
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), dense(6, activation="relu"), dense(10)]
    )


def _masks(model: keras.Model, density: float, seed: int = 0) -> Tree:
    full = ones({entry.key: entry.shape for entry in weight_reports(model) if entry.masked})
    scores = {key: generator("toy", "masks", seed, key).random(mask.shape) for key, mask in full.items()}
    return cut(scores, round(density * total(full)), full)


def _moved(weights: Tree, step: int, seed: int = 0) -> Tree:
    """Weights moved a little, as if trained; the change is small enough that variances stay positive."""
    return frozen(
        {
            key: (value + 0.1 * (generator("toy", step, seed, key).random(value.shape) - 0.5)).astype(
                value.dtype
            )
            for key, value in weights.items()
        }
    )
