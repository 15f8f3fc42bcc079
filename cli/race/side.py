"""A side of a race is a process of its own that waits for `go`: no framework's threads disturb another's turn."""

import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kerastickets_cli.race.nets import NETS, Net

OURS = "kerastickets"

# The same with XLA's own matrix products in place of YNNPACK's, whose calls cost more than a tiny product takes.
TUNED = "kerastickets, XLA's own dots"
_TUNING = {"XLA_FLAGS": "--xla_cpu_experimental_ynn_fusion_type="}

# Module, variant and the package it needs. PyTorch at its best is the fastest of its variants but `default`.
SIDES: Mapping[str, tuple[str, str, str]] = {
    OURS: ("keras_side", "", "tensorflow"),
    TUNED: ("keras_side", "", "tensorflow"),
    "JAX": ("jax_side", "", "optax"),
    "PyTorch default": ("torch_side", "default", "torch"),
    "PyTorch fused": ("torch_side", "fused", "torch"),
    "PyTorch fused, 1 thread": ("torch_side", "fused-1", "torch"),
    "PyTorch compiled": ("torch_side", "compiled", "torch"),
    "PyTorch compiled, 1 thread": ("torch_side", "compiled-1", "torch"),
}


def installed() -> list[str]:
    """The sides that can run here; the tuned one only with the TensorFlow whose XLA knows its flag."""
    here = [name for name, (_, _, package) in SIDES.items() if importlib.util.find_spec(package)]
    known = importlib.metadata.version("tensorflow").startswith("2.21.")
    return [name for name in here if known or name != TUNED]


def contestants(net: Net) -> list[str]:
    """The installed sides that are worth their time on `net`: XLA's convolutions take seconds a step on a CPU."""
    return [name for name in installed() if not (net.conv and name in (TUNED, "JAX"))]


def best_torch(seconds: Mapping[str, Any]) -> str | None:
    """The fastest variant of PyTorch, by median, or None where there is none."""
    variants = [name for name in seconds if name.startswith("PyTorch") and name != "PyTorch default"]
    return min(variants, key=lambda name: statistics.median(seconds[name]), default=None)


def serve(prepare: Callable[[Net, str], Callable[[int, int], Any]]) -> None:
    """The process of a side: prepare the net named on the command line, then time each `go` on stdin.

    The command line is NET VARIANT STEPS.
    """
    net = replace(NETS[sys.argv[1]], steps=int(sys.argv[3]))
    run = prepare(net, sys.argv[2])
    run(0, net.steps)  # compiles
    at = net.steps
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        run(at, net.steps)
        print(json.dumps({"seconds": (time.perf_counter() - started) / net.steps}), flush=True)
        at += net.steps


class Side:
    """A running side, seen from the race.

    Args:
        name: one of `SIDES`.
        net: what it trains.
    """

    def __init__(self, name: str, net: Net) -> None:
        module, variant, _ = SIDES[name]
        command = [sys.executable, "-m", f"kerastickets_cli.race.{module}", net.name, variant]
        command.append(str(net.steps))
        pipe = subprocess.PIPE
        settings = {"TF_CPP_MIN_LOG_LEVEL": "3"} | (_TUNING if name == TUNED else {})
        quiet = {"stderr": subprocess.DEVNULL, "env": {**os.environ, **settings}}
        self.name = name
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, **quiet)  # type: ignore[call-overload]
        self._answer()

    def seconds(self) -> float:
        """Seconds of one step, over one measurement."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self._answer()["seconds"])

    def close(self) -> None:
        """Let the process end."""
        self.process.stdin.close()
        self.process.wait(60)

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The side {self.name} ended with exit code {self.process.wait()}.")
        answer: dict[str, Any] = json.loads(line)
        return answer


def race(net: Net, names: list[str], repeats: int) -> dict[str, list[float]]:
    """Seconds of a step by side: every side in turn, `repeats` times over.

    Args:
        net: the contest.
        names: sides that are installed.
        repeats: rounds; all sides compile and warm up before the first.
    """
    sides = [Side(name, net) for name in names]
    try:
        rounds = [{side.name: side.seconds() for side in sides} for _ in range(repeats)]
    finally:
        for side in sides:
            side.close()
    return {name: [measured[name] for measured in rounds] for name in names}
