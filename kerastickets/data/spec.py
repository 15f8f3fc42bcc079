"""What a data set's spec means: `NAME`, `NAME:ARG,key=value`, some classes of either in brackets, sums of these."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets import registry
from kerastickets.data.dataset import Data
from kerastickets.data.joined import join_data
from kerastickets.data.parts import of_classes
from kerastickets.errors import DataError, PluginError
from kerastickets.tickets.ticket import Ticket

# Behind the name, or at the end. Brackets elsewhere are a file's own.
_CLASSES = re.compile(r"([\w-]+)\[([^\[\]]*)\](:.*)|(.+)\[([^\[\]]*)\]", re.DOTALL)


def summands(spec: str) -> list[str]:
    """The specs that a spec joins: it is parted at each `+` behind which a data set's name stands.

    Args:
        spec: such as `"digits+digits"`, `"mnist[0,1]+npz:points.npz,seed=1"`, or of one set alone. A `+`
            elsewhere is a file's own, or a number's.

    Example:
        >>> summands("npz:a+b.npz,seed=1+digits[0,1]+digits")
        ['npz:a+b.npz,seed=1', 'digits[0,1]', 'digits']
    """
    if "+" not in spec:
        return [spec]
    known = "|".join(map(re.escape, registry.names("datasets")))
    return re.split(rf"\+(?=(?:{known})(?:[:\[+]|$))", spec)


def split_spec(spec: str) -> tuple[str, tuple[str, ...] | None]:
    """A spec without its classes, and the classes; None where all are meant.

    Args:
        spec: such as `"cifar10[airplane,cat]"`, `"npz:points.npz,seed=1[0,2]"` or `"npz[0,2]:points.npz"`.

    Example:
        >>> split_spec("npz:points.npz,seed=1[0,2]"), split_spec("digits")
        (('npz:points.npz,seed=1', ('0', '2')), ('digits', None))
    """
    found = _CLASSES.fullmatch(spec)
    if found is None:
        return spec, None
    name, classes, rest = found.group(1, 2, 3) if found[1] else (found[4], found[5], "")
    return name + rest, tuple(one.strip() for one in classes.split(","))


def find_data(spec: Any) -> Any:
    """Check a data set's spec without reading any data or importing TensorFlow.

    Args:
        spec: a spec as `data_of` takes it, or a `Data`.

    Returns:
        An instance of the data set's plugin, or of several joined what makes them; a `Data` as it is.

    Raises:
        PluginError: no such data set, or an option that it does not have.
        DataError: no spec at all, or brackets without two classes.
    """
    if isinstance(spec, Data):
        return spec
    if not isinstance(spec, str):
        raise DataError(f"A data set must be a name or a kerastickets.Data. Received: {type(spec).__name__}")
    if len(parts := summands(spec)) > 1:
        made = [find_data(part) for part in parts]
        return lambda: join_data([_made(one, part) for one, part in zip(made, parts, strict=True)])
    plain, classes = split_spec(spec)
    if classes is not None and (len(set(classes) - {""}) < len(classes) or len(classes) < 2):
        raise DataError(f"Two classes or more must be chosen, each once. Received: {spec}")
    return registry.create("datasets", plain)


def data_of(data: Any) -> Data:
    """The data a spec or an object means.

    Args:
        data: a registered `NAME` or `NAME:k=v` (`npz:FILE`), either with some of its classes in brackets
            (`mnist[0,1,2]`), or several of these joined by `+` (`digits+digits`), or a `Data`.

    Raises:
        PluginError: no such data set.
        DataError: it is not prepared, holds what cannot be trained on, has no such class, or cannot be joined.

    Example:
        >>> data_of("digits[3,8]")
        Data('digits[3,8]', train=238, validation=59, test=60, inputs=(8, 8, 1), outputs=2)
    """
    found = find_data(data)
    if isinstance(found, Data):
        return found
    return found() if len(summands(data)) > 1 else _made(found, data)


def _made(found: Callable[[], Any], spec: str) -> Data:
    made = found()
    if not isinstance(made, Data):
        raise PluginError(
            f"The data set {spec!r} must give a kerastickets.Data. Received: {type(made).__name__}"
        )
    classes = split_spec(spec)[1]
    return made if classes is None else of_classes(made, classes)


def data_spec(ticket: Ticket, data: str | Data | None) -> str | Data:
    """The data that is meant: `data`, or where it is None what the ticket was found on.

    Raises:
        DataError: neither says.
    """
    found_on = ticket.provenance.get("dataset")
    if data is None and not found_on:
        raise DataError("The ticket does not say which data it was found on. Give a data set.")
    return str(found_on) if data is None else data


def data_name(spec: Any) -> str:
    """A data set as provenance names it: the spec, with files by their base name, or a `Data`'s own name.

    Example:
        >>> data_name("npz:/somewhere/points.npz,seed=1[0,2]"), data_name("digits")
        ('npz:points.npz,seed=1[0,2]', 'digits')
    """
    if isinstance(spec, str) and len(several := summands(spec)) > 1:
        return "+".join(map(data_name, several))
    text, classes = split_spec(spec) if isinstance(spec, str) else (str(spec.name), None)
    name, colon, rest = text.partition(":")
    parts = (part.rpartition("=") for part in rest.split(","))
    plain = name + colon + ",".join(f"{key}{sign}{Path(value).name}" for key, sign, value in parts)
    return plain if classes is None else f"{plain}[{','.join(classes)}]"


def data_files(data: Any) -> dict[str, str]:
    """sha256 by base name of the files that a data set's spec names (`npz:FILE`), if it names any.

    Example:
        >>> data_files("digits")
        {}
    """
    rests = (
        [split_spec(part)[0].partition(":")[2] for part in summands(data)] if isinstance(data, str) else []
    )
    options = (option for rest in rests for option in rest.split(",") if option)
    paths = (Path(option.rpartition("=")[2]).expanduser() for option in options)
    return {path.name: file_digest(path) for path in paths if path.is_file()}


def file_digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_digest(data: Data) -> str:
    """sha256 over every array of a data set: what a run's recipe records, so that changed data is noticed."""
    digest = hashlib.sha256()
    for split in (data.train, data.validation, data.test):
        for array in split:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
