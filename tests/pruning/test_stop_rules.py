"""Stop rules: what they say, when they hold, and runs that end by them."""

import json
import sys

import pytest

from kerastickets.errors import PluginError, RecipeError
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.loop import find_tickets
from kerastickets.pruning.prepared import PreparedRun
from kerastickets.pruning.prune_model import prune
from kerastickets.pruning.pruning_run import PruningRun
from kerastickets.pruning.stop_rules import StopRule, judged
from kerastickets.reports.run_sections import run_sections
from kerastickets.runs.facts import RunFacts
from kerastickets.structure.analysis import analyze
from kerastickets.tickets.winning import stopped_by
from kerastickets.training.trainer_cache import TrainerCache
from tests.helpers.training import DIALS, data, plain

SOURCE = '''
from dataclasses import dataclass
from typing import ClassVar
from kerastickets.tickets.operation import Takes

@dataclass(frozen=True)
class Size:
    """How large a ticket is.

    Args:
        small: density up to which it is small.
    """

    small: float = 0.5
    needs_data: ClassVar[bool] = True

    def __call__(self, *tickets, data=None):
        (ticket,) = tickets
        layers = [{"kept": row["kept"]} for row in ticket.layers]
        trained = ticket.snapshots["final"]["dense/kernel"].shape[0] if "final" in ticket.snapshots else None
        return {"kept": ticket.kept, "is-small": ticket.density <= self.small, "layers": layers, "nothing": None,
                "word": "small" if ticket.density <= self.small else "large", "data": data.name, "trained": trained,
                "by_seed": ticket.provenance["seeds"]["init"] * 1000 + ticket.kept}

@dataclass(frozen=True)
class Pair:
    takes: ClassVar[Takes] = Takes(2, 2)

    def __call__(self, *tickets, data=None):
        return {}
'''
RUN = DIALS | {"train": "1ep", "rate": 0.5, "levels": 4}  # 56, 28, 14, 7 and 4 or 3 weights
DATA = data()


@pytest.fixture(autouse=True)
def analyzers(tmp_path_factory, monkeypatch):
    """Two analyzers of a made-up distribution: `size` and `pair`."""
    folder = tmp_path_factory.mktemp("sizes")
    monkeypatch.syspath_prepend(folder)
    (folder / "sizes.py").write_text(SOURCE)
    info = folder / "sizes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sizes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kerastickets.analyzers]\nsize = sizes:Size\npair = sizes:Pair\n")
    yield
    sys.modules.pop("sizes", None)


def kept(run):
    return [level.kept for level in run.levels]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.lock"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size.kept=3", ("size", ("kept",), "=", 3)),
        (" size.kept <= 0.5 ", ("size", ("kept",), "<=", 0.5)),
        ("size.word!=large", ("size", ("word",), "!=", "large")),
        ("size.is-small=true", ("size", ("is-small",), "=", True)),
        ("size.nothing=null", ("size", ("nothing",), "=", None)),
        ('size.word="3"', ("size", ("word",), "=", "3")),
        ("size.word=NaN", ("size", ("word",), "=", "NaN")),
        ("size.word=[1]", ("size", ("word",), "=", "[1]")),
        ("size.layers.0.kept>-1e3", ("size", ("layers", "0", "kept"), ">", -1000.0)),
        ("size:small=0.25.word=small", ("size:small=0.25", ("word",), "=", "small")),
        ("size:0.25.layers.1.kept<2", ("size:0.25", ("layers", "1", "kept"), "<", 2)),
    ],
)
def test_what_a_rule_says(text, expected):
    rule = StopRule.parse(text)
    assert (rule.spec, rule.path, rule.sign, rule.value) == expected
    assert type(rule.value) is type(expected[3])
    assert rule.text == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "size",
        "size.kept",
        "size=3",
        "size.=3",
        "size.kept=",
        ".kept=3",
        "size..kept=3",
        "size.0=3",
        "a b.kept=3",
        3,
        "size.kept<many",
        "size.kept>true",
        "size.kept>=null",
        "pair.kept=3",
    ],
)
def test_malformed_rules_are_refused_when_the_job_is_made(text):
    with pytest.raises(RecipeError, match=r"stop rule.*Received: |`stop_when`"):
        PruneJob.of(plain, DATA, dials=RUN | {"stop_when": [text]})


def test_rules_are_a_list_and_their_analyzers_exist():
    with pytest.raises(RecipeError, match="`stop_when` must be a list"):
        PruneJob.of(plain, DATA, dials=RUN | {"stop_when": "size.kept=3"})
    with pytest.raises(PluginError, match=r"No analyzer named 'sise'. Did you mean 'size'?"):
        PruneJob.of(plain, DATA, dials=RUN | {"stop_when": ["sise.kept=3"]})
    with pytest.raises(PluginError, match="No option of Size named 'large'"):
        PruneJob.of(plain, DATA, dials=RUN | {"stop_when": ["size:large=1.kept=3"]})


