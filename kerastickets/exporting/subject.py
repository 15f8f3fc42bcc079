"""What is exported: a ticket's masked model, the data that it is verified on, and what builds its like."""

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
    """The masked model, the data to verify on, and what builds the model of a ticket like this one.

    Args:
        ticket: and the next three: as `kerastickets.export` takes them.
        data: where None, and the ticket's own cannot be had or do not fit, there are none.
        model: what builds the model.
        custom_objects: your classes by name.
        note: called with why there are no data.

    Returns:
        The model, not compiled; the data or None; a function of such a ticket.

    Raises:
        TicketError: the ticket cannot be built.
        ExportError: the model has several inputs or outputs.
        DataError: the data given cannot be had, or do not fit the model.

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
    """The data, or why there are none; an error where they were asked for."""
    try:
        return data_of(data_spec(ticket, data)), ""
    except (DataError, PluginError) as error:  # a ticket can be found on data that have no registered name
        if data is not None:
            raise
        return None, str(error)


def _builder(
    ticket: Ticket, data: Data | None, why: str, model: Any, custom_objects: Mapping[str, Any] | None
) -> "Build":
    """What makes the model of a ticket with its `final` weights, zero where pruned."""
    if model is None:
        return lambda one: trained_model(one, custom_objects)
    if data is None and _needs_data(find_model(model)):
        raise DataError(f"A model that a function builds is built for data. Received: none. {why}")
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
    """The data, where the model takes its inputs and has outputs for its answers."""
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
