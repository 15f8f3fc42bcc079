"""`kt compare`: criteria beside each other, by density and seed."""

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
    "--criteria", metavar="NAME,...", help="Criteria.  [default: magnitude,snip,iterative-snip,random]"
)
@click.option("--sparsities", metavar="S,...", help="Shares that are pruned.  [default: 0.5,0.8,0.9,0.95]")
@click.option("--seeds", metavar="N", help="How many seeds.  [default: 3]")
@click.option("--model", metavar="MODEL", help="The architecture.  [default: lenet-300-100]")
@click.option("--dataset", metavar="DATASET", help="The data set.  [default: digits]")
@click.option("--train", metavar="LENGTH", help="Length of every training.  [default: 20ep]")
@click.option("--train-size", metavar="N", help="Find and train on so many examples, or such a share.")
@click.option("--patience", metavar="N", help="Stop after N evaluations without improvement.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Processes of one thread each; their number changes no number.  [default: one a core]",
)
@click.option("--cache", metavar="DIR", default="runs/.cache", show_default=True, help="Finished jobs.")
@click.option("--out", metavar="DIR", default="runs/compare", show_default=True, help="The folder.")
@json_option
@quiet_option
def compare(**chosen: Any) -> None:
    """Compare criteria: accuracy by density over seeds, and the passes that finding the mask took.

    All nets of a seed start from the same weights, see the same batches and keep as many weights. The folder
    gets tables, figures and report.html; the same command continues.
    """
    given = {name: chosen[name] for name in _DIALS if chosen[name] is not None}
    options = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
    # Names of criteria have hyphens, which elsewhere separate as commas do.
    names = {"criteria": tuple(given["criteria"].split(","))} if "criteria" in given else {}
    run_study("compare", "default", given | names, shlex.join(["kt", "compare", *options]), chosen)
