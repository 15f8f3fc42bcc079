"""The paper's tables 2 to 7 beside ours, and its questions answered by tests."""

from collections.abc import Sequence

from kerastickets.plugin import Column, Row, Table, contrast, contrast_columns, corrected, summary
from kerastickets_plugins.studies.lth_vs_snip.jobs import Budget
from kerastickets_plugins.studies.lth_vs_snip.masks import mask_tables
from kerastickets_plugins.studies.lth_vs_snip.published import EARLY_STOP, KEPT, PERCENT, TOTAL
from kerastickets_plugins.studies.lth_vs_snip.reading import PRUNING, mean, prunings, published

#: Each question: the first method is the paper's better one.
QUESTIONS = (
    ("LTH against SNIP", "lth", "snip"),
    ("LTH against SNIP at LTH's counts in each layer", "lth", "snip-by-layer"),
    ("Iterative SNIP against SNIP", "iterative-snip", "snip"),
)


def tables(budget: Budget, trials: Sequence[Row]) -> list[Table]:
    """A table of each kind for each net, then the questions."""
    made = []
    for net in budget.nets:
        own = [row for row in trials if row["net"] == net]
        made += [_flips(budget, net, own), _speed(net, own), _accuracy(net, own), *mask_tables(net, own)]
    return [*made, _questions(budget, trials), _winning(budget, trials)]


def _flips(budget: Budget, net: str, rows: Sequence[Row]) -> Table:
    flips = sorted({row["method"] for row in rows if row["method"].startswith("flip")})
    methods = ["lth", *flips]
    made = []
    for pruning in prunings(rows, *methods):
        row: Row = {"pruning": pruning}
        for method in methods:
            row[method] = mean(rows, "early_stop", method=method, pruning=pruning)
            row[f"{method} published"] = published(rows, EARLY_STOP, (net, method), pruning)
            row[f"{method} accuracy"] = mean(rows, "test_accuracy", method=method, pruning=pruning)
        made.append(row)
    columns = [PRUNING]
    for method in methods:
        columns += [
            Column(method, f"{method}: early stop", ",.0f"),
            Column(f"{method} published", "published", ",.0f"),
            Column(f"{method} accuracy", "test (%)", ".2f"),
        ]
    number = {"fc1": 2, "conv-2": 3}[net]
    note = "Row 1 of a flipped ticket is the flipped mask as it is; each later row is one pruning more."
    title = f"Table {number}: early-stop iterations of LTH and of flipped tickets, {net}"
    return Table(f"table-{number}-flips", title, tuple(columns), tuple(made), note)


def _speed(net: str, rows: Sequence[Row]) -> Table:
    number = {"fc1": 4, "conv-2": 5}[net]
    made = []
    for pruning in prunings(rows, "lth"):
        row: Row = {"pruning": pruning}
        for method in ("lth", "snip", "snip-by-layer", "iterative-snip"):
            row[method] = mean(rows, "early_stop", method=method, pruning=pruning)
        kept = next(r["kept"] for r in rows if (r["method"], r["pruning"]) == ("lth", pruning))
        total = rows[0]["total"]
        row |= {
            "lth published": published(rows, EARLY_STOP, (net, "lth"), pruning),
            "snip published": published(rows, EARLY_STOP, (net, "snip"), pruning),
            "remaining": kept / total,
        }
        if total == TOTAL[net]:
            printed = PERCENT[net][pruning - 1]
            row["printed"] = printed
            row["misprint"] = abs(printed - 100 * KEPT[net][pruning - 1] / total) > 0.0051
        made.append(row)
    columns = (
        PRUNING,
        Column("lth", "LTH", ",.0f"),
        Column("lth published", "published", ",.0f"),
        Column("snip", "SNIP", ",.0f"),
        Column("snip published", "published", ",.0f"),
        Column("snip-by-layer", "SNIP by layer", ",.0f"),
        Column("iterative-snip", "Iterative SNIP", ",.0f"),
        Column("remaining", "Remaining", ".2%"),
        Column("printed", "Printed (%)", ".2f"),
        Column("misprint", "Disagrees with the printed counts"),
    )
    title = f"Table {number}: early-stop iterations by density, {net}"
    note = (
        "Percentages are of counts; the last column marks those of the paper that its own counts contradict."
    )
    if net == "fc1":
        note += " Its 5550 is no mean of two multiples of 500."
    return Table(f"table-{number}-speed", title, columns, tuple(made), note)


