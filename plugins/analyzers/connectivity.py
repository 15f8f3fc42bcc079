"""Analyzer that counts the kept weights of each input, neuron and layer, and compares them with input statistics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kerastickets.plugin import (
    Chart,
    Data,
    DataError,
    Heatmap,
    NeuronGraph,
    Series,
    Takes,
    Ticket,
    TicketError,
    blocks,
    check_tickets,
    moments,
    trace,
)

_FEWEST = 3
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Connectivity:
    """Count the kept weights from each input and to each neuron, and give the density of each layer.

    Facts:

    - `inputs`: per input, `degree` (the number of kept weights that lead from it), `mean` and `variance` (of
      that input in the training split). These three have the shape of an example, without a last axis of one
      channel. `unconnected` is the number of inputs without any kept weight. `correlation` is Pearson's
      correlation of the degree with `mean` and with `variance`; it is None if one of the two is constant, or
      for fewer than three inputs. If the first layer is a convolution, `per` is `channel` instead of
      `position`, and the lists have one entry per channel.
    - `neurons`: per layer, the number of kept weights that lead to a neuron, as `mean`, `sd`, `least`,
      `median` and `most`. `unconnected` is the number of neurons without any incoming weight.
    - `layers` and `total`: the densities.

    The variance is that of the data used for training. If every pixel of a data set is standardised on its
    own, the variance is 1 for every pixel that varies at all.

    Raises:
        DataError: there is no data, or it has another shape than the network's input.
        TicketError: the model has a layer that cannot be traced, or several inputs.

    Example:
        >>> from kerastickets.testing import toy_data, toy_ticket
        >>> facts = Connectivity()(toy_ticket(), data=toy_data())
        >>> sum(map(sum, facts["inputs"]["degree"])), facts["layers"][0]["kept"]
        (194, 194)
        >>> facts["neurons"][0]["layer"], round(facts["neurons"][0]["mean"], 2)
        ('dense', 32.33)

    Reference:
        M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), section 4.3.2.
    """

    takes: ClassVar[Takes] = Takes(1, 1)
    needs_data: ClassVar[bool] = True

    def __call__(self, *tickets: Ticket, data: Data | None = None) -> dict[str, Any]:
        ticket = check_tickets(self, tickets)
        if data is None:
            raise DataError("Connectivity needs the inputs of a data set. Received: none. Name a data set.")
        graph = trace(ticket)
        layers = [{name: row[name] for name in ("key", "kept", "total", "density")} for row in ticket.layers]
        total = {"kept": ticket.kept, "total": ticket.total, "density": ticket.density}
        return {"inputs": _inputs(graph, data), "neurons": _neurons(graph), "layers": layers, "total": total}

    def figure(self, facts: Mapping[str, Any]) -> tuple[Chart | Heatmap, ...]:
        """For image inputs, maps of degree, mean and variance.

        For other inputs, a bar chart of the degree.
        """
        inputs = facts["inputs"]
        if len(np.shape(inputs["degree"])) in (2, 3):
            return tuple(_maps(inputs))
        return (_bars(inputs),)


def _inputs(graph: NeuronGraph, data: Data) -> dict[str, Any]:
    """Degree, mean and variance of the inputs, and their correlations."""
    if len(graph.inputs) != 1:
        raise TicketError(
            f"Connectivity needs a network with one input. Received: {len(graph.inputs)} inputs."
        )
    nodes, shape = graph.inputs[0], data.input_shape
    per = "channel" if len(np.unique(nodes)) < len(nodes) else "position"
    count = len(np.unique(nodes))
    if count != (shape[-1] if per == "channel" else np.prod(shape)):
        raise DataError(
            f"The data must have the shape of the network's inputs, {count} by {per}. "
            f"Received: examples of shape {shape} in '{data.name}'. Name another data set."
        )
    degree = _leaving(graph)[np.unique(nodes)]
    mean, variance = _moments(data.train[0], per)
    form = (count,) if per == "channel" else shape[:-1] if shape[-1] == 1 and len(shape) > 1 else shape
    return {
        "per": per,
        "shape": list(form),
        "unconnected": int((degree == 0).sum()),
        "correlation": {
            "mean": _correlation(degree, mean, np.sqrt(variance.max())),
            "variance": _correlation(degree, variance, variance.max()),
        },
        "degree": degree.reshape(form).tolist(),
        "mean": mean.reshape(form).tolist(),
        "variance": variance.reshape(form).tolist(),
    }


def _moments(x: Any, per: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance per position of an example, or per channel, as flat arrays."""
    axes = 0 if per == "position" else tuple(range(x.ndim - 1))
    mean, deviation = moments(x, axis=axes)
    # `moments` returns 1 instead of a deviation of 0, so that callers can divide by it.
    ends = [(block.min(axes), block.max(axes)) for block in blocks(x)]
    varies = np.max([high for _, high in ends], axis=0) > np.min([low for low, _ in ends], axis=0)
    return mean.ravel(), np.where(varies, deviation**2, 0.0).ravel()


