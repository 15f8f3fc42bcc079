"""What a page takes of a network."""

from kerastickets.figures.palette import DARK, LIGHT
from kerastickets.reports.network_plot import net_data, net_plot
from tests.helpers.networks import NET


def test_the_script_gets_places_kinds_texts_and_colours():
    plot = net_plot(NET)
    assert plot["kinds"] == ["active, b", "active, a", "inactive", "zombie", "isolated"]
    assert [plot["light"][3], plot["dark"][0]] == [LIGHT.series[2], DARK.series[0]]
    assert plot["tallest"] == 3
    assert plot["neurons"][1]["text"] == "input 1\nisolated"
    assert (plot["neurons"][5]["x"], plot["neurons"][5]["y"]) == (2.0, 0.5)
    assert [edge["kind"] for edge in plot["edges"]] == [0, 2, 3, 0]
    assert [edge["text"] for edge in plot["edges"]][1:3] == [
        "input 0 to dense 1\ndense/kernel, inactive",
        "dense 0 to out 0\nout/kernel, zombie\nsum of 9 magnitudes: -2",
    ]


def test_its_numbers_are_its_edges():
    assert net_data(NET).csv().splitlines()[:2] == [
        "from,to,category,key,weight,weights",
        'input 0,dense 2,"active, b",dense/kernel,0.5,1',
    ]
