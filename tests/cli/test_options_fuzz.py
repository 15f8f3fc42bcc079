"""Whatever stands on the command line: done, an error or wrong usage, said in one line, and never a traceback."""

import re
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings, strategies as st

from kerastickets_cli.main import kt as program
from kerastickets_cli.runs import default_folder

relaxed = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

LONG = "9" * 5000
NUMBERS = ["0", "1", "2", "-1", "0.5", "1.0", "nan", "inf", "-inf", "1e999", "1e-9", "0x10", "1_0", "٣", LONG]
DURATIONS = ["1it", "2ep", "0it", "-1it", "1.5ep", "it", "5", " 5it ", "5it,", "0it,5it,2ep", f"{LONG}it"]
PAIRS = ["a=b", "=", "a=", "conv=0.1", "output=0", "batches=4", "batches=x", "*=0.2", f"a={LONG}"]
NAMES = [
    "adam",
    "sgd",
    "ADAM",
    "cosine",
    "steps:1ep=0.1",
    "steps:",
    "exponential:-1",
    "flip+crop:4",
    "crop:-1",
]
SPECS = [
    "mlp:8",
    "mlp:0",
    "mlp:8=8",
    "lenet-5",
    "digits",
    "digits[3,8]",
    "digits[3]",
    "digits[",
    "npz:no",
    "snip",
]
SPECS += ["../x", "/x.keras", "x.keras", "no.module:build", ":", "a:", ":b", "..:x", "snip:batches=x", "npz:"]
PATHS = [".", "..", "file", "file/x", "no/such", "a" * 300, "~", "~nobody/x", "/proc/x/y", "\0", "a\0b", "\n"]
#: Text that no other list thinks of.
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = TEXT | st.sampled_from([*NUMBERS, *DURATIONS, *PAIRS, *NAMES, *SPECS, *PATHS])

SENSIBLE = {
    "--between": ["train", "none"],
    "--levels": ["1", "3"],
    "--rate": ["0.2", "conv=0.1", "output=0"],
    "--target": ["100"],
    "--sparsity": ["0.9"],
    "--scope": ["global", "layer"],
    "--include": ["*/bias"],
    "--snapshot-at": ["0it,5it"],
    "--rewind-to": ["5it", "1ep"],
    "--after-cut": ["rewind", "lr-rewind", "fine-tune"],
    "--granularity": ["weight", "channel"],
    "--spacing": ["geometric", "linear"],
    "--cuts": ["2"],
    "--extend": ["0", "2"],
    "--stop-when": ["structure.totals.pruned>300", "separation.category=degraded"],
    "--train": ["5it", "1ep"],
    "--train-size": ["0.5", "100"],
    "--monitor": ["val_loss"],
    "--optimizer": ["sgd", "adamw"],
    "--lr": ["0.1"],
    "--lr-schedule": ["cosine", "steps:1ep=0.1"],
    "--model": ["mlp:8", "lenet-5"],
    "--dataset": ["digits", "digits[3,8]"],
    "--criterion": ["magnitude", "snip", "iterative-snip"],
    "--option": ["batches=4"],
    "--seed": ["3"],
    "--seeds": ["0-2"],
    "--jobs": ["2"],
    "--strategy": ["default", "mirrored"],
    "--out": ["run"],
}


def command(name):
    return program.get_command(click.Context(program), name)


@st.composite
def options_of(draw, name, most=5):
    """Some options of a command, in any order and more than once: with values that fit, and with any."""
    known = [
        one
        for one in command(name).params
        if isinstance(one, click.Option) and one.name not in ("dry_run", "help")
    ]
    words = []
    for option in draw(st.lists(st.sampled_from(known), max_size=most)):
        words.append(draw(st.sampled_from(option.opts)))
        if not option.is_flag:
            fitting = next((SENSIBLE[one] for one in option.opts if one in SENSIBLE), NUMBERS)
            words.append(draw(st.sampled_from(fitting) | VALUES))
    return words


def call(words):
    """The result of a command that ended as commands end."""
    result = CliRunner().invoke(program, words, prog_name="kt")
    assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exc_info)
    assert result.exit_code in (0, 1, 2), words
    if result.exit_code:
        assert re.search(r"^(Error|Usage): ", result.stderr, re.MULTILINE), words
        assert "Traceback" not in result.output, words
    return result