def _accuracy(net: str, rows: Sequence[Row]) -> Table:
    methods = ("lth", "snip", "snip-by-layer", "iterative-snip")
    made = []
    for pruning in prunings(rows, "dense", *methods):
        row: Row = {"pruning": pruning}
        for method in methods:
            for split in ("train", "val", "test"):
                own = "dense" if pruning == 0 and method == "lth" else method
                row[f"{method} {split}"] = mean(rows, f"{split}_accuracy", method=own, pruning=pruning)
        made.append(row)
    columns = (
        PRUNING,
        *(
            Column(f"{method} {split}", f"{method}, {name} (%)", ".2f")
            for method in methods
            for split, name in (("train", "training"), ("val", "validation"), ("test", "test"))
        ),
    )
    note = "With the weights of the best validation accuracy. Pruning 0 is the dense net."
    return Table(
        f"accuracy-{net}", f"Figures 1, 2, 5 to 8 as numbers: accuracy, {net}", columns, tuple(made), note
    )


def _questions(budget: Budget, trials: Sequence[Row]) -> Table:
    made = []
    for net in budget.nets:
        own = [row for row in trials if row["net"] == net]
        for question, first, second in QUESTIONS:
            for key, measure in (
                ("test_accuracy", "test accuracy (points)"),
                ("train_accuracy", "training accuracy (points)"),
                ("early_stop", "early-stop iteration"),
            ):
                made.append(
                    {"net": net, "question": question, "measure": measure, **_answer(own, first, second, key)}
                )
    columns = (
        Column("net", "Net"),
        Column("question", "Question"),
        Column("measure", "Measure"),
        Column("pairs", "Pairs"),
        Column("first", "First", ",.2f"),
        Column("second", "Second", ",.2f"),
        *contrast_columns("+,.2f"),
    )
    note = (
        "Pairs are nets of one seed after as many prunings, with equal counts, initial weights and data order. Nets "
        "of one seed are not independent, so p is too small; Holm corrects it over the rows of this table."
    )
    return Table("questions", "The paper's questions, by paired tests", columns, corrected(made), note)


def _answer(rows: Sequence[Row], first: str, second: str, key: str) -> Row:
    def by_net(method: str) -> dict[tuple[int, int], float]:
        return {(row["seed"], row["pruning"]): row[key] for row in rows if row["method"] == method}

    a, b = by_net(first), by_net(second)
    both = sorted(a.keys() & b.keys())
    values = [[own[net] for net in both] for own in (a, b)]
    means = {"first": summary(values[0]).mean, "second": summary(values[1]).mean}
    return {"pairs": len(both), **means, **contrast(*values)}


def _winning(budget: Budget, trials: Sequence[Row]) -> Table:
    made = []
    for net in budget.nets:
        own = [row for row in trials if row["net"] == net and row["winning"] is not None]
        for method in dict.fromkeys(row["method"] for row in own):
            nets = [row for row in own if row["method"] == method]
            wins = [row for row in nets if row["winning"]]
            made.append(
                {
                    "net": net,
                    "method": method,
                    "nets": len(nets),
                    "winning": len(wins),
                    "share": len(wins) / len(nets),
                    "prunings": ", ".join(f"{row['pruning']} (seed {row['seed']})" for row in wins) or None,
                }
            )
    columns = (
        Column("net", "Net"),
        Column("method", "Method"),
        Column("nets", "Nets"),
        Column("winning", "Winning"),
        Column("share", "Share", ".0%"),
        Column("prunings", "After prunings"),
    )
    note = (
        "A winning ticket: test accuracy at least the dense net's of its seed less 0.5 points, at an early-stop "
        "iteration that is no later than the dense net's."
    )
    return Table("winning", "Which nets are winning tickets", columns, tuple(made), note)


def notes(budget: Budget, trials: Sequence[Row]) -> list[str]:
    """What a reader of the tables must know."""
    texts = []
    if "cifar10" in budget.datasets:
        texts.append(
            "CIFAR-10 here are its real images, re-encoded as JPEG by their publisher and so slightly lossy: "
            "accuracies may be a little below those on the original images."
        )
    return [
        *texts,
        "Early-stop iteration: the first with the best validation accuracy. The paper's body says that SNIP tends to "
        "beat iterative SNIP on FC1 and that on Conv-2 iterative SNIP leads on training data only; its conclusion says "
        "equal on FC1 and better on Conv-2. Both are tested here.",
    ]
