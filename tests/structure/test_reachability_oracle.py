"""Structure and separation of random nets, equal to a brute force by networkx, and to what numbers do."""

import functools
import itertools
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from kerastickets import Data, Task, Ticket, to_networkx
from kerastickets.models.architecture import architecture
from kerastickets.models.variables import assign, snapshot, variables
from kerastickets.structure.reachability import Structure
from kerastickets.structure.task_separation import separation, separation_degree
from tests.helpers.bruteforce import Net, Reached
from tests.helpers.zoo import FORMS, built

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_nets_of_keras_equal_the_brute_force": (
        "residual",
        "two-inputs",
        "nested",
        "ended-by-models",
        "conv-6",
    ),
    "test_categories_are_what_numbers_do": ("residual", "conv-6"),
}


quick = functools.partial(settings, deadline=None, derandomize=True, database=None)
# Sparse ones are where neurons are cut off; an empty layer and a dense one are drawn often.
DENSITIES = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0])


@st.composite
def masked(draw, shapes):
    """A mask for each shape, of a density of its own; in some a whole input or output of the layer is gone."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    masks = {}
    for key, shape in shapes.items():
        mask = rng.random(shape) < draw(DENSITIES)
        cut = draw(st.sampled_from(["", "", "row", "column"]))
        if cut == "row":
            mask[..., rng.integers(shape[-2]), :] = False
        elif cut == "column":
            mask[..., rng.integers(shape[-1])] = False
        masks[key] = mask
    return masks


@st.composite
def dealt(draw, inputs, outputs):
    """One to three tasks: every one has an input and an output, some positions are of none."""
    number = draw(st.integers(1, min(3, inputs, outputs)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def side(size):
        owner = np.concatenate([np.arange(number), rng.integers(-1, number, size - number)])
        rng.shuffle(owner)
        return [tuple(map(int, np.flatnonzero(owner == n))) for n in range(number)]

    return list(zip(side(inputs), side(outputs), strict=True))


def data(tasks, inputs, outputs):
    x, y = np.zeros((2, inputs)), np.zeros((2, outputs))
    named = {f"task {n}": Task(ins, outs, "mse") for n, (ins, outs) in enumerate(tasks)}
    return Data("drawn", (x, y), (x, y), (x, y), "mse", (), classes=None, tasks=named)


def compare(ticket, net, tasks):
    """All that the library says about a ticket against all that networkx says."""
    expected, structure = Reached(net, ticket.masks), Structure.of(ticket)
    facts = structure.facts()
    assert {row.pop("key"): row for row in facts["layers"]} == expected.weights()
    assert sorted(tuple(row.values()) for row in facts["neurons"]) == expected.neurons()
    assert facts["dead_inputs"] == len(set(net.inputs) - (expected.fed & expected.needed))
    assert subnetworks(structure) == {
        frozenset(expected.labels[node] for node in part if node in expected.labels)
        for part in expected.subnetworks()
    }
    compare_edges(ticket, expected)
    of_tasks = data(tasks, len(net.inputs), len(net.outputs))
    for counts in ("both", "inputs", "outputs"):
        found = separation(structure, of_tasks, counts)
        for name in ("coverage_inputs", "coverage_outputs"):
            found[name].sort()
        brute = expected.separation(tasks, counts)
        assert {name: found[name] for name in brute} == brute
    degree, (rows, total) = separation_degree(structure, of_tasks), expected.degree(tasks)
    names = ("from_outputs", "from_inputs", "neurons")
    found = [(row["layer"], *(row[name] for name in names)) for row in degree["layers"]]
    assert sorted(found, key=str) == rows
    assert tuple(degree["total"][name] for name in names) == total


def labels(groups):
    """As `Net.labels`, of the library's nodes."""
    called, found = Counter(), {}
    for group in groups:
        if group.role != "joint":
            nodes = range(group.start, group.stop)
            found |= {node: (group.name, called[group.name], n) for n, node in enumerate(nodes)}
            called[group.name] += 1
    return found


