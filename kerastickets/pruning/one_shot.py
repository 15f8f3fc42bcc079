"""Make a ticket from a model that you trained yourself: one cut by magnitude, layer by layer."""

from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np

from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import Tree, masked
from kerastickets.models.architecture import faithful_architecture
from kerastickets.models.masking import masks_of
from kerastickets.models.variables import check_aligned, snapshot
from kerastickets.pruning.one_cut import Cuttable
from kerastickets.pruning.schedule import plan
from kerastickets.tickets.operation import untrained
from kerastickets.tickets.ticket import Ticket


def winning_ticket(
    trained: keras.Model,
    copy: keras.Model | Ticket,
    amount: float | int,
    *,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
    allow_collapse: bool = False,
) -> Ticket:
    """Make a ticket that keeps the largest weights of a trained model, with the values of its untrained copy.

    Each layer is pruned as `torch.nn.utils.prune.l1_unstructured` does: the smallest weights of `trained` are pruned,
    and the remaining weights start again with their values in `copy`. Nothing is trained, and neither model is
    changed. `ticket.build()` is the model to train next. `sparsify(model, ticket.masks)` before `compile` keeps its
    zeros.

    Make the copy before training, together with the weights. `keras.models.clone_model` alone draws new weights, so
    follow it by `copy.set_weights(model.get_weights())`.

    To prune in n rounds, train the model from `ticket.build()`, and pass it together with the ticket instead of a
    copy. Pruned weights stay pruned, and `amount` is then a fraction of the weights that a layer still keeps. For a
    total fraction p, prune 1 - (1 - p)^(1/n) per round, so that (1 - p)^(1/n) of the weights survive each round.
    `kerastickets.prune` does all of this, training included.

    Args:
        trained: a trained model. Its masks, if any, are respected.
        copy: the same model before training, or the ticket that `trained` was trained from.
        amount: how much of each layer to prune: a fraction in (0, 1), which prunes round(amount * n) of n weights,
            ties to even; or a number of weights of at least 1.
        include: glob patterns of the keys of weights to prune besides kernels and embeddings, such as `"*/bias"`.
            Only if `copy` is a model.
        exclude: glob patterns of the keys of weights not to prune. Only if `copy` is a model.
        allow_collapse: whether a layer may lose its last weight.

    Returns:
        The ticket. Its `init` is as in `copy`, as are the rewind points of a ticket. Its `final` is as trained, and
        zero where pruned.

    Raises:
        RecipeError: the amount is out of range, a pattern matches nothing, or the model is its own copy.
        AlignError: the two models have different weights.
        LayerCollapseError: a layer would be emptied.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> copy = keras.models.clone_model(model)
        >>> copy.set_weights(model.get_weights())
        >>> _ = model.layers[0].kernel.assign([[4, -5], [1, 0], [-3, 2], [0.5, 6]])  # instead of training
        >>> winning_ticket(model, copy, 0.5).masks["dense/kernel"].astype(int).tolist()
        [[1, 1], [0, 0], [1, 0], [0, 1]]

    Reference:
        J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, section 1 (one-shot and iterative pruning).
    """
    if trained is copy:
        raise RecipeError(
            "`copy` must be the model as it was before training. Received: the trained model itself."
        )
    found = _cuttable(trained, copy, include, exclude)
    weights = snapshot(trained)
    snapshots = untrained(copy, rewinds=True) if isinstance(copy, Ticket) else {"init": snapshot(copy)}
    check_aligned(_shapes(weights), _shapes(snapshots["init"]))
    scores = {key: np.abs(weights[key]) for key in found.masks}
    masks = found.cut(scores, _counts(found.masks, amount), allow_collapse=allow_collapse)
    final = {"final": masked(weights, masks)}
    architecture = copy.architecture if isinstance(copy, Ticket) else faithful_architecture(copy)
    return Ticket(architecture, masks, snapshots | final, _provenance(copy, amount))


def _cuttable(
    trained: keras.Model, copy: keras.Model | Ticket, include: Collection[str], exclude: Collection[str]
) -> Cuttable:
    """The weights that can still be pruned."""
    if not isinstance(copy, Ticket):
        return Cuttable.of(trained, include, exclude)
    if include or exclude:
        raise RecipeError(
            "A ticket's masks say what is prunable. "
            f"Received: a ticket with include={[*include]}, exclude={[*exclude]}. Leave them out."
        )
    held = masks_of(trained)
    both = {key: mask & held.get(key, mask) for key, mask in copy.masks.items()}
    check_aligned(
        _shapes(both), _shapes({key: mask for key, mask in snapshot(trained).items() if key in both})
    )
    return Cuttable(both)


def _counts(masks: Tree, amount: float | int) -> Mapping[str, int]:
    """The number of weights that each layer keeps."""
    kept = {key: int(np.count_nonzero(mask)) for key, mask in masks.items()}
    if isinstance(amount, bool) or not isinstance(amount, int | np.integer):
        if not (isinstance(amount, float | np.floating) and 0 < amount < 1):
            raise RecipeError(
                "`amount` must be a fraction in (0, 1), or a number of weights of at least 1. "
                f"Received: amount={amount!r}"
            )
        return dict(plan(masks, rate=float(amount), scope="layer").counts[1])  # type: ignore[arg-type]
    smallest = min(kept, key=lambda key: kept[key])
    if not 1 <= amount <= kept[smallest]:
        raise RecipeError(
            f"`amount` must be a fraction in (0, 1), or a number of weights from 1 to the {kept[smallest]} of "
            f"'{smallest}'. Received: amount={amount}"
        )
    return {key: count - int(amount) for key, count in kept.items()}


def _provenance(copy: keras.Model | Ticket, amount: float | int) -> dict[str, Any]:
    before: dict[str, Any] = {"level": 0, "start": "init"}
    if isinstance(copy, Ticket):
        before |= dict(copy.provenance)
    return before | {
        "operation": "winning-ticket",
        "criterion": "magnitude",
        "options": {"amount": int(amount) if isinstance(amount, int | np.integer) else float(amount)},
        "level": (before["level"] or 0) + 1,
        "parents": [copy.digest] if isinstance(copy, Ticket) else [],
        "start": "init" if before["start"] == "final" else before["start"],
        "metrics": {},
    }


def _shapes(weights: Tree) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in weights.items()}
