"""Turn the spec of a data set into the data.

A spec is `NAME` or `NAME:ARG,key=value`. Classes in brackets, as in `NAME[0,1]`, choose some of the classes.
`+` joins several data sets.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerastickets import registry
from kerastickets.data.arrays import blocks
from kerastickets.data.dataset import Data
from kerastickets.data.joined import join_data
from kerastickets.data.own_arrays import data_from_own, is_own
from kerastickets.data.parts import of_classes
from kerastickets.errors import DataError, PluginError
from kerastickets.foundations.reading import is_regular, open_regular, reason, shown_name, user_path
from kerastickets.foundations.structure import named_leaves
from kerastickets.tickets.ticket import Ticket

# Classes stand after the name, or at the end. Brackets elsewhere belong to a file name.
_CLASSES = re.compile(r"([\w-]+)\[([^\[\]]*)\](:.*)|(.+)\[([^\[\]]*)\]", re.DOTALL)


def summands(spec: str) -> list[str]:
    """Split a spec into the specs that it joins: at each `+` that the name of a registered data set follows.

    Args:
        spec: a spec such as `"digits+digits"` or `"mnist[0,1]+npz:points.npz,seed=1"`, or the spec of one
            data set. Any other `+` belongs to a file name or a number.

    Example:
        >>> summands("npz:a+b.npz,seed=1+digits[0,1]+digits")
        ['npz:a+b.npz,seed=1', 'digits[0,1]', 'digits']
    """
    if "+" not in spec:
        return [spec]
    known = "|".join(map(re.escape, registry.names("datasets")))
    return re.split(rf"\+(?=(?:{known})(?:[:\[+]|$))", spec)


def split_spec(spec: str) -> tuple[str, tuple[str, ...] | None]:
    """Split a spec into the spec without classes, and the classes. The classes are None if all are meant.

    Args:
        spec: a spec such as `"cifar10[airplane,cat]"`, `"npz:points.npz,seed=1[0,2]"` or
            `"npz[0,2]:points.npz"`.

    Example:
        >>> split_spec("npz:points.npz,seed=1[0,2]"), split_spec("digits")
        (('npz:points.npz,seed=1', ('0', '2')), ('digits', None))
    """
    found = _CLASSES.fullmatch(spec)
    if found is None:
        return spec, None
    name, classes, rest = found.group(1, 2, 3) if found[1] else (found[4], found[5], "")
    return name + rest, tuple(one.strip() for one in classes.split(","))


@dataclass(frozen=True)
class FoundData:
    """A data set whose spec was checked, but whose data is not read yet.

    Args:
        spec: the data set's spec, or a `Data`.
        make: a function that reads the data and returns the `Data`.
    """

    spec: str | Data
    make: Callable[[], Data]


def find_data(spec: Any) -> FoundData:
    """Check the spec of a data set without reading any data and without importing TensorFlow.

    Args:
        spec: a spec as `data_of` takes it, a `Data`, or a `FoundData`, which is returned unchanged.

    Returns:
        The data set, ready to be read with `make()`.

    Raises:
        PluginError: a data set is unknown, or an option is wrong.
        DataError: `spec` is neither text nor a `Data`, or the brackets do not hold two or more different
            classes.

    Example:
        >>> find_data("digits").make()
        Data('digits', train=1197, validation=300, test=300, inputs=(8, 8, 1), outputs=10)
    """
    if isinstance(spec, FoundData):
        return spec
    if isinstance(spec, Data):
        return FoundData(spec, lambda: spec)
    if is_own(spec):
        data = data_from_own(spec)
        return FoundData(data, lambda: data)
    if not isinstance(spec, str):
        raise DataError(
            "A data set must be a name, a kerastickets.Data, (x, y), a tf.data.Dataset or a keras.utils.PyDataset. "
            f"Received: {type(spec).__name__}"
        )
    if len(parts := summands(spec)) > 1:
        found = [find_data(part) for part in parts]
        return FoundData(spec, lambda: join_data([one.make() for one in found]))
    plain, classes = split_spec(spec)
    if classes is not None and (len(set(classes) - {""}) < len(classes) or len(classes) < 2):
        raise DataError(f"Two classes or more must be chosen, each once. Received: {spec}")
    plugin = registry.create("datasets", plain)
    return FoundData(spec, lambda: _made(plugin, spec))


def data_of(data: Any) -> Data:
    """Load the data that a spec names.

    Args:
        data: a `Data`, or a spec: the registered name of a data set, with options if needed (`digits`,
            `npz:FILE`, `NAME:key=value`), also with some of its classes in brackets (`mnist[0,1,2]`), or
            several of these joined by `+` (`digits+digits`).

    Returns:
        The `Data`.

    Raises:
        PluginError: a data set is unknown, or an option is wrong.
        DataError: the data set is not prepared, holds values that cannot be trained on, has no such class, or
            cannot be joined.

    Example:
        >>> data_of("digits[3,8]")
        Data('digits[3,8]', train=238, validation=59, test=60, inputs=(8, 8, 1), outputs=2)
    """
    return find_data(data).make()


def _made(found: Callable[[], Any], spec: str) -> Data:
    made = found()
    if not isinstance(made, Data):
        raise PluginError(
            f"The data set {spec!r} must give a kerastickets.Data. Received: {type(made).__name__}"
        )
    classes = split_spec(spec)[1]
    return made if classes is None else of_classes(made, classes)


def data_spec(ticket: Ticket, data: Any) -> str | Data:
    """The data to use: `data`, or if it is None the data set that the ticket was found on.

    Arrays and data sets of TensorFlow and Keras become a `Data`; see `data_from`.

    Raises:
        DataError: `data` is None and the ticket does not name its data set.
    """
    found_on = ticket.provenance.get("dataset")
    if data is None and not found_on:
        raise DataError("The ticket does not say which data it was found on. Give a data set.")
    if data is None:
        return str(found_on)
    return data_from_own(data) if is_own(data) else data


def data_name(spec: Any) -> str:
    """The name of a data set in provenance: the spec with base names of files, or the name of a `Data`.

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
    """The sha256, by base name, of each file that a data set's spec names (`npz:FILE`). Empty without files.

    Raises:
        DataError: a file cannot be read.

    Example:
        >>> data_files("digits")
        {}
    """
    rests = (
        [split_spec(part)[0].partition(":")[2] for part in summands(data)] if isinstance(data, str) else []
    )
    options = (option for rest in rests for option in rest.split(",") if option)
    paths = (user_path(option.rpartition("=")[2]) for option in options)
    return {path.name: _file_digest(path) for path in paths if is_regular(path)}


def file_digest(path: Path) -> str:
    """The sha256 of a regular file, in hexadecimal."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise DataError(
            f"{shown_name(path)} must be a file that can be read. Received: {reason(error)}. "
            "Allow reading it, or name another file."
        ) from error


def data_digest(data: Data) -> str:
    """The sha256 over all arrays of a data set. A run's recipe records it to detect changed data."""
    digest = hashlib.sha256()
    for split in (data.train, data.validation, data.test):
        for name, array in named_leaves(split):
            # The names of one input and one label, `0` and `1`, are left out, as they always were.
            if "." in name or array is None or name == "2":
                digest.update(name.encode())
            if array is not None:
                digest.update(f"{array.dtype}{array.shape}".encode())
                for block in blocks(array):
                    digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()
