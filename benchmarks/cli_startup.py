"""How long `kt` takes to answer, next to a bare Python: no command here may import TensorFlow or Keras.

The claim: `kt --help`, `kt --version` and `kt plugins` answer in 0.1 to 0.3 seconds. For scale, the import of
TensorFlow is measured once in the same run.
"""

import argparse
import sys
import sysconfig
from pathlib import Path

from _harness import interleaved, seconds, summary, table, write

KT = str(Path(sysconfig.get_path("scripts")) / "kt")
PYTHON = "python -c pass"
SIDES = {
    PYTHON: [sys.executable, "-c", "pass"],
    "kt --help": [KT, "--help"],
    "kt --version": [KT, "--version"],
    "kt plugins": [KT, "plugins"],
}


def main() -> None:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="rounds that count")
    repeats = parser.parse_args().repeats

    sides = {name: lambda command=command: seconds(command) for name, command in SIDES.items()}
    facts = summary(interleaved(sides, repeats), against=PYTHON)
    print(table(facts, against=PYTHON))
    tensorflow = seconds([sys.executable, "-c", "import tensorflow"], TF_CPP_MIN_LOG_LEVEL="3")
    print(f"for scale: import tensorflow takes {tensorflow:.1f} s")
    path = write(
        "cli_startup",
        {"repeats": repeats, "seconds": facts, "import_tensorflow_seconds": round(tensorflow, 1)},
        packages=("kerastickets", "click", "tensorflow"),
    )
    print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
