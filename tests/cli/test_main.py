"""The program as a whole: its help, its errors and its exit codes."""

import importlib.metadata
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kerastickets import TicketError
from kerastickets_cli.main import COMMANDS, kt as program

KT = Path(sysconfig.get_path("scripts")) / "kt"


def walk(command, words=()):
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*words, name))


def test_version(kt):
    assert kt("--version").stdout == f"kt, version {importlib.metadata.version('kerastickets')}\n"


def test_help_lists_every_command_with_its_summary(kt):
    shown = kt("--help").stdout
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name:9}  {summary}\n" in shown
    assert shown.endswith("Example:\n    kt prune --model lenet-300-100 --dataset digits --levels 5\n")


@pytest.mark.parametrize(
    ("words", "command"),
    list(walk(program)),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_command_and_option_is_documented(words, command):
    assert command.help, words
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []


@pytest.mark.parametrize("words", [words for words, _ in walk(program)], ids=" ".join)
def test_every_help_ends_with_an_example_of_that_command(kt, words):
    before, _, example = kt(*words, "--help").stdout.rpartition("Example:\n")
    assert before
    assert all(line.startswith("    kt ") for line in example.splitlines())
    assert " ".join(["kt", *words]) in example


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prun"], "Error: No such command 'prun'. Did you mean 'prune'?"),
        (["xyz"], "Error: No such command 'xyz'."),
        (["plugins", "criterai"], "Error: No such command 'criterai'. Did you mean 'criteria'?"),
        (["show", "--jsn", "a"], "Error: No such option '--jsn'. Did you mean '--json'?"),
        (["show"], "Error: Missing argument 'TICKET'."),
    ],
)
def test_wrong_usage_suggests_the_nearest(kt, arguments, said):
    result = kt(*arguments, code=2)
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == said


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (TicketError("It must be a ticket."), 1, "Error: It must be a ticket.\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted.\n"),
        (click.ClickException("A process ended."), 1, "Error: A process ended.\n"),
    ],
)
def test_exit_codes(kt, monkeypatch, raised, code, said):
    def fail(group):
        raise raised

    monkeypatch.setattr("kerastickets.registry.entries", fail)
    result = kt("plugins", "models", code=code)
    assert (result.stdout, result.stderr) == ("", said)


def test_an_unexpected_error_is_one_line_and_a_traceback_when_asked(monkeypatch):
    monkeypatch.setattr("kerastickets.registry.entries", lambda group: 1 / 0)
    done = CliRunner().invoke(program, ["plugins"])
    said = "Error: kt met an error that it does not know. ZeroDivisionError: division by zero."
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"{said} Add --debug to see where. Please report it.\n"
    for words in (["--debug", "plugins"], ["plugins", "--debug"]):
        done = CliRunner().invoke(program, words)
        assert done.exit_code == 1
        assert done.stderr.startswith("Traceback (most recent call last):\n")
        assert done.stderr.endswith(f"ZeroDivisionError: division by zero\n{said} Please report it.\n")


def test_memory_that_is_short_is_said(monkeypatch):
    def short(group):
        raise MemoryError

    monkeypatch.setattr("kerastickets.registry.entries", short)
    done = CliRunner().invoke(program, ["plugins"])
    assert (done.exit_code, done.stderr[:44]) == (1, "Error: This needs more memory than there is.")


def test_a_reader_that_leaves_is_no_error():
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    done = subprocess.run([KT, "plugins"], stdout=reader.stdin, stderr=subprocess.PIPE, text=True)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named():
    with open("/dev/full", "w") as full:
        done = subprocess.run([KT, "plugins"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: No space is left where the output goes. Free some, and run it again.\n"


def test_stderr_may_be_closed(folder):
    done = subprocess.run(
        f'"{KT}" ls "{folder}/no" 2>&-; "{KT}" ls "{folder}" --json 2>&-', shell=True, capture_output=True
    )
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 3


LIGHT = """
import sys
from click.testing import CliRunner
from kerastickets_cli.main import kt

folder = sys.argv[1]
a, b = f"{folder}/half.safetensors", f"{folder}/deep/third.safetensors"
for arguments in (
    ["show", a], ["ls", folder], ["diff", a, b], ["plugins"], ["plugins", "show", "snip"], ["datasets"],
    ["rewind", a, "--to", "init", "--out", sys.argv[2]], ["merge", "--method", "atm", a, b, "--out", sys.argv[2] + "1"],
    ["flip", b, "--out", sys.argv[2] + "2"], ["apply", "grow", a, "--out", sys.argv[2] + "3"], ["diff", a, b, a],
    ["prune", "--criterion", "snip", "--sparsity", "2"],
):
    result = CliRunner().invoke(kt, arguments)
    assert result.exit_code == (2 if "prune" in arguments else 0), (arguments, result.stderr)
print(*sorted({"tensorflow", "keras", "sklearn", "rich"} & set(sys.modules)))
"""


def test_commands_on_tickets_and_refusals_need_no_tensorflow(folder, tmp_path):
    command = [sys.executable, "-c", LIGHT, folder, tmp_path / "out.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("\n", 0), done.stderr


def test_ctrl_c_while_the_program_is_imported_is_one_line(monkeypatch, capsys):
    from kerastickets_cli import main, start

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "kt", interrupted)
    with pytest.raises(SystemExit) as ended:
        start.kt()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_the_program_begins_with_a_module_that_imports_nothing():
    import ast
    from pathlib import Path

    from kerastickets_cli import start

    tree = ast.parse(Path(start.__file__).read_text())
    assert [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)] == [
        "import sys"
    ]
