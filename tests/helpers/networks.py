"""A small network to draw."""

from kerastickets.figures.network import Edge, Network, Neuron

NEURONS = (
    Neuron("input", 0, "active", "b"),
    Neuron("input", 1, "isolated"),
    Neuron("dense", 0, "zombie"),
    Neuron("dense", 1, "inactive"),
    Neuron("dense", 2, "active", "b"),
    Neuron("out", 0, "active", "a"),
)
EDGES = (
    Edge(0, 4, "active", "dense/kernel", 0.5),
    Edge(0, 3, "inactive", "dense/kernel"),
    Edge(2, 5, "zombie", "out/kernel", -2.0, 9),
    Edge(4, 5, "active", "out/kernel"),
)
NET = Network("net", "A net", NEURONS, EDGES, "Four edges.")