@pytest.fixture
def halted(monkeypatch, working_folder):
    """`kt prune` stops where the run would begin; the list holds what would have run."""
    begun = []
    monkeypatch.setattr(import_module("kerastickets_cli.prune"), "_run", lambda *run: begun.append(run))
    (working_folder / "file").write_text("not a ticket")
    return begun


def test_what_fits_comes_to_the_run(halted, working_folder):
    assert call(["prune", "--levels", "2", "--rate", "0.2", "--seeds", "0-2", "--out", "run"]).exit_code == 0
    request, seeds, out, _ = halted[0]
    assert (seeds, out) == ((0, 1, 2), Path("run"))
    assert request.settings.items() >= {"levels": 2, "rate": 0.2}.items()


@relaxed
@given(words=options_of("prune"))
def test_prune_runs_or_says_why_not(halted, words):
    halted.clear()
    result = call(["prune", *words])
    assert len(halted) == (result.exit_code == 0)
    assert result.stdout == ""


@relaxed
@given(words=st.lists(TEXT | st.sampled_from(["--levels", "--", "-o", "-q", "--json", *NUMBERS]), max_size=6))
def test_prune_takes_any_words(halted, words):
    halted.clear()
    if not {"-h", "--help", "--dry-run"} & {*words}:
        call(["prune", *words])


OTHERS = [
    "train",
    "eval",
    "show",
    "ls",
    "diff",
    "apply",
    "merge",
    "flip",
    "rewind",
    "plugins",
    "models",
    "datasets",
]


@relaxed
@given(data=st.data())
def test_every_other_command_says_what_is_wrong_with_its_words(halted, data):
    name = data.draw(st.sampled_from(OTHERS))
    ticket = data.draw(st.lists(st.sampled_from(["file", "no.safetensors", *PATHS]), max_size=2))
    call([name, *ticket, *data.draw(options_of(name, most=3))])


@pytest.mark.parametrize("name", ["train", "eval", "show"])
@pytest.mark.parametrize("place", [".", "..", "/", "", "a" * 300, "\0"])
def test_a_place_that_is_no_ticket_is_an_error(halted, name, place):
    assert call([name, place]).exit_code == 1


# Names never leave the folder.


@relaxed
@given(names=st.tuples(*[VALUES] * 3), alone=st.booleans())
def test_the_default_folder_lies_in_runs_whatever_things_are_called(names, alone):
    model, data, criterion = names
    loop = SimpleNamespace(
        source=SimpleNamespace(name=model),
        data_name=data,
        method=SimpleNamespace(name=criterion, extendable=True),
        recipe_json=dict,
    )
    folder = default_folder(loop, alone)
    assert folder.parent == Path("runs")
    assert re.fullmatch(r"[A-Za-z0-9.-]*-[0-9a-f]{8}", folder.name)
    assert not folder.name.startswith(".")


def files(folder):
    return {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}


def test_models_and_data_from_other_folders_are_written_in_runs(kt, working_folder):
    import keras

    work, elsewhere = working_folder / "work", working_folder / "else where"
    work.mkdir()
    elsewhere.mkdir()
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    net.save(elsewhere / "net.keras")
    x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    np.savez(elsewhere / "points.npz", x=x, y=np.arange(60) % 2)
    before = sorted(elsewhere.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        parts = ("--model", "../else where/net.keras", "--dataset", f"npz:{elsewhere}/points.npz")
        kt("prune", *parts, "--levels", 1, "--rate", 0.5, "--train", "2it", "--batch-size", 8, "--jit", "off")
        (run,) = (work / "runs").iterdir()
    assert sorted(elsewhere.iterdir()) == before
    assert files(work) == {"runs"}
    assert re.fullmatch(r"net-npz-points\.npz-magnitude-[0-9a-f]{8}", run.name)
    assert files(working_folder) == {"work", "else where"}


class Bomb:
    """An object that shows when it is unpickled."""

    def __reduce__(self):
        return exec, ("import sys; sys.exploded = True",)


def test_an_npz_file_of_objects_is_refused_and_nothing_in_it_runs(kt, working_folder):
    objects = np.array([Bomb(), Bomb()], dtype=object)
    np.savez(working_folder / "bomb.npz", allow_pickle=True, x=objects, y=np.arange(2))
    said = kt("prune", "--model", "mlp:8", "--dataset", "npz:bomb.npz", "--levels", 1, "--rate", 0.5, code=1)
    assert "must be an .npz file of plain arrays" in said.stderr
    assert "its dtype is object" in said.stderr
    assert not hasattr(sys, "exploded")
