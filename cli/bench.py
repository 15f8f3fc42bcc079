"""`kt doctor --bench`: how fast this machine trains, next to what else is installed on it."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerastickets_cli.output import number, table
from kerastickets_cli.race.nets import NETS, Net
from kerastickets_cli.race.side import OURS, TUNED, best_torch, contestants, race

Facts = dict[str, Any]


def contests(repeats: int = 3) -> Iterator[Facts]:
    """One result per net, as soon as it is known: steps per second by side, and how often ours is faster.

    Args:
        repeats: rounds that count.

    Yields:
        `{"net", "batch", "steps_per_second": {side: ...}, "ratios": {side: ...}, "matmul_share": ...}`. A ratio
        above 1 means that kerastickets is faster.
    """
    for net in NETS.values():
        measured = race(net, contestants(net), repeats)
        best = best_torch(measured)
        times = {name: statistics.median(values) for name, values in measured.items()}
        shown = {
            name: time
            for name, time in times.items()
            if name in (OURS, TUNED, "JAX", "PyTorch default", best)
        }
        yield {
            "net": net.name,
            "batch": net.batch,
            "steps_per_second": {name: 1 / time for name, time in shown.items()},
            "ratios": {name: time / times[OURS] for name, time in shown.items() if name != OURS},
            "matmul_share": None if net.conv else matmul_seconds(net) / times[OURS],
        }


def matmul_seconds(net: Net, repeats: int = 300) -> float:
    """Seconds that the matrix products of one step of a dense net take alone, with NumPy's BLAS; a sum of medians.

    Forward, and the gradients of weights and of inputs (the net's own input excepted).
    """
    rng = np.random.default_rng(0)
    total = 0.0
    for n, (rows, columns) in enumerate(net.shapes):
        shapes = ((net.batch, rows), (rows, columns), (net.batch, columns))
        x, w, g = (rng.random(shape, "float32") for shape in shapes)
        for a, b in [(x, w), (x.T, g)] + ([(g, w.T)] if n else []):
            out = np.empty((a.shape[0], b.shape[1]), "float32")
            total += statistics.median(_timed(a, b, out) for _ in range(repeats))
    return total


def _timed(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> float:
    started = time.perf_counter()
    np.matmul(a, b, out=out)
    return time.perf_counter() - started


def told(facts: Facts) -> str:
    """One contest as text."""
    rows = [
        (name, number(rate, 0), "" if name == OURS else f"{facts['ratios'][name]:.2f}x")
        for name, rate in facts["steps_per_second"].items()
    ]
    title = f"\n{facts['net']}, batch {facts['batch']}"
    text = table(("side", "steps/s", "kerastickets is faster"), rows)
    share = facts["matmul_share"]
    return f"{title}\n{text}" + ("" if share is None else f"\nmatrix products alone: {share:.0%} of a step")
