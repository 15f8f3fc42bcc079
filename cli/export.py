"""`kt export`: write a trained ticket to a deployable format."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from kerastickets import registry
from kerastickets.data.spec import find_data
from kerastickets.errors import RecipeError
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import (
    custom_option,
    find_model,
    force_option,
    json_option,
    own_model_option,
    own_objects,
    quiet_option,
    ticket_argument,
)
from kerastickets_cli.output import check_folder, emit, note, percent, say, table
from kerastickets_cli.pairs import pairs, plugin_option

#: Options that some exporters have, and for which this command has a flag.
_SHORT = ("sparse", "int8", "raw")


@click.command(
    epilog="\b\nExample:\n  kt export runs/first-ticket/level-03.safetensors"
    "\n  kt export runs/first-ticket/level-03.safetensors --format keras --compact --out smaller.keras"
)
@ticket_argument
@click.option(
    "--format",
    "spec",
    metavar="NAME",
    default="saved-model",
    show_default=True,
    help="The format to write. `kt plugins exporters` lists the formats.",
)
@plugin_option("format", "NAME")
@click.option(
    "--sparse", is_flag=True, help="Short for -o sparse=true: leave pruned weights out of the file."
)
@click.option("--int8", is_flag=True, help="Short for -o int8=true: store weights in 8 bits.")
@click.option(
    "--raw",
    is_flag=True,
    help="Short for -o raw=true: the exported model takes raw images and standardises them itself.",
)
@click.option("--compact", is_flag=True, help="Remove the units that pruning has made useless.")
@click.option(
    "--dataset", metavar="D", help="The data set to verify on.  [default: the one the ticket was found on]"
)
@own_model_option
@custom_option
@click.option("--no-latency", is_flag=True, help="Skip the latency measurement, which takes some seconds.")
@force_option
@quiet_option
@json_option
@click.option(
    "--out",
    metavar="PATH",
    help="The file or folder to write.  [default: saved_models/TICKET-NAME, followed by the format's suffix]",
)
def export(**chosen: Any) -> None:
    """Write a trained TICKET to a deployable format, verify it in a separate process, and report size and latency.

    The separate process reads the export without this library, and runs it on the test examples, at most 10000 of
    them. The outputs must equal those of the masked model up to rounding. Otherwise nothing is left behind.

    The report says what became smaller and what became faster, and also when nothing did. Latency is measured with
    TensorFlow in this process. Sizes are compared with those of the same model unpruned, without any zero weight.
    """
    from kerastickets.exporting.write import default_path
    from kerastickets.foundations.staging import check_target
    from kerastickets.tickets.ticket import Ticket

    exporter = _exporter(chosen)
    source = Path(chosen["ticket"])
    name = chosen["spec"].partition(":")[0]
    out = Path(chosen["out"]) if chosen["out"] else default_path(source, name, exporter.suffix)
    with interruptible("Nothing was written."):
        try:
            check_target(out, exporter.suffix, chosen["force"], [source])
        except RecipeError as error:
            raise click.UsageError(str(error), click.get_current_context()) from error
        check_folder(out.absolute().parent, out)
        ticket = Ticket.load(source)
        find_model(chosen["model"])
        if chosen["dataset"]:
            find_data(chosen["dataset"])
        report = _export(ticket, exporter, out, chosen)
    if chosen["as_json"]:
        emit(report.facts())
        return
    say(f"{report.path}: {report.format}, run by {report.runtime} on {report.examples:,} examples")
    first, *rows = _rows(report)
    say(table(first, rows))
    say(report.summary)


def _exporter(chosen: Mapping[str, Any]) -> Any:
    """The exporter with its options. A flag for an option that the exporter lacks is a usage error."""
    spec, options = chosen["spec"], pairs("-o", chosen["options"])
    name = spec.partition(":")[0]
    known = [option.name for option in registry.options(registry.load("exporters", name))]
    for flag in _SHORT:
        if not chosen[flag]:
            continue
        if flag not in known:
            others = ", ".join(known) or "none"
            raise click.UsageError(
                f"The format {name} has no option {flag}. Options: {others}.", click.get_current_context()
            )
        if flag in options:
            raise click.UsageError(
                f"{flag} must be given once. Received: --{flag} and -o {flag}={options[flag]}.",
                click.get_current_context(),
            )
        options[flag] = "true"
    return registry.create("exporters", spec, options)


def _export(ticket: Any, exporter: Any, out: Path, chosen: Mapping[str, Any]) -> Any:
    from kerastickets.exporting.write import export as write

    return write(
        ticket,
        exporter,
        out,
        data=chosen["dataset"],
        compact=chosen["compact"],
        model=chosen["model"],
        custom_objects=own_objects(chosen["custom"]),
        force=chosen["force"],
        latency=not chosen["no_latency"],
        on_note=lambda text: note(text, chosen["quiet"]),
    )


def _rows(report: Any) -> Iterator[tuple[str, str]]:
    if given := report.standardised:
        mean, std = (" ".join(f"{number:.6g}" for number in given[name][:3]) for name in ("mean", "std"))
        yield "inputs, standardised", f"(raw - {mean}) / {std}"
    yield "bytes, dense", f"{report.bytes_dense:,}"
    yield "bytes, exported", f"{report.bytes:,}"
    yield "bytes, gzipped", f"{report.bytes_gzip:,}"
    yield "bytes, limit", f"{report.bytes_limit:,}"
    yield "largest difference", f"{report.max_abs_difference:.2g}"
    yield "accuracy before", percent(report.accuracy_before)
    yield "accuracy after", percent(report.accuracy_after)
    for name, count in report.multiply_adds.items():
        yield f"multiply-adds, {name}", f"{count:,}"
    if report.compaction and "weights_before" in report.compaction:
        yield "weights before", f"{report.compaction['weights_before']:,}"
        yield "weights after", f"{report.compaction['weights_after']:,}"
    yield "peak memory, MiB", f"{report.peak_bytes / 2**20:,.0f}"
    for name, batches in report.latency_ms.items():
        for batch, times in batches.items():
            yield f"ms for {batch}, {name}", f"{times['p50']:.3f}"
