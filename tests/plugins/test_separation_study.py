"""The separation study: Table 4.1, jobs that stop, claims worked out by hand, and one run on moons and circles."""

import json
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from kerastickets import registry
from kerastickets.cutting.cut_scores import ones
from kerastickets.data.spec import data_of
from kerastickets.figures.matplotlib_figures import draw
from kerastickets.figures.table import Table
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.widening import widened
from kerastickets.studies.reproduce import Reproduction
from kerastickets.studies.study import Cache, Results
from kerastickets_plugins.studies import separation as study
from kerastickets_plugins.studies.separation.jobs import extended, runs, sized
from kerastickets_plugins.studies.separation.outcomes import outcomes
from kerastickets_plugins.studies.separation.published import EXTENDED, RATES
from kerastickets_plugins.studies.separation.tables import rate

#: A study from its jobs to its tables, for a minute; `tests/studies` has a quick one.
SLOW_FIXTURES = {"small"}

CPU, PAPER = study.BUDGETS["cpu"], study.BUDGETS["paper"]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_table_4_1_is_the_published_one(layers):
    assert extended(layers, len(EXTENDED[layers]) - 1) == [*EXTENDED[layers]]


def test_the_rates_of_figure_4_12_are_the_published_ones():
    assert {n: round(rate(48, n), 3) for n in RATES} == RATES


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cpu", {"extension": 15 + 13 + 13, "size": 4 * 11, "mnist-fashion": 1, "maps": 2}),
        ("paper", {"extension": 26 + 17 + 17, "size": 4 * 11, "mnist-fashion": 3, "maps": 2, "joined": 1}),
        ("smoke", {"extension": 3, "size": 2}),
    ],
)
def test_the_budgets_are_the_issue_s(name, parts):
    assert Counter(run.part for run in runs(study.BUDGETS[name])) == parts


def test_each_part_can_run_alone_and_the_rates_are_some_of_the_sizes():
    alone = {part: {run.job for run in runs(replace(CPU, parts=(part,)))} for part in CPU.parts}
    assert alone["rate"] < alone["size"]
    assert [len(jobs) for jobs in alone.values()] == [41, 44, 11, 1, 2]
    assert set.union(*alone.values()) == {run.job for run in runs(CPU)}


@pytest.mark.parametrize("budget", [*study.BUDGETS])
def test_every_dial_is_one_that_pruning_takes(budget):
    for run in runs(study.BUDGETS[budget]):
        options = run.job.options
        PruneJob.of(options["model"], options["dataset"], options["criterion"], dials=options["dials"])
        rules = options["dials"].get("stop_when", [])
        assert len(rules) == {"moons-circles": 1, "mnist-fashion": 2}.get(run.dataset, 0)


@pytest.mark.parametrize(
    ("layers", "level", "counts"),
    [
        (2, 3, (352, 247, 160, 112)),
        (1, 0, (120,)),
        (3, 0, (108,)),
        (3, 2, (260, 176, 108)),
    ],
)
def test_nets_are_pruned_along_shared_counts(layers, level, counts):
    run = next(run for run in runs(PAPER) if (run.layers, run.level) == (layers, level))
    options = run.job.options
    job = PruneJob.of(options["model"], options["dataset"], dials=options["dials"])
    wide = widened(
        registry.create("models", options["model"]),
        options["model"],
        data_of("moons-circles"),
        options["dials"]["rate"],
        options["dials"]["extend"],
    )
    masks = ones({"kernel": (1, wide.counts[0])})
    assert job.method.planned(masks, {}, (), wide.counts).totals == counts
    assert run.job.options["seeds"] == [*range(4 if layers == 2 else 5)]


def test_sizes_end_at_the_base_nets_count():
    options = sized(CPU, 48, 3).job.options
    assert (options["model"], options["dials"]["target"]) == ("mlp:widths=48-48,initializer=kaiming", 112)
    assert sized(CPU, 48, 0).job.options["dials"]["extend"] == 0


