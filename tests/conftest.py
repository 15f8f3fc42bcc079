"""What must be set before TensorFlow is imported, and the one fixture that tests of every folder share."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

# TensorFlow's greeting on stderr would drown the lines that the command-line tests read.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, so that defaults such as `runs/` are written nowhere else."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_python_blocks(working_folder: Path) -> Callable[[Path], int]:
    """Runs the Python blocks of a Markdown page, in order, in an empty folder; returns how many there were."""

    def run(page: Path) -> int:
        text = page.read_text(encoding="utf-8")
        blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        for block in blocks:
            # Blank lines in front keep the page's line numbers in tracebacks.
            code = "\n" * text.count("\n", 0, block.start(1)) + block[1]
            exec(compile(code, str(page), "exec"), {"__name__": "__page__"})
        return len(blocks)

    return run
