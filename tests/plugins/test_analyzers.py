"""`overlap`, `weights`, `connectivity` and what the others draw, on tickets worked out by hand."""

import json

import keras
import numpy as np
import pytest

from kerastickets import Data, Ticket, registry
from kerastickets.errors import AlignError, DataError, PluginError, TicketError
from kerastickets.figures.chart import Chart, Heatmap
from kerastickets.models.architecture import architecture
from kerastickets.models.variables import snapshot
from kerastickets.structure.analysis import analyze, figures
from tests.helpers.structures import mlp, two_tasks
from tests.helpers.tickets import ticket


def test_overlap_of_two_beside_chance():
    a = ticket([[1, 1, 1, 1], [1, 1]], [[1, 1, 0, 0], [1, 1]])
    b = ticket([[1, 1, 1, 1], [1, 1]], [[1, 0, 1, 0], [1, 0]])
    pair = analyze("overlap", a, b)["pairs"][0]
    first, second = pair["layers"]
    # Of 6 pairs of 4, 2 of 2: 1 shares both, 4 one, 1 none; IoU 1, 1/3, 0.
    assert {name: first[name] for name in ("overlap", "chance", "iou")} == {
        "overlap": 1,
        "chance": 1.0,
        "iou": 1 / 3,
    }
    assert (first["sd"], first["chance_iou"]) == pytest.approx((np.sqrt(1 / 3), (1 + 4 / 3) / 6))
    assert first["z"] == 0.0
    # A layer that one keeps whole shares what the other keeps, whatever that is.
    assert (second["chance"], second["sd"], second["z"]) == (1.0, 0.0, None)
    assert (pair["total"]["overlap"], pair["total"]["chance"]) == (2, 2.0)
    assert pair["total"]["sd"] == pytest.approx(np.sqrt(1 / 3))


def test_overlap_of_three():
    masks = ([1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1])
    facts = analyze("overlap", *(ticket([[1, 1, 1, 1]], [mask], level=n) for n, mask in enumerate(masks)))
    assert [(pair["a"], pair["b"]) for pair in facts["pairs"]] == [(1, 2), (1, 3), (2, 3)]
    total = facts["total"]
    # Each weight is in all three with chance 1/8, and pruned by all with chance 1/8.
    assert (total["intersection"], total["intersection_chance"]) == (1, 0.5)
    assert (total["union"], total["union_chance"]) == (4, 3.5)
    assert total["intersection_sd"] == pytest.approx(np.sqrt(0.5 + 12 / 216 - 0.25))
    assert total["union_z"] == pytest.approx(0.5 / np.sqrt(0.5 + 12 / 216 - 0.25))
    drawn = registry.create("analyzers", "overlap").figure(facts)
    assert drawn.x_labels == ("level 0", "level 1", "level 2")
    assert drawn.values[0] == (1.0, 1 / 3, 1 / 3)


def test_overlap_names_tickets_by_what_tells_them_apart():
    overlap = registry.create("analyzers", "overlap")
    for seeds, expected in (([0, 1, 2], "seed 2"), ([0, 0, 0], "ticket 3")):
        facts = overlap(*(ticket([[1]], [[1]], level=5, seeds={"init": seed}) for seed in seeds))
        assert overlap.figure(facts).y_labels[2] == expected


def test_overlap_refuses_tickets_of_other_models():
    with pytest.raises(AlignError, match="Shapes must be equal"):
        analyze("overlap", ticket([[1]], None), ticket([[1, 1]], None))
    with pytest.raises(TicketError, match=r"overlap takes two tickets or more\. Received: 1\."):
        analyze("overlap", ticket([[1]], None))


def trained(init, mask, final, **provenance):
    start = ticket([init], [mask], **provenance)
    weights = {"a/kernel": np.where(mask, final, 0).astype("float32")}
    return start.replace(snapshots={"init": start.weights(), "final": weights})


def test_weights_are_summed_up_by_hand():
    one = trained([4, -2, 0, 1, 3], [1, 1, 1, 1, 0], [-8.5, -1, 5, 1, 0], level=2)
    facts = analyze("weights:bins=4", one)
    assert facts["edges"] == {"a/kernel": [-8, -4, 0, 4, 8]}  # twice the largest of init
    (row,) = facts["rows"]
    assert (row["level"], row["kept"], row["total"], row["density"]) == (2, 4, 5, 0.8)
    assert (row["init"]["mean"], row["init"]["sd"]) == (0.75, np.std([4, -2, 0, 1]))
    assert row["init"]["quantiles"]["0.5"] == 0.5
    assert row["init"]["histogram"] == {"counts": [0, 1, 2, 1], "below": 0, "above": 0}
    assert row["final"]["histogram"] == {"counts": [0, 1, 1, 1], "below": 1, "above": 0}
    # 4 became -8.5; -2 and 1 kept their signs; 0 had none.
    assert row["signs_kept"] == facts["totals"][0]["signs_kept"] == 2 / 3