def subnetworks(structure):
    names, parts = labels(structure.graph.groups), {}
    for node, part in enumerate(structure.components.tolist()):
        if part >= 0:
            parts.setdefault(part, set()).update({names[node]} if node in names else ())
    assert sorted(parts) == list(range(len(parts)))
    return {frozenset(part) for part in parts.values()}


def compare_edges(ticket, expected):
    for part, shown in (("unpruned", set(expected.graph)), ("active", expected.fed & expected.needed)):
        network = to_networkx(ticket, part)
        names = labels(Structure.of(ticket).graph.groups)
        assert {names[node]: seen["category"] for node, seen in network.nodes.items() if node in names} == {
            expected.labels[node]: expected.node(node) for node in shown if node in expected.labels
        }
        found = Counter(
            (names.get(a), names.get(b), edge.get("key"), edge.get("weights"), edge["category"])
            for a, b, edge in network.edges(data=True)
        )
        assert found == Counter(
            (
                expected.labels.get(a),
                expected.labels.get(b),
                edge.get("key"),
                edge.get("weights"),
                expected.edge(a, b),
            )
            for a, b, edge in expected.graph.edges(data=True)
            if {a, b} <= shown
        )


def dense(sizes):
    """The architecture of a net of dense layers, without Keras, and the net."""
    net = Net()
    nodes = net.inputs = net.made("input", sizes[0])
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, sizes[0]], "name": "input_layer"}}
    ]
    for n, units in enumerate(sizes[1:]):
        name = f"dense_{n}" if n else "dense"
        layers.append({"class_name": "Dense", "config": {"name": name, "activation": "relu"}})
        own, nodes = nodes, net.made(name, units)
        net.calls.append((f"{name}/kernel", own, nodes))
    net.outputs = nodes
    net.calls = [(key, (len(a), len(b)), lambda i, a=a, b=b: (a[i[0]], b[i[1]])) for key, a, b in net.calls]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}, net


def shapes(net):
    return {key: shape for key, shape, _ in net.calls}


@pytest.mark.slow
@quick(max_examples=450)
@given(st.data())
def test_dense_nets_equal_the_brute_force(draw):
    sizes = draw.draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
    config, net = dense(sizes)
    masks = draw.draw(masked(shapes(net)))
    weights = {key: np.ones(shape, "float32") for key, shape in shapes(net).items()}
    compare(Ticket(config, masks, {"init": weights}), net, draw.draw(dealt(sizes[0], sizes[-1])))


@functools.cache
def config_of(form):
    model, _ = built(form)
    return architecture(model), snapshot(model)


@pytest.mark.parametrize("form", FORMS)
def test_nets_of_keras_equal_the_brute_force(form):
    config, weights = config_of(form)
    net = built(form)[1]

    @quick(max_examples=36)
    @given(masked(shapes(net)), dealt(len(net.inputs), len(net.outputs)))
    def agrees(masks, tasks):
        compare(Ticket(config, masks, {"init": weights}), net, tasks)

    agrees()


def filled(form, masks, constants):
    """The model with random weights under masks; biases, shifts and means are 0, or random."""
    model, _ = built(form)
    rng = np.random.default_rng(7)
    weights = {}
    for key, value in snapshot(model).items():
        drawn = rng.normal(size=value.shape) * 0.7
        if key.endswith(("bias", "beta", "moving_mean")):
            drawn = drawn if constants else 0 * drawn
        elif key.endswith(("gamma", "moving_variance")):
            drawn = np.abs(drawn) + 0.5
        weights[key] = (drawn * masks.get(key, 1)).astype("float32")
    assign(model, weights)
    return model, weights


def examples(model, count=24):
    rng = np.random.default_rng(3)
    return [rng.normal(size=(count, *x.shape[1:])).astype("float32") for x in model.inputs]


