"""Cut a live model once, in place: which of its weights can go, and how many stay."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import keras

from kerastickets.cutting.cut_scores import Granularity, cut, ones
from kerastickets.cutting.groups import Groups
from kerastickets.errors import DataError, RecipeError
from kerastickets.foundations.tree import Tree
from kerastickets.models.masking import masks_of, sparsify
from kerastickets.models.prunable_weights import check_floating, weight_reports
from kerastickets.models.variables import check_built, snapshot
from kerastickets.models.weight_roles import output_keys
from kerastickets.pruning.live_scoring import check_scoring_split, live_scoring, scoring_split
from kerastickets.pruning.prunable import check_any, with_units
from kerastickets.pruning.schedule import Scope, check_amounts, plan
from kerastickets.pruning.settings import criterion_of


def cut_model(
    model: keras.Model,
    sparsity: float,
    *,
    scope: Scope = "global",
    granularity: Granularity = "weight",
    criterion: Any = "magnitude",
    data: Any = None,
    batch_size: int = 60,
    only: Collection[str] = (),
    include: Collection[str] = (),
    exclude: Collection[str] = (),
    seed: int = 0,
    allow_collapse: bool = False,
) -> keras.Model:
    """Prune a model that you have, in place: score its weights once and set the lowest to zero.

    The model then holds masks, and `fit` keeps the zeros: if the model is compiled, its optimizer masks gradients. If
    you compile afterwards, pass `kerastickets.callbacks.KeepMasks()` to `fit`. `Ticket.of(model)` makes a ticket of
    it, `export(model, ...)` a verified file, `compact(model)` a smaller model, and `strip(model)` takes the masks off.

    Weights that a mask prunes already stay pruned, and count. So a second call with a higher sparsity prunes further.
    Layers that do not train (`trainable=False`) are left alone, unless a pattern names their weights.

    Args:
        model: a built model. If something below is wrong, it is not changed.
        sparsity: the fraction of the prunable weights that is zero afterwards, in [0, 1). At least one weight stays.
        scope: `global` to compare scores over all layers; `layer` to give every layer the same density.
        granularity: `weight` prunes single weights. `channel` prunes whole channels, neurons, heads and recurrent
            units, and leaves output layers alone; it keeps at most the number of weights that `sparsity` says.
        criterion: the name of a registered criterion, options included (`"snip:batches=4"`), or an instance.
        data: what to score on, for criteria that need it: `(x, y)`, `(x, y, sample_weight)`, a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, splits by name, a `Data`, or a data set's name. `magnitude` and `random` need
            none. The loss is the one that the model is compiled with.
        batch_size: examples per scoring batch; at least 1, and at most the number of examples is used.
        only: glob patterns over keys (`"*/kernel"`) or layer paths (`"encoder"`): prune nothing else. A pattern that
            matches no trainable weight may name frozen ones. Empty means the whole model.
        include: glob patterns of weights to prune in addition to kernels and embeddings, such as `"*/bias"`.
        exclude: glob patterns of weights not to prune.
        seed: the random seed for scoring batches and for criteria that draw random numbers.
        allow_collapse: whether a layer may lose its last weight.

    Returns:
        `model` itself.

    Raises:
        RecipeError: a value is out of range, a pattern matches no weight, nothing is left to prune, the model is not
            built or quantised, or the criterion needs data or a loss that is not there.
        DataError: the data cannot be read or does not fit the model.
        LayerCollapseError: a layer would be emptied.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> _ = model.layers[0].kernel.assign([[4, -5], [1, 0], [-3, 2], [0.5, 6]])
        >>> cut_model(model, 0.75) is model
        True
        >>> model.layers[0].kernel.numpy().tolist()
        [[0.0, -5.0], [0.0, 0.0], [0.0, 0.0], [0.0, 6.0]]
    """
    check_built(model)
    check_amounts(None, None, None, sparsity, scope)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise RecipeError(
            f"`batch_size` must be an integer of at least 1. Received: batch_size={batch_size!r}"
        )
    _, made = criterion_of(criterion, {})
    if data is not None:
        data = scoring_split(data)
        check_scoring_split(model, data)
    found = Cuttable.of(model, include, exclude, only, granularity)
    keep = plan(found.masks, sparsity=sparsity, scope=scope).counts[1]
    scoring = live_scoring(
        model,
        found.masks,
        snapshot(model),
        data,
        batch_size=batch_size,
        seed=seed,
        groups=found.groups,
    )
    masks = found.cut(_scores(made, scoring, data), keep, scope, allow_collapse)
    sparsify(model, {key: masks[key] for key in found.masks})
    return model


@dataclass(frozen=True, eq=False)
class Cuttable:
    """The weights of a live model that a cut prunes.

    Args:
        masks: the present masks of the weights that can be pruned; ones where a weight has no mask yet.
        fixed: masks that the model holds and that stay as they are.
        groups: the units to prune; None to prune single weights.
    """

    masks: Tree
    fixed: Tree = field(default_factory=dict)
    groups: Groups | None = None

    @classmethod
    def of(
        cls,
        model: keras.Model,
        include: Collection[str] = (),
        exclude: Collection[str] = (),
        only: Collection[str] = (),
        granularity: str = "weight",
    ) -> "Cuttable":
        """Find the weights of a live model that can be pruned; see `cut_model`.

        Raises:
            RecipeError: there is none, a pattern matches none, or the model is quantised.
        """
        if granularity not in get_args(Granularity):
            raise RecipeError(
                f"`granularity` must be one of {', '.join(get_args(Granularity))}. Received: granularity={granularity}"
            )
        check_floating(model, exclude)
        report = weight_reports(model, include, exclude, only)
        held = masks_of(model)
        barred = {entry.key for entry in report if entry.why in ("excluded", "not named")}
        listed = {entry.key for entry in report}
        masks: dict[str, Any] = dict(ones({entry.key: entry.shape for entry in report if entry.masked}))
        # A weight that was masked before, such as a bias, can lose more; a frozen one cannot.
        masks |= {key: mask for key, mask in held.items() if key in listed - barred}
        groups = None
        if granularity == "channel":
            # Units have parts in weights that this call leaves alone. Those units stay.
            every = ones({entry.key: entry.shape for entry in weight_reports(model) if entry.masked}) | masks
            outputs = output_keys(model, every)
            every, groups, alone = with_units(
                model, every, report, (every.keys() - masks.keys()) | outputs, barred
            )
            masks = {key: mask for key, mask in every.items() if key not in alone}
        check_any(masks)
        return cls(masks, {key: mask for key, mask in held.items() if key not in masks}, groups)

    def cut(
        self,
        scores: Tree,
        keep: int | Mapping[str, int],
        scope: Scope = "global",
        allow_collapse: bool = False,
    ) -> Tree:
        """The masks after the cut, the fixed ones included.

        Args:
            scores: real numbers for each key of `masks`.
            keep: how many weights stay, over all keys or by key.
            scope: `global` or `layer`.
            allow_collapse: whether a key may lose its last weight.
        """
        new = cut(
            scores,
            keep,
            self.masks,
            scope,
            granularity="weight" if self.groups is None else "channel",
            groups=self.groups,
            allow_collapse=allow_collapse,
        )
        return {**self.fixed, **new}


def _scores(criterion: Any, scoring: Any, data: Any) -> Tree:
    """The scores. What TensorFlow says of data that does not fit the model becomes one sentence."""
    import tensorflow as tf

    try:
        scores: Tree = criterion(scoring)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        if data is None:
            raise
        raise DataError(
            "The data to score on must fit the model and the loss that it is compiled with. Received: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from error
    return scores
