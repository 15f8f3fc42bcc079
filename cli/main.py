"""`kt`: one group of commands, each in a module of its own that is imported when it is called."""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from kerastickets.errors import KerasTicketsError
from kerastickets_cli.options import SuggestingGroup
from kerastickets_cli.output import hush_tensorflow

#: Each command's module and function, and the help that `kt --help` shows without importing it.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "prune": ("prune:prune", "Find a lottery ticket."),
    "train": ("train:train", "Train a ticket, or one of its controls."),
    "transfer": ("transfer:transfer", "Carry a ticket to another task, and train it there."),
    "eval": ("evaluate:evaluate", "Measure a ticket on data."),
    "show": ("show:show", "Show what is in a ticket."),
    "ls": ("ls:ls", "List the tickets of a folder."),
    "diff": ("diff:diff", "Compare the masks of two tickets or more."),
    "analyze": ("analyze:analyze", "Say what a ticket looks like inside."),
    "apply": ("apply:apply", "Make a ticket of one or more others."),
    "merge": ("merge:merge", "Merge tickets: dominant or average merging."),
    "flip": ("flip:flip", "Keep what a ticket pruned."),
    "rewind": ("rewind:rewind", "Choose where a ticket's training starts."),
    "export": ("export:export", "Write a trained ticket for something else to run, and verify it."),
    "fit": ("fit:fit", "Fit how fast each level of a run learns."),
    "report": ("report:report", "Write one HTML page of a run or a study."),
    "compare": ("compare:compare", "Set criteria beside each other, by density and seed."),
    "reproduce": ("reproduce:reproduce", "Run a paper's experiment beside its published numbers."),
    "plugins": ("plugins:plugins", "List what is installed, or show one plugin."),
    "models": ("plugins:models", "List the models: short for `kt plugins models`."),
    "datasets": ("plugins:datasets", "List the data sets: short for `kt plugins datasets`."),
    "doctor": ("doctor:doctor", "Check that everything that is installed works."),
}


#: What an operating system refuses anywhere.
_SAID = {
    errno.ENOSPC: "No space is left where the output goes. Free some, and run it again.",
    errno.ENAMETOOLONG: "The name of a file or folder is too long for this file system. Give a shorter one.",
}


class LazyGroup(SuggestingGroup):
    """A group that imports a command when it is called, and turns named errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        return getattr(import_module(f"kerastickets_cli.{module}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `kt --help`, from the helps declared here."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run: exit 0 when done, 1 for a named error, 2 for wrong usage, 130 when interrupted."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        if sys.stderr is None:  # closed by `2>&-`; the next file opened would take its place
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever a keras.json says
        hush_tensorflow()
        try:
            code = super().main(args, prog_name, complete_var, False, **extra)
        except click.Abort:
            click.echo("Interrupted.", err=True)
            code = 130
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except KerasTicketsError as error:
            click.echo(f"Error: {error}", err=True)
            code = 1
        except OSError as error:
            if error.errno not in _SAID:
                raise
            click.echo(f"Error: {_SAID[error.errno]}", err=True)
            code = 1
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  kt prune --model lenet-300-100 --dataset digits --levels 5",
)
@click.version_option(version("kerastickets"), prog_name="kt")
def kt() -> None:
    """Find, compare and train lottery tickets: sparse trainable networks.

    Results go to stdout, progress and notes to stderr. The exit code is 0 when done, 1 for an error,
    2 for wrong usage and 130 after Ctrl-C. Every command explains itself with --help.
    """