def test_dials_of_the_future_work_reach_every_job():
    changed = replace(CPU, criterion="random", rewind_to="2ep", l1=1e-4)
    for run in runs(changed):
        dials = run.job.options["dials"]
        assert (run.job.options["criterion"], dials["rewind_to"], dials["l1"]) == ("random", "2ep", 1e-4)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"seeds": (1,)}, "one entry a depth"),
        ({"parts": ("sizes",)}, "`parts` must be among extension"),
        ({"parts": ()}, "`parts` must be among"),
        ({"layers": (2, 1, 4)}, "`layers` must be among"),
        ({"repeats": 0}, "at least 1"),
    ],
)
def test_dials_that_contradict_each_other_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        replace(PAPER, **dials)


class Done(Results):
    """Results of pruning jobs alone, made by hand: each run came to so many levels."""

    def __init__(self, levels):
        self.levels = levels

    def __contains__(self, job):
        return job.verb == "prune"

    def __getitem__(self, job):
        facts = {"levels": [{"level": n} for n in range(self.levels)]}
        seeds = job.options.get("seeds")
        return facts if seeds is None else {"runs": {str(seed): facts for seed in seeds}}


def test_tickets_are_analyzed_as_soon_as_it_is_known_which_there_are(tmp_path):
    budget = replace(CPU, parts=("mnist-fashion", "size"), widths=(31,), prunings=0)
    none = [*study.jobs(budget, Results(Cache(tmp_path)))]
    assert [job.verb for job in none] == ["prune", "prune"]
    small, looks, images, whole, maps = study.jobs(budget, Done(5))
    assert [ticket.name for ticket in looks.inputs] == [
        f"seed-{s}/level-0{n}" for s in range(4) for n in range(5)
    ]
    assert looks.needs == (small,)
    assert whole.needs == (images,)
    assert looks.options["analyzers"]["separation"] == {"counts": "both"}
    assert whole.options["analyzers"]["separation"] == {"counts": "outputs"}
    assert [ticket.name for ticket in maps.inputs] == ["level-04"]


def ticket(pruning, category="interconnected", **more):
    """A row as `trials` makes it."""
    row = {
        "kind": "ticket",
        "part": "extension",
        "dataset": "moons-circles",
        "layers": 2,
        "level": 7,
        "width": 38,
        "seed": 0,
        "pruning": pruning,
        "kept": 2000 - 100 * pruning,
        "active": 100,
        "inactive": 30,
        "zombie": 2,
        "category": category,
        "as_published": category,
        "subnetworks": 1,
        "val_loss": 0.01,
        "test_accuracy": 99.0,
        "test_by_task": {"circles": 99.0, "moons": 99.0},
        "from_outputs": [0.0, 0.6, 0.8, 1.0],
        "from_inputs": [1.0, 0.5, 0.5, 0.0],
        "degree_layers": ["input", "dense", "dense_1", "dense_2"],
    }
    return row | more


def run_of(*categories, **more):
    return [ticket(n, category, **more) for n, category in enumerate(categories)]


WORDS = {"i": "interconnected", "s": "separated", "d": "degraded"}


def extension(codes, layers=2):
    """Two seeds of each level from the codes of their tickets, as `is` for one that ends separated."""
    return [
        row
        for level, pair in codes.items()
        for seed, code in enumerate(pair)
        for row in run_of(*(WORDS[letter] for letter in code), layers=layers, level=level, seed=seed)
    ]


def found(trials):
    table = next(table for table in study.tables(CPU, trials) if table.name == "claims")
    return {row["claim"]: (row["measured"], row["reproduced"]) for row in table.rows}


def test_runs_are_of_the_thesis_s_four_kinds():
    rows = extension({7: ("ii", "isd"), 8: ("is", "id")})
    own = outcomes(rows, part="extension")
    assert [run.kind for run in own] == ["interconnected", "separated-degraded", "separated", "degraded"]
    assert [run.separated and run.separated["pruning"] for run in own] == [None, 1, 1, None]
    assert own[1].degraded["pruning"] == 2
    assert own[0].active_share == 100 / 1900


def test_claims_about_levels_are_reproduced_within_one():
    none = {level: ("i" * (level + 1), "i" * (level + 1)) for level in (6, 7, 10)}
    rows = extension(none | {8: ("i" * 8 + "s", "i" * 9), 9: ("iiis", "iisd"), 11: ("is", "id")})
    claims = found(rows)
    assert claims["two layers: the first level of extension with a separated net"] == ("level 8", "yes")
    assert claims["two layers: the fewest prunings after which a net is separated"] == ("pruning 1", "no")
    most = "two layers: most nets separate from this level on"
    assert claims[most] == ("level 9; 3 of 6 runs from level 9 on", "no")
    assert claims["two layers: the first level with a degraded net"] == ("level 9", "yes")
    assert claims["one layer: the first level with a separated net"] == (None, "not measured")


