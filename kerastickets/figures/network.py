"""A network as a figure: neurons in columns, the weights between them, and the category of each."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerastickets.errors import RecipeError
from kerastickets.figures.json_fields import check_numbers, facts_of, made_of
from kerastickets.figures.table import check_texts, plain_value

#: Categories of neurons and their colours in a palette; weights have all but the last.
_COLOURS = {"active": 0, "inactive": 1, "zombie": 2, "isolated": 6}
#: Colours of active groups, none of which is that of another category.
_GROUPS = (0, 3, 4, 5, 7)


@dataclass(frozen=True)
class Neuron:
    """A dot of a network.

    Args:
        layer: its column.
        index: its place in the layer, from 0.
        category: `active`, `inactive`, `zombie` or `isolated`.
        group: what an active one belongs to, such as a subnetwork; may be empty.

    Raises:
        RecipeError: another category.
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
        """What a legend calls it: its category, and of active ones their group."""
        return _kind(self.category, self.group)


@dataclass(frozen=True)
class Edge:
    """A line of a network.

    Args:
        source: the position in the network's `neurons` that it leads from.
        target: the position that it leads to.
        category: `active`, `inactive` or `zombie`.
        key: the weight's key; empty where nodes are joined without weights.
        weight: its value, or of several weights the sum of their magnitudes; None if unknown.
        weights: how many weights it stands for.

    Raises:
        RecipeError: another category.
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
    """A network, drawn from its first layer at the left to its last at the right.

    Args:
        name: what its files are called.
        title: a line above it.
        neurons: layer by layer.
        edges: between positions in `neurons`.
        alt: what it shows, in words.
        note: what a reader must know to read it right.

    Raises:
        RecipeError: an edge names no neuron.

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
                f"An edge leads between the {len(known)} neurons, counted from 0. Received: {strange[0]!r}."
            )

    @property
    def layers(self) -> list[str]:
        """The columns, from left to right."""
        return list(dict.fromkeys(neuron.layer for neuron in self.neurons))

    def kind(self, edge: Edge) -> str:
        """What a legend calls an edge: its category, and of active ones the group of their neurons."""
        return _kind(edge.category, self.neurons[edge.source].group)

    def kinds(self) -> dict[str, int]:
        """What a legend names, and its colour in a palette: active groups first, isolated neurons last."""
        found = Counter(neuron.kind for neuron in self.neurons)
        found.update(map(self.kind, self.edges))
        others = [category for category in _COLOURS if category != "active"]
        groups = [kind for kind in found if kind not in others]
        colours = {kind: _GROUPS[min(n, len(_GROUPS) - 1)] for n, kind in enumerate(groups)}
        return colours | {category: _COLOURS[category] for category in others if category in found}

    def facts(self) -> dict[str, Any]:
        """The network as JSON; `Network.of` reads it back."""
        parts = {"neurons": [*map(facts_of, self.neurons)], "edges": [*map(facts_of, self.edges)]}
        return {"kind": "network", **facts_of(self, "neurons", "edges"), **parts}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Network":
        """The network that `facts` describe.

        Raises:
            RecipeError: they describe none.
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
