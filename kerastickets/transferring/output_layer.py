"""A ticket's output layer: which one it is, and drawing it anew where another task has other classes.

Imports Keras on use only, since every transfer imports this module.
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

#: What becomes of the output layer: kept, drawn anew, or drawn anew where the target has other outputs.
Head = Literal["same", "new", "auto"]
#: How much of a new output layer lives: all, or the share that the ticket, or its old output layer, keeps.
HeadDensity = Literal["dense", "ticket", "layer"]


@dataclass(frozen=True)
class Ends:
    """What goes into a ticket's model and what comes out.

    Args:
        inputs: the shape of one example; None where any size fits.
        outputs: how many.
    """

    inputs: tuple[int | None, ...]
    outputs: int

    @classmethod
    def of(cls, ticket: Ticket, custom_objects: Mapping[str, Any] | None = None) -> "Ends":
        """Those of a ticket's model, which is built to know them.

        Raises:
            TicketError: the ticket has no architecture that can be built.
            RecipeError: its model has several inputs or outputs, or does not say which.

        Example:
            >>> from kerastickets.testing import toy_ticket
            >>> Ends.of(toy_ticket())
            Ends(inputs=(8, 8, 1), outputs=10)
        """
        if not ticket.architecture:
            raise TicketError(
                "A ticket must have an architecture that can be rebuilt to be carried to another task. "
                "Received: a ticket without one."
            )
        model = ticket.build(custom_objects)
        ends: list[Any] = [getattr(model, name, None) or () for name in ("inputs", "outputs")]
        if [len(end) for end in ends] != [1, 1]:
            raise RecipeError(
                "A model must be Sequential or Functional, with one input and one output, to be carried to another "
                f"task. Received: a {type(model).__name__} with {len(ends[0])} inputs and {len(ends[1])} outputs."
            )
        return cls(tuple(ends[0][0].shape[1:]), ends[1][0].shape[-1])


def carried(
    ticket: Ticket, target: "Data", seed: int, head: Head = "auto", density: HeadDensity = "dense"
) -> Ticket:
    """The ticket with an output layer for the target.

    Args:
        ticket: what is carried.
        target: the other task.
        seed: keys the new layer.
        head: `same` keeps the output layer, `new` draws it anew, `auto` does so where `target` has other outputs.
        density: see `new_head`.

    Returns:
        `ticket` itself where its head stays.

    Raises:
        RecipeError: `same`, and the target has other outputs; or there is no output layer that can be drawn anew.

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
    """The error of a ticket whose output layer does not fit a target."""
    return RecipeError(
        f"To keep its output layer, a ticket must have the {target.outputs} outputs of {target.name}. Received: a "
        f"ticket with {mine}. Use the protocol new-head, or another that draws the output layer anew (head=new)."
    )


def new_head(
    ticket: Ticket,
    outputs: int,
    seed: int,
    *,
    density: HeadDensity = "dense",
    custom_objects: Mapping[str, Any] | None = None,
) -> Ticket:
    """The ticket with another output layer, drawn by the layer's own initializers. No other layer changes.

    The new values are the same in every snapshot.

    Args:
        ticket: of a Sequential or Functional model that ends in a Dense layer, activations aside.
        outputs: how many units the new layer has.
        seed: keys its weights, and which of them live.
        density: `dense` keeps all of them; `ticket` as large a share as the whole ticket keeps, `layer` as its
            old output layer kept, both rounded to a whole weight, at random places.
        custom_objects: your classes by name.

    Raises:
        RecipeError: another kind of output layer; names it.

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
    # Room for what is stored, and for the new layer with its masks.
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
    """The Dense layer that makes a model's output, activations behind it aside.

    Raises:
        RecipeError: it ends in another layer, or its layers cannot be followed.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> output_layer(toy_ticket().build()).name
        'dense_1'
    """
    import keras

    graph = (
        getattr(model, "_functional", None) or model
    )  # a Sequential keeps its graph in a Functional of its own
    outputs: Any = getattr(graph, "outputs", None) or ()
    if len(outputs) != 1 or not hasattr(graph, "_nodes_by_depth"):
        raise RecipeError(
            "An output layer can be drawn anew in a Sequential or Functional model with one output. "
            f"Received: a {type(model).__name__} with {len(outputs)} outputs."
        )
    layer = next(_back(outputs[0]))
    if not isinstance(layer, keras.layers.Dense):
        raise RecipeError(
            "An output layer that is drawn anew must be Dense, with nothing but activations behind it. "
            f"Received: {getattr(layer, 'name', layer)}, a {type(layer).__name__}."
        )
    return layer


def head_keys(ticket: Ticket) -> tuple[str, ...]:
    """The keys of a ticket's output layer.

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
    """The keys of one layer's own variables."""
    from kerastickets.models.variables import walk

    return tuple(place.key for place in walk(model) if place.layer is layer)


def _back(tensor: Any) -> Iterator[Any]:
    """The operations that made `tensor`, the last first, without activations."""
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
    """Masks of the new layer's weights, of those whose old ones had masks."""
    found: dict[str, np.ndarray] = {}
    for key in sorted(values.keys() & ticket.masks.keys()):
        shares = {"dense": 1.0, "ticket": ticket.density, "layer": density({key: ticket.masks[key]})}
        shape = values[key].shape
        scores = generator("head", seed, key).random(shape)
        found |= cut({key: scores}, max(1, round(shares[kind] * scores.size)), ones({key: shape}))
    return found