def test_what_is_not_reached_is_not_measured_and_what_does_not_happen_is_a_no():
    few = found(extension({5: ("ii", "ii")}, layers=1))
    assert few["one layer: the first level with a separated net"] == (None, "not measured")
    assert few["one layer: from level 14 on nets only degrade"] == (None, "not measured")
    many = found(extension({5: ("ii", "ii"), 15: ("ii", "is")}, layers=1))
    assert many["one layer: the first level with a separated net"] == ("level 15", "no")
    assert many["one layer: from level 14 on nets only degrade"] == ("1 of 2 runs separate", "no")
    none = found(extension({5: ("ii", "ii"), 12: ("ii", "ii")}, layers=1))
    assert none["one layer: the first level with a separated net"] == ("none up to level 12", "no")


def test_claims_about_sizes_and_rates():
    rows = [
        row
        for width, level, seed in product((31, 48), (2, 3, 6), (0, 1))
        for row in run_of(
            "interconnected",
            "separated" if width == 48 and level >= 3 else "degraded",
            part="size",
            width=width,
            level=level,
            seed=seed,
        )
    ]
    claims = found(rows)
    small = "widths 31 and 38 never separate, whatever the number of prunings"
    assert claims[small] == ("0 of 6 runs separate", "yes")
    largest = "width 48: the largest rate at which a net separates"
    assert claims[largest] == ("0.649 (3 prunings)", "yes")
    assert claims["width 48: at rates below 0.41 nets separate consistently"] == (
        "2 of 2 runs separate",
        "yes",
    )


def test_claims_about_weights_losses_and_sides():
    rows = extension({level: ("i" * (14 - level) + "s", "ii") for level in range(7, 13)})
    for row in rows:
        row["val_loss"] = {"separated": 0.005, "interconnected": 0.01}[row["category"]]
    rows += [ticket(n, level=13, seed=n, val_loss=0.3) for n in range(3)]
    claims = found(rows)
    active = "two layers: active weights at separation, means by level"
    assert claims[active] == ("100 to 100; 6 of 6 levels in the range", "yes")
    grow = "two layers: available weights at separation grow with the net"
    assert claims[grow] == ("1300 at level 7, 1800 at 12; correlation 1.00", "yes")
    assert claims["two layers: inactive weights are far more than zombies"] == ("15.0 times as many", "yes")
    low = "separated nets are among those with the lowest loss"
    assert claims[low] == ("median 0.005; interconnected 0.010", "yes")
    cluster = f"3 of {len(rows)} tickets; 0 from .04 to .08, {len(rows) - 3} below"
    assert claims["a second cluster of nets with a higher loss"] == (cluster, "yes")
    sides = "separation seen from the outputs comes before that seen from the inputs"
    assert claims[sides] == ("6 of 6 runs; mean degree 0.70 against 0.50", "yes")


def images():
    """A run on MNIST-Fashion that separates at its third pruning, and the maps of one task."""
    own = {"part": "mnist-fashion", "dataset": "mnist-fashion", "level": None, "width": None}
    curve = [(97.0, 85.0), (98.0, 88.0), (96.0, 87.0), (88.0, 80.0)]
    rows = []
    for n, (mnist, fashion) in enumerate(curve):
        by_task = {"mnist": mnist, "fashion": fashion}
        mean = (mnist + fashion) / 2
        category = "separated" if n == 3 else "interconnected"
        rows.append(ticket(n, category, **own, test_by_task=by_task, test_accuracy=mean))
    degree = np.arange(28 * 28).reshape(28, 28).tolist()
    about = {"unconnected": 3, "correlation": {"mean": 0.5, "variance": None}, "kept": 9, "seed": 0}
    rows += [
        {"kind": "map", "part": "maps", "dataset": "mnist", "pruning": n, "degree": degree} | about
        for n in (1, 4)
    ]
    wide = {"part": "mnist-fashion", "dataset": "mnist-fashion", "degree": np.ones((28, 56)).tolist()}
    rows.append({"kind": "map", "pruning": 4} | wide | about)
    rows += [
        {"kind": "pixels", "dataset": "mnist", "measure": m, "values": degree} for m in ("mean", "variance")
    ]
    for task in ("mnist", "fashion"):
        samples = {"inputs": np.zeros((7, 784)).tolist(), "labels": [0] * 7, "other_labels": [1] * 7}
        rows.append({"kind": "sample", "dataset": "mnist-fashion", "task": task} | samples)
    return rows