@functools.cache
def runs(form):
    """Functions of examples: all outputs, and the gradient of a random sum of them by each kernel."""
    model, _ = built(form)
    rng = np.random.default_rng(5)
    kernels = {key: variable for key, variable in variables(model).items() if key.endswith("kernel")}

    # Compiled once: outside of a function Keras compiles a grouped convolution anew each time.
    @tf.function
    def predicted(x):
        return tf.nest.flatten(model(x if len(x) > 1 else x[0], training=False))

    @tf.function
    def slopes(x):
        with tf.GradientTape() as tape:
            total = sum(tf.reduce_sum(y * rng.normal(size=y.shape).astype("float32")) for y in predicted(x))
        found = tape.gradient(total, [one.value for one in kernels.values()], unconnected_gradients="zero")
        return dict(zip(kernels, found, strict=True))

    return predicted, slopes


def outputs_of(form):
    return [y.numpy() for y in runs(form)[0](examples(built(form)[0]))]


def slopes_of(form):
    return {key: slope.numpy() for key, slope in runs(form)[1](examples(built(form)[0])).items()}


def some_masks(net, count=3):
    """Of densities at which neurons of every kind occur."""
    rng = np.random.default_rng(11)
    densities = rng.choice([0.2, 0.4, 0.6, 0.9], (count, len(shapes(net))))
    for row in densities:
        yield {
            key: rng.random(shape) < density
            for (key, shape), density in zip(shapes(net).items(), row, strict=True)
        }


def evened(net, masks):
    """Masks that keep all weights from one channel to another, or none: then no place cuts off another."""
    even = {key: mask.copy() for key, mask in masks.items()}
    for key in masks:
        ends = next(ends for name, _, ends in net.calls if name == key)
        first = {}
        for index in np.ndindex(masks[key].shape):
            even[key][index] = first.setdefault(ends(index), masks[key][index])
    return even


@pytest.mark.parametrize("form", FORMS)
def test_categories_are_what_numbers_do(form):
    """Where nothing is constant, only active weights have a slope; where biases are, zombies have one too."""
    net = built(form)[1]
    for masks, constants, even in itertools.product(some_masks(net), (False, True), (False, True)):
        kept = evened(net, masks) if even else masks
        weights = filled(form, kept, constants)[1]
        structure = Structure.of(Ticket(config_of(form)[0], kept, {"init": weights}))
        for key, slope in slopes_of(form).items():
            count = structure.weights[key]
            expected = count["active"] + (count["zombie"] if constants else 0)
            found = np.count_nonzero(slope[kept[key]])
            # Of a kernel that keeps some places only, what it keeps may meet nothing but a border. And a zombie
            # without a bias, as within a separable convolution, is 0 for good.
            exact = even and not (constants and "pointwise" in key)
            assert found == expected if exact else found <= expected, (key, constants)


@pytest.mark.parametrize("form", FORMS)
def test_outputs_are_the_same_bits_without_inactive_weights(form):
    net = built(form)[1]
    for masks in some_masks(net):
        model, weights = filled(form, masks, constants=True)
        before, expected = outputs_of(form), Reached(net, masks)
        matter = {key: np.zeros_like(mask) for key, mask in masks.items()}
        for key, _, ends in net.calls:
            for index in map(tuple, np.argwhere(masks[key])):
                matter[key][index] |= expected.edge(*ends(index)) != "inactive"
        assign(model, {key: value * matter.get(key, 1) for key, value in weights.items()})
        assert [y.tobytes() for y in outputs_of(form)] == [y.tobytes() for y in before]
        counts = Structure.of(Ticket(config_of(form)[0], masks, {"init": weights})).weights
        assert {key: row["active"] + row["zombie"] for key, row in counts.items()} == {
            key: int(mask.sum()) for key, mask in matter.items()
        }


@pytest.mark.parametrize("form", FORMS)
def test_only_fed_neurons_vary_with_the_inputs(form):
    """Outputs: those that no input leads to are constants, all others differ from example to example."""
    net = built(form)[1]
    for masks in some_masks(net):
        filled(form, evened(net, masks), constants=True)
        expected = Reached(net, evened(net, masks))
        varies = np.concatenate([np.ptp(y, axis=0) > 0 for y in outputs_of(form)])
        if form != "softmax":  # whose outputs all depend on all it takes
            assert varies.tolist() == [node in expected.fed for node in net.outputs]
