"""Measure a ticket on data: loss, accuracy per class and task, and calibration."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets.data.dataset import Data
from kerastickets.data.spec import data_spec
from kerastickets.data.splits import rows
from kerastickets.errors import RecipeError
from kerastickets.foundations.strangers import is_count
from kerastickets.foundations.structure import is_nested, leaves, named_leaves
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import data_name
from kerastickets.training.train_ticket import ticket_source
from kerastickets.training.trainer_cache import TrainerCache


def evaluate(
    ticket: Ticket | str | Path,
    data: Any = None,
    *,
    split: str = "test",
    batch_size: int = 1000,
    model: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    trainers: TrainerCache | None = None,
) -> dict[str, Any]:
    """Measure a ticket on data: loss, accuracy per class and task, and calibration.

    Args:
        ticket: a ticket or its file. Its `final` weights are measured if it has them, or else the weights that
            its training starts from.
        data: a data set's name, a `Data` or arrays (see `data_from`); None takes the one that the ticket was found on.
        split: `train`, `validation` or `test`.
        batch_size: examples per step; at least 1. A smaller number needs less memory.
        model: the model's name, file, function or object, for tickets without an architecture.
        custom_objects: your classes by name.
        trainers: the cache that jobs of this process share.

    Returns:
        JSON-ready facts: `split`, `dataset`, `weights`, `examples`, and the loss and metrics. Classification also
        has `classes` (the accuracy per class) and `calibration` (the expected error over 15 bins). A data set with
        `tasks` has these facts per task, by name, with the task's own `loss` and `accuracy` (or
        `mean_squared_error` for targets); `mean_loss` is the mean of the losses of the tasks. A net with several
        outputs has the classes and the calibration of each in `outputs`, by name.

    Raises:
        RecipeError: there is no such split, or the batch size is less than 1.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> sorted(evaluate(toy_ticket(), "digits"))[:3]
        ['accuracy', 'calibration', 'classes']
    """
    from kerastickets.foundations.tree import masked
    from kerastickets.models.label_fit import check_batches, fixed_batch
    from kerastickets.models.variables import assign
    from kerastickets.training.keras_batches import keras_arguments

    ticket = Ticket.of(ticket)
    if split not in ("train", "validation", "test"):
        raise RecipeError(f"`split` must be train, validation or test. Received: split={split!r}")
    if not is_count(batch_size) or batch_size < 1:
        raise RecipeError(f"`batch_size` must be at least 1. Received: batch_size={batch_size!r}")
    spec = data_spec(ticket, data)
    trainers = trainers or TrainerCache()
    data = trainers.data(spec)
    net = trainers.measured(ticket_source(ticket, data, model, custom_objects), data)
    fixed = fixed_batch(net)
    batch_size = (fixed and check_batches(net, data, fixed, split)) or batch_size
    name = "final" if "final" in ticket.snapshots else ticket.start
    if assign(net, masked(ticket.weights(name), ticket.masks)):
        # What layers derive from their weights is traced into these. Most nets derive nothing.
        net.make_test_function(force=True)
        net.make_predict_function(force=True)
    x, y, *weights = getattr(data, split)
    facts: dict[str, Any] = {"split": split, "dataset": data_name(spec), "weights": name}
    facts["examples"] = data.count(split)
    try:
        given = keras_arguments((x, y, *weights), batch_size)
        measured = net.evaluate(**given, verbose=0, return_dict=True)
    except (ValueError, TypeError) as error:
        cause = " ".join(str(error).split())[:200]
        raise RecipeError(
            f"The net's loss and metrics must fit {data_name(spec)}. Received: {type(error).__name__}: {cause}"
        ) from error
    # A metric can be one number per class. As in training, such metrics are left out.
    facts |= {key: float(value) for key, value in measured.items() if np.ndim(value) == 0}
    if data.tasks and not isinstance(data.classes, int):
        facts["tasks"] = _by_task(net, x, y, data, batch_size)
        facts["mean_loss"] = float(np.mean([task["loss"] for task in facts["tasks"].values()]))
        return facts
    outputs = _by_output(net, x, y, data, batch_size)
    if outputs and "" not in outputs:
        return facts | {"outputs": outputs}
    return facts | outputs.get("", {})


def _by_task(net: Any, x: Any, y: np.ndarray, data: Data, batch_size: int) -> dict[str, Any]:
    """Measure each task by its own outputs. Labels have one column per task, targets one column per output."""
    from kerastickets.data.metrics import task_metrics
    from kerastickets.models.objective import fitting_loss
    from kerastickets.training.keras_batches import keras_arguments

    outputs = np.asarray(net.predict(**keras_arguments((x,), batch_size), verbose=0), "float64")
    y = y.reshape(len(y), -1)
    metrics = {metric.name: metric for metric in task_metrics(data)}
    facts: dict[str, Any] = {}
    for column, (name, task) in enumerate(data.tasks.items()):
        own = list(task.outputs)
        true = y[:, column] if data.classes else y[:, own]
        # A loss given by its name alone returns one number per example.
        facts[name] = {"loss": float(np.mean(fitting_loss(task.loss, net)(true, outputs[:, own])))}
        if isinstance(data.classes, tuple):
            facts[name] |= _of_classes(outputs[:, own], true, data.classes[column])
            continue
        for kind in ("accuracy", "mean_squared_error"):
            if metric := metrics.get(f"{name}_{kind}"):
                metric.update_state(y, outputs)
                facts[name][kind] = float(metric.result())
    return facts


def _of_classes(logits: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    from scipy.special import softmax

    probabilities = softmax(logits, axis=1)
    accuracy = float((probabilities.argmax(1) == labels).mean())
    return {"accuracy": accuracy, **_by_class(probabilities, labels, classes)}


def _by_output(net: Any, x: Any, y: Any, data: Data, batch_size: int) -> dict[str, Any]:
    """The accuracy per class and the calibration of each output that tells classes apart, by the output's name.

    The name is empty if there is a single output.
    """
    import keras

    from kerastickets.models.label_fit import class_count
    from kerastickets.models.output_masks import output_masks
    from kerastickets.training.keras_batches import keras_arguments

    labels = leaves(y)
    losses = keras.tree.flatten(net.loss) if net.loss is not None else [None]
    losses = losses * len(labels) if len(losses) == 1 else losses
    shapes = [tuple(one.shape[1:]) for one in getattr(net, "outputs", None) or ()]
    if len(shapes) == len(labels) == len(losses):
        counts = [class_count(data, *parts) for parts in zip(labels, shapes, losses, strict=True)]
    else:
        counts = [data.classes if isinstance(data.classes, int) else None]
    if not any(counts) or len(counts) != len(labels):
        return {}
    names = [""] if len(labels) == 1 else [name for name, _ in named_leaves(y)]
    predicted = keras.tree.flatten(net.predict(**keras_arguments((x,), batch_size), verbose=0))
    masks = output_masks(net, x, batch_size)
    found: dict[str, Any] = {}
    parts = zip(names, labels, predicted, counts, losses, masks or [None] * len(labels), strict=True)
    for name, label, output, count, loss, mask in parts:
        if count:
            likely, true = _probabilities(net, output, label, loss), label.reshape(-1)
            if mask is not None:
                counted = np.broadcast_to(mask, label.shape).reshape(-1)
                likely, true = likely[counted], true[counted]
            found[name] = _by_class(likely, true, count, data.labels)
    return found


def right_answers(net: Any, split: Any, data: Data, batch_size: int = 1000) -> np.ndarray | None:
    """Which labels of a split a net answers rightly.

    Args:
        net: a compiled model.
        split: `(x, y)` or `(x, y, sample_weight)`.
        data: the data set.
        batch_size: examples per step.

    Returns:
        Booleans for the labels of a single output that tells classes apart: `(n,)`, or `(n, labels)` if an example has
        several. None if there are sample weights, several outputs, labels that padding masks, or other targets.
    """
    from kerastickets.models.label_fit import class_count
    from kerastickets.models.output_masks import output_masks
    from kerastickets.training.keras_batches import keras_arguments

    x, y, *weights = split
    shapes = [tuple(one.shape[1:]) for one in getattr(net, "outputs", None) or ()]
    loss = net.loss if not isinstance(net.loss, dict | list | tuple) else None
    if weights or is_nested(y) or len(shapes) != 1 or isinstance(data.classes, tuple):
        return None
    if not class_count(data, y, shapes[0], loss) or any(
        mask is not None for mask in output_masks(net, rows(x, slice(1)), 1)
    ):
        return None
    found = np.asarray(net.predict(**keras_arguments((x,), batch_size), verbose=0))
    labels = y.reshape(-1)
    right = (_probabilities(net, found, labels, loss).argmax(1) == labels).reshape(len(y), -1)
    return right[:, 0] if right.shape[1] == 1 else right


def _probabilities(net: Any, outputs: np.ndarray, labels: np.ndarray, loss: Any) -> np.ndarray:
    """The probability of each class for every label, `(labels, classes)`."""
    from scipy.special import expit, softmax

    from kerastickets.models.label_fit import takes_logits
    from kerastickets.models.objective import gives_probabilities

    rows = np.asarray(outputs, "float64").reshape(labels.size, -1)
    logits = takes_logits(loss)
    logits = not gives_probabilities(net) if logits is None else logits
    if rows.shape[1] == 1:  # one unit for two classes
        ones = expit(rows) if logits else rows
        return np.hstack([1 - ones, ones])
    return softmax(rows, axis=1) if logits else rows


def _by_class(
    probabilities: np.ndarray, y: np.ndarray, classes: int, names: Sequence[str] = ()
) -> dict[str, Any]:
    right = probabilities.argmax(1) == y
    rows = [
        {
            "class": c,
            **({"name": names[c]} if names else {}),
            "count": int((y == c).sum()),
            "accuracy": float(right[y == c].mean()) if (y == c).any() else None,
        }
        for c in range(classes)
    ]
    return {"classes": rows, "calibration": calibration(probabilities.max(1), right)}


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> dict[str, Any]:
    """Measure how far confidence is from accuracy.

    Args:
        confidence: per example, the probability of the predicted class, in [0, 1].
        right: per example, whether the prediction was right.
        bins: the number of bins of equal width into which confidence is divided.

    Returns:
        `ece`, the mean over examples of the gap between the accuracy and the confidence of the example's bin, and
        `bins`, the facts about each bin.

    Example:
        >>> calibration(np.array([0.9, 0.9]), np.array([True, False]))["ece"]
        0.4

    Reference:
        C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On Calibration of Modern Neural Networks, section 2.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = []
    for n in range(bins):
        inside = place == n
        mean, share = (float(a[inside].mean()) if inside.any() else None for a in (confidence, right))
        rows.append(
            {
                "low": n / bins,
                "high": (n + 1) / bins,
                "count": int(inside.sum()),
                "confidence": mean,
                "accuracy": share,
            }
        )
    gaps = [row["count"] * abs(row["accuracy"] - row["confidence"]) for row in rows if row["count"]]  # type: ignore[operator]
    return {"ece": float(round(sum(gaps) / max(len(right), 1), 12)), "bins": rows}