def test_claims_about_images():
    claims = found(images())
    assert claims["MNIST-Fashion: accuracy of the separated nets"] == ("84.0 to 84.0 %", "yes")
    assert claims["MNIST-Fashion: MNIST lies above Fashion-MNIST"] == ("10.0 points at the best level", "no")
    fall = "MNIST-Fashion: with fewer weights MNIST falls faster, from the best level to the last"
    assert claims[fall] == ("10.0 points, Fashion-MNIST 8.0", "yes")


def test_figures_of_images_can_be_drawn(tmp_path):
    figures = study.figures(CPU, images())
    names = ["4-3", "4-20", "4-21", "4-22-mean", "4-22-variance", "4-24", "4-26"]
    assert [figure.name for figure in figures] == [f"figure-{name}" for name in names]
    shapes = {f.name: (len(f.y_labels), len(f.x_labels)) for f in figures if hasattr(f, "y_labels")}
    assert shapes["figure-4-3"] == (56, 7 * 28 + 6 * 2)
    assert shapes["figure-4-24"] == (28, 28 + 2 + 28)
    assert shapes["figure-4-26"] == (56, 28)
    for figure in figures[:1]:
        draw(figure, tmp_path)
    assert {table.name for table in study.tables(CPU, images())} == {
        "claims",
        "table-4-1",
        "mnist-fashion",
        "maps",
    }


def test_notes_say_what_is_left_out_and_how_often_the_rules_differ():
    rows = run_of("interconnected", "separated")
    rows[1]["as_published"] = "undecided"
    said = " ".join(study.notes(replace(CPU, parts=("extension", "maps")), rows))
    assert "another verdict for 1 of 2 tickets, and another kind to 1 of 1 runs" in said
    assert "Left out by the dial `parts`: size, rate, mnist-fashion." in said
    assert "the net that part `mnist-fashion` prunes" in said


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("separation")
    dials = {
        "parts": "extension",
        "layers": "2",
        "extensions": "1",
        "seeds": "2",
        "every": "1",
        "train": "3ep",
    }
    made = Reproduction.of("separation", "smoke", dials)
    made.run(folder / "out", cache=folder / "cache", jobs=1, command="kt")
    return folder / "out"


def test_a_small_run_has_a_row_for_every_ticket(small):
    rows = [json.loads(line) for line in (small / "results.jsonl").read_text().splitlines()]
    tickets = [row for row in rows if row["kind"] == "ticket"]
    assert [(row["level"], row["seed"], row["pruning"], row["kept"]) for row in tickets] == [
        (0, 0, 0, 112),
        (0, 1, 0, 112),
        (1, 0, 0, 160),
        (1, 0, 1, 112),
        (1, 1, 0, 160),
        (1, 1, 1, 112),
    ]
    for row in tickets:
        assert row["active"] + row["inactive"] + row["zombie"] == row["kept"]
        np.testing.assert_allclose(np.mean([*row["test_by_task"].values()]), row["test_accuracy"], atol=1e-3)
    assert [row["task"] for row in rows if row["kind"] == "sample"] == ["circles", "moons"]


def test_a_small_run_has_its_tables_figures_and_page(small):
    tables = [Table.of(facts) for facts in json.loads((small / "tables.json").read_text())]
    assert [table.name for table in tables] == ["claims", "table-4-1", "extension-2", "categories"]
    assert all("Not as published: parts extension" in table.note for table in tables)
    assert [row["runs"] for row in tables[2].rows] == [2, 2]
    drawn = {path.stem for path in (small / "figures").iterdir()}
    assert {"figure-4-1-moons", "figure-4-2-circles", "figure-4-4", "figure-4-5", "figure-4-19"} <= drawn
    assert "figure-4-6" not in drawn
    assert (small / "report.html").stat().st_size > 10_000
