"""`kt doctor --bench`, with a race whose times are made up; the real one is timed by `make bench`."""

import pytest

from kerastickets_cli import bench
from kerastickets_cli.race.nets import NETS, Net
from kerastickets_cli.race.side import OURS, best_torch

TIMES = {
    OURS: [1e-3, 2e-3, 9e-3],
    "JAX": [3e-3],
    "PyTorch default": [8e-3],
    "PyTorch fused": [4e-3],
    "PyTorch compiled": [5e-3],
}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "contestants", lambda net: list(TIMES))
    monkeypatch.setattr(bench, "race", lambda net, names, repeats: TIMES)
    monkeypatch.setattr(bench, "matmul_seconds", lambda net: 1.5e-3)


def test_ratios_are_of_medians_and_pytorch_shows_its_best(made_up: None) -> None:
    first, _, conv = bench.contests()
    assert first["ratios"] == pytest.approx({"JAX": 1.5, "PyTorch default": 4.0, "PyTorch fused": 2.0})
    assert first["steps_per_second"][OURS] == pytest.approx(500)
    assert first["matmul_share"] == pytest.approx(0.75)
    assert conv["matmul_share"] is None
    lines = bench.told(first).splitlines()
    assert lines[1] == "lenet-300-100, batch 60"
    assert lines[4].split() == ["JAX", "333", "1.50x"]
    assert lines[-1] == "matrix products alone: 75% of a step"


def test_alone_there_is_nothing_to_compare() -> None:
    assert best_torch({OURS: [1.0]}) is None
    told = bench.told(
        {"net": "n", "batch": 1, "steps_per_second": {OURS: 10.0}, "ratios": {}, "matmul_share": None}
    )
    assert told.splitlines()[-1].split() == [OURS, "10"]


def test_the_nets_are_the_papers() -> None:
    kernels = {name: sum(_size(shape) for shape in net.shapes) for name, net in NETS.items()}
    assert kernels == {"lenet-300-100": 266200, "mlp-4-38-38-2": 1672, "conv-2": 4300992}


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def test_matrix_products_take_time() -> None:
    assert 0 < bench.matmul_seconds(Net("n", (4,), (3, 2), 8, 0.1, 1, 8), repeats=2) < 1
