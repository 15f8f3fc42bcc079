"""`kt inspect`: say what will work with a model, before it is pruned."""

from collections.abc import Mapping
from typing import Any

import click

from kerastickets.data.spec import find_data
from kerastickets.foundations.memory import amount
from kerastickets_cli.interrupt import interruptible
from kerastickets_cli.options import custom_option, find_model, json_option, own_objects
from kerastickets_cli.output import cell, emit, say, table


@click.command(epilog="\b\nExample:\n  kt inspect lenet-300-100 --dataset digits")
@click.argument("model")
@custom_option
@click.option(
    "--dataset",
    metavar="DATASET",
    help="The data set to train on, as for `kt prune`. A model that takes a data set needs one.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Examples per training step, at most those that there are.",
)
@click.option(
    "--try-exports", is_flag=True, help="Export the model in every format to a temporary folder, and compare."
)
@json_option
@click.pass_context
def inspect(
    ctx: click.Context,
    model: str,
    custom: tuple[str, ...],
    dataset: str | None,
    batch_size: int,
    try_exports: bool,
    as_json: bool,
) -> None:
    """Say what will work with MODEL, a NAME, file.keras or pkg.module:function, and what will not and why.

    Can a ticket build it again? Which weights are pruned, and which are not and why? Do its inputs, outputs and
    loss fit the data set? Does XLA compile it? What do the first training steps need?

    Nothing is written. The exit code is 1 if `kt prune` would refuse the model or the data set.
    """
    with interruptible(""):
        find_model(model)
        if dataset:
            find_data(dataset)
        from kerastickets.inspection.inspect_model import inspect as look

        found = look(
            model,
            dataset,
            custom_objects=own_objects(custom),
            batch_size=batch_size,
            try_exports=try_exports,
        )
        facts = found.facts()
    if as_json:
        emit(facts)
    else:
        _show(facts)
    ctx.exit(0 if facts["accepted"] else 1)


def _show(facts: Mapping[str, Any]) -> None:
    lines = _lines(facts)
    width = max(map(len, lines))
    for name, text in lines.items():
        say(f"{name:{width}}  {cell(text)}")
    say()
    rows = [
        (
            weight["key"],
            "x".join(map(str, weight["shape"])) or "1",
            "yes" if weight["pruned"] else "no",
            weight["why"],
            weight["count"],
            weight["zeros"],
            weight["units"],
        )
        for weight in facts["weights"]
    ]
    say(table(("weight", "shape", "pruned", "why", "count", "zeros", "channels"), rows, left=4))


def _lines(facts: Mapping[str, Any]) -> dict[str, str]:
    """The text of each line, by its name."""
    lines = {"model": f"{facts['model']} ({facts['kind']})"}
    rebuilt = "yes" if facts["rebuilds"] else f"no: {facts['rebuilds_why']}"
    needs = " Later commands need --model." if facts["needs_function"] and not facts["rebuilds"] else ""
    lines["rebuilds"] = rebuilt + needs
    if facts["custom"]:
        lines["custom classes"] = ", ".join(facts["custom"])
    lines["prunable"] = f"{facts['prunable']:,} of {facts['total']:,} weights"
    if facts["unmasked_zeros"]:
        lines["zeros"] = (
            f"{facts['unmasked_zeros']:,} prunable weights are zero without a mask: training fills them, unless "
            'kt.sparsify(model, "zeros") makes masks of them'
        )
    if facts["units_why"]:
        lines["channels"] = f"unknown: {facts['units_why']}"
    if facts["data"] is not None:
        lines["data"] = f"{facts['data']}: {'fits' if facts['fits'] else facts['fits_why']}"
    lines["loss"] = _loss(facts["loss"])
    lines["XLA"] = "yes" if facts["xla"] else f"no: {facts['xla_why']}"
    lines["first step"] = _step(facts)
    for one in facts["exports"]:
        lines[f"export {one['format']}"] = "works" if one["works"] else one["why"]
    if all(one["works"] is None for one in facts["exports"]):
        lines = {name: text for name, text in lines.items() if not name.startswith("export ")}
        lines["exports"] = "not tried: add --try-exports"
    return lines


def _loss(loss: Any) -> str:
    if isinstance(loss, Mapping) and "class_name" in loss:
        options = {k: v for k, v in (loss.get("config") or {}).items() if k == "from_logits"}
        return f"{loss['class_name']}" + (f" (from_logits={options['from_logits']})" if options else "")
    return "none" if loss is None else str(loss)


def _step(facts: Mapping[str, Any]) -> str:
    step = facts["first_step"]
    if step is None:
        return str(facts["first_step_why"])
    memory = "" if step["memory_bytes"] is None else f", {amount(step['memory_bytes'])} more memory"
    return (
        f"{1000 * step['step_seconds']:.2f} ms for {step['examples']} examples, after "
        f"{step['compile_seconds']:.1f} s of compiling{memory}"
    )
