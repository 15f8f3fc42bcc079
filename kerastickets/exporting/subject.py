"""Prepare an export: build the ticket's masked model and find the data to verify it on."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from kerastickets.data.dataset import Data
from kerastickets.data.spec import data_of, data_spec
from kerastickets.errors import DataError, PluginError
from kerastickets.foundations.structure import is_nested
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
    if data is None or not (ends[0] and ends[1]):
        return data, why
    if max(map(len, ends)) > 1 or is_nested(data.train[0]) or not _plain(data):
        return _fitting_structures(net, data, given)
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


def _plain(data: Data) -> bool:
    """Whether a data set says how many units an output needs."""
    return data.declared and not is_nested(data.train[1]) and (data.classes != 2) and data.train[1].ndim < 3


def _fitting_structures(net: "keras.Model", data: Data, given: bool) -> tuple[Data | None, str]:
    from kerastickets.models.label_fit import check_fit, check_inputs

    try:
        check_inputs(data, net)
        if data.declared:
            check_fit(data, net)
    except DataError as error:
        if given:
            raise
        return None, str(error)
    return data, ""


def answers(net: "keras.Model", ticket: Ticket, data: Data | None) -> tuple[bool, int | None]:
    """How to tell right answers from the outputs of a net.

    Returns:
        Whether the outputs are probabilities and no logits; and the number of classes if the data does not declare its
        labels, or None.
    """
    from kerastickets.models.label_fit import class_count, takes_logits
    from kerastickets.models.objective import gives_probabilities

    loss = _recorded_loss(ticket)
    logits = None if loss is None else takes_logits(loss)
    likely = gives_probabilities(net) if logits is None else not logits
    outputs = list(getattr(net, "outputs", None) or ())
    if data is None or data.declared or len(outputs) != 1 or is_nested(data.test[1]):
        return likely, None
    return likely, class_count(data, data.test[1], tuple(outputs[0].shape[1:]), loss)


def _recorded_loss(ticket: Ticket) -> Any:
    """The loss that a ticket remembers, if it is one of Keras's own."""
    from kerastickets.errors import KerasTicketsError
    from kerastickets.models.recorded_objective import read_part

    try:
        return read_part((ticket.provenance.get("compiled") or {}).get("loss"), "loss", {})
    except KerasTicketsError:
        return None
