"""The program `kt`: a group of commands. Each command has its own module, which is imported when it is called."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from kerastickets.errors import KerasTicketsError
from kerastickets_cli.options import SuggestingGroup
from kerastickets_cli.output import hush_tensorflow, say

#: Command -> (module:function, summary). `kt --help` shows the summaries without importing the modules.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "prune": ("prune:prune", "Find a lottery ticket."),
    "shrink": ("shrink:shrink", "Find the smallest ticket that keeps what you ask for."),
    "inspect": ("inspect_model:inspect", "Say what will work with a model, before it is pruned."),
    "train": ("train:train", "Train a ticket, or one of its controls."),
    "transfer": ("transfer:transfer", "Train a ticket on another task."),
    "eval": ("evaluate:evaluate", "Measure a ticket on data."),
    "show": ("show:show", "Show what is in a ticket."),
    "ls": ("ls:ls", "List the tickets of a folder."),
    "diff": ("diff:diff", "Compare the masks of two or more tickets."),
    "analyze": ("analyze:analyze", "Run an analyzer on tickets: structure, weights, separation, ..."),
    "apply": ("apply:apply", "Make a ticket from one or more others."),
    "merge": ("merge:merge", "Merge tickets: dominant or average merging."),
    "flip": ("flip:flip", "Keep exactly the weights that a ticket pruned."),
    "rewind": ("rewind:rewind", "Choose where a ticket's training starts."),
    "export": ("export:export", "Write a trained ticket to a deployable format, and verify it."),
    "fit": ("fit:fit", "Measure how fast each level of a run learned."),
    "report": ("report:report", "Write one HTML page about a run or a study."),
    "compare": ("compare:compare", "Compare criteria by accuracy, per density and seed."),
    "reproduce": ("reproduce:reproduce", "Run a paper's experiment, and compare with its published numbers."),
    "plugins": ("plugins:plugins", "List the installed plugins, or show one of them."),
    "models": ("plugins:models", "List the models: short for `kt plugins models`."),
    "datasets": ("plugins:datasets", "List the data sets: short for `kt plugins datasets`."),
    "doctor": ("doctor:doctor", "Check that the installation works."),
}


#: Messages for errors of the operating system that any command can meet.
_SAID = {
    errno.ENOSPC: "No space is left where the output goes. Free some, and run it again.",
    errno.ENAMETOOLONG: "The name of a file or folder is too long for this file system. Give a shorter one.",
}


#: How the message of an error begins that no part of the library expected.
UNEXPECTED = "kt met an error that it does not know."
_MOST = 300


class LazyGroup(SuggestingGroup):
    """A group that imports a command when it is called, and turns named errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order in which they are usually needed."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        return getattr(import_module(f"kerastickets_cli.{module}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in `kt --help` from the summaries in `COMMANDS`."""
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
        """Run, and exit with 0 when done, 1 for a named error, 2 for wrong usage, or 130 when interrupted."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        if sys.stderr is None:  # closed by `2>&-`; the next file opened would take its place
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever a keras.json says
        hush_tensorflow()
        args = _debug_first([*(sys.argv[1:] if args is None else args)])
        try:
            code = super().main(args, prog_name, complete_var, False, **extra)
        except click.Abort:
            say("Interrupted.", err=True)
            code = 130
        except click.ClickException as error:
            shown = io.StringIO()
            error.show(shown)
            say(shown.getvalue().rstrip("\n"), err=True)
            code = error.exit_code
        except Exception as error:
            code = _failed(error)
        sys.exit(code if isinstance(code, int) else 0)


#: Whether `--debug` was given.
_debug = False


def _failed(error: Exception) -> int:
    """Say in one line what went wrong; with `--debug`, after the traceback. Returns the exit code."""
    if isinstance(error, BrokenPipeError):  # whoever read the output has seen enough
        # Python would flush what is left when it ends, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if _debug:
        say("".join(traceback.format_exception(error)).rstrip(), err=True)
    if isinstance(error, KerasTicketsError):
        text = str(error)
    elif isinstance(error, OSError) and error.errno in _SAID:
        text = _SAID[error.errno]
    elif isinstance(error, MemoryError):
        text = "This needs more memory than there is. Take a smaller model, smaller data or a smaller batch."
    else:
        cause = " ".join(str(error).split())[:_MOST]
        where = "" if _debug else " Add --debug to see where."
        text = f"{UNEXPECTED} {type(error).__name__}: {cause}.{where} Please report it."
    say(f"Error: {text}", err=True)
    return 1


def _debug_first(args: list[str]) -> list[str]:
    """Move `--debug` to the front: whoever repeats a command adds it at the end."""
    return ["--debug", *(arg for arg in args if arg != "--debug")] if "--debug" in args else args


def _show_tracebacks(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    global _debug
    _debug = value


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  kt prune --model lenet-300-100 --dataset digits --levels 5",
)
@click.version_option(version("kerastickets"), prog_name="kt")
@click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_tracebacks,
    help="Show the traceback of an error, too: `kt show FILE --debug`.",
)
def kt() -> None:
    """Find, compare and train lottery tickets: sparse trainable networks.

    Results go to stdout, progress and notes to stderr. The exit code is 0 when done, 1 for an error,
    2 for wrong usage, 130 after Ctrl-C and 143 after SIGTERM. Every command explains itself with --help.
    """
