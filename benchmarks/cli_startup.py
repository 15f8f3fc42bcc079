"""How long `kt` takes to answer, next to a bare Python: no command here may import TensorFlow or Keras.

The claim: `kt --help`, `kt --version` and `kt plugins` answer in 0.1 to 0.3 seconds. For scale, the import of
TensorFlow is measured once in the same run.
"""

import sys
import sysconfig
from pathlib import Path

from _harness import interleaved, parser, seconds, settings, summary, table, write

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
    made = parser(__doc__, repeats=15)
    made.add_argument("--scale", default="tensorflow", help="the module whose import is measured for scale")
    args = settings(made, repeats=1, scale="numpy")

    sides = {name: lambda command=command: seconds(command) for name, command in SIDES.items()}
    facts = summary(interleaved(sides, args.repeats), against=PYTHON)
    print(table(facts, against=PYTHON))
    scale = seconds([sys.executable, "-c", f"import {args.scale}"], TF_CPP_MIN_LOG_LEVEL="3")
    print(f"for scale: import {args.scale} takes {scale:.1f} s")
    write(
        "cli_startup",
        {"repeats": args.repeats, "seconds": facts, f"import_{args.scale}_seconds": round(scale, 1)},
        packages=("kerastickets", "click", args.scale),
        folder=args.results,
    )


if __name__ == "__main__":
    main()
