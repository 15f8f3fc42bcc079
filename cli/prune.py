"""`kt prune`: find a ticket."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kerastickets.distribution.strategy import is_chief
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import (
    SeedsType,
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

_INTERRUPTED = "Interrupted. Finished levels are kept: the same command continues."


@click.command(
    epilog="\b\nExample:\n  kt prune --model lenet-300-100 --dataset mnist --levels 10 --rate 0.2"
    "\n  kt prune --criterion snip --sparsity 0.9"
)
@click.option(
    "--model", metavar="MODEL", help="NAME, file.keras or pkg.module:function.  [default: lenet-300-100]"
)
@click.option(
    "--dataset",
    metavar="DATASET",
    help="NAME, NAME[CLASS,CLASS,...], npz:FILE, folder:DIR, tfds:NAME, or several joined by +.  "
    "[default: digits]",
)
@click.option(
    "--criterion", metavar="NAME", default="magnitude", show_default=True, help="What scores the weights."
)
@plugin_option("criterion")
@pruning_options
@training_options()
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Keys weights, data order and scoring.  [default: 0]",
)
@click.option("--seeds", type=SeedsType(), metavar="0-4", help="Several runs, in seed-K below --out.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Run seeds in N processes of one thread each: the same numbers for every N, but not quite those of "
    "a process with several threads. Without it, seeds run in this process: tiny nets together, others one after "
    "another, with the same numbers either way.",
)
@strategy_option
@click.option("--from", "start", metavar="TICKET", help="Continue from a ticket's mask and initial weights.")
@click.option(
    "--out", metavar="DIR", help="The run's folder.  [default: runs/MODEL-DATASET-CRITERION-RECIPE]"
)
@click.option("--accept-versions", is_flag=True, help="Continue a run that other library versions began.")
@click.option(
    "--dry-run", is_flag=True, help="Print counts, steps, estimated time and memory; write nothing."
)
@json_option
@quiet_option
def prune(**chosen: Any) -> None:
    """Find a lottery ticket: train, score, cut, rewind, and again.

    Any two of --levels, --rate and --target (or --sparsity) fix the third. What is not given is the
    criterion's default, then the model's own recipe. The folder holds a ticket per level, from
    level-00.safetensors before any cut on; the same command continues a run that was interrupted, and more
    --levels extend it, unless a rule of --stop-when ended it.
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
    with interruptible("Interrupted." if chosen["dry_run"] else _INTERRUPTED):
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
    names = ("model", "dataset", "criterion", "start", "accept_versions", "strategy")
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
    """The pruned level of the highest validation accuracy, the sparser of equals; else the last level."""
    pruned = [level for level in levels[1:] if level["val_accuracy"] is not None]
    return max(pruned, key=lambda level: (level["val_accuracy"], level["level"]), default=levels[-1])