FACTS = {"n": 3, "x": 0.5, "yes": True, "none": None, "word": "a", "list": [{"n": 1}, {"n": 2}], "empty": []}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("n=3", True),
        ("n=3.0", True),
        ("n!=3", False),
        ("n<3", False),
        ("n<=3", True),
        ("n>2.5", True),
        ("n>=3.5", False),
        ("x=0.5", True),
        ("yes=true", True),
        ("yes=false", False),
        ("yes!=false", True),
        ("word=a", True),
        ("word!=a", False),
        ("list.1.n=2", True),
        ("none=null", True),
        ("none!=null", False),
        ("n=null", False),
        ("n!=null", True),
        ("none=3", False),
        ("none!=3", True),
        ("none<3", False),
        ("none>=3", False),
        ("none=word", False),
    ],
)
def test_when_a_rule_holds(rule, expected):
    assert StopRule.parse(f"size.{rule}").holds(FACTS) is expected


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("m=3", "No fact of size named 'm'.*Facts: empty, list, n, none, word, x, yes. Received: 'size.m=3'"),
        ("wort=a", "Did you mean 'word'?"),
        ("list.2.n=1", "No fact of size.list named '2'.*Facts: 0, 1"),
        ("list.0.m=1", "No fact of size.list.0 named 'm'. Facts: n."),
        ("n.deep=1", "No fact of size.n named 'deep'. Facts: none."),
        ("list.0=1", "must name a single fact; size.list.0 has n"),
        ("empty=1", "must name a single fact; size.empty has nothing"),
        ("word=3", "must compare size.word with a text, such as \"a\". Received: 'size.word=3'"),
        ("word<3", "must compare size.word with a text"),
        ("n=true", "must compare size.n with a number, such as 3"),
        ("n=many", "must compare size.n with a number"),
        ("yes=1", "must compare size.yes with true or false, such as true"),
    ],
)
def test_what_a_rule_cannot_ask(rule, message):
    with pytest.raises(RecipeError, match=message):
        StopRule.parse(f"size.{rule}").holds(FACTS)


def test_the_level_that_fulfils_a_rule_is_the_last(tmp_path):
    run = prune(plain, DATA, out=tmp_path, stop_when=["size.kept<20", "size.word=tiny"], **RUN)
    whole = prune(plain, DATA, **RUN)
    assert kept(run) == [56, 28, 14]
    assert kept(whole)[:4] == [56, 28, 14, 7]
    assert (run.stopped_by, whole.stopped_by) == ("size.kept<20", None)
    assert (run.facts()["stopped_by"], whole.facts()["stopped_by"]) == ("size.kept<20", None)
    for mine, other in zip(run.tickets, whole.tickets, strict=False):
        for name in mine.snapshots:
            assert all(
                (mine.weights(name)[key] == other.weights(name)[key]).all() for key in mine.weights(name)
            )
    recorded = ["size.kept<20", "size.word=tiny"]
    assert json.loads((tmp_path / "run.json").read_text())["recipe"]["method"]["stop_when"] == recorded
    assert [ticket.provenance["method"]["stop_when"] for ticket in run.tickets] == [recorded] * 3
    assert [ticket.provenance.get("stopped_by") for ticket in run.tickets] == [None, None, "size.kept<20"]
    assert "stop_when" not in whole.tickets[0].provenance["method"]


def test_any_rule_stops_and_the_first_given_is_named():
    both = ["size.kept<=14", "size:small=0.25.is-small=true"]
    assert prune(plain, DATA, stop_when=both, **RUN).stopped_by == both[0]
    assert prune(plain, DATA, stop_when=both[::-1], **RUN).stopped_by == both[1]
    assert prune(plain, DATA, stop_when=["size.kept=1", both[1]], **RUN).stopped_by == both[1]


def test_a_rule_may_hold_at_once_or_never():
    first = prune(plain, DATA, stop_when=["size.data=toy"], **RUN)
    assert (kept(first), first.stopped_by) == ([56], "size.data=toy")
    never = prune(plain, DATA, stop_when=["size.kept=1000"], **RUN)
    assert (len(never.levels), never.stopped_by) == (5, None)


