"""Export a trained ticket or a live model: write it to a temporary folder, verify it, then move it into place.

It is verified in a separate process. The temporary folder lies beside the target path.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kerastickets import registry
from kerastickets.data.arrays import standardise
from kerastickets.data.dataset import Data
from kerastickets.data.splits import rows, size
from kerastickets.errors import KerasTicketsError, TicketError
from kerastickets.exporting.latency import latencies
from kerastickets.exporting.protocol import Exporter
from kerastickets.exporting.report import Exported, bytes_limit, gzip_size, size_of, summary
from kerastickets.exporting.subject import answers, subject
from kerastickets.exporting.tolerance import tolerance_for
from kerastickets.exporting.verification import (
    accuracy,
    examples,
    largest_difference,
    outputs_of,
    read_back,
)
from kerastickets.foundations.staging import check_made, check_target, staged
from kerastickets.foundations.structure import is_nested, leaves
from kerastickets.models.trained_model import trained_model
from kerastickets.tickets.operation import plugin_name
from kerastickets.tickets.ticket import Ticket

if TYPE_CHECKING:
    import keras


def export(
    ticket: "Ticket | str | Path | keras.Model",
    exporter: str | Exporter,
    path: str | Path | None = None,
    *,
    data: Any = None,
    compact: bool = False,
    model: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    force: bool = False,
    latency: bool = True,
    on_note: Callable[[str], None] | None = None,
) -> Exported:
    """Write a trained ticket or a live model to a deployable format, verify it, and report size and latency.

    A separate process, which does not use this library, reads the export and runs it on the test examples. Its
    outputs are compared with those of the masked model, or of the live model itself. If they differ too much, no file
    is left behind.

    Args:
        ticket: a trained ticket, its file, or a built Keras model, pruned or dense. A model is not changed. Without
            masks, its exact zeros count as pruned in the report.
        exporter: a registered name, options included (`litert:sparse=true`), or an instance.
        path: the file or folder to write; None writes to `saved_models/` in the working folder.
        data: a data set's name, a `Data` or arrays (see `data_from`). None takes the ticket's own data set; if that
            cannot be loaded, the export is verified on 64 standard-normal examples.
        compact: remove the parts of the model that pruning made useless, see `kerastickets.compact`.
        model: builds the model, for tickets without an architecture.
        custom_objects: your classes by name.
        force: replace `path` if it exists.
        latency: measure the time per batch of the dense, the masked and the compacted model, in TensorFlow;
            this takes some seconds.
        on_note: called with remarks that a reader of the report should also know.

    Returns:
        An `Exported`.

    Raises:
        ExportError: the export cannot be written or read back, or its outputs differ from the model's.
        TicketError: the ticket is not trained or cannot be built, or `path` exists.
        AlignError: a live model would differ when it is built again from its config.
        RecipeError: `path` does not end in the format's suffix.
        DataError: the given data cannot be loaded, or does not fit the model.

    Example:
        >>> import tempfile
        >>> from kerastickets.testing import toy_ticket
        >>> done = export(toy_ticket(), "safetensors", tempfile.mkdtemp() + "/a.safetensors", latency=False)
        >>> done.accuracy_before == done.accuracy_after
        True
    """
    live = None if isinstance(ticket, Ticket | str | Path) else ticket
    source = Path(ticket) if isinstance(ticket, str | Path) else None
    name, made = exporter_of(exporter)
    named = source if live is None else Path("model")
    path = default_path(named, name, made.suffix) if path is None else Path(path)
    check_target(path, made.suffix, force, [source] if source else ())
    ticket = Ticket.of(cast(Any, ticket)) if live is None else _of_live(live, custom_objects, model)
    if "final" not in ticket.snapshots:
        trained_model(ticket)  # raises an error that says what to do
    note = on_note or (lambda text: None)
    # A live model is the caller's own, with whatever layers it has: it is not checked as a ticket from a file is.
    builder = live if model is None else model
    net, found, build = subject(ticket, data, builder, custom_objects, note)
    shipped, compaction = _compacted(net, compact, custom_objects, note, found)
    with staged(path, force) as folder:
        file, dense, twin = folder / path.name, folder / "dense" / path.name, dense_twin(ticket)
        dense.parent.mkdir()
        details = dict(made(ticket, file, model=shipped, data=found))
        check_made(file)
        checked = _verified(made, file, net, found, ticket, live)
        made(twin, dense, model=(full := build(twin)), data=found)
        models = {"dense": full, "masked": net} | ({} if shipped is net else {"compacted": shipped})
        measured = _measured(
            file, dense, ticket, models, compaction, rows(examples(net, found), slice(1)), latency
        )
    return Exported(path=path, format=name, details=details, compaction=compaction, **checked, **measured)


def exporter_of(exporter: str | Exporter) -> tuple[str, Exporter]:
    """An exporter and its name: the registered name, or else its class name in kebab case.

    Args:
        exporter: a registered name, options included, or an instance.

    Raises:
        PluginError: there is no exporter of that name, or it does not have one of the options.
    """
    if isinstance(exporter, str):
        return exporter.partition(":")[0], registry.create("exporters", exporter)
    home = f"{type(exporter).__module__}:{type(exporter).__qualname__}"
    names = [entry.name for entry in registry.entries("exporters") if entry.value == home]
    return names[0] if names else plugin_name(cast(Any, exporter)), exporter


def default_path(source: Path | None, name: str, suffix: str) -> Path:
    """The default path of an export, relative to the working folder.

    Args:
        source: the ticket's file; None for a ticket in memory.
        name: the exporter's name.
        suffix: how the export's name must end.

    Example:
        >>> default_path(Path("runs/a/level-03.safetensors"), "litert", ".tflite").as_posix()
        'saved_models/level-03-litert.tflite'
    """
    return Path("saved_models") / f"{source.stem if source else 'ticket'}-{name}{suffix}"


def dense_twin(ticket: Ticket) -> Ticket:
    """A ticket of the same model that prunes nothing and has no zero among its prunable weights.

    Pruned weights get their initial value back. A weight that is still zero gets the mean magnitude of its
    layer's weights, so that no format saves space by leaving out zeros.

    Args:
        ticket: a trained ticket.

    Example:
        >>> from kerastickets.testing import toy_ticket
        >>> twin = dense_twin(toy_ticket())
        >>> twin.density, all(twin.weights("final")[key].all() for key in twin.masks)
        (1.0, True)
    """
    init, final = ticket.weights("init"), dict(ticket.weights("final"))
    for key, mask in ticket.masks.items():
        value = np.where(mask, final[key], init[key])
        final[key] = np.where(value == 0, np.abs(value).mean(dtype=value.dtype) or 1, value)
    masks = {key: np.ones_like(mask) for key, mask in ticket.masks.items()}
    provenance = dict(ticket.provenance) | {"start": "init"}
    return ticket.replace(masks=masks, snapshots={"init": init, "final": final}, provenance=provenance)


def _compacted(
    net: "keras.Model",
    compact: bool,
    custom_objects: Mapping[str, Any] | None,
    note: Callable[[str], None],
    data: Data | None,
) -> tuple["keras.Model", dict[str, Any] | None]:
    """The model to export, and the facts of its compaction."""
    if not compact:
        return net, None
    from kerastickets.compaction.compact_model import compact as compacted

    try:
        smaller = compacted(net, custom_objects, rows(examples(net, data), slice(1)))
    except KerasTicketsError as error:
        note(f"Exported without compaction: {error}")
        return net, {"refused": str(error)}
    return smaller.model, dict(smaller.facts)


def _of_live(live: Any, custom_objects: Mapping[str, Any] | None, model: Any) -> Ticket:
    """The ticket of a live model."""
    from kerastickets.models.live_ticket import exported_ticket

    ticket = exported_ticket(live, custom_objects)
    if not ticket.architecture and model is None:
        raise TicketError(
            f"A live model is exported by building it again from its config. Received: a {type(live).__name__} that "
            "cannot be. Give the class get_config, name its parts in custom_objects, or pass a function that builds "
            "it as `model`."
        )
    return ticket


def _verified(
    exporter: Exporter, file: Path, net: "keras.Model", data: Data | None, ticket: Ticket, live: Any
) -> dict[str, Any]:
    """Read an export back and compare it with the model; returns these fields of `Exported`.

    What a live model computes is compared, and not what a model built again from its config does.
    """
    from kerastickets.models.label_fit import input_names
    from kerastickets.models.output_masks import output_masks

    x = examples(net, data)
    taken = getattr(exporter, "inputs", lambda x, data: x)(x, data)
    if taken is not x and data is not None and data.scaling is not None and data.raw == "float32":
        x = standardise(taken, *data.scaling)  # raw floats are rounded, so what they lead to is not quite `x`
    expected = outputs_of(net if live is None else live, x)
    desk = file.with_name("reading")
    desk.mkdir()
    if is_nested(taken):
        taken = dict(zip(input_names(net, taken), leaves(taken), strict=True))
    reading = read_back(exporter.reader, file, taken, desk)
    difference = largest_difference(expected, reading.outputs, tolerance_for(exporter, net))
    masks = output_masks(net, x)
    judged = (data, *answers(net, ticket, data), masks[0] if len(masks) == 1 else None)
    return {
        "max_abs_difference": difference,
        "accuracy_before": accuracy(expected, *judged),
        "accuracy_after": accuracy(reading.outputs, *judged),
        "peak_bytes": reading.peak_bytes,
        "runtime": reading.runtime,
        "examples": size(x),
        "standardised": data.standardised() if data is not None and taken is x else None,
    }


def _measured(
    file: Path,
    dense: Path,
    ticket: Ticket,
    models: "Mapping[str, keras.Model]",
    compaction: Mapping[str, Any] | None,
    x: Any,
    latency: bool,
) -> dict[str, Any]:
    """Measure sizes, multiply-adds and latencies and sum them up; returns these fields of `Exported`."""
    from kerastickets.models.multiply_adds import multiply_adds

    counts = multiply_adds(models["masked"], x)
    executed = counts["dense"]
    if "compacted" in models:
        told = (compaction or {}).get("multiply_adds") or {}
        executed = int(told["executed"] if told else multiply_adds(models["compacted"], x)["dense"])
    sizes = {
        "bytes": size_of(file),
        "bytes_dense": size_of(dense),
        "bytes_gzip": gzip_size(file),
        "bytes_limit": bytes_limit(ticket.kept, ticket.total),
    }
    facts: dict[str, Any] = {
        "multiply_adds": counts | {"executed": executed},
        "latency_ms": latencies(models, x) if latency else {},
    }
    pruned = ticket.kept < ticket.total
    dense_gzip = gzip_size(dense)
    said = summary(sizes, dense_gzip=dense_gzip, pruned=pruned, compaction=compaction, **facts)
    return {**sizes, **facts, "summary": said}
