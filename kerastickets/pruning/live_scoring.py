"""Score the weights of a live model with a criterion, outside the pruning loop."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import tree

from kerastickets.cutting.groups import Groups
from kerastickets.data.dataset import Data
from kerastickets.data.own_arrays import arrays_of
from kerastickets.data.spec import data_of
from kerastickets.data.splits import size as size_of
from kerastickets.errors import DataError, RecipeError
from kerastickets.foundations.structure import map_leaves
from kerastickets.foundations.tree import Tree
from kerastickets.models.label_fit import check_broadcast, check_inputs
from kerastickets.models.objective import loss_function
from kerastickets.pruning.scoring import Batches, Scoring


def live_scoring(
    model: Any,
    masks: Tree,
    init: Tree,
    data: Any = None,
    *,
    batch_size: int = 60,
    seed: int = 0,
    step: int = 0,
    groups: Groups | None = None,
) -> Scoring:
    """What a criterion gets about a live model, with the loss that the model is compiled with.

    Args:
        model: a built model. It is compiled if the criterion needs a loss.
        masks: booleans by key; the keys are the weights to score.
        init: the weights of all variables before training, as far as they are known.
        data: what to score on, see `scoring_split`; None for criteria that need no data.
        batch_size: examples per batch; at most the number of examples is used.
        seed: random seed for batches and for criteria that draw random numbers.
        step: the number of this scoring, from 0.
        groups: the units that are pruned; None if single weights are pruned.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> scoring = live_scoring(model, {"dense/kernel": np.ones((2, 1), bool)}, {})
        >>> scoring.batches[0]
        Traceback (most recent call last):
        ...
        kerastickets.errors.RecipeError: This criterion scores on data. Received: none. Give data=(x, y).
    """
    split = None if data is None else scoring_split(data)
    batches: Any = _NoBatches()
    if split is not None:
        batches = Batches(split, min(batch_size, size_of(split)), seed, step)
    return Scoring(model, masks, init, None, batches, loss_function(model, split), seed, groups)


def scoring_split(data: Any) -> tuple[Any, ...]:
    """The training examples of any form of data, as `(x, y)` or `(x, y, sample_weight)`.

    Args:
        data: a data set's name, a `Data`, splits by name, or what `data_from` takes. Arrays are used as a whole: no
            validation and test examples are set aside.

    Raises:
        DataError: it is none of these.

    Example:
        >>> x, y = scoring_split({"train": (np.ones((2, 1)), np.arange(2))})
        >>> x.shape
        (2, 1)
    """
    if isinstance(data, str):
        data = data_of(data)
    if isinstance(data, Data):
        return data.train
    if isinstance(data, Mapping):
        if "train" not in data:
            raise DataError(
                "Splits by name must have the split `train` to score on. Received: "
                f"{', '.join(map(str, data)) or 'none'}. Inputs by name stand inside (x, y)."
            )
        return scoring_split(data["train"])
    return tuple(map_leaves(np.asarray, arrays_of(data, "data to score on")))


def check_scoring_split(model: Any, split: tuple[Any, ...]) -> None:
    """Refuse examples that a live model cannot be scored on, with the loss that it is compiled with.

    Args:
        model: a built model.
        split: the result of `scoring_split`.

    Raises:
        DataError: inputs of another shape, labels that the loss would broadcast, or arrays that `Data` refuses.
    """
    own = Data("data to score on", split, split, split)
    check_inputs(own, model)
    loss = getattr(model, "loss", None)
    check_broadcast(own, model, [] if loss is None else tree.flatten(loss))


class _NoBatches:
    def __getitem__(self, n: int) -> Any:
        raise RecipeError("This criterion scores on data. Received: none. Give data=(x, y).")
