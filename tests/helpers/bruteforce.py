"""What leads where in a net, written down weight by weight and asked of networkx: the reference for structure.

It shares nothing with the library but keys: each net is built twice at once, of Keras layers and of plain lists.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import keras
import networkx as nx
import numpy as np
from keras import layers

from kerastickets.models.variables import paths, variables


@dataclass
class Net:
    """A net of numbered nodes.

    `groups` are names and nodes of layers; `calls` are a weight's key, its shape and a function from an index in it
    to the two nodes that entry joins; `joints` are pairs of nodes; `inputs` and `outputs` a node a position.
    """

    groups: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    joints: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    size: int = 0

    def made(self, name, count):
        nodes = list(range(self.size, self.size + count))
        self.size += count
        self.groups.append((name, nodes))
        return nodes

    def labels(self):
        """(layer, how often it was called before, position) by node; nodes that only add have none."""
        called, found = Counter(), {}
        for name, nodes in self.groups:
            if name is not None:
                found |= {node: (name, called[name], n) for n, node in enumerate(nodes)}
                called[name] += 1
        return found


class Reached:
    """A net under masks: everything by networkx, node by node."""

    def __init__(self, net, masks):
        self.net, self.masks, self.labels = net, masks, net.labels()
        graph = self.graph = nx.DiGraph()
        graph.add_nodes_from(range(net.size))
        graph.add_edges_from(net.joints)
        for key, _, ends in net.calls:
            for index in np.argwhere(masks[key]):
                source, target = ends(tuple(index))
                edge = (source, target)
                if edge not in graph.edges:
                    graph.add_edge(*edge, key=key, weights=0)
                graph.edges[edge]["weights"] += 1
        self.before = {node: nx.ancestors(graph, node) | {node} for node in graph}
        self.after = {node: nx.descendants(graph, node) | {node} for node in graph}
        self.fed = {node for node in graph if self.before[node] & set(net.inputs)}
        self.needed = {node for node in graph if self.after[node] & set(net.outputs)}

    def edge(self, source, target):
        if target not in self.needed:
            return "inactive"
        return "active" if source in self.fed else "zombie"

    def node(self, node):
        if not self.graph.degree(node):
            return "isolated"
        return self.edge(node, node)

    def weights(self):
        """Per key how many weights are of each category; one that several calls use is the best of them."""
        found = {}
        for key, mask in self.masks.items():
            ends = [ends for name, _, ends in self.net.calls if name == key]
            count = Counter({"active": 0, "inactive": 0, "zombie": 0, "pruned": int((~mask).sum())})
            for index in np.argwhere(mask):
                of_calls = {self.edge(*one(tuple(index))) for one in ends}
                count[next(name for name in ("active", "zombie", "inactive") if name in of_calls)] += 1
            found[key] = dict(count)
        return found

    def neurons(self):
        """Per layer, in no order."""
        names = ("active", "inactive", "zombie", "isolated")
        rows = []
        for name, nodes in self.net.groups:
            if name is not None:
                count = Counter(self.node(node) for node in nodes)
                rows.append((name, *(count[one] for one in names)))
        return sorted(rows)

    def subnetworks(self):
        """Sets of nodes."""
        active = self.graph.subgraph(self.fed & self.needed)
        return list(nx.connected_components(active.to_undirected()))

    def separation(self, tasks, counts):
        """`tasks` are pairs of positions among the inputs and among the outputs."""
        parts = self.subnetworks()
        sides = [
            ({self.net.inputs[n] for n in ins}, {self.net.outputs[n] for n in outs}) for ins, outs in tasks
        ]
        inputs = [[len(part & ins) / len(ins) for ins, _ in sides] for part in parts]
        outputs = [[len(part & outs) / len(outs) for _, outs in sides] for part in parts]
        own = [{"both": ins | outs, "inputs": ins, "outputs": outs}[counts] for ins, outs in sides]
        touched = [sum(bool(part & nodes) for nodes in own) for part in parts]
        whole = all(nodes <= set().union(*parts) for nodes in own)
        category = "degraded" if not whole else "separated" if max(touched) < 2 else "interconnected"
        return {
            "category": category,
            "subnetworks": len(parts),
            "coverage_inputs": sorted(inputs),
            "coverage_outputs": sorted(outputs),
            "separations_needed": sum(max(n - 1, 0) for n in touched),
        }

    def degree(self, tasks):
        """(from_outputs, from_inputs, neurons) of each layer, in no order, and of all layers."""
        ins = [{self.net.inputs[n] for n in ins} for ins, _ in tasks]
        outs = [{self.net.outputs[n] for n in outs} for _, outs in tasks]

        def row(nodes):
            after = [sum(bool(self.after[node] & one) for one in outs) for node in nodes]
            before = [sum(bool(self.before[node] & one) for one in ins) for node in nodes]
            neurons = sum(bool(a or b) for a, b in zip(after, before, strict=True))
            return (*map(share, (after, before)), neurons)

        def share(counts):
            some = [n for n in counts if n]
            return some.count(1) / len(some) if some else None

        own = [(name, nodes) for name, nodes in self.net.groups if name is not None]
        rows = [(name, *row(nodes)) for name, nodes in own]
        return sorted(rows, key=str), row([node for _, nodes in own for node in nodes])


class Made(NamedTuple):
    """A Keras tensor, and the node of each unit of its last axis."""

    tensor: object
    nodes: list


class Builder:
    """Builds a Keras model and its `Net` side by side; layers are given, or made by their method's arguments."""

    def __init__(self):
        self.net, self.layers, self.whole = Net(), [], []

    def input(self, *shape, pixels=False):
        """An input whose nodes are the last axis, or every pixel where it is flattened first."""
        n = len(self.whole)
        positions = int(np.prod(shape))
        nodes = self.net.made(("input", n), positions if pixels else shape[-1])
        self.net.inputs += nodes * (positions // len(nodes))
        tensor = keras.Input(shape)
        self.whole.append(tensor)
        return Made(tensor, nodes)

    def dense(self, x, units=None, layer=None, **options):
        layer = layer or layers.Dense(units, **options)
        return self.linked(x, layer, layer(x.tensor), lambda nodes, made, i: (nodes[i[0]], made[i[1]]))

    def conv(self, x, filters, size, groups=1, kind=layers.Conv2D, **options):
        layer = kind(filters, size, groups=groups, **options)
        ins, outs = len(x.nodes) // groups, filters // groups

        def ends(nodes, made, i):
            return nodes[i[-1] // outs * ins + i[-2]], made[i[-1]]

        return self.linked(x, layer, layer(x.tensor), ends)

    def transposed(self, x, filters, size, **options):
        layer = layers.Conv2DTranspose(filters, size, **options)
        return self.linked(x, layer, layer(x.tensor), lambda nodes, made, i: (nodes[i[-1]], made[i[-2]]))

    def depthwise(self, x, size, times=1, **options):
        layer = layers.DepthwiseConv2D(size, depth_multiplier=times, **options)
        made = layer(x.tensor)
        return self.linked(x, layer, made, lambda nodes, made, i: (nodes[i[-2]], made[i[-2] * times + i[-1]]))

    def separable(self, x, filters, size, times=1, **options):
        layer = layers.SeparableConv2D(filters, size, depth_multiplier=times, **options)
        tensor = layer(x.tensor)
        between = self.net.made((layer, "depthwise"), len(x.nodes) * times)
        made = self.net.made((layer, ""), filters)
        self.layers.append(
            (layer.depthwise_kernel, lambda i: (x.nodes[i[-2]], between[i[-2] * times + i[-1]]))
        )
        self.layers.append((layer.pointwise_kernel, lambda i: (between[i[-2]], made[i[-1]])))
        return Made(tensor, made)

    def linked(self, x, layer, tensor, ends):
        made = self.net.made((layer, ""), tensor.shape[-1])
        self.layers.append((layer.kernel, lambda i: ends(x.nodes, made, i)))
        return Made(tensor, made)

    def joined(self, layer, *given):
        """By Add and the like: one node for each channel."""
        made = self.net.made(None, len(given[0].nodes))
        self.net.joints += [(node, made[n]) for x in given for n, node in enumerate(x.nodes)]
        tensors = [x.tensor for x in given]
        return Made(layer(tensors) if isinstance(layer, keras.Layer) else layer(*tensors), made)

    def beside(self, *given, join=None):
        tensors = [x.tensor for x in given]
        return Made((join or layers.Concatenate())(tensors), [node for x in given for node in x.nodes])

    def each(self, x, *some):
        """Through layers that keep channels apart."""
        tensor = x.tensor
        for layer in some:
            tensor = layer(tensor)
        return Made(tensor, x.nodes)

    def flat(self, x, layer=None):
        made = (layer or layers.Flatten())(x.tensor)
        return Made(made, x.nodes * (made.shape[-1] // len(x.nodes)))

    def nested(self, x, model, *body):
        """Through a nested model, whose layers are those of `body`, all dense, in a row."""
        tensor, nodes = model(x.tensor), x.nodes
        for layer in body:
            own, nodes = nodes, self.net.made((layer, ""), layer.units)
            self.layers.append((layer.kernel, lambda i, own=own, made=nodes: (own[i[0]], made[i[1]])))
        return Made(tensor, nodes)

    def finish(self, *outputs):
        """The model and its net, with keys in place of variables, and paths of layers as names."""
        tensors = [x.tensor for x in outputs]
        model = keras.Model(
            self.whole if len(self.whole) > 1 else self.whole[0], tensors if len(tensors) > 1 else tensors[0]
        )
        keys = {id(variable): key for key, variable in variables(model).items()}
        own = {}
        for path, layer in paths(model):
            own.setdefault(id(layer), "/".join(path))
        several = len(self.whole) > 1

        def name(of):
            if of is None:
                return None
            if of[0] == "input":
                return f"input_{of[1]}" if several else "input"
            return "/".join(filter(None, [own[id(of[0])], of[1]]))

        net = self.net
        net.groups = [(name(of), nodes) for of, nodes in net.groups]
        net.calls = [(keys[id(variable)], tuple(variable.shape), ends) for variable, ends in self.layers]
        net.outputs = [node for x in outputs for node in x.nodes]
        return model, net
