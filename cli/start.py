"""Where `kt` begins: a module that imports nothing, so that Ctrl-C is heard while the rest is imported."""

import sys


def kt() -> None:
    """Run the program; Ctrl-C before a command begins prints one line, as it does later."""
    try:
        from kerastickets_cli.main import kt as program

        program()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)
