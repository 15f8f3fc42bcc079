"""How much memory is free, in containers too, and what is refused."""

import sys

import pytest

from kerastickets.errors import DataError, RecipeError
from kerastickets.foundations import memory
from kerastickets.foundations.memory import amount, check_memory, fits_memory, free_memory

HUGE = 10**5000  # Python refuses to write it


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is available")
def test_free_memory_is_part_of_the_memory_of_the_machine():
    assert 2**20 < free_memory() <= memory._installed()


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_container_counts(version, tmp_path, monkeypatch):
    path = "/pod/box"
    root = tmp_path / "memory" if version == 1 else tmp_path
    names = memory._VERSIONS[version == 1]
    for group, most in (("pod", "3000"), ("pod/box", "max" if version == 2 else str(2**63 - 4096))):
        (root / group).mkdir(parents=True)
        for name, text in zip(names[1:3], (most, "1000"), strict=True):
            (root / group / name).write_text(text + "\n")
        (root / group / "memory.stat").write_text(f"anon 900\n{names[3]} 100\n")
    groups = tmp_path / "cgroup"
    groups.write_text(f"4:cpu:/other\n5:memory:{path}\n" if version == 1 else f"0::{path}\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_GROUPS", groups)
    # The outer group allows 3000 bytes, and 100 of the 1000 in use can be freed.
    assert free_memory() == 3000 - 1000 + 100


def test_a_system_that_says_nothing_sets_no_limit(monkeypatch):
    for name in ("_available", "_installed"):
        monkeypatch.setattr(memory, name, lambda: None)
    monkeypatch.setattr(memory, "_left_in_groups", lambda: iter(()))
    assert free_memory() is None
    check_memory(10**400, "It", "Stop.")


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 3 * 2**30)
    check_memory(3 * 2**30, "The set", "Make it smaller.")
    with pytest.raises(RecipeError) as caught:
        check_memory(3 * 2**30 + 1, "The set", "Make it smaller.")
    assert str(caught.value) == (
        "The set must fit into the memory of this machine, of which 3.0 GiB are free. "
        "Received: 3.0 GiB. Make it smaller."
    )
    with pytest.raises(DataError, match="over 1024 PiB"):
        check_memory(HUGE, "The set", "Make it smaller.", DataError)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (2**30, "1.0 GiB"),
        (2**60 - 1, "1024.0 PiB"),
        (2**60, "over 1024 PiB"),
        (HUGE, "over 1024 PiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_amounts(size, text):
    assert amount(size) == text


@pytest.mark.parametrize(
    "error", [MemoryError(), MemoryError("Unable to allocate"), OverflowError("too large")]
)
def test_errors_of_allocation_become_one(error):
    with (
        pytest.raises(
            DataError, match=r"The set must fit into the memory of this machine. Received: .*Error: .*Stop."
        ),
        fits_memory("The set", "Stop.", DataError),
    ):
        raise error


@pytest.mark.parametrize("error", [ValueError("2"), KeyError("a"), RecipeError("b"), KeyboardInterrupt()])
def test_other_errors_stay(error):
    with pytest.raises(type(error)) as caught, fits_memory("The set", "Stop."):
        raise error
    assert caught.value is error
