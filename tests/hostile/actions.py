"""What is done with an input of each kind: Python calls, and command lines run in this process.

Reading is tried on every input. What trains or builds a model is tried on every n-th, since it takes longer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from tests.hostile.subjects import POINTS, RUN, TRAIN, PoolHere, command, tiny


@dataclass
class Place:
    """Where an attempt happens. The working folder holds the data set of the tickets.

    Args:
        kind: the kind of the input.
        seed: of the mutation; it also chooses between commands that are alike.
        home: the folder of the sound inputs.
        often: how many times more often to do what is done with some inputs only.
        found: what an earlier action read, for those after it.
    """

    kind: str
    seed: int
    home: Path
    often: float = 1.0
    found: Any = None

    @property
    def name(self) -> str:
        """The input, relative to the working folder."""
        return {"ticket": "in/ticket.safetensors", "npz": "in/data.npz", "keras": "in/model.keras"}.get(
            self.kind, "in"
        )

    def one_of(self, *choices: Any) -> Any:
        """One of some alternatives, by the seed."""
        return Random(f"{self.kind}/{self.seed}/{choices[0]}").choice(choices)


@dataclass(frozen=True)
class Action:
    """Something that is done with an input.

    Args:
        name: what failures are listed under.
        run: does it. Returns click's result if it was a command line.
        every: it is done with one input of so many.
        read: only if an action before it could read the input.
        writes: the folders that it may write to, relative to the working folder.
        seconds: how long it may take.
    """

    name: str
    run: Callable[[Place], Any]
    every: int = 1
    read: bool = False
    writes: tuple[str, ...] = ("out",)
    seconds: float = 20.0

    def chosen(self, place: Place) -> bool:
        """Whether it is done with the input of this seed."""
        if place.seed < 0:
            return self.every <= 5
        return (
            self.every == 1
            or Random(f"{place.kind}/{place.seed}/{self.name}").random() < place.often / self.every
        )


def _kt(name: str, *arguments: Any, **about: Any) -> Action:
    """A command line. Arguments may be functions of the place; `IN` stands for the input."""

    def run(place: Place) -> Any:
        given = [one(place) if callable(one) else one for one in arguments]
        return command(
            *(str(one).replace("IN", place.name).replace("SOUND", str(place.home)) for one in given)
        )

    return Action(f"kt {name}", run, **about)


def _of(*choices: Any) -> Callable[[Place], Any]:
    return lambda place: place.one_of(*choices)


def _load(place: Place) -> None:
    from kerastickets import Ticket
    from kerastickets.structure.summary import summarise
    from kerastickets.training.model_source import ticket_recipe

    place.found = ticket = Ticket.load(place.name)
    _ = ticket.facts(), ticket.weights(ticket.start), repr(ticket), ticket.rewinds
    ticket_recipe(ticket)
    summarise(ticket)


def _build(place: Place) -> None:
    place.found.build()


_ANALYZERS = ("structure", "weights", "connectivity", "network", "separation", "separation-degree")
_OPERATIONS = ("all-alive", "constant", "flip", "reinit", "reinit-sign", "rewind", "shuffle")
_OF_TWO = ("union", "difference", "intersection")
_MERGED = ("--method=dtm", "--method=atm")
_TRAIN = ("--train", "2it", "--eval-every", "1it", "--batch-size", "4", "--jit", "off", "--quiet")
_SOUND = "SOUND/ticket/ticket.safetensors"
_OTHER = "SOUND/run/level-02.safetensors"


_TICKET = (
    Action("Ticket.load", _load),
    _kt("show", "show", "IN"),
    _kt("show --json", "show", "IN", "--json", every=2, read=True),
    _kt("ls", "ls", "in", _of("--json", "--csv", "--sort=-val_accuracy", "--where=level>0", "--where=winning=yes")),
    _kt("diff", "diff", "IN", _OTHER, _of("--json", "--"), every=2, read=True),
    _kt("analyze", "analyze", _of(*_ANALYZERS), "IN", _of("--json", "--"), read=True),
    _kt("analyze overlap", "analyze", "overlap", "IN", _OTHER, every=3, read=True),
    _kt("analyze --plot", "analyze", _of("weights", "network"), "IN", "--plot", "out/x.html", every=20, read=True),
    _kt("apply", "apply", _of(*_OPERATIONS), "IN", "--out", "out/a.safetensors", every=2, read=True),
    _kt("apply of two", "apply", _of(*_OF_TWO), "IN", _OTHER, "--out", "out/b.safetensors", every=3, read=True),
    _kt("merge", "merge", _of(*_MERGED), _OTHER, "IN", "--out", "out/c.safetensors", every=3, read=True),
    _kt("rewind", "rewind", "IN", _of("--to=init", "--to=final"), "--out", "out/d.safetensors", every=4, read=True),
    Action("Ticket.build", _build, every=6, read=True),
    _kt("eval", "eval", "IN", _of("--json", "--split=train"), every=200, read=True),
    _kt("eval --dataset", "eval", "IN", "--dataset", f"npz:{POINTS}", every=200, read=True),
    _kt("train", "train", "IN", *_TRAIN, "--out", "out/e.safetensors", every=300, read=True, seconds=60),
    _kt(
        *("prune --from", "prune", "--from", "IN", "--levels", "1", *_TRAIN, "--out", "out/run"),
        every=300, read=True, seconds=60,
    ),
    _kt(
        *("transfer", "transfer", _of("ticket", "new-head", "fine-tune"), "IN", "--dataset", f"npz:{POINTS}"),
        *(*_TRAIN, "--out", "out/moved"), every=500, read=True, seconds=60,
    ),
    _kt(
        *("export", "export", "--format", "safetensors", "IN", "--no-latency", "--quiet", "--out", "out/f.safetensors"),
        every=3000, read=True, seconds=120,
    ),
)  # fmt: skip


def _facts(place: Place) -> None:
    from kerastickets.runs.facts import RunFacts
    from kerastickets.runs.folder import RunFolder, read_rows
    from kerastickets.runs.tasks import RunTasks

    folder = RunFolder(place.name)
    read_rows(folder.metrics_file)
    RunTasks.read(folder)
    RunFacts.read(Path(place.name))


_INTO_IT: Any = {"writes": ("in", "out"), "seconds": 60}
_LONGER = (*RUN, "--levels", "3")
_RUN = (
    Action("RunFacts.read", _facts),
    _kt("report", "report", "IN", "--out", "out/report.html", _of("--json", "--force")),
    _kt("ls", "ls", "IN", _of("--sort=-level", "--json", "--csv", "--sort=winning")),
    _kt("fit", "fit", "IN", _of("--json", "--metric=test_accuracy", "--level=1", "--level=99")),
    _kt("analyze", "analyze", _of("structure", "weights", "overlap"), "IN", _of("--json", "--")),
    _kt("show", "show", "IN/level-01.safetensors", _of("--json", "--")),
    _kt("prune, continued", *RUN, "--out", "IN", _of("--json", "--accept-versions"), every=10, **_INTO_IT),
    _kt("prune, extended", *_LONGER, "--out", "IN", every=30, **_INTO_IT),
)  # fmt: skip


def _pages(place: Place) -> None:
    from kerastickets.reports.write import html

    html(Path(place.name))


_STUDY = (
    Action("reports.html", _pages),
    _kt("report", "report", "IN", "--out", "out/report.html"),
    _kt("report into it", "report", "IN", "--json", writes=("in", "out")),
)


def _jobs(place: Place) -> None:
    """Every result and every ticket of a cache; damaged ones are set aside, as `kt reproduce` does."""
    from kerastickets.studies.study import Cache, Results, in_order

    what, results = tiny(), Results(Cache(place.name))
    for job in in_order(what.module.jobs(what.dials, results)):
        if job in results:
            _ = results[job], [results.ticket(one) for one in job.inputs]


def _reproduced(place: Place) -> Any:
    from kerastickets import registry

    load = registry.load

    def found(group: str, name: str) -> Any:
        return tiny().module if (group, name) == ("studies", "tiny") else load(group, name)

    given = ("-o", "seeds=1", "-o", "train=1ep", "--jobs", "1", "--cache", place.name, "--out", "out/study")
    with patch("kerastickets.studies.reproduce.Pool", PoolHere), patch.object(registry, "load", found):
        return command("reproduce", "tiny", *given)


_CACHE = (
    Action("Results", _jobs),
    Action("kt reproduce", _reproduced, every=4, writes=("in", "out"), seconds=60),
)


def _data(place: Place) -> None:
    from kerastickets.data.spec import data_digest, data_files, data_of

    plugin = {"npz": "npz", "images": "folder"}[place.kind]
    options = (
        place.one_of("", "", "", ",seed=1")
        if plugin == "npz"
        else place.one_of("", "", ",size=4x4", ",color=gray")
    )
    spec = f"{plugin}:{place.name}{options}"
    data_files(spec)
    place.found = data = data_of(spec)
    data_digest(data)
    _ = repr(data), data.tasks


def _trained(name: str, model: Any, spec: str, every: int) -> Action:
    given = (
        "--model",
        model,
        "--dataset",
        spec,
        "--levels",
        "1",
        "--rate",
        "0.5",
        *_TRAIN,
        "--out",
        "out/run",
    )
    return _kt(name, "prune", *given, every=every, seconds=60)


_NPZ = (
    Action("data_of", _data, seconds=60),
    _kt("eval", "eval", _SOUND, "--dataset", "npz:IN", _of("--json", "--"), every=4),
    _kt("analyze", "analyze", _of("separation", "connectivity"), _SOUND, "--dataset", "npz:IN"),
    _trained("prune", "mlp:4", "npz:IN", 20),
    _kt(
        *("transfer", "transfer", "new-head", _SOUND, "--dataset", "npz:IN", *_TRAIN),
        *("--out", "out/moved"), every=20, seconds=60,
    ),
)  # fmt: skip

_IMAGES = (
    Action("data_of", _data, seconds=60),
    _kt("analyze", "analyze", "connectivity", _SOUND, "--dataset", "folder:IN"),
    _trained("prune", "mlp:4", "folder:IN", 20),
)


def _source(place: Place) -> None:
    from kerastickets.data.spec import data_of
    from kerastickets.training.model_source import find_model, source_of

    source_of(find_model(place.name), data_of(f"npz:{POINTS}"), place.name).build()


_KERAS = (
    Action("source_of", _source, seconds=60),
    _trained("prune", "IN", f"npz:{POINTS}", 10),
    _kt("eval --model", "eval", "SOUND/no-architecture.safetensors", "--model", "IN", every=5, seconds=60),
)


def _state(place: Place) -> None:
    """Read the state as the training does whose state it was."""
    import numpy as np

    from kerastickets import Ticket
    from kerastickets.training.checkpoint import Checkpoint
    from tests.hostile.states import unpack

    facts = unpack((place.home / "state" / "net.checkpoint").read_bytes())[1]
    variables = [np.zeros(shape, dtype) for dtype, shape in facts["variables"]]
    weights = Ticket.load(place.home / "ticket" / "ticket.safetensors").weights()
    Checkpoint(Path(place.name, "net.checkpoint")).read(facts["identity"], weights, variables)


_STATE = (
    Action("Checkpoint.read", _state),
    _kt(
        *("train", "train", _SOUND, *(f"--{name.replace('_', '-')}={value}" for name, value in TRAIN.items())),
        *("--quiet", "--out", "IN/net.safetensors"), every=5, writes=("in",), seconds=60,
    ),
)  # fmt: skip


def _staged(place: Place) -> None:
    from kerastickets.foundations.staging import staged

    path = Path(place.name, "x.safetensors")
    with staged(path, force=True) as folder:
        (folder / path.name).write_bytes(b"another export")


def _published(place: Place) -> None:
    from kerastickets.foundations.staging import published

    with published(Path(place.name), "x.safetensors") as folder:
        for name in ("notes.txt", "x.safetensors"):
            (folder / name).write_bytes(b"another")


_EXPORT = (
    Action("staged", _staged, writes=("in",)),
    Action("published", _published, writes=("in",)),
    _kt(
        *("export", "export", "--format", "safetensors", _SOUND, "--no-latency", "--force", "--quiet"),
        *("--out", "IN/x.safetensors"), every=40, writes=("in",), seconds=120,
    ),
)  # fmt: skip

#: What is done with an input, in this order, by its kind.
ACTIONS: Mapping[str, tuple[Action, ...]] = {
    "ticket": _TICKET,
    "run": _RUN,
    "study": _STUDY,
    "cache": _CACHE,
    "npz": _NPZ,
    "images": _IMAGES,
    "keras": _KERAS,
    "state": _STATE,
    "export": _EXPORT,
}
