"""A network as a figure: neurons in columns, the weights between them, and a category for each."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.figures.json_fields import check_numbers, facts_of, made_of
from kerastickets.figures.table import check_texts, plain_value

#: The categories of neurons, and their index in a palette's colours.
#: Weights have every category except the last.
_COLOURS = {"active": 0, "inactive": 1, "zombie": 2, "isolated": 6}
#: The colour indices of active groups. No other category uses them.
_GROUPS = (0, 3, 4, 5, 7)


@dataclass(frozen=True)
class Neuron:
    """A neuron of a network, drawn as a dot.

    Args:
        layer: the layer's name. Each layer is a column.
        index: the neuron's position in the layer, from 0.
        category: `"active"`, `"inactive"`, `"zombie"` or `"isolated"`.
        group: the group that an active neuron belongs to, such as a subnetwork. May be empty.

    Raises:
        RecipeError: the category is unknown, or a text field is not text.
    """

    layer: str
    index: int
    category: str
    group: str = ""

    def __post_init__(self) -> None:
        check_texts(self, "layer", "category", "group")
        _check_category(self.category, list(_COLOURS))

    @property
    def kind(self) -> str:
        """The neuron's name in the legend: its category, and also its group if it is active."""
        return _kind(self.category, self.group)


@dataclass(frozen=True)
class Edge:
    """A connection between two neurons, drawn as a line.

    Args:
        source: the position of the first neuron in the network's `neurons`.
        target: the position of the second neuron in the network's `neurons`.
        category: `"active"`, `"inactive"` or `"zombie"`.
        key: the key of the weight. Empty if the neurons are joined without weights.
        weight: the weight's value. If the edge stands for several weights, the sum of their magnitudes. None
            if unknown.
        weights: how many weights the edge stands for.

    Raises:
        RecipeError: the category is unknown, a text field is not text, or `weight` is not a number.
    """

    source: int
    target: int
    category: str
    key: str = ""
    weight: float | None = None
    weights: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", plain_value(self.weight))
        check_texts(self, "category", "key")
        check_numbers(self.key, [self.weight])
        _check_category(self.category, list(_COLOURS)[:-1])


@dataclass(frozen=True)
class Network:
    """A network, drawn with its first layer at the left and its last layer at the right.

    Args:
        name: the name of its files.
        title: the line above the network.
        neurons: all neurons, layer by layer.
        edges: the connections. They refer to positions in `neurons`.
        alt: what the figure shows, in words, for readers who cannot see it.
        note: what a reader must know to read it correctly.

    Raises:
        RecipeError: an edge refers to a neuron that does not exist, or a text field is not text.

    Example:
        >>> neurons = (Neuron("input", 0, "active"), Neuron("dense", 0, "active"), Neuron("dense", 1, "isolated"))
        >>> network = Network("net", "A net", neurons, (Edge(0, 1, "active", "dense/kernel", 0.5),), "One weight.")
        >>> network.kinds(), Network.of(network.facts()) == network
        ({'active': 0, 'isolated': 6}, True)
    """

    name: str
    title: str
    neurons: tuple[Neuron, ...]
    edges: tuple[Edge, ...]
    alt: str
    note: str = ""

    def __post_init__(self) -> None:
        check_texts(self, "name", "title", "alt", "note")
        object.__setattr__(self, "neurons", tuple(self.neurons))
        object.__setattr__(self, "edges", tuple(self.edges))
        known = range(len(self.neurons))
        if strange := [end for edge in self.edges for end in (edge.source, edge.target) if end not in known]:
            raise RecipeError(
                f"An edge must join two of the {len(known)} neurons, counted from 0. Received: {strange[0]!r}."
            )

    @property
    def layers(self) -> list[str]:
        """The names of the layers, which are the columns from left to right."""
        return list(dict.fromkeys(neuron.layer for neuron in self.neurons))

    def kind(self, edge: Edge) -> str:
        """An edge's name in the legend: its category, and if it is active the group of its source neuron."""
        return _kind(edge.category, self.neurons[edge.source].group)

    def kinds(self) -> dict[str, int]:
        """The names in the legend, each with its colour index: active groups first, isolated neurons last."""
        found = Counter(neuron.kind for neuron in self.neurons)
        found.update(map(self.kind, self.edges))
        others = [category for category in _COLOURS if category != "active"]
        groups = [kind for kind in found if kind not in others]
        colours = {kind: _GROUPS[min(n, len(_GROUPS) - 1)] for n, kind in enumerate(groups)}
        return colours | {category: _COLOURS[category] for category in others if category in found}

    def facts(self) -> dict[str, Any]:
        """The network as JSON. `Network.of` reads it back."""
        parts = {"neurons": [*map(facts_of, self.neurons)], "edges": [*map(facts_of, self.edges)]}
        return {"kind": "network", **facts_of(self, "neurons", "edges"), **parts}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Network":
        """Make a network from the JSON that `Network.facts` returned.

        Raises:
            RecipeError: `facts` do not describe a network.
        """

        def neurons(many: Any) -> tuple[Neuron, ...]:
            return tuple(made_of(Neuron, one) for one in many)

        def edges(many: Any) -> tuple[Edge, ...]:
            return tuple(made_of(Edge, one) for one in many)

        return made_of(cls, facts, neurons=neurons, edges=edges)


def _kind(category: str, group: str) -> str:
    return f"{category}, {group}" if group and category == "active" else category


def _check_category(category: str, known: list[str]) -> None:
    if category not in known:
        raise RecipeError(f"`category` must be one of {', '.join(known)}. Received: {category!r}.")
