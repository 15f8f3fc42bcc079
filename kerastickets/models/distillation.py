"""Distillation: while a model trains, part of its loss is how far its outputs are from those of a teacher."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerastickets.data.losses import TaskCrossEntropy, spans
from kerastickets.errors import RecipeError
from kerastickets.foundations.strangers import is_number
from kerastickets.models.label_fit import takes_logits
from kerastickets.models.objective import gives_probabilities


class Distillation:
    """The loss of a student that learns from a teacher: `(1 - weight) * own loss + weight * distillation loss`.

    For each output with a loss, the distillation loss follows from what that loss takes. T is the temperature, z are
    logits; probabilities are turned into logits by their logarithm.

    - Logits or probabilities of classes: `T^2 * KL(softmax(z_teacher / T) || softmax(z_student / T))`.
    - One unit for two classes, or several units that are each a class of their own: the same with a sigmoid, and
      the mean over the units.
    - All other outputs, as of regression, and of a loss that does not say whether it takes logits: the mean squared
      difference of the outputs. The temperature has no influence.

    Each is reduced over the examples like the output's own loss, with the same masks and sample weights; several
    outputs are added with the loss weights of `compile`.

    Args:
        teacher: a built model. It is called with `training=False` and is not trained.
        weight: how much the distillation loss counts, above 0 and up to 1.
        temperature: T, above 0.

    Raises:
        RecipeError: a value is out of range, or the teacher is not a model.

    Reference:
        G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network, section 2.
    """

    def __init__(self, teacher: keras.Model, weight: float, temperature: float) -> None:
        check_distillation(weight, temperature)
        if not isinstance(teacher, keras.Model):
            raise RecipeError(f"`teacher` must be a keras.Model. Received: {type(teacher).__name__}")
        self.teacher, self.weight, self.temperature = teacher, float(weight), float(temperature)
        #: Whether the loss was ever asked for.
        self.used = False

    @contextmanager
    def active(self, student: keras.Model) -> Iterator[None]:
        """Within this context, `student.compute_loss` is the loss with the teacher. Trace or run training steps in it.

        Args:
            student: a compiled model.
        """
        if student is self.teacher:
            raise RecipeError("`teacher` must be another model than the one that trains. Received: the same.")
        own, before = student.compute_loss, student.__dict__.get("compute_loss")

        def compute_loss(
            x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **further: Any
        ) -> Any:
            self.used = True
            if x is None:
                raise RecipeError(
                    f"The train_step of {type(student).__name__} must give compute_loss its inputs, x, for the "
                    "teacher. Received: none."
                )
            loss = own(x, y, y_pred, sample_weight, **further)
            matched = ops.cast(self._matched(student, x, y_pred, sample_weight), loss.dtype)
            return (1 - self.weight) * loss + self.weight * matched

        # Not by setattr: Keras would track what the function holds as parts of the model.
        student.__dict__["compute_loss"] = compute_loss
        try:
            yield
        finally:
            if before is None:
                student.__dict__.pop("compute_loss", None)
            else:
                student.__dict__["compute_loss"] = before

    def _matched(self, student: keras.Model, x: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The distillation loss of a batch, over all outputs."""
        taught = keras.tree.map_structure(ops.stop_gradient, self.teacher(x, training=False))
        shapes = [[tuple(one.shape[1:]) for one in keras.tree.flatten(each)] for each in (y_pred, taught)]
        if shapes[0] != shapes[1]:
            raise RecipeError(
                f"The teacher must have the outputs of the model that trains, {shapes[0]} for one example. "
                f"Received: {shapes[1]}"
            )
        compiled = getattr(student, "_compile_loss", None)
        structure = getattr(compiled, "_y_pred_build_structure", None)
        places = {at: (loss, weight) for at, loss, weight, _ in getattr(compiled, "_flat_losses", None) or ()}
        if not places:  # all losses come from layers, or from a compute_loss of one's own
            structure = [None] * len(shapes[0])
            places = {(n,): (None, None) for n in range(len(shapes[0]))}
        numbers = keras.tree.pack_sequence_as(structure, list(range(len(shapes[0]))))
        outputs = list(zip(keras.tree.flatten(y_pred), keras.tree.flatten(taught), strict=True))
        total: Any = 0.0
        for at, (loss, weight) in places.items():
            number = _at(numbers, at)
            own, wanted = outputs[number]
            match = _Match(_form(loss, own, self.teacher, number), self.temperature, loss)
            given = _at(sample_weight, at) if keras.tree.is_nested(sample_weight) else sample_weight
            value = match(wanted, own, given)
            total = total + (value if weight is None else value * weight)
        return total


