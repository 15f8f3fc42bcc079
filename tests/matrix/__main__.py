"""Try models with everything, and write docs/models.md: `python -m tests.matrix`, `--only NAME` for one."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.matrix.page import page

_ROOT = Path(__file__).parents[2]
_LIMIT = 1800.0


def main() -> int:
    """Parse the arguments, and do what they ask for. The exit code is 1 if an error was not one of ours."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="try one model, and print its cells as JSON")
    parser.add_argument(
        "--keep", type=Path, default=_ROOT / "build" / "matrix", help="where finished rows are kept"
    )
    parser.add_argument("--out", type=Path, default=_ROOT / "docs" / "models.md", help="the page to write")
    chosen = parser.parse_args()
    if chosen.only:
        print(json.dumps(_one(chosen.only)))
        return 0
    found = [_kept(chosen.keep, name, source) for name, source in _names()]
    text = page(found)
    chosen.out.write_text(text)
    return int("FAULT" in text)


def _names() -> list[tuple[str, str]]:
    """Every model, and where it is from."""
    from tests.matrix.rows import rows
    from tests.matrix.trained import models

    return [*((row.name, row.source) for row in rows()), *((name, "trained") for name in models())]


def _one(name: str) -> Any:
    from tests.matrix import cells, rows, trained

    if name in trained.models():
        return trained.tried(name)
    return cells.tried(next(row for row in rows.rows() if row.name == name))


def _kept(keep: Path, name: str, source: str) -> dict[str, Any]:
    """What was found for a model, in a process of its own. What is kept is not tried again."""
    file = keep / f"{name.replace(' ', '-')}.json"
    if not file.exists():
        print(name, flush=True)
        keep.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(_tried(name) | {"name": name, "source": source}))
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _tried(name: str) -> dict[str, Any]:
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.matrix", "--only", name]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=True
        )
        cells = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        cells = {"masks": f"FAULT all of it took more than {_LIMIT:.0f} s"}
    except subprocess.CalledProcessError as error:
        cells = {"masks": f"FAULT {(error.stderr.strip().splitlines() or ['no word'])[-1][:300]}"}
    return {"cells": cells, "seconds": round(time.monotonic() - began)}


if __name__ == "__main__":
    sys.exit(main())
