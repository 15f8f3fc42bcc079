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

from _harness import interleaved, summary, table, timed, write

GOAL = 8.0
OURS, THEIRS = "kerastickets", "PyTorch DataLoader"
SEEDS, BATCH = 4, 64


def ours(widths: tuple[int, ...], epochs: int) -> Callable[[], Any]:
    """Train a job once; compiled before the first round."""
    from kerastickets.pruning.job import PruneJob
    from kerastickets.pruning.loop import Loop
    from kerastickets.training.session import Start

    model = f"mlp:widths={'-'.join(map(str, widths))},initializer=kaiming"
    dials: Any = {
        "levels": 1,
        "rate": 0.32,
        "train": f"{epochs}ep",
        "batch_size": BATCH,
        "monitor": "val_loss",
        "keep": "last",
    }
    loops = [Loop(PruneJob.of(model, "moons-circles", seed=seed, dials=dials)) for seed in range(SEEDS)]
    starts = [Start(loop.init, loop.masks, seed) for seed, loop in enumerate(loops)]
    return lambda: loops[0].trainer.train_many(starts)


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


def main() -> None:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5, help="rounds that count")
    parser.add_argument("--widths", type=int, nargs="+", default=(38, 38))
    parser.add_argument("--side", choices=("pytorch",), help=argparse.SUPPRESS)
    args = parser.parse_args()
    widths = tuple(args.widths)
    if args.side:
        theirs(widths, args.epochs)
        return
    command = [sys.executable, __file__, "--side", "pytorch", "--epochs", str(args.epochs), "--widths"]
    peer = subprocess.Popen(
        [*command, *map(str, widths)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask() -> float:
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write("go\n")
        peer.stdin.flush()
        return float(json.loads(peer.stdout.readline()))

    mine = ours(widths, args.epochs)
    measured = interleaved({OURS: lambda: timed(mine), THEIRS: ask}, args.repeats)
    peer.communicate()
    nets = SEEDS * args.epochs
    millis = {name: [1e3 * t / nets for t in times] for name, times in measured.items()}
    facts = summary(millis, against=OURS)
    print(f"{SEEDS} nets 4-{'-'.join(map(str, widths))}-2; milliseconds a net and epoch, evaluation included")
    print(table(facts, OURS).replace("median s", "  median"))
    ratio = statistics.median(millis[THEIRS]) / statistics.median(millis[OURS])
    print(f"  {ratio:.1f}x {THEIRS}: goal {GOAL}x {'met' if ratio >= GOAL else 'MISSED'}")
    path = write(
        "separation",
        {
            "seeds": SEEDS,
            "widths": widths,
            "epochs": args.epochs,
            "repeats": args.repeats,
            "milliseconds_per_net_and_epoch": facts,
            "goal": {"goal": GOAL, "measured": round(ratio, 2), "met": ratio >= GOAL},
        },
        packages=("kerastickets", "tensorflow", "keras", "torch"),
    )
    print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
