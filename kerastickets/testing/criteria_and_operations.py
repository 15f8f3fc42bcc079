"""Check that criteria, operations and transfers keep their contracts.

Each `check_*` function returns None, or raises an AssertionError that says what was expected and what was
received.
"""

import tempfile
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerastickets.cutting.cut_scores import cut
from kerastickets.data.dataset import Data
from kerastickets.errors import KerasTicketsError
from kerastickets.foundations.duration import Duration
from kerastickets.foundations.tree import Tree, kept, masked
from kerastickets.models.pruned_weights import held_masks
from kerastickets.pruning.scoring import Criterion, Scoring
from kerastickets.testing.analyzers import check_analyzer
from kerastickets.testing.datasets_and_models import check_dataset, check_model
from kerastickets.testing.expect import accepted, called, check_form, class_name, content, difference, expect
from kerastickets.testing.exporters import check_exporter
from kerastickets.testing.studies import check_study
from kerastickets.testing.toys import scoring_of, toy_data, toy_scoring, toy_tasks, toy_ticket
from kerastickets.tickets.operation import Operation, Takes, takes
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import data_digest
from kerastickets.transferring.protocol import Phase, Transfer

__all__ = [
    "check_analyzer",
    "check_criterion",
    "check_dataset",
    "check_exporter",
    "check_model",
    "check_operation",
    "check_study",
    "check_transfer",
    "toy_data",
    "toy_scoring",
    "toy_tasks",
    "toy_ticket",
]

_MOST_PHASES = 1000


def check_criterion(criterion: Criterion) -> None:
    """Check that a criterion can drive the pruning loop.

    The criterion must:

    - score exactly the prunable keys, each in the shape of its weight;
    - give finite scores to all kept weights;
    - give equal scores for equal scorings;
    - leave weights, BatchNormalization statistics, seeds, optimizer and masks unchanged;
    - give scores that `cut` accepts.

    It is tested on a dense net before any pruning, and on a net with a convolution, BatchNormalization and
    Dropout: once unpruned but trained, with a rewind point, and once half pruned, without one.

    Args:
        criterion: an instance.

    Raises:
        AssertionError: names the first requirement that is not met.

    Example:
        >>> from kerastickets import registry
        >>> check_criterion(registry.create("criteria", "magnitude"))
    """
    check_form(criterion)
    for net, make in {
        "a dense net": toy_scoring,
        "a trained net with BatchNormalization and Dropout": lambda: scoring_of(_mixed_net, trained=True),
        "a half-pruned net with BatchNormalization and Dropout": lambda: scoring_of(_mixed_net, 0.5),
    }.items():
        _check_scores(f"{class_name(criterion)}, on {net},", criterion, make)


def check_operation(operation: Operation, *tickets: Ticket) -> None:
    """Check that an operation makes a ticket and has no side effects.

    Args:
        operation: an instance. If it declares `takes` (`kerastickets.plugin.Takes`), it must refuse any other
            number of tickets with a `KerasTicketsError`.
        tickets: the tickets to give it. Without any, it is offered one toy ticket, then two, then the minimum
            number that it takes. It must accept at least one of these offers.

    Raises:
        AssertionError: one of these is not met. The operation must not change a ticket. It must return a
            ticket, and an equal one in a second call. That ticket must name the operation and the digests of
            its parents (in the order given, or sorted) in its provenance, and must be equal after saving and
            loading. If the last ticket belongs to another model, the operation may fail only with a
            `KerasTicketsError`.

    Example:
        >>> from kerastickets import registry
        >>> check_operation(registry.create("operations", "rewind"))
    """
    check_form(operation)
    name, offers = class_name(operation), _offers(tickets, takes(operation).least)
    before = {id(ticket): content(ticket) for offer in offers for ticket in offer}
    for given in accepted(name, operation, offers):
        _check_result(name, operation, given, [before[id(ticket)] for ticket in given])
        if len(given) > 1:
            _check_refusal(name, operation, (*given[:-1], _stranger()), may_take=True)
    declared = getattr(operation, "takes", None)
    if isinstance(declared, Takes):
        for count in (declared.least - 1, (declared.most or 0) + 1):
            if count not in declared:
                _check_refusal(name, operation, offers[0][:1] * count)


