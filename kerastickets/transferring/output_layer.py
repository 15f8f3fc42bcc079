"""Find a ticket's output layer, and replace it when the target task has another number of outputs.

The functions import Keras only when they run, because every transfer plugin imports this module.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kerastickets.cutting.cut_scores import cut, ones
from kerastickets.errors import RecipeError, TicketError
from kerastickets.foundations.tree import Tree, density, generator, masked, total
from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    import keras

    from kerastickets.data.dataset import Data

#: The output layer: `same` keeps it, `new` replaces it, `auto` replaces it only if the target needs another number of
#: outputs.
Head = Literal["same", "new", "auto"]
#: The density of a new output layer: `dense` (1), that of the whole ticket, or that of its old output layer.
HeadDensity = Literal["dense", "ticket", "layer"]


@dataclass(frozen=True)
class Ends:
    """The input shape and the number of outputs of a ticket's model.

    Args:
        inputs: the shape of one example; None for each size that the model leaves open.
        outputs: the number of outputs.
    """

    inputs: tuple[int | None, ...]
    outputs: int

    @classmethod
    def of(cls, ticket: Ticket, custom_objects: Mapping[str, Any] | None = None) -> "Ends":
        """Build a ticket's model to read its input shape and number of outputs.

        Raises:
            TicketError: the ticket has no architecture that can be built.
            RecipeError: its model has several inputs or outputs, or does not state them.

        Example:
            >>> from kerastickets.testing import toy_ticket
            >>> Ends.of(toy_ticket())
            Ends(inputs=(8, 8, 1), outputs=10)
        """
        if not ticket.architecture:
            raise TicketError(
                "A ticket must have an architecture to be transferred to another task. "
                "Received: a ticket without one."
            )
        model = ticket.build(custom_objects)
        ends: list[Any] = [getattr(model, name, None) or () for name in ("inputs", "outputs")]
        if [len(end) for end in ends] != [1, 1]:
            raise RecipeError(
                "A model must be Sequential or Functional, with one input and one output, to be transferred to "
                f"another task. Received: a {type(model).__name__} with {len(ends[0])} inputs and {len(ends[1])} "
                "outputs."
            )
        return cls(tuple(ends[0][0].shape[1:]), ends[1][0].shape[-1])


def carried(
    ticket: Ticket, target: "Data", seed: int, head: Head = "auto", density: HeadDensity = "dense"
) -> Ticket:
    """Give a ticket an output layer that fits the target.

    Args:
        ticket: the ticket to transfer.
        target: the data set of the target task.
        seed: random seed of a new output layer.
        head: `same` keeps the output layer; `new` replaces it by a newly drawn one; `auto` replaces it only
            if `target` has another number of outputs.
        density: density of a new output layer, see `new_head`.

    Returns:
        The ticket with the output layer; `ticket` itself if its output layer stays.

    Raises:
        RecipeError: `head` is `same` but the target has another number of outputs, or the output layer cannot
            be replaced.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> carried(toy_ticket(), toy_data(), seed=0) is toy_ticket()
        True
    """
    outputs = target.outputs
    if head != "new":
        mine = Ends.of(ticket).outputs
        if mine == outputs:
            return ticket
        if head == "same":
            raise other_outputs(mine, target)
    return new_head(ticket, outputs, seed, density=density)


def other_outputs(mine: int, target: "Data") -> RecipeError:
    """The error for a ticket whose output layer does not fit the target."""
    return RecipeError(
        f"To keep its output layer, a ticket must have the {target.outputs} outputs of {target.name}. Received: a "
        f"ticket with {mine}. Use the protocol new-head, or another one that replaces the output layer (head=new)."
    )


def new_head(
    ticket: Ticket,
    outputs: int,
    seed: int,
    *,
    density: HeadDensity = "dense",
    custom_objects: Mapping[str, Any] | None = None,
) -> Ticket:
    """Replace a ticket's output layer.

    The layer's own initializers draw the new weights. No other layer changes.

    The new weights are the same in every snapshot, except that pruned weights are zero in `final`.

    Args:
        ticket: a ticket of a Sequential or Functional model whose last layer is Dense. Only activation layers
            may follow it.
        outputs: number of units of the new layer.
        seed: random seed of the new weights and of their mask.
        density: `dense` keeps all new weights; `ticket` keeps the same fraction as the whole ticket; `layer`
            keeps the same fraction as the old output layer. The number is rounded to whole weights, and their
            positions are random.
        custom_objects: your classes by name.

    Raises:
        RecipeError: the output layer is of another kind; the message names it.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> made = new_head(toy_ticket(), 4, seed=0)
        >>> [layer["shape"] for layer in made.layers], made.layers[1]["density"]
        ([[64, 6], [6, 4]], 1.0)
    """
    from kerastickets.models.architecture import architecture
    from kerastickets.models.initial_weights import draw_weights
    from kerastickets.models.untrusted import rebuild_untrusted
    from kerastickets.models.variables import snapshot

    model = ticket.build(custom_objects)
    layer = output_layer(model)
    keys = keys_of(model, layer)
    config = _resized(ticket.architecture, layer.name, outputs)
    # Allow as many weights as the ticket stores, plus those of the new layer and its masks.
    room = total(ticket.weights()) + ticket.total + 2 * outputs * (layer.kernel.shape[0] + 1)
    fresh = rebuild_untrusted(config, room, custom_objects)
    values = {
        key: value
        for key, value in (snapshot(fresh) | draw_weights(fresh, seed, "head")).items()
        if key in keys
    }
    masks = {**ticket.masks, **_masks(ticket, values, seed, density)}
    snapshots = {name: dict(tree) | values for name, tree in ticket.snapshots.items()}
    if "final" in snapshots:
        snapshots["final"] = dict(masked(snapshots["final"], masks))
    return ticket.replace(architecture=architecture(fresh), masks=masks, snapshots=snapshots)


def output_layer(model: "keras.Model") -> Any:
    """The Dense layer that makes a model's output, ignoring activation layers after it.

    Raises:
        RecipeError: the model ends in another kind of layer, or it is not Sequential or Functional with one
            output.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> output_layer(toy_ticket().build()).name
        'dense_1'
    """
    import keras

    graph = (
        getattr(model, "_functional", None) or model
    )  # a Sequential model keeps its graph in an inner Functional model
    outputs: Any = getattr(graph, "outputs", None) or ()
    if len(outputs) != 1 or not hasattr(graph, "_nodes_by_depth"):
        raise RecipeError(
            "Only a Sequential or Functional model with one output can get a new output layer. "
            f"Received: a {type(model).__name__} with {len(outputs)} outputs."
        )
    layer = next(_back(outputs[0]))
    if not isinstance(layer, keras.layers.Dense):
        raise RecipeError(
            "An output layer to be replaced must be Dense, with only activations after it. "
            f"Received: {getattr(layer, 'name', layer)}, a {type(layer).__name__}."
        )
    return layer


def head_keys(ticket: Ticket) -> tuple[str, ...]:
    """The weight keys of a ticket's output layer.

    Raises:
        RecipeError: see `output_layer`.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> head_keys(toy_ticket())
        ('dense_1/kernel', 'dense_1/bias')
    """
    model = ticket.build()
    return keys_of(model, output_layer(model))


def keys_of(model: "keras.Model", layer: Any) -> tuple[str, ...]:
    """The weight keys of one layer's own variables."""
    from kerastickets.models.variables import walk

    return tuple(place.key for place in walk(model) if place.layer is layer)


def _back(tensor: Any) -> Iterator[Any]:
    """The operations that made `tensor`, from the last one backwards, without activations."""
    import keras

    while True:
        operation, node, _ = tensor._keras_history
        if not isinstance(operation, (keras.layers.Activation, keras.layers.Softmax, keras.layers.ReLU)):
            yield operation
        tensor = operation._inbound_nodes[node].input_tensors[0]


def _resized(architecture: Mapping[str, Any], name: str, units: int) -> dict[str, Any]:
    config = copy.deepcopy(dict(architecture))
    [found] = [node for node in config["config"]["layers"] if node["config"].get("name") == name]
    found["config"]["units"] = units
    return config


def _masks(ticket: Ticket, values: Tree, seed: int, kind: HeadDensity) -> Tree:
    """Masks of the new layer's weights, for each weight whose old counterpart had a mask."""
    found: dict[str, np.ndarray] = {}
    for key in sorted(values.keys() & ticket.masks.keys()):
        shares = {"dense": 1.0, "ticket": ticket.density, "layer": density({key: ticket.masks[key]})}
        shape = values[key].shape
        scores = generator("head", seed, key).random(shape)
        found |= cut({key: scores}, max(1, round(shares[kind] * scores.size)), ones({key: shape}))
    return found
