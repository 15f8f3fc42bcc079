"""Tables II and III beside the published ones, and what the paper leaves open, by paired tests."""

from collections.abc import Iterator, Mapping, Sequence

from kerastickets.plugin import Column, Row, Table, contrast_columns, corrected, summary
from kerastickets_plugins.studies.transfer.budgets import Budget
from kerastickets_plugins.studies.transfer.published import DATASET, TABLES, WIDTH
from kerastickets_plugins.studies.transfer.reading import answer, chosen, net_name, sparsities

#: What each part asks: two methods.
QUESTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "datasets": (
        *(("ticket", "dense"), ("random-reinit", "dense"), ("ticket", "random-reinit")),
        *(("ticket", "fine-tune"), ("ticket", "frozen")),
    ),
    "classes": (
        *(("new-head", "dense"), ("new-head", "random-reinit")),
        ("new-head, as sparse", "new-head"),
    ),
    "late": (("late-reset", "ticket"), ("late-reset", "dense")),
    "taylor": (("ticket by taylor", "ticket"), ("ticket by taylor", "dense")),
    "small": (
        *(("ticket", "dense"), ("ticket", "random-reinit"), ("ticket", "fine-tune"), ("ticket", "frozen")),
    ),
    "classical": (
        *(("ticket", "fine-tune"), ("ticket", "frozen"), ("ticket", "frozen-then-all")),
        *(("ticket", "small-dense"), ("ticket", "prune-while-fine-tuning"), ("dense", "fine-tune")),
    ),
    "biases": (("ticket without biases", "ticket"), ("ticket without biases", "dense")),
}
_TITLES = {
    "datasets": "Two distinct data sets, there and back",
    "classes": "Targets of fewer classes: a new output layer",
    "late": "Late resetting",
    "taylor": "Tickets by what the loss would change (Taylor) instead of by magnitude",
    "small": "Targets of few training examples",
    "classical": "Tickets against classical transfer, and against small dense nets",
    "biases": "Biases pruned as well",
}
_TESTED = (
    "Pairs are splits; Holm corrects over the sparsities of one question. Fewer than 3 pairs are not tested."
)


def tables(budget: Budget, trials: Sequence[Row]) -> list[Table]:
    """Tables II and III of each width, the two kinds of sparse net against each other, then a table a part."""
    made = []
    if "main" in budget.parts:
        for width in budget.widths:
            rows = chosen(trials, part="main", width=width)
            made += [
                _published(budget, "ticket", width, rows),
                _published(budget, "random-reinit", width, rows),
                _against(width, rows),
                _speed(width, rows),
            ]
    made += [_open(part, chosen(trials, part=part)) for part in QUESTIONS if part in budget.parts]
    return [*made, _sources(trials)]


def _numbered(method: str) -> str:
    return {"ticket": "II", "random-reinit": "III"}[method]


def _published(budget: Budget, method: str, width: int, rows: Sequence[Row]) -> Table:
    made = []
    for row in corrected(answer(rows, method, "dense", s) for s in sparsities(rows)):
        printed = TABLES[method].get(row["sparsity"]) if budget.dataset == DATASET else None
        beside = {
            f"published {name}": value for name, value in (printed._asdict() if printed else {}).items()
        }
        made.append(row | {"t": abs(row["t"]) if row.get("t") is not None else None} | beside)
    columns = (
        Column("sparsity", "Sparsity", ".0%"),
        Column("pairs", "Splits"),
        *_means("Sparse", "Dense"),
        *(Column(f"published {key}", label, ".2f") for key, label in _PRINTED),
        *contrast_columns("+.2f"),
        Column("t", "|t|", ".3g"),
        Column("published t", "published |t|", ".3g"),
        Column("published p", "published p", ".2g"),
    )
    number = _numbered(method)
    what = {"ticket": "winning tickets", "random-reinit": "their topology with weights drawn anew"}[method]
    title = f"Table {number}: test accuracy (%) of {what}, {net_name(width)}"
    note = f"At the end of training. {_TESTED}"
    if width != WIDTH:
        note += f" The published net has conv width {WIDTH}, this one {width}."
    return Table(f"table-{number.lower()}-width-{width}", title, columns, tuple(made), note)


_PRINTED = (("mean", "published"), ("sd", "sd"), ("dense", "published dense"), ("dense_sd", "sd"))


