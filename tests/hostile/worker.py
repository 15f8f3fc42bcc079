"""A long-lived process that tries inputs: it gets seeds through a pipe, and sends back what happened."""

import faulthandler
import gc
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

#: A worker that holds so much memory is replaced: TensorFlow keeps what it compiled.
_WORN = 4 << 30

#: The environment variable with how many times longer an action may take.
PATIENCE = "KERASTICKETS_HOSTILE_PATIENCE"


def live(pipe: Any, deadline: Any, doing: Any, scratch: str, home: str) -> None:
    """The main function of a worker.

    Args:
        pipe: gets messages with `kind`, and `seed` or the `nodes` of an input; sends outcomes.
        deadline: shared; the monotonic time at which the parent should give up on this process.
        doing: shared; the name of the action that is being done.
        scratch: a new folder for this process.
        home: the folder of the sound inputs.
    """
    _prepare(Path(scratch))
    import time

    from tests.hostile.bench import Bench

    def on_action(name: str, seconds: float) -> None:
        doing.value = name.encode()[:60]
        deadline.value = time.monotonic() + seconds + 15

    bench = Bench(
        Path(scratch), Path(home), on_action=on_action, patience=float(os.environ.get(PATIENCE, "1"))
    )
    bench.redirect()
    import tensorflow  # noqa: F401 - before limits are set, since it takes much address space

    from kerastickets_cli import main  # noqa: F401

    done, sound = 0, dict[str, Any]()
    while (message := pipe.recv()) is not None:
        outcome = _tried(bench, Path(home), message, sound)
        done += 1
        if done % 100 == 0:
            _tidy()
        pipe.send((outcome, done % 20 == 0 and _held() > _WORN))


def _prepare(scratch: Path) -> None:
    """Everything that libraries read from the environment when they are imported."""
    for name in ("home", "tmp"):
        (scratch / name).mkdir(parents=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    faults = open(scratch / "faults.txt", "w")  # noqa: SIM115
    faulthandler.enable(faults)
    faulthandler.register(signal.SIGUSR1, faults, all_threads=False)
    os.environ |= {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1"),
        "HOME": str(scratch.parent / "home"),
        "TMPDIR": str(scratch / "tmp"),
        "MPLBACKEND": "Agg",
        "KERAS_HOME": str(scratch.parent / "home"),
        "MPLCONFIGDIR": str(scratch.parent / "home"),
    }
    (scratch.parent / "home").mkdir(exist_ok=True)
    sys.setrecursionlimit(1000)


def _tried(bench: Any, home: Path, message: Any, sound: dict[str, Any]) -> dict[str, Any]:
    from tests.hostile import mutators, nodes, subjects

    kind, seed = message["kind"], message["seed"]
    if kind not in sound:
        sound[kind] = subjects.sound(home, kind)
    if "nodes" in message:
        made = mutators.Mutated(nodes.from_json(message["nodes"]), ())
    else:
        made = mutators.mutate(kind, seed, sound[kind], message.get("only"))
    about = {name: message[name] for name in ("often", "just", "every") if name in message}
    outcome = bench.attempt(kind, seed, made.nodes, **about)
    facts = json.loads(json.dumps(asdict(outcome))) | {"kind": kind, "seed": seed, "steps": made.steps}
    return facts | ({"nodes": nodes.to_json(made.nodes)} if message.get("keep") else {})


def _tidy() -> None:
    import keras

    keras.backend.clear_session()
    gc.collect()


def _held() -> int:
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * 4096
