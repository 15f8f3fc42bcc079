"""The separation study's training against the same jobs through a PyTorch DataLoader loop.

A job is what the study trains at a time: the four seeds of a net, on moons-circles, with an evaluation on validation
data after every epoch. Both sides train the same number of epochs with Adam and masks, PyTorch with one thread, which
suits nets this small, in a process of its own. Needs the `bench` extra.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from _harness import add_jit, installed, interleaved, parser, settings, spread, summary, table, timed, write

GOAL = 8.0
OURS, THEIRS = "kerastickets", "PyTorch DataLoader"
SEEDS, BATCH = 4, 64


def ours(widths: tuple[int, ...], epochs: int, jit: str) -> Callable[[], Any]:
    """Train a job once; compiled before the first round."""
    from _training import compiled

    model = f"mlp:widths={'-'.join(map(str, widths))},initializer=kaiming"
    dials: Any = {"train": f"{epochs}ep", "batch_size": BATCH, "monitor": "val_loss", "keep": "last"}
    trainer, starts = compiled(model, "moons-circles", range(SEEDS), jit=jit, **dials)
    return lambda: trainer.train_many(starts)


def theirs(widths: tuple[int, ...], epochs: int) -> None:
    """Train jobs as lines come in, one after another, and print the seconds of each."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from kerastickets.data.spec import data_of

    torch.set_num_threads(1)
    data = data_of("moons-circles")
    train, validation = (TensorDataset(*map(torch.tensor, split)) for split in (data.train, data.validation))
    loss_of = nn.BCEWithLogitsLoss()

    def job(seed: int) -> None:
        torch.manual_seed(seed)
        sizes = [4, *widths, 2]
        layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        net = nn.Sequential(*layers[:-1])
        weights = [p for p in net.parameters() if p.ndim > 1]
        masks = [torch.ones_like(w) for w in weights]
        optimizer = torch.optim.Adam(net.parameters(), 1e-3)
        batches = DataLoader(train, batch_size=BATCH, shuffle=True, drop_last=True)
        held_out = DataLoader(validation, batch_size=len(validation))
        for _ in range(epochs):
            for x, y in batches:
                optimizer.zero_grad(set_to_none=True)
                loss_of(net(x), y).backward()
                optimizer.step()
                with torch.no_grad():
                    torch._foreach_mul_(weights, masks)
            with torch.no_grad():
                for x, y in held_out:
                    logits = net(x)
                    float(loss_of(logits, y)), float(((logits > 0) == (y > 0.5)).float().mean())

    for _ in sys.stdin:
        started = time.perf_counter()
        for seed in range(SEEDS):
            job(seed)
        print(json.dumps(time.perf_counter() - started), flush=True)


class Peer:
    """The PyTorch side, in a process of its own."""

    def __init__(self, widths: tuple[int, ...], epochs: int) -> None:
        command = [sys.executable, __file__, "--side", "pytorch", "--epochs", str(epochs), "--widths"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([*command, *map(str, widths)], stdin=pipe, stdout=pipe, text=True)

    def seconds(self) -> float:
        """Seconds of one job."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate()


def measure(widths: tuple[int, ...], epochs: int, repeats: int, jit: str) -> dict[str, list[float]]:
    """Seconds of every round by side; ours alone where PyTorch is missing."""
    peer = Peer(widths, epochs) if installed("PyTorch", "torch") else None
    mine = ours(widths, epochs, jit)
    sides = {OURS: lambda: timed(mine)} | ({THEIRS: peer.seconds} if peer else {})
    measured = interleaved(sides, repeats)
    if peer:
        peer.close()
    return measured


def main() -> None:
    """Measure, print, and write the result file."""
    made = parser(__doc__, repeats=5)
    made.add_argument("--epochs", type=int, default=60)
    made.add_argument("--widths", type=int, nargs="+", default=(38, 38))
    made.add_argument("--side", choices=("pytorch",), help=argparse.SUPPRESS)
    add_jit(made)
    args = settings(made, repeats=1, epochs=2, jit="off")
    widths = tuple(args.widths)
    if args.side:
        theirs(widths, args.epochs)
        return
    nets = SEEDS * args.epochs
    measured = measure(widths, args.epochs, args.repeats, args.jit)
    millis = {name: [1e3 * t / nets for t in times] for name, times in measured.items()}
    facts = summary(millis, against=OURS)
    print(f"{SEEDS} nets 4-{'-'.join(map(str, widths))}-2; milliseconds a net and epoch, evaluation included")
    print(table(facts, OURS).replace("median s", "  median"))
    goal: dict[str, Any] = {"goal": GOAL}
    if THEIRS in millis:
        ratio = statistics.median(millis[THEIRS]) / statistics.median(millis[OURS])
        goal |= {"measured": round(ratio, 2), "met": ratio >= GOAL}
        shown = spread(millis[THEIRS], millis[OURS], digits=1)
        print(f"  {shown} {THEIRS}: goal {GOAL}x {'met' if ratio >= GOAL else 'MISSED'}")
    write(
        "separation",
        {
            "seeds": SEEDS,
            "widths": widths,
            "epochs": args.epochs,
            "repeats": args.repeats,
            "milliseconds_per_net_and_epoch": facts,
            "goal": goal,
        },
        packages=("kerastickets", "tensorflow", "keras", "torch"),
        folder=args.results,
    )


if __name__ == "__main__":
    main()