def _means(first: str, second: str) -> tuple[Column, ...]:
    return (
        Column("first", first, ".2f"),
        Column("first sd", "sd", ".2f"),
        Column("second", second, ".2f"),
        Column("second sd", "sd", ".2f"),
    )


def _against(width: int, rows: Sequence[Row]) -> Table:
    made = corrected(answer(rows, "ticket", "random-reinit", s) for s in sparsities(rows))
    columns = (
        Column("sparsity", "Sparsity", ".0%"),
        Column("pairs", "Splits"),
        *_means("Ticket", "Weights drawn anew"),
        *contrast_columns("+.2f"),
    )
    note = (
        "The paper compares its tables II and III by eye: their nets are not paired with each other. Here they are: "
        f"one source net, one mask, one order of data. {_TESTED}"
    )
    title = f"Do the source's initial weights help? Test accuracy (%), {net_name(width)}"
    return Table(f"ticket-against-reinit-width-{width}", title, columns, made, note)


def _speed(width: int, rows: Sequence[Row]) -> Table:
    made = []
    for method, sparsity in dict.fromkeys((row["method"], row["sparsity"]) for row in rows):
        own = [row for row in rows if (row["method"], row["sparsity"]) == (method, sparsity)]
        made.append(
            {
                "method": method,
                "sparsity": sparsity,
                "density": own[0]["kept"] / own[0]["total"],
                **{key: summary([row[key] for row in own]).mean for key in _SHOWN},
            }
        )
    columns = (
        Column("method", "Net"),
        Column("sparsity", "Sparsity", ".0%"),
        Column("density", "Kept", ".2%"),
        Column("test_accuracy", "Test at the end (%)", ".2f"),
        Column("best_test_accuracy", "at the best validation (%)", ".2f"),
        Column("val_accuracy", "Validation (%)", ".2f"),
        Column("early_stop", "Best validation at iteration", ",.0f"),
    )
    title = f"All nets on their targets, {net_name(width)}"
    return Table(f"nets-width-{width}", title, columns, tuple(made), "Means over splits.")


_SHOWN = ("test_accuracy", "best_test_accuracy", "val_accuracy", "early_stop")


def _open(part: str, rows: Sequence[Row]) -> Table:
    made: list[Row] = []
    for group, own in _groups(part, rows):
        for first, second in QUESTIONS[part]:
            answers = (answer(own, first, second, s) for s in _asked(own, first, second))
            question = {"question": f"{first} against {second}"}
            made += [group | question | row for row in corrected(answers)]
    title = f"{_TITLES[part]}: test accuracy (%), {net_name(rows[0]['width'])}"
    columns = (
        *{
            "small": (Column("size", "Examples"),),
            "datasets": (Column("from", "From"), Column("to", "To")),
        }.get(part, ()),
        Column("question", "Question"),
        Column("sparsity", "Sparsity", ".0%"),
        Column("pairs", "Pairs"),
        *_means("First", "Second"),
        *contrast_columns("+.2f"),
    )
    return Table(f"open-{part}", title, columns, tuple(made), f"At the end of training. {_TESTED}")


def _asked(rows: Sequence[Row], *methods: str) -> list[float | None]:
    """The sparsities of a question: none where neither method is sparse."""
    return sparsities([row for row in rows if row["method"] in methods])


def _groups(part: str, rows: Sequence[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """What is asked apart: every size, and each direction."""
    if part == "small":
        for size in sorted({row["size"] for row in rows}):
            yield {"size": size}, [row for row in rows if row["size"] == size]
    elif part == "datasets":
        for way in dict.fromkeys((row["source"], row["target"]) for row in rows):
            own = [row for row in rows if (row["source"], row["target"]) == way]
            yield {"from": way[0], "to": way[1]}, own
    else:
        yield {}, [*rows]


def _sources(trials: Sequence[Row]) -> Table:
    rows = [row for row in trials if row["kind"] == "source"]
    columns = (
        Column("width", "Conv width"),
        Column("split", "Split"),
        Column("source", "Source"),
        Column("target", "Target"),
        Column("test_accuracy", "Dense net on its source, test (%)", ".2f"),
    )
    note = "A split is the seed of initial weights and of the order of data, too."
    return Table("sources", "Sources and targets", columns, tuple(rows), note)
