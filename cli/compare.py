"""`kt compare`: compare criteria by accuracy, per density and seed."""

import shlex
from typing import Any

import click

from kerastickets_cli.options import json_option, quiet_option
from kerastickets_cli.reproduce import run_study

_DIALS = ("criteria", "sparsities", "seeds", "model", "dataset", "train", "train_size", "patience")


@click.command(
    epilog="\b\nExample:\n  kt compare --criteria magnitude,snip --sparsities 0.8,0.95 --seeds 3 --train 10ep"
)
@click.option(
    "--criteria",
    metavar="NAME,...",
    help="Criteria to compare.  [default: magnitude,snip,iterative-snip,random]",
)
@click.option(
    "--sparsities", metavar="S,...", help="Fractions of the weights to prune.  [default: 0.5,0.8,0.9,0.95]"
)
@click.option("--seeds", metavar="N", help="Number of seeds.  [default: 3]")
@click.option("--model", metavar="MODEL", help="The model to prune.  [default: lenet-300-100]")
@click.option("--dataset", metavar="DATASET", help="The data set to train on.  [default: digits]")
@click.option("--train", metavar="LENGTH", help="How long each training is.  [default: 20ep]")
@click.option(
    "--train-size",
    metavar="N",
    help="Number of training examples to use, such as 1000, or a fraction of them, such as 0.25.  [default: all]",
)
@click.option("--patience", metavar="N", help="Stop after N evaluations without improvement.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Number of processes, each with one thread. The results do not depend on it.  [default: one per core]",
)
@click.option(
    "--cache",
    metavar="DIR",
    default="runs/.cache",
    show_default=True,
    help="Folder that keeps finished jobs.",
)
@click.option(
    "--out", metavar="DIR", default="runs/compare", show_default=True, help="Folder for the results."
)
@json_option
@quiet_option
def compare(**chosen: Any) -> None:
    """Compare pruning criteria: accuracy per density over seeds, and how many passes it took to find the mask.

    All nets of a seed start from the same weights and see the same batches. At each sparsity they keep the same
    number of weights. Tables, figures and report.html go to the folder --out. The same command continues a
    comparison that was stopped.
    """
    given = {name: chosen[name] for name in _DIALS if chosen[name] is not None}
    options = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
    # Names of criteria contain hyphens, which in other lists separate values as commas do.
    names = {"criteria": tuple(given["criteria"].split(","))} if "criteria" in given else {}
    run_study("compare", "default", given | names, shlex.join(["kt", "compare", *options]), chosen)