def test_a_stopped_run_is_complete_and_more_levels_do_not_go_on(tmp_path):
    dials = RUN | {"stop_when": ["size.kept<20"], "out": tmp_path}
    run = prune(plain, DATA, **dials)
    before = files(tmp_path)
    rows = []
    again = prune(plain, DATA, on_row=rows.append, **dials)
    assert (again.tickets, rows, again.stopped_by) == (run.tickets, [], run.stopped_by)
    assert files(tmp_path) == before
    longer = prune(plain, DATA, on_row=rows.append, **dials | {"levels": 6})
    assert (longer.tickets, rows) == (run.tickets, [])
    shorter = prune(plain, DATA, on_row=rows.append, **dials | {"levels": 1})
    assert (kept(shorter), shorter.stopped_by, rows) == ([56, 28], None, [])
    with pytest.raises(RecipeError, match="a run with stop_when="):
        prune(plain, DATA, **dials | {"stop_when": []})


def test_a_killed_run_stops_where_one_that_went_through_does(tmp_path):
    dials = RUN | {"stop_when": ["size.kept<10"]}
    whole = prune(plain, DATA, out=tmp_path / "a", **dials)
    prune(plain, DATA, out=tmp_path / "b", **dials)
    (tmp_path / "b" / "level-03.safetensors").unlink()
    continued = prune(plain, DATA, out=tmp_path / "b", **dials)
    assert kept(continued) == [56, 28, 14, 7]
    assert continued.tickets == whole.tickets


def test_what_is_wrong_with_a_rule_is_known_before_training(tmp_path):
    rows = []
    for rule in ("size.weight=3", "size.word=3"):
        with pytest.raises(RecipeError, match=f"Received: '{rule}'"):
            prune(plain, DATA, out=tmp_path, stop_when=["size.kept=1", rule], on_row=rows.append, **RUN)
        (tmp_path / "run.json").unlink()
    assert rows == []
    # Asked of a ticket as it will be once it is trained: else this fact would be null, and the text no error.
    with pytest.raises(RecipeError, match="with a number, such as 4"):
        prune(plain, DATA, stop_when=["size.trained=yes"], on_row=rows.append, **RUN)
    assert rows == []


def test_levels_that_are_not_trained_are_asked_too():
    run = prune(
        plain,
        DATA,
        "snip",
        levels=3,
        rate=0.5,
        stop_when=["size.kept<30"],
        train="1ep",
        jit="off",
        batch_size=8,
    )
    assert (kept(run), list(run.tickets[-1].snapshots)) == ([56, 28], ["init"])


@pytest.mark.slow
def test_each_seed_stops_by_itself(tmp_path):
    shop = TrainerCache()
    # Of seed 0 from 14 weights on, of seed 1 from 7, of seed 2 never.
    rules = ["size.by_seed=14", "size.by_seed=1007"]
    jobs = [PruneJob.of(plain, DATA, seed=seed, dials=RUN | {"stop_when": rules}) for seed in range(3)]
    prepared = [PreparedRun(job, trainers=shop) for job in jobs]
    runs = find_tickets([PruningRun(one, tmp_path / f"seed-{n}") for n, one in enumerate(prepared)])
    assert [len(run.levels) for run in runs] == [3, 4, 5]
    assert [run.stopped_by for run in runs] == [*rules, None]
    alone = prune(plain, DATA, seed=1, stop_when=rules, **RUN)
    assert runs[1].tickets == alone.tickets


@pytest.mark.parametrize(
    "rule", ["separation.category=degraded", "separation:counts=outputs.category=degraded"]
)
def test_a_run_stops_at_degradation(rule):
    """Four weights in three layers cannot lead from four inputs to two outputs."""
    dials = {
        "train": "1ep",
        "jit": "off",
        "rate": 0.8,
        "levels": 4,
        "scope": "global",
        "allow_collapse": True,
    }
    run = prune("mlp:8-8", "moons-circles", stop_when=[rule], **dials)
    counts = "outputs" if "outputs" in rule else "both"
    said = [analyze("separation", ticket, options={"counts": counts})["category"] for ticket in run.tickets]
    assert kept(run) in ([112, 22], [112, 22, 4])
    assert (said[-1], "degraded" in said[:-1], run.stopped_by) == ("degraded", False, rule)


def test_the_page_tells_a_stopped_run_from_an_unfinished_one(tmp_path):
    prune(plain, DATA, out=tmp_path, stop_when=["size.kept<20"], **RUN)
    facts = RunFacts.read(tmp_path)
    assert [level.stopped_by for level in facts.levels] == [None, None, "size.kept<20"]
    words = str(run_sections([facts]))
    assert "Stopped: seed 0 at level 2 by `size.kept<20`." in words
    assert "Not finished" not in words


def test_no_rules_change_nothing_and_ask_nothing(tmp_path):
    ticket = prune(plain, DATA, **RUN | {"levels": 1}).tickets[0]
    assert judged(ticket, (), DATA) is ticket
    assert stopped_by([]) is None
