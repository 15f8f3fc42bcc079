"""Architectures that would take years to build are refused by counting, before Keras sees them."""

import itertools
import json

import pytest

from kerastickets.errors import TicketError
from kerastickets.models.build_time import check_build_time
from kerastickets.models.untrusted import rebuild_untrusted


def layer(name, *inputs, class_name="Dense", module="keras.layers", **config):
    """A layer that is called once for each of `inputs`: a name, or a name and the number of its call."""
    calls = [(of, 0) if isinstance(of, str) else of for of in inputs]
    node = {"module": module, "class_name": class_name, "config": {"name": name, **config}, "name": name}
    return {**node, "inbound_nodes": [{"args": [tensor(*call)], "kwargs": {}} for call in calls]}


def tensor(of, call=0):
    config = {"shape": [None, 3], "dtype": "float32", "keras_history": [of, call, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def functional(layers, name="net", *inputs):
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [[layers[-1]["name"], 0, 0]]}
    start = layer("x", class_name="InputLayer", batch_shape=[None, 3])
    model = layer(name, *inputs, class_name="Functional", module="keras.models", layers=[start, *layers])
    return {**model, "config": {**model["config"], **ends}}


def sequential(layers, name="net"):
    return layer(name, class_name="Sequential", module="keras", layers=layers)


def refused(architecture):
    with pytest.raises(TicketError, match="may take as long as 4,000 dense layers") as caught:
        check_build_time(architecture)
    return str(caught.value).partition("as long as ")[2].partition("as long as ")[2].partition(". ")[0]


def chain(count):
    names = ["x", *(f"a{i}" for i in range(count))]
    return [layer(name, before) for before, name in itertools.pairwise(names)]


def test_the_number_of_layers():
    check_build_time(functional(chain(3000)))
    assert refused(functional(chain(5000))) == "5,551"  # each call reads 14 values and an object, too
    check_build_time(sequential([layer(f"a{i}") for i in range(3900)]))
    assert refused(sequential([layer(f"a{i}") for i in range(5000)])) == "5,000"
    initializers = [{"module": "keras.initializers", "class_name": "Zeros", "config": {}}] * 6
    check_build_time(sequential([layer(f"a{i}", initializers=initializers) for i in range(3500)]))


def test_layers_that_consist_of_layers_count_as_several():
    many = [layer(f"a{i}", class_name="MultiHeadAttention") for i in range(801)]
    assert refused(sequential(many)) == "4,005"


def test_models_in_models_double_the_calls():
    model = functional(chain(1))
    for depth in range(40):
        inner = {**model, "name": f"m{depth}"}
        calls = layer(f"m{depth}", "x", (f"m{depth}", 0))["inbound_nodes"]
        model = functional([{**inner, "inbound_nodes": calls}])
    assert len(json.dumps(model)) < 40_000
    assert refused(model) == "over a billion"


def test_a_network_in_two_models_is_no_problem():
    check_build_time(functional([functional([functional(chain(1000), "a", "x")], "b", "x")]))


def test_layers_in_the_wrong_order_are_tried_again_and_again():
    assert int(refused(functional(chain(300)[::-1])).replace(",", "")) > 4000
    check_build_time(functional(chain(30)[::-1]))


def test_layers_that_call_each_other_in_turn():
    def turns(names, count):
        order = [names[i % len(names)] for i in range(count)]
        calls = {name: [] for name in names}
        before = ("x", 0)
        for name in order:
            calls[name].append(before)
            before = name, len(calls[name]) - 1
        return functional([layer(name, *calls[name]) for name in names])

    check_build_time(turns("abc", 150))
    assert refused(turns("abcdefghij"[::-1], 6000))


def test_values_in_a_call_cost_time_but_arrays_do_not():
    call = layer("a", "x")
    call["inbound_nodes"][0]["kwargs"] = {"values": [0] * 700_000}
    assert refused(functional([call]))
    array = {"class_name": "__numpy__", "config": {"value": [0.5] * 700_000, "dtype": "float32"}}
    call["inbound_nodes"][0]["kwargs"] = {"values": array}
    check_build_time(functional([call]))


@pytest.mark.parametrize(
    "odd",
    [
        {"class_name": 3, "config": 3},
        {"class_name": "Functional", "config": {"layers": 3}},
        {"class_name": "Functional", "config": {"layers": [3, None, [], {"inbound_nodes": 3}]}},
        {
            "class_name": "Functional",
            "config": {"layers": [{"inbound_nodes": [3, [], {"args": [tensor([], "x")]}]}]},
        },
        functional([layer("a", ("a", 0))]),
        functional([layer("a", ("x", -1)), layer("a", ("unknown", 10**30))]),
    ],
)
def test_odd_architectures_are_left_to_keras(odd):
    check_build_time(odd)


def test_it_is_checked_before_keras_builds():
    with pytest.raises(TicketError, match="4,000 dense layers"):
        rebuild_untrusted(sequential([layer(f"a{i}") for i in range(5000)]), 100)