def _leaving(graph: NeuronGraph) -> np.ndarray:
    """The number of kept weights that lead from each node."""
    degree = np.zeros(graph.size, np.int64)
    for link in graph.links:
        if link.key is not None:
            np.add.at(degree, link.rows, link.kept if link.paired else link.kept.sum(1))
    return degree


def _neurons(graph: NeuronGraph) -> list[dict[str, Any]]:
    """Statistics of the number of kept weights that lead to the neurons of each layer."""
    degree = np.zeros(graph.size, np.int64)
    for link in graph.links:
        if link.key is not None:
            np.add.at(degree, link.cols, link.kept if link.paired else link.kept.sum(0))
    return [
        {
            "layer": group.name,
            "neurons": group.stop - group.start,
            "unconnected": int((degree[group.nodes] == 0).sum()),
            "mean": float(degree[group.nodes].mean()),
            "sd": float(degree[group.nodes].std()),
            "least": int(degree[group.nodes].min()),
            "median": float(np.median(degree[group.nodes])),
            "most": int(degree[group.nodes].max()),
        }
        for group in graph.groups
        if group.role == "weights"
    ]


def _correlation(degree: np.ndarray, values: np.ndarray, scale: float) -> float | None:
    """Pearson's correlation; None for few inputs or constant numbers.

    `values` count as constant if they differ, relative to `scale`, by no more than float32 rounding errors.
    """
    if degree.size < _FEWEST or np.ptp(degree) == 0 or np.ptp(values) <= _ROUNDING * scale:
        return None
    return float(np.corrcoef(degree, values)[0, 1])


def _maps(inputs: Mapping[str, Any]) -> Iterator[Heatmap]:
    over = f"Correlation with the variance of the pixels: {_said(inputs['correlation']['variance'])}."
    texts: Sequence[tuple[str, str, str, str]] = (
        ("degree", "Kept weights that lead from each pixel", ".0f", over),
        ("mean", "Mean of each pixel in train", ".2f", ""),
        ("variance", "Variance of each pixel in train", ".2f", ""),
    )
    for name, title, spec, note in texts:
        values = np.asarray(inputs[name], float)
        if values.ndim == 3:  # several channels: sum the weights of a pixel, average its mean and variance
            values = values.sum(2) if name == "degree" else values.mean(2)
        rows, columns = (list(range(size)) for size in values.shape)
        alt = f"{title}, as an image of {len(rows)} by {len(columns)} pixels."
        yield Heatmap(
            f"pixel-{name}", title, columns, rows, values.tolist(), alt, note, spec, "column", "row"
        )


def _bars(inputs: Mapping[str, Any]) -> Chart:
    degree = np.ravel(inputs["degree"]).tolist()
    bars = Series("kept weights", [str(n) for n in range(len(degree))], degree, style="bar")
    return Chart(
        "degree",
        f"Kept weights that lead from each {'channel' if inputs['per'] == 'channel' else 'input'}",
        inputs["per"],
        "kept weights",
        (bars,),
        "The number of kept weights that lead from each input.",
    )


def _said(value: float | None) -> str:
    return "undefined, because one of the two is constant" if value is None else f"{value:.2f}"
