"""`kt prune`: find a lottery ticket."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kerastickets.distribution.strategy import is_chief
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import (
    SeedsType,
    checkpoint_option,
    custom_option,
    given,
    json_option,
    quiet_option,
    rates,
    strategy_option,
)
from kerastickets_cli.output import check_folder, emit, note
from kerastickets_cli.pairs import pairs, plugin_option
from kerastickets_cli.progress import Report, wants_bar
from kerastickets_cli.request import Request
from kerastickets_cli.runs import Batch
from kerastickets_cli.setting_options import pruning_options, training_options
from kerastickets_cli.workers import run_apart

_INTERRUPTED = "Finished levels are kept: the same command continues."


@click.command(
    epilog="\b\nExample:\n  kt prune --model lenet-300-100 --dataset mnist --levels 10 --rate 0.2"
    "\n  kt prune --criterion snip --sparsity 0.9"
)
@click.option(
    "--model",
    metavar="MODEL",
    help="The model to prune: NAME, file.keras or pkg.module:function.  [default: lenet-300-100]",
)
@custom_option
@click.option(
    "--dataset",
    metavar="DATASET",
    help="The data set to train on: NAME, NAME[CLASS,CLASS,...], npz:FILE, folder:DIR, tfds:NAME, or several joined "
    "by +.  [default: digits]",
)
@click.option(
    "--criterion",
    metavar="NAME",
    default="magnitude",
    show_default=True,
    help="The criterion that scores the weights.",
)
@plugin_option("criterion")
@pruning_options
@training_options()
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Random seed for initial weights, data order and scoring batches.  [default: 0]",
)
@click.option(
    "--seeds",
    type=SeedsType(),
    metavar="0-4",
    help="Run once per seed, such as 0-4 or 0,2,5, each in a folder seed-K inside --out.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Run the seeds in N processes with one thread each. The results are the same for every N, but differ "
    "slightly from those of one process with several threads. Without --jobs, the seeds run in this process: tiny nets "
    "together, others one after another, with the same results either way.",
)
@strategy_option
@click.option(
    "--from", "start", metavar="TICKET", help="Continue from the mask and initial weights of this ticket."
)
@click.option(
    "--out",
    metavar="DIR",
    help="The folder to write the run to.  [default: runs/MODEL-DATASET-CRITERION-RECIPE]",
)
@checkpoint_option
@click.option(
    "--accept-versions", is_flag=True, help="Continue a run that was begun with other library versions."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Only print the weights kept, training steps, estimated time and memory; write nothing.",
)
@json_option
@quiet_option
def prune(**chosen: Any) -> None:
    """Find a lottery ticket: train, score the weights, cut, rewind, and repeat.

    Any two of --levels, --rate and --target (or --sparsity) determine the third. A setting that is not given comes
    from the criterion's defaults, or else from the model's own recipe.

    The folder --out holds one ticket per level. The first, level-00.safetensors, is from before any cut. The same
    command continues a run that was interrupted. More --levels extend a run, unless a --stop-when rule ended it.
    """
    if chosen["seed"] is not None and chosen["seeds"]:
        raise click.UsageError("Give --seed or --seeds, not both.", click.get_current_context())
    if chosen["jobs"] and chosen["strategy"] != "default":
        raise click.UsageError(
            f"--jobs gives each seed a process of one thread: leave out --jobs or --strategy {chosen['strategy']}.",
            click.get_current_context(),
        )
    if chosen["dry_run"] and chosen["strategy"] == "multiworker":
        raise click.UsageError(
            "--dry-run measures this machine alone: leave out --strategy.", click.get_current_context()
        )
    seeds = chosen["seeds"] or (chosen["seed"] or 0,)
    with interruptible("" if chosen["dry_run"] else _INTERRUPTED):
        request = _request(chosen)
        request.job(seeds[0])
        out = Path(chosen["out"]) if chosen["out"] else None
        if is_chief(chosen["strategy"]):
            check_folder(out or Path("runs"))
        if chosen["dry_run"]:
            from kerastickets_cli.estimate import estimate

            estimate(Batch(request, seeds, out, bool(chosen["seeds"])), chosen["jobs"], chosen["as_json"])
        else:
            _run(request, seeds, out, chosen)


def _request(chosen: dict[str, Any]) -> Request:
    from kerastickets.pruning.job import PruneSettings

    dials = given(chosen, PruneSettings.__annotations__)
    dials |= {"options": pairs("-o", chosen["options"])} if chosen["options"] else {}
    dials |= {"rate": rates(chosen["rate"])} if chosen["rate"] else {}
    names = (
        "model",
        "dataset",
        "criterion",
        "start",
        "accept_versions",
        "strategy",
        "checkpoint_every",
        "custom",
    )
    return Request.of(**{name: chosen[name] for name in names}, settings=dials)


def _run(request: Request, seeds: Sequence[int], out: Path | None, chosen: dict[str, Any]) -> None:
    many, as_json, quiet = bool(chosen["seeds"]), chosen["as_json"], chosen["quiet"]
    batch = Batch(request, tuple(seeds), out, many)
    if not is_chief(request.strategy):
        batch.run_here(Report(len(seeds), seeds=many, rows=False, bar=False))
        note("Done, as one of several workers. The chief, worker 0, has the run.", quiet)
        return
    with Report(len(seeds), seeds=many, rows=not as_json, bar=wants_bar(quiet)) as report:
        runs = run_apart(batch, chosen["jobs"], report) if chosen["jobs"] else batch.run_here(report)
    if as_json:
        emit(runs if many else runs[0])
    for facts in runs:
        if facts["stopped_by"]:
            seed = f"Seed {facts['seed']} stopped" if many else "Stopped"
            note(f"{seed} at level {facts['levels'][-1]['level']}: {facts['stopped_by']}", quiet)
        best = Path(facts["run"]) / best_of(facts["levels"])["ticket"]
        note(f"Run in {facts['run']}. Its best ticket: kt show {shlex.quote(str(best))}", quiet)


def best_of(levels: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The pruned level with the highest validation accuracy; if several are equal, the sparsest of them.

    It is the last level if no pruned level has a validation accuracy.
    """
    pruned = [level for level in levels[1:] if level["val_accuracy"] is not None]
    return max(pruned, key=lambda level: (level["val_accuracy"], level["level"]), default=levels[-1])
