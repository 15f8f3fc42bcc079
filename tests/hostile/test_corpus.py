"""A quick look at the corpus of hostile inputs: a dozen of each kind, only read; `make hostile` tries thousands."""

import json
import re
from pathlib import Path

import pytest

from kerastickets.errors import TicketError
from tests.hostile import actions, bench, mutators, nodes, subjects

# As `kt` shows them, and not as errors: numbers of strangers overflow.
pytestmark = pytest.mark.filterwarnings("default")

#: What is refused also of a sound input: a ticket of four inputs does not fit images.
REFUSED = {"images": ["kt analyze"]}
FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("hostile") / "sound"
    subjects.make(home)
    return home


@pytest.fixture
def attempt(home, tmp_path):
    # Without limits: the alarm of this process belongs to the tests' own time limit.
    made = bench.Bench(tmp_path / "scratch", home, limited=False)
    yield made.attempt
    made.close()


@pytest.mark.parametrize("kind", mutators.KINDS)
def test_sound_inputs_are_read(home, attempt, kind):
    outcome = attempt(kind, -1, subjects.sound(home, kind), often=0)
    assert outcome.failures == []
    assert outcome.refused == REFUSED.get(kind, [])
    assert outcome.accepted


@pytest.mark.parametrize("kind", mutators.KINDS)
def test_a_dozen_of_mutated_inputs_are_refused_by_name_or_as_good_as_sound(home, attempt, kind):
    sound = subjects.sound(home, kind)
    failures = []
    for seed in range(12):
        made = mutators.mutate(kind, seed, sound)
        assert mutators.mutate(kind, seed, sound) == made
        outcome = attempt(kind, seed, made.nodes, often=0)
        failures += [(seed, made.steps, failure) for failure in outcome.failures]
    assert failures == []


@pytest.mark.parametrize("file", FOUND, ids=lambda path: path.stem)
def test_what_failed_once(attempt, file):
    kept = json.loads(file.read_text())
    just = [failure["action"] for failure in kept["failures"]]
    outcome = attempt(kept["kind"], kept["seed"], nodes.from_json(kept["nodes"]), just=just)
    assert outcome.failures == []


def raises(error):
    def run(place):
        raise error

    return run


def writes(name):
    def run(place):
        Path(name).write_text("x")

    return run


@pytest.mark.parametrize(
    ("run", "cause"),
    [
        (raises(KeyError("x")), r"KeyError at .*test_corpus\.py:\d+"),
        (raises(MemoryError()), r"MemoryError at "),
        (writes("elsewhere"), "files outside of --out by odd"),
        (writes("../../precious/file"), "files outside of --out by odd"),
        (lambda place: Path("../../precious/folder/file").unlink(), "files outside of --out by odd"),
        (writes("in/new"), "files outside of --out by odd"),
        (lambda place: subjects.command("show", "in/\x1b[31m"), None),  # `kt` writes it as an escape
        (raises(TicketError("said")), None),
        (writes("out/new"), None),
    ],
)
def test_what_must_not_happen_is_noticed(attempt, monkeypatch, run, cause):
    monkeypatch.setattr(bench, "ACTIONS", {"run": (actions.Action("odd", run),)})
    causes = [failure.cause for failure in attempt("run", 0, {"a": nodes.File(b"a")}).failures]
    if cause is None:
        assert causes == []
    else:
        [found] = causes
        assert re.match(cause, found)


class Printed:
    """A command's result, as click returns it."""

    def __init__(self, text, code=0):
        self.stdout_bytes, self.stderr_bytes, self.stderr = text.encode(), b"", ""
        self.exit_code, self.exception = code, None


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        (Printed("\x1b[31mred"), "control character printed by odd"),
        (Printed("\x9b31m"), "control character printed by odd"),
        (Printed("Traceback (most recent call last):"), "traceback printed by odd"),
        (Printed("", 3), "exit code 3 of odd"),
    ],
)
def test_what_must_not_be_printed_is_noticed(attempt, monkeypatch, result, cause):
    monkeypatch.setattr(bench, "ACTIONS", {"run": (actions.Action("odd", lambda place: result),)})
    [failure] = attempt("run", 0, {}).failures
    assert failure.cause == cause


def test_a_step_can_be_left_out_and_the_others_stay(home):
    sound = subjects.sound(home, "run")
    seed = next(seed for seed in range(100) if mutators.count_steps("run", seed) == 2)
    whole, first = mutators.mutate("run", seed, sound), mutators.mutate("run", seed, sound, [0])
    assert whole.steps[0] == first.steps[0]
    assert mutators.mutate("run", seed, sound, []).nodes == sound
