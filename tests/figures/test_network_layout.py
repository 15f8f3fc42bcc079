"""Where the neurons of a network stand."""

from kerastickets.figures.network import Edge, Network, Neuron
from kerastickets.figures.network_layout import net_places


def net(neurons, *edges):
    return Network("n", "N", tuple(neurons), tuple(Edge(a, b, "active") for a, b in edges), "alt")


def test_a_short_column_is_spread_around_the_middle():
    places = net_places(
        net([Neuron("a", n, "active") for n in range(4)] + [Neuron("b", 0, "active")], (0, 4))
    )
    assert [y for _, y in places[:4]] == [0.125, 0.375, 0.625, 0.875]
    assert places[4] == (1.0, 0.5)


def test_subnetworks_stand_apart_and_zombies_and_inactive_under_them():
    kinds = [("inactive", ""), ("active", "two"), ("active", "one"), ("zombie", ""), ("active", "two")]
    column = [Neuron("a", n, *kind) for n, kind in enumerate(kinds)]
    y = [y for _, y in net_places(net(column))]
    assert sorted(range(5), key=y.__getitem__) == [1, 4, 2, 3, 0]


def test_isolated_neurons_are_in_a_low_block_below_their_column():
    many = [Neuron("a", n, "isolated") for n in range(700)] + [Neuron("b", 0, "active")]
    places = net_places(net(many))
    assert len({*places}) == 701
    assert all(abs(x) < 0.3 and 1.1 <= y <= 1.31 for x, y in places[:700])
    assert places[700] == (1.0, 0.5)


def test_nothing_has_no_places():
    assert net_places(net([])) == []
