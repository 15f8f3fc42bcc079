"""What must be set before TensorFlow is imported, and the one fixture that tests of every folder share."""

import gc
import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

# Tracing makes objects by the million, and Python's collector looks through all of them again and again.
gc.set_threshold(100_000, 20, 100)

# TensorFlow's greeting on stderr would drown the lines that the command-line tests read.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what a module lists: in `SLOW_FIXTURES` fixtures, in `SLOW_VARIANTS` ids of parametrized tests."""
    for item in items:
        module = getattr(item, "module", None)
        fixtures = getattr(module, "SLOW_FIXTURES", set()) & {*getattr(item, "fixturenames", ())}
        patterns = getattr(module, "SLOW_VARIANTS", {}).get(getattr(item, "originalname", ""), ())
        variant = item.name.partition("[")[2].removesuffix("]")
        if fixtures or any(fnmatchcase(variant, pattern) for pattern in patterns):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _shared_trainers() -> Iterator[None]:
    """Trainings of one process share compiled trainers and data sets, as the jobs of a study do.

    Compiling is most of what a tiny training costs. `tests/training/test_trainer_cache.py` holds that sharing changes
    no number.
    """
    from kerastickets.data.spec import data_of
    from kerastickets.pruning import prepared
    from kerastickets.training import evaluate_ticket, train_ticket, train_tickets, trainer_cache
    from kerastickets.transferring import transfer_ticket

    class SharedCache(trainer_cache.TrainerCache):
        """Keeps embedded data sets alone: a file of one name may hold something else in the next test."""

        def data(self, spec: Any, size: Any = None, seed: int = 0) -> Any:
            named = getattr(spec, "spec", spec)
            if not isinstance(named, str) or re.fullmatch(r"(digits|moons-circles)(\[[^\]]*\])?", named):
                return super().data(spec, size, seed)
            return data_of(spec) if size is None else super().data(data_of(spec), size, seed)

    shared = SharedCache(most=24)
    with pytest.MonkeyPatch.context() as patch:
        for module in (prepared, train_ticket, train_tickets, evaluate_ticket, transfer_ticket):
            patch.setattr(module, "TrainerCache", lambda: shared)
        yield


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, so that defaults such as `runs/` are written nowhere else."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_python_blocks(working_folder: Path) -> Callable[..., int]:
    """Runs the Python blocks of a Markdown page, in order, in an empty folder; returns how many there were.

    With `together` the blocks are one program; otherwise each stands alone.
    """

    def run(page: Path, together: bool = False) -> int:
        program: dict[str, Any] = {"__name__": "__page__"}
        text = page.read_text(encoding="utf-8")
        blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        for block in blocks:
            # Blank lines in front keep the page's line numbers in tracebacks.
            code = "\n" * text.count("\n", 0, block.start(1)) + block[1]
            exec(compile(code, str(page), "exec"), program if together else dict(program))
        return len(blocks)

    return run
