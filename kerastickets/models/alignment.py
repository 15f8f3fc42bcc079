"""Match each weight of a ticket to the model variable that it belongs to."""

from collections.abc import Mapping
from typing import Any

import keras

from kerastickets.errors import AlignError
from kerastickets.models.variables import check_aligned, check_shapes, variables
from kerastickets.tickets.ticket import Ticket


def align(
    ticket: Ticket,
    model: keras.Layer,
    *,
    by: str = "key",
    custom_objects: Mapping[str, Any] | None = None,
) -> dict[str, keras.Variable]:
    """Match the weights of a ticket to the variables of a model.

    Args:
        ticket: any ticket.
        model: a built model.
        by: how to match. `"key"` matches equal keys. `"order"` matches the n-th variable of the ticket's
            model with the n-th variable of `model`, whatever their names. To learn the order, it builds
            the ticket's model. Neither way falls back on the other.
        custom_objects: your classes by name, if the ticket's model needs them to be built.

    Returns:
        A dict from each key of the ticket to the matching variable of `model`.

    Raises:
        AlignError: a key or shape does not match. The message names the first mismatch and what was found
            instead. Also raised if `by` is neither `"key"` nor `"order"`.
        TicketError: `by="order"`, and the ticket's model cannot be built.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> layers = [keras.layers.Flatten(), keras.layers.Dense(6, name="a"), keras.layers.Dense(10, name="b")]
        >>> renamed = keras.Sequential([keras.Input((8, 8, 1)), *layers])
        >>> align(toy_ticket(), renamed, by="order")["dense_1/kernel"] is layers[2].kernel
        True
    """
    own = variables(model)
    shapes = {key: variable.shape for key, variable in own.items()}
    theirs = {key: value.shape for key, value in ticket.weights("init").items()}
    if by == "key":
        check_aligned(shapes, theirs)
        return {key: own[key] for key in theirs}
    if by != "order":
        raise AlignError(f"`by` must be 'key' or 'order'. Received: by={by!r}")
    # A ticket sorts its keys, so only its model knows the order of the variables.
    order = [*variables(ticket.build(custom_objects))]
    _check_order(shapes, {key: theirs[key] for key in order})
    return dict(zip(order, own.values(), strict=True))


def _check_order(expected: Mapping[str, tuple[int, ...]], received: Mapping[str, tuple[int, ...]]) -> None:
    for (ours, shape), (theirs, other) in zip(expected.items(), received.items(), strict=False):
        check_shapes(ours, shape, theirs, other)
    if len(expected) != len(received):
        raise AlignError(f"The model has {len(expected)} variables. Received: {len(received)}.")