def check_distillation(weight: Any, temperature: Any) -> None:
    """Refuse a weight or a temperature that is out of range.

    Raises:
        RecipeError: it is.
    """
    if not (is_number(weight) and 0 < weight <= 1):
        raise RecipeError(f"`weight` must be above 0 and at most 1. Received: weight={weight!r}")
    if not (is_number(temperature) and 0 < temperature < float("inf")):
        raise RecipeError(f"`temperature` must be above 0 and finite. Received: temperature={temperature!r}")


class _Form(NamedTuple):
    """What an output of classes is."""

    own_logits: bool
    teacher_logits: bool
    each_unit: bool
    #: The classes of each task that shares the output; empty if there is a single task.
    tasks: tuple[int, ...]


class _Match(keras.losses.Loss):
    """The distillation loss of one output. As a loss of Keras, it knows masks, sample weights and replicas."""

    def __init__(self, form: _Form | None, temperature: float, own: Any) -> None:
        super().__init__("distillation", getattr(own, "reduction", None) or "sum_over_batch_size")
        self.form, self.temperature = form, temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each example, from the teacher's outputs and the student's."""
        form, t = self.form, self.temperature
        if form is None:
            return _mean(ops.square(y_true - y_pred))
        wanted = _logits(y_true, form.teacher_logits, form.each_unit) / t
        own = _logits(y_pred, form.own_logits, form.each_unit) / t
        if form.each_unit:
            pairs = [(ops.log_sigmoid(s * wanted), ops.log_sigmoid(s * own)) for s in (1.0, -1.0)]
            return t**2 * _mean(sum(ops.exp(log) * (log - other) for log, other in pairs))
        parts = spans(form.tasks) if form.tasks else [(0, wanted.shape[-1])]
        return t**2 * sum(
            _divergence(wanted[..., first : first + count], own[..., first : first + count])
            for first, count in parts
        )


def _divergence(wanted: Any, own: Any) -> Any:
    log = ops.log_softmax(wanted)
    return ops.sum(ops.exp(log) * (log - ops.log_softmax(own)), axis=-1)


def _mean(values: Any) -> Any:
    """The mean over the units; an output without an axis of units has one."""
    return ops.mean(values, axis=-1) if len(values.shape) > 1 else values


def _logits(values: Any, logits: bool, each_unit: bool) -> Any:
    if logits:
        return values
    small = keras.backend.epsilon()
    values = ops.clip(values, small, 1 - small)
    return ops.log(values) - ops.log(1 - values) if each_unit else ops.log(values)


def _form(loss: Any, output: Any, teacher: keras.Model, number: int) -> _Form | None:
    """What an output is, by the loss that the student was compiled with; None if it is not known to be of classes."""
    tasks = loss.classes if isinstance(loss, TaskCrossEntropy) else ()
    logits = True if tasks else takes_logits(loss)
    if logits is None:
        return None
    units = output.shape[-1] if len(output.shape) > 1 else 1
    each_unit = units == 1 or (not tasks and _each_unit(loss, tuple(output.shape[1:]), logits))
    return _Form(logits, _teaches_logits(teacher, number, logits), each_unit, tasks)


def _teaches_logits(teacher: keras.Model, number: int, student: bool) -> bool:
    """Whether the teacher's output is logits: by its last operation, by its own loss, or as of the student."""
    if gives_probabilities(teacher, number):
        return False
    loss = getattr(teacher, "loss", None)
    told = None if loss is None or keras.tree.is_nested(loss) else takes_logits(loss)
    return student if told is None else told


def _each_unit(loss: Callable[..., Any], shape: tuple[int | None, ...], logits: bool) -> bool:
    """Whether a loss takes each unit by itself, like binary cross-entropy, and not all of them as one softmax.

    A softmax does not change if a number is added to all logits, or all probabilities are divided by a number.
    """
    sizes = (2, *(length or 2 for length in shape))
    labels, values = np.zeros(sizes, "float32"), np.full(sizes, 0.25, "float32")
    labels[..., 0] = 1
    with tf.init_scope():  # with numbers, also where a graph is traced
        try:
            found = [loss(labels, one) for one in (values, values + 1 if logits else values / 2)]
        except Exception:  # a loss of whole-number classes refuses such labels
            return False
        first, second = map(ops.convert_to_numpy, found)
        return not np.allclose(first, second, rtol=1e-3, atol=1e-5)


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree
