"""What must be set before TensorFlow is imported, and the one fixture that tests of every folder share."""

import os
from pathlib import Path

import pytest

# TensorFlow's greeting on stderr would drown the lines that the command-line tests read.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, so that defaults such as `runs/` are written nowhere else."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
