"""How much memory is free, and errors for what would not fit into it.

Linux promises more memory than there is, and kills the process that uses too much. So sizes are compared with the free
memory before anything is allocated.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kerastickets.errors import KerasTicketsError, RecipeError

_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# For each version of control groups: its folder, the file of the limit, the file of the usage, and the line of
# `memory.stat` with the cache that Linux frees on demand.
_VERSIONS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
# TensorFlow and Keras have no error of their own for a size that no integer holds.
_NO_SIZE = ("2**63 - 1 elements", "out-of-range integer to Tensor")
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def free_memory() -> int | None:
    """The number of bytes that this process can still use, or None if the system does not say.

    On Linux it is the memory that is available, or what the limit of a container leaves if that is less. Elsewhere
    it is the memory of the whole machine.

    Example:
        >>> free_memory() > 0
        True
    """
    found = [size for size in (_available(), *_left_in_groups()) if size is not None]
    return max(0, min(found)) if found else _installed()


def resident_memory() -> int | None:
    """The number of bytes of memory that this process holds now; None if the system does not say.

    Example:
        >>> resident_memory() is None or resident_memory() > 0
        True
    """
    with suppress(OSError, ValueError, AttributeError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None


def fits(needed: int) -> bool:
    """Whether a number of bytes is free, as far as the system says.

    Example:
        >>> fits(1), fits(10**18)
        (True, False)
    """
    free = free_memory()
    return free is None or needed <= free


def check_memory(needed: int, what: str, advice: str, error: type[KerasTicketsError] = RecipeError) -> None:
    """Refuse what would not fit into the free memory.

    Args:
        needed: the number of bytes.
        what: what needs them, for the message, such as ``"A model"``.
        advice: what to do, as a whole sentence.
        error: the class of the error.

    Raises:
        KerasTicketsError: `needed` is more than the free memory. The error is of the class `error`.

    Example:
        >>> check_memory(10**14, "A model", "Make its layers smaller.")
        Traceback (most recent call last):
        ...
        kerastickets.errors.RecipeError: A model must fit into the memory of this machine, ... Received: 90.9 TiB. ...
    """
    free = free_memory()
    if free is not None and needed > free:
        raise error(
            f"{what} must fit into the memory of this machine, of which {amount(free)} are free. "
            f"Received: {amount(needed)}. {advice}"
        )


@contextmanager
def fits_memory(what: str, advice: str, error: type[KerasTicketsError] = RecipeError) -> Iterator[None]:
    """Turn what Python, NumPy and TensorFlow raise for too large an array into one error.

    Use `check_memory` first where the size is known: an allocation may succeed and its use may then kill the process.

    Args:
        what: what is made in the body, for the message, such as ``"A model"``.
        advice: what to do, as a whole sentence.
        error: the class of the error.

    Raises:
        KerasTicketsError: something in the body was too large. The error is of the class `error`.
    """
    try:
        yield
    except Exception as caught:
        if not _means_too_large(caught):
            raise
        cause = " ".join(str(caught).split())[-200:] or type(caught).__name__
        raise error(
            f"{what} must fit into the memory of this machine. "
            f"Received: {type(caught).__name__}: {cause}. {advice}"
        ) from caught


def amount(size: int) -> str:
    """A number of bytes as text with one decimal.

    Example:
        >>> amount(100), amount(3 * 2**29), amount(10**400)
        ('100 bytes', '1.5 GiB', 'over 1024 PiB')
    """
    power = min(max(0, size.bit_length() - 1) // 10, len(_UNITS))
    if power == len(_UNITS):  # integers from files may be larger than any float
        return f"over 1024 {_UNITS[-1]}"
    return f"{size / 1024**power:.1f} {_UNITS[power]}" if power else f"{size} {_UNITS[0]}"


def _means_too_large(error: Exception) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    exhausted = (tensorflow.errors.ResourceExhaustedError,) if tensorflow else ()
    if isinstance(error, (MemoryError, OverflowError, *exhausted)):
        return True
    return any(text in str(error) for text in _NO_SIZE)


def _available() -> int | None:
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _left_in_groups() -> Iterator[int]:
    """What the limit of each control group around this process leaves; a container is such a group."""
    with suppress(OSError, ValueError):
        for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                folder, *names = _VERSIONS[controllers == "memory"]
                own = Path(path.lstrip("/"))
                # Inside a container, the path may be that of the host, and only the last of these exists.
                for group in (own, *own.parents):
                    with suppress(OSError, ValueError):
                        yield _left(_GROUPS / folder / group, *names)


def _left(group: Path, limit: str, usage: str, cache: str) -> int:
    most = int((group / limit).read_text())  # the word `max`, for no limit, is a ValueError
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return most - int((group / usage).read_text()) + int(stat.get(cache, 0))


def _installed() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