def check_transfer(transfer: Transfer, ticket: Ticket | None = None, target: Data | None = None) -> None:
    """Check that a transfer plans phases that can be trained.

    Nothing is trained. The transfer gets back each phase's own ticket as if it were trained: its `final`
    weights are the weights from which the phase starts.

    Args:
        transfer: an instance.
        ticket: the ticket to transfer; by default a toy ticket whose recipe gives ten iterations per epoch of
            toy data.
        target: the task to transfer to; toy data by default.

    Raises:
        AssertionError: there is no phase; a phase is not a `Phase`, starts at a snapshot that does not exist,
            freezes a key that its ticket does not have, has no duration, or has a loss that Keras does not
            know; the phases differ in a second call; or an input was changed.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Whole:
        ...     def __call__(self, ticket, target, seed):
        ...         yield Phase(ticket, frozen=(), duration=Duration(1, "ep"), start=ticket.start)
        >>> check_transfer(Whole())
    """
    check_form(transfer)
    ticket, target = ticket or _ten_steps(toy_ticket()), target or toy_data()
    name, before = class_name(transfer), (content(ticket), data_digest(target))
    phases = _phases(name, transfer, ticket, target)
    expect(bool(phases), f"{name} must have at least one phase", "none")
    expect(phases == _phases(name, transfer, ticket, target), f"{name} must plan equally each time", phases)
    after = (content(ticket), data_digest(target))
    expect(after == before, f"{name} must not change ticket or data", after)


def _offers(tickets: tuple[Ticket, ...], least: int = 1) -> list[tuple[Ticket, ...]]:
    counts = sorted({1, 2, least})
    return [tickets] if tickets else [tuple(map(toy_ticket, range(count))) for count in counts]


def _stranger() -> Ticket:
    """A ticket of a model that no other ticket belongs to."""
    weight = {"another model/kernel": np.ones((2, 3), "float32")}
    return Ticket({}, {key: value > 0 for key, value in weight.items()}, {"init": weight})


def _check_result(name: str, operation: Operation, given: tuple[Ticket, ...], before: list[str]) -> None:
    """Check the result of an operation on `given`, whose digests were `before`."""
    result, again = operation(*given), operation(*given)
    expect(isinstance(result, Ticket), f"{name} must give a Ticket", type(result).__name__)
    expect([*map(content, given)] == before, f"{name} must not change tickets", "changed ones")
    expect(result == again, f"{name} must give equal tickets for equal ones", [result.digest, again.digest])
    operated, parents = (result.provenance.get(key) for key in ("operation", "parents"))
    expect(
        isinstance(operated, str) and bool(operated),
        f"{name} must name itself under `operation` in provenance",
        operated,
    )
    expect(
        parents in (before, sorted(before)),
        f"{name} must record its tickets' digests {before} under `parents`",
        parents,
    )
    with tempfile.TemporaryDirectory() as folder:
        loaded = Ticket.load(result.save(Path(folder, "ticket.safetensors")))
    expect(loaded == result, f"The ticket of {name} must be equal after loading", loaded.digest)


def _check_refusal(
    name: str, operation: Operation, given: tuple[Ticket, ...], may_take: bool = False
) -> None:
    what = "the last of another model" if may_take else "as it declares in `takes`"
    expected = f"{name} must refuse {len(given)} tickets, {what}, with a KerasTicketsError"
    try:
        operation(*given)
    except KerasTicketsError:
        return
    except Exception as error:
        raise AssertionError(f"{expected}. Received: {type(error).__name__}: {error}") from error
    expect(may_take, expected, "none")


def _mixed_net() -> keras.Model:
    layers = keras.layers
    body = [layers.Conv2D(2, 3, strides=2), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3)]
    return keras.Sequential([keras.Input((8, 8, 1)), *body, layers.Flatten(), layers.Dense(10)])