def test_weights_of_levels_are_a_row_each_over_the_same_bins():
    levels = [trained([1, -2, 3], mask, [1, 1, 1], level=n) for n, mask in enumerate(([1, 1, 1], [0, 0, 1]))]
    facts = analyze("weights", *levels)
    assert [(row["ticket"], row["level"], row["kept"]) for row in facts["totals"]] == [(1, 0, 3), (2, 1, 1)]
    assert [row["signs_kept"] for row in facts["totals"]] == [2 / 3, 1.0]
    assert max(facts["edges"]["a/kernel"]) == 6.0
    drawn = registry.create("analyzers", "weights").figure(json.loads(json.dumps(facts)))
    assert [series.x for series in drawn.series] == [(1.0, 1 / 3)] * 2


def test_weights_of_untrained_empty_and_zero_layers():
    facts = analyze("weights:bins=2", ticket([[0, 0], [5]], [[1, 1], [0]]))
    zeros, empty = facts["rows"]
    assert (zeros["final"], zeros["signs_kept"], zeros["init"]["sd"]) == (None, None, 0.0)
    assert facts["edges"]["a/kernel"] == [-1, 0, 1]
    assert (empty["kept"], empty["init"]["mean"], empty["init"]["quantiles"]["1"]) == (0, None, None)
    with pytest.raises(PluginError, match="`bins` must be at least 1"):
        analyze("weights:bins=0", ticket([[1]], None))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_weights_that_are_no_numbers_have_no_mean():
    facts = analyze("weights:bins=2", trained([1, 2], [1, 1], [np.nan, np.inf]))
    row = json.loads(json.dumps(facts, allow_nan=False))["rows"][0]
    assert (row["final"]["mean"], row["final"]["histogram"]) == (
        None,
        {"counts": [0, 0], "below": 0, "above": 1},
    )


def of_model(model, **masks):
    """A ticket of a model; keys without a mask are whole."""
    weights = snapshot(model)
    kernels = {key: value for key, value in weights.items() if key.endswith("kernel")}
    given = {key.replace("__", "/"): np.array(mask, bool) for key, mask in masks.items()}
    kept = {key: given.get(key, np.ones(value.shape, bool)) for key, value in kernels.items()}
    return Ticket(architecture(model), kept, {"init": weights})


def data(x):
    x = np.asarray(x, "float32")
    y = np.arange(len(x)) % 2
    return Data("toy", (x, y), (x, y), (x, y), "mse", (), 2)


def test_connectivity_counts_what_leads_from_pixels_and_to_neurons():
    layers = keras.layers
    model = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten(), layers.Dense(3), layers.Dense(2)])
    mask = [[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]]
    one = of_model(model, dense__kernel=mask)
    # Pixels: constant 5, then 0 and 2, 0 and 4, 0 and 6: variances 0, 1, 4, 9.
    facts = analyze("connectivity", one, data=data([[[[5], [0]], [[0], [0]]], [[[5], [2]], [[4], [6]]]]))
    inputs = facts["inputs"]
    assert inputs["degree"] == [[3, 1], [0, 2]]
    assert inputs["mean"] == [[5, 1], [2, 3]]
    assert inputs["variance"] == [[0, 1], [4, 9]]
    assert (inputs["per"], inputs["shape"], inputs["unconnected"]) == ("position", [2, 2], 1)
    assert inputs["correlation"]["variance"] == pytest.approx(np.corrcoef([3, 1, 0, 2], [0, 1, 4, 9])[0, 1])
    first, second = facts["neurons"]
    assert first == {
        "layer": "dense",
        "neurons": 3,
        "unconnected": 0,
        "mean": 2.0,
        "least": 1,
        "median": 2.0,
        "most": 3,
        "sd": pytest.approx(np.std([3, 2, 1])),
    }
    assert (second["least"], second["most"]) == (3, 3)
    assert facts["layers"][0] == {"key": "dense/kernel", "kept": 6, "total": 12, "density": 0.5}
    drawn = registry.create("analyzers", "connectivity").figure(facts)
    assert [figure.name for figure in drawn] == ["pixel-degree", "pixel-mean", "pixel-variance"]
    assert all(isinstance(figure, Heatmap) for figure in drawn)
    assert drawn[0].values == ((3, 1), (0, 2))


