"""Prepare an export: build the ticket's masked model and find the data to verify it on."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from kerastickets.data.dataset import Data
from kerastickets.data.spec import data_of, data_spec
from kerastickets.errors import DataError, ExportError, PluginError
from kerastickets.foundations.tree import masked
from kerastickets.models.trained_model import trained_model
from kerastickets.tickets.ticket import Ticket
from kerastickets.training.model_source import find_model
from kerastickets.training.train_ticket import ticket_source

if TYPE_CHECKING:
    import keras

    Build = Callable[[Ticket], keras.Model]


def subject(
    ticket: Ticket,
    data: str | Data | None,
    model: Any,
    custom_objects: Mapping[str, Any] | None,
    note: Callable[[str], None],
) -> tuple["keras.Model", Data | None, "Build"]:
    """Build the masked model and find the data to verify it on.

    Args:
        ticket: the ticket to export. This and the next three arguments are as in `kerastickets.export`.
        data: the data set to verify on. None takes the ticket's own data set; if that cannot be loaded or
            does not fit the model, no data is used.
        model: builds the model, for tickets without an architecture.
        custom_objects: your classes by name.
        note: called with the reason if no data is used.

    Returns:
        The model, not compiled; the data or None; and a function that builds the model of a similar ticket.

    Raises:
        TicketError: the ticket cannot be built.
        ExportError: the model has several inputs or outputs.
        DataError: the given data cannot be loaded, or does not fit the model.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> net, data, build = subject(toy_ticket(), None, None, None, print)
        >>> net.count_params(), data.name
        (460, 'digits')
    """
    found, why = _data(ticket, data)
    build = _builder(ticket, found, why, model, custom_objects)
    net = build(ticket)
    found, why = _fitting(net, found, why, given=data is not None)
    if found is None:
        note(f"Verified on random inputs, without an accuracy: {why}")
    return net, found, build


def _data(ticket: Ticket, data: str | Data | None) -> tuple[Data | None, str]:
    """The data, or None and the reason; raises an error if the caller named the data."""
    try:
        return data_of(data_spec(ticket, data)), ""
    except (DataError, PluginError) as error:  # a ticket may come from data without a registered name
        if data is not None:
            raise
        return None, str(error)


def _builder(
    ticket: Ticket, data: Data | None, why: str, model: Any, custom_objects: Mapping[str, Any] | None
) -> "Build":
    """A function that builds a ticket's model with its `final` weights, zero where they are pruned."""
    if model is None:
        return lambda one: trained_model(one, custom_objects)
    if data is None and _needs_data(find_model(model)):
        raise DataError(f"A function that builds a model needs a data set. Received: none. {why}")
    source = ticket_source(ticket, cast(Data, data), model, custom_objects)

    def build(one: Ticket) -> "keras.Model":
        from kerastickets.models.variables import assign

        net = source.build()
        assign(net, masked(one.weights("final"), one.masks))
        return net

    return build


def _needs_data(found: Any) -> bool:
    import keras

    return callable(found) and not isinstance(found, keras.Model)


def _fitting(net: "keras.Model", data: Data | None, why: str, given: bool) -> tuple[Data | None, str]:
    """Check that the inputs and outputs of the data fit the model.

    Returns the data, or None and the reason. If the caller named the data (`given`), a misfit is an error.
    """
    ends = [getattr(net, name, None) or () for name in ("inputs", "outputs")]
    if max(map(len, ends)) > 1:
        raise ExportError(
            "A model to export must have one input and one output. "
            f"Received: {len(ends[0])} inputs and {len(ends[1])} outputs"
        )
    if data is None or not (ends[0] and ends[1]):
        return data, why
    takes, gives = tuple(ends[0][0].shape[1:]), ends[1][0].shape[-1]
    fits = len(takes) == len(data.input_shape) and all(
        own in (None, size) for own, size in zip(takes, data.input_shape, strict=True)
    )
    if fits and gives in (None, data.outputs):
        return data, why
    why = (
        f"The model takes inputs {takes} and gives {gives} outputs. Received: {data.name}, with inputs "
        f"{data.input_shape} and {data.outputs} outputs."
    )
    if given:
        raise DataError(f"{why} Give the data set that it was trained on.")
    return None, why
