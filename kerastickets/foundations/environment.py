"""Facts about the hardware and the software that help to explain a measured number."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores that this process may use, memory, system and Python version.

    Nothing in it identifies the host. Memory is in GiB.

    Example:
        >>> sorted(machine())
        ['cores', 'cpu', 'memory_gib', 'python', 'system']
    """
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "memory_gib": _memory(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_maps() -> tuple[int, int] | None:
    """The number of memory maps that this process holds, and the most that the system allows; None if not on Linux."""
    try:
        with open("/proc/self/maps", "rb") as maps, open("/proc/sys/vm/max_map_count") as most:
            return sum(1 for _ in maps), int(most.read())
    except (OSError, ValueError):
        return None


def versions() -> dict[str, str]:
    """The versions of this library and of the libraries whose version can change results bit by bit."""
    names = ("kerastickets", "keras", "tensorflow", "numpy")
    return {name: version(name) for name in names}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (ValueError, OSError, AttributeError):
        return None
