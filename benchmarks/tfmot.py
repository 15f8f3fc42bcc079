"""Tickets against what the field uses: TFMOT's own pruning, strip and gzip, at equal density, in one run.

LeNet-300-100 on MNIST, the same initial weights, Adam, batches and number of steps for every side:

- `TFMOT`: PolynomialDecay in tf_keras, in a process of its own, by the better (in validation accuracy) of two
  schedules: over the whole training, and from a fifth to three quarters of it, which leaves time to recover;
- `gradual`: `PruneDuringTraining("magnitude", polynomial(...))` in a plain `model.fit`, on the second schedule; it
  ranks all weights together, where TFMOT cuts every layer to the same density;
- `IMP`: four levels, so a fifth of the steps each, and each level rewound; `IMP, long`: as many steps a level as
  the others have in all; `SNIP`: one cut before training.

TFMOT's models are saved stripped, as H5 and as LiteRT; ours as the export `safetensors`. All are gzipped alike.
Weights are those after the last step, on every side.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import keras
import numpy as np
from _harness import installed, parser, settings, write

import kerastickets as kt
from kerastickets import registry
from kerastickets.exporting.report import gzip_size
from kerastickets.models.architecture import faithful_architecture
from kerastickets.models.variables import assign, snapshot

SPARSITIES = (0.9, 0.95)
PACKAGES = ("kerastickets", "tensorflow", "keras", "tf_keras", "tensorflow-model-optimization", "safetensors")
RECIPE = {"batch_size": 60, "optimizer": "adam", "lr": 1.2e-3, "epsilon": 1e-8}
SIDE = Path(__file__).with_name("_tfmot_side.py")
Rows = list[dict[str, Any]]


def schedules(steps: int) -> list[tuple[int, int]]:
    """First and last pruning step of TFMOT's two schedules."""
    return [(0, steps), (steps // 5, steps * 3 // 4)]


def accuracy(net: keras.Model, data: kt.Data) -> float:
    """The share of right answers on the test examples."""
    return float((net.predict(data.test[0], batch_size=1000, verbose=0).argmax(1) == data.test[1]).mean())


def measured(side: str, sparsity: float, seed: int, ticket: kt.Ticket, data: kt.Data, folder: Path) -> Any:
    """A row of one of our tickets, exported as safetensors."""
    file = folder / "ours.safetensors"
    registry.create("exporters", "safetensors")(ticket, file, model=(net := trained(ticket)), data=data)
    row = {
        "side": side,
        "sparsity": sparsity,
        "seed": seed,
        "accuracy": accuracy(net, data),
        "zeros": ticket.total - ticket.kept,
        "weights": ticket.total,
        "files": {"safetensors": {"bytes": file.stat().st_size, "gzip": gzip_size(file)}},
    }
    file.unlink()
    return row


def trained(ticket: kt.Ticket) -> keras.Model:
    """The model of a ticket, with its trained weights."""
    from kerastickets.models.trained_model import trained_model

    return trained_model(ticket)


def gradual(
    init: kt.Ticket, data: kt.Data, sparsity: float, args: argparse.Namespace, seed: int
) -> kt.Ticket:
    """Zhu and Gupta's pruning inside a plain `model.fit`, as a ticket."""
    keras.utils.set_random_seed(seed)
    net = init.build()
    assign(net, init.weights("init"))
    optimizer = keras.optimizers.Adam(RECIPE["lr"], epsilon=RECIPE["epsilon"])
    net.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    steps = args.epochs * -(-len(data.train[0]) // RECIPE["batch_size"])
    begin, end = schedules(steps)[1]
    plan = kt.callbacks.polynomial(begin, end, args.every, sparsity)
    prune = kt.callbacks.PruneDuringTraining("magnitude", plan)
    net.fit(*data.train, batch_size=RECIPE["batch_size"], epochs=args.epochs, verbose=0, callbacks=[prune])
    masks = kt.masks_of(net)
    snapshots = {"init": init.weights("init"), "final": snapshot(kt.strip(net))}
    return kt.Ticket(faithful_architecture(init.build()), masks, snapshots)


def ours(data: kt.Data, args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Every row of ours; initial weights by seed are left in `folder`."""
    steps = args.epochs * (len(data.train[0]) // RECIPE["batch_size"])
    for seed in range(args.seeds):
        for sparsity in args.sparsities:

            def found(
                criterion: str, levels: int, each: int, seed: int = seed, sparsity: float = sparsity
            ) -> Any:
                dials = {
                    "levels": levels,
                    "sparsity": sparsity,
                    "train": f"{each}it",
                    "keep": "last",
                    **RECIPE,
                }
                return kt.prune("lenet-300-100", data, criterion, seed=seed, **dials)

            runs = {
                "SNIP": found("snip", 1, steps),
                "IMP": found("magnitude", args.levels, steps // (args.levels + 1)),
                "IMP, long": found("magnitude", args.levels, steps),
            }
            tickets = {side: run.tickets[-1] for side, run in runs.items()}
            init = tickets["SNIP"]
            tickets["gradual"] = gradual(init, data, sparsity, args, seed)
            for side, ticket in tickets.items():
                yield measured(side, sparsity, seed, ticket, data, folder)
        net = init.build()
        assign(net, init.weights("init"))
        np.savez(folder / f"init-{seed}.npz", *net.get_weights())
        keras.utils.clear_session()  # every model of this seed would stay in memory
        print(f"seed {seed} of {args.seeds}", file=sys.stderr)


def theirs(data: kt.Data, args: argparse.Namespace, folder: Path) -> Rows:
    """TFMOT's rows: for each seed and sparsity the better of its schedules."""
    steps = args.epochs * -(-len(data.train[0]) // RECIPE["batch_size"])
    same = {"every": args.every, "epochs": args.epochs} | RECIPE
    jobs = [
        {"seed": seed, "sparsity": sparsity, "begin": begin, "end": end} | same
        for seed in range(args.seeds)
        for sparsity in args.sparsities
        for begin, end in schedules(steps)
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    splits = {
        "x": data.train[0],
        "y": data.train[1],
        "val_x": data.validation[0],
        "val_y": data.validation[1],
    }
    np.savez(folder / "data.npz", **splits, test_x=data.test[0], test_y=data.test[1])
    done = subprocess.run(
        [sys.executable, "-I", str(SIDE), str(folder)], stdout=subprocess.PIPE, text=True, check=True
    )
    rows = []
    for number, (job, told) in enumerate(zip(jobs, json.loads(done.stdout.splitlines()[-1]), strict=True)):
        kinds = {kind: folder / f"{number}.{kind}" for kind in ("h5", "tflite")}
        files = {
            kind: {"bytes": file.stat().st_size, "gzip": gzip_size(file)} for kind, file in kinds.items()
        }
        about = {key: job[key] for key in ("sparsity", "seed", "begin", "end")}
        rows.append({"side": "TFMOT", **about, **told, "files": files})
    best: dict[Any, dict[str, Any]] = {}
    for row in rows:
        kept = best.setdefault((row["seed"], row["sparsity"]), row)
        if row["val_accuracy"] > kept["val_accuracy"]:
            best[row["seed"], row["sparsity"]] = row
    return [*best.values()]


def judged(rows: Rows) -> dict[str, Any]:
    """Means over seeds by sparsity and side, each beside TFMOT's smallest gzipped file and its accuracy, if any."""
    result: dict[str, Any] = {}
    for sparsity in sorted({row["sparsity"] for row in rows}):
        sides: dict[str, Any] = {}
        for row in (row for row in rows if row["sparsity"] == sparsity):
            sides.setdefault(row["side"], []).append(row)
        means = {}
        for side, some in sides.items():
            files = {
                kind: {
                    unit: round(mean(row["files"][kind][unit] for row in some)) for unit in ("bytes", "gzip")
                }
                for kind in some[0]["files"]
            }
            zeros = [row["zeros"] / row["weights"] for row in some]
            right = [row["accuracy"] for row in some]
            means[side] = {
                "accuracy": round(mean(right), 4),
                "accuracies": [round(each, 4) for each in right],
                "sparsity": round(mean(zeros), 5),
                "files": files,
                "gzip": min(file["gzip"] for file in files.values()),
            }
        for facts in means.values() if "TFMOT" in means else ():
            facts["gzip_ratio_to_tfmot"] = round(facts["gzip"] / means["TFMOT"]["gzip"], 3)
            ahead = facts["accuracy"] - means["TFMOT"]["accuracy"]
            facts["accuracy_minus_tfmot"] = round(ahead, 4)
            facts["beats_tfmot"] = facts["gzip_ratio_to_tfmot"] < 1 and ahead >= 0
        result[f"{sparsity:g}"] = means
    return result


def shown(results: Mapping[str, Any]) -> None:
    """Print what was found."""
    for sparsity, sides in results.items():
        print(f"\nsparsity {sparsity}\n{'':20} accuracy  sparsity    bytes     gzip  of TFMOT's")
        for side, facts in sides.items():
            size = min(file["bytes"] for file in facts["files"].values())
            ratio = facts.get("gzip_ratio_to_tfmot")
            print(
                f"{side:20} {facts['accuracy']:8.2%}  {facts['sparsity']:8.3%} {size:8} {facts['gzip']:8} "
                f"{'' if ratio is None else f'{ratio:11.2f}'}"
            )


def main() -> None:
    """Train, measure, print, and write the result file."""
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, default=2, help="how many")
    made.add_argument("--epochs", type=int, default=3, help="of every side but `IMP, long`")
    made.add_argument("--dataset", default="mnist", help="what to train on")
    made.add_argument("--levels", type=int, default=4, help="of IMP")
    made.add_argument("--every", type=int, default=100, help="steps between two prunings within a training")
    made.add_argument("--sparsities", type=float, nargs="+", default=SPARSITIES)
    args = settings(made, seeds=1, epochs=1, dataset="digits", levels=1, every=5, sparsities=SPARSITIES[:1])
    peers = (("TFMOT", "tensorflow_model_optimization"), ("tf_keras, which TFMOT needs,", "tf_keras"))
    missing = [peer for peer, package in peers if not installed(peer, package)]
    data, started = registry.create("datasets", args.dataset)(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        rows = [*ours(data, args, Path(name))]
        rows += theirs(data, args, Path(name)) if not missing else []
    results = judged(rows)
    shown(results)
    facts = {
        "command": f"python benchmarks/tfmot.py --seeds {args.seeds} --epochs {args.epochs}",
        "seconds": round(time.perf_counter() - started),
        "steps": args.epochs * (len(data.train[0]) // RECIPE["batch_size"]),
        "recipe": RECIPE,
        "sparsities": results,
    }
    write("tfmot", facts, PACKAGES, folder=args.results)


if __name__ == "__main__":
    main()