def test_connectivity_of_a_convolution_is_by_channel():
    layers = keras.layers
    body = [layers.Conv2D(2, 1), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((2, 1, 2)), *body])
    one = of_model(model, conv2d__kernel=[[[[1, 1], [0, 0]]]])
    x = [[[[1, 0]], [[3, 0]]], [[[1, 0]], [[3, 0]]]]  # the first channel is 1 and 3, the second 0
    facts = analyze("connectivity", one, data=data(x))
    inputs = facts["inputs"]
    assert (inputs["per"], inputs["degree"], inputs["mean"]) == ("channel", [2, 0], [2, 0])
    assert (inputs["variance"], inputs["correlation"]["variance"]) == ([1, 0], None)  # of two channels
    assert [row["mean"] for row in facts["neurons"]] == [1.0, 4.0]
    assert isinstance(registry.create("analyzers", "connectivity").figure(facts)[0], Chart)


def test_connectivity_of_colours_adds_the_channels_of_a_pixel_up():
    model = keras.Sequential([keras.Input((1, 2, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    one = of_model(model, dense__kernel=[[1], [1], [0], [1]])
    facts = analyze("connectivity", one, data=data([[[[1, 3], [0, 0]]], [[[1, 3], [0, 0]]]]))
    assert facts["inputs"]["degree"] == [[[1, 1], [0, 1]]]
    degree, mean, _ = registry.create("analyzers", "connectivity").figure(facts)
    assert (degree.values, mean.values) == (((2, 1),), ((2, 0),))


def test_connectivity_refuses_data_of_another_shape():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(DataError, match=r"inputs, 3 by position. Received: examples of shape \(2,\)"):
        analyze("connectivity", of_model(model), data=data([[1, 2], [3, 4]]))
    facts = analyze("connectivity", of_model(model), data=data([[1, 2, 3], [3, 4, 3]]))
    assert facts["inputs"]["degree"] == [2, 2, 2]
    assert isinstance(registry.create("analyzers", "connectivity").figure(facts)[0], Chart)


def test_connectivity_takes_no_rounding_for_a_correlation():
    ticket = of_model(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]),
        dense__kernel=[[1, 1], [1, 0], [1, 1], [0, 0]],
    )
    # Each feature of moons-circles has mean 0 and variance 1, to eight digits.
    facts = analyze("connectivity", ticket, data="moons-circles")
    assert facts["inputs"]["correlation"] == {"mean": None, "variance": None}


def test_structure_draws_the_shares_of_each_layer():
    facts = registry.create("analyzers", "structure")(
        mlp([[1, 1, 0, 0], [0] * 4], [[1, 0], [0, 0], [0, 1], [0, 0]])
    )
    weights, neurons = figures(registry.create("analyzers", "structure"), facts)
    assert weights.series[0].x == ("dense (2)", "dense_1 (2)", "all (4)")
    assert [one.y for one in weights.series] == [(0.5, 0.5, 0.5), (0.5, 0, 0.25), (0, 0.5, 0.25)]
    assert neurons.series[3].name == "isolated"
    assert neurons.series[3].y == (0.5, 0.25, 0)


def test_an_emptied_layer_leaves_a_gap():
    facts = registry.create("analyzers", "structure")(mlp([[0]], [[1]]))
    assert figures(registry.create("analyzers", "structure"), facts)[0].series[0].y == (None, 0, 0)


def test_separation_draws_coverage_and_degrees():
    ticket = mlp([[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0, 1]])
    separation = registry.create("analyzers", "separation")
    (heat,) = figures(separation, separation(ticket, data=two_tasks()))
    assert (heat.title, heat.values, heat.range) == (
        "Coverage of the tasks: separated", ((1, 0), (0, 1)), (0, 1),
    )  # fmt: skip
    (empty,) = figures(separation, separation(mlp([[0]] * 4, [[0, 0]]), data=two_tasks()))
    assert (empty.y_labels, empty.values) == (("none",), ((0, 0),))
    degree = registry.create("analyzers", "separation-degree")
    (chart,) = figures(degree, degree(ticket, data=two_tasks()))
    assert chart.series[0].x == ("input (4)", "dense (2)", "dense_1 (2)", "all (8)")
    assert chart.series[0].y == (1, 1, 1, 1)


def test_network_draws_what_it_says_and_refuses_what_is_too_large():
    network = registry.create("analyzers", "network")
    ticket = mlp([[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0, 1]])
    (drawn,) = figures(network, network(ticket))
    assert list(drawn.kinds()) == ["active, subnetwork 1", "active, subnetwork 2"]
    with pytest.raises(TicketError, match="fewer than 3 edges"):
        registry.create("analyzers", "network", {"below": 3})(ticket)
    with pytest.raises(PluginError, match="Option 'part' of Network must be"):
        registry.create("analyzers", "network", {"part": "dead"})