def _check_scores(name: str, criterion: Criterion, make: Callable[[], Scoring]) -> None:
    scoring = make()
    before = _state(scoring)
    scores = called(f"{name} must score", criterion, scoring)
    changed = difference(before, _state(scoring))
    expect(changed is None, f"{name} must leave the model unchanged", f"a changed {changed}")
    expect(isinstance(scores, Mapping), f"{name} must give scores by key", type(scores).__name__)
    masks = scoring.masks
    expect(set(scores) == set(masks), f"{name} must score exactly {sorted(masks)}", sorted(scores))
    for key, score in scores.items():
        shape, expected = np.shape(score), masks[key].shape
        expect(shape == expected, f"{name} must score {key} in its shape {expected}", shape)
        kind = np.asarray(score).dtype
        expect(kind.kind in "biuf", f"{name} must score {key} with numbers", kind)
        wrong = int(np.count_nonzero(~np.isfinite(score) & masks[key]))
        expect(
            wrong == 0,
            f"{name} must have finite scores for kept weights",
            f"{wrong} that are not finite in {key}",
        )
    for again in (scoring, make()):
        other = difference(scores, criterion(again))
        expect(
            other is None, f"{name} must give equal scores for equal scorings", f"different scores of {other}"
        )
    half = kept(masks) // 2
    found = called(
        f"{name} must have scores to cut by", lambda: cut(scores, half, masks, allow_collapse=True)
    )
    expect(kept(found) == half, f"A cut by {name} must keep {half}", kept(found))


def _state(scoring: Scoring) -> Tree:
    """Everything that a criterion could change, by the name to report."""
    model, optimizer = scoring.model, scoring.model.optimizer
    variables = enumerate([*model.variables, *optimizer.variables])
    state = {f"{v.path} (variable {n})": np.array(keras.ops.convert_to_numpy(v)) for n, v in variables}
    state |= {f"mask of {key}": mask for key, mask in held_masks(model).items()}
    for name, tree in {"masks": scoring.masks, "init": scoring.init, "rewind": scoring.rewind}.items():
        state |= {f"{key} in `{name}`": np.array(value) for key, value in (tree or {}).items()}
    return state


def _phases(name: str, transfer: Transfer, ticket: Ticket, target: Data) -> list[tuple[Any, ...]]:
    """Check each phase, answer it with a ticket that looks trained, and return the phases as comparable values."""
    plan = called(f"{name} must begin", transfer, ticket, target, 0)
    found: list[tuple[Any, ...]] = []
    trained = None
    while len(found) <= _MOST_PHASES:
        try:
            phase = plan.send(trained) if isinstance(plan, Generator) else next(plan)
        except StopIteration:
            return found
        except Exception as error:
            raise AssertionError(f"{name} must go on. Received: {type(error).__name__}: {error}") from error
        number = f"Phase {len(found) + 1} of {name}"
        _check_phase(number, phase, target)
        trained = _trained(phase)
        found.append((content(phase.ticket), phase.frozen, phase.duration, phase.start, str(phase.loss)))
    raise AssertionError(f"{name} must end. Received: more than {_MOST_PHASES} phases")


def _ten_steps(ticket: Ticket) -> Ticket:
    recipe = dict(ticket.provenance["recipe"]) | {"train": "1ep", "batch_size": 10}
    return ticket.replace(provenance=dict(ticket.provenance) | {"recipe": recipe})


def _trained(phase: Phase) -> Ticket:
    ticket = phase.ticket
    final = masked(ticket.weights(phase.start), ticket.masks)
    return ticket.replace(snapshots=dict(ticket.snapshots) | {"final": final})


def _check_phase(number: str, phase: Any, target: Data) -> None:
    expect(isinstance(phase, Phase), f"{number} must be a Phase", type(phase).__name__)
    expect(isinstance(phase.ticket, Ticket), f"{number} must have a Ticket", type(phase.ticket).__name__)
    snapshots, keys = phase.ticket.snapshots, phase.ticket.weights("init")
    expect(phase.start in snapshots, f"{number} must start at one of {[*snapshots]}", repr(phase.start))
    strangers = [key for key in phase.frozen if key not in keys]
    expect(not strangers, f"{number} must freeze keys of its ticket, {[*keys]}", strangers)
    long = isinstance(phase.duration, Duration) and phase.duration.count > 0
    expect(long, f"{number} must last a Duration above 0", repr(phase.duration))
    loss = target.loss if phase.loss is None else phase.loss
    called(f"{number} must have a loss that Keras knows", keras.losses.get, loss)
