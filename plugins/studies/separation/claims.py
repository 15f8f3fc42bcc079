"""What the thesis says happens, each claim beside what was measured and whether it happened here.

A claim says what it counts as reproduced: levels within one of the published, since a few seeds decide which is first.
What a budget does not reach is not measured, and neither yes nor no.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerastickets_plugins.studies.separation.outcomes import Outcome, by_level, has_separated, outcomes
from kerastickets_plugins.studies.separation.published import RATES

Row = Mapping[str, Any]
Found = tuple[str, bool] | None

_RATE_WIDTH = 48


def claims(trials: Sequence[Row]) -> tuple[dict[str, Any], ...]:
    """A row a claim: `claim`, `published`, `measured`, `rule`, `reproduced` (yes, no, not measured)."""
    rows = []
    for section, claim, published, rule, found in _all(trials):
        measured, holds = found or (None, None)
        verdict = "not measured" if holds is None else ("yes" if holds else "no")
        rows.append(
            {
                "section": section,
                "claim": claim,
                "published": published,
                "measured": measured,
                "rule": rule,
                "reproduced": verdict,
            }
        )
    return tuple(rows)


def _all(trials: Sequence[Row]) -> Iterator[tuple[str, str, str, str, Found]]:
    """Section, claim, published value, what counts as reproduced, and what was found."""
    yield from _extension(trials)
    yield from _sizes(outcomes(trials, part="size"))
    yield from _weights(trials)
    yield from _losses(trials)
    yield from _images(outcomes(trials, part="mnist-fashion"))


def _of(trials: Sequence[Row], layers: int) -> list[Outcome]:
    return outcomes(trials, part="extension", layers=layers)


def _first(runs: Sequence[Outcome], fits: Callable[[Outcome], bool]) -> int | None:
    """The first level of extension with a run that fits."""
    return min((run.level for run in runs if fits(run)), default=None)


def _near(runs: Sequence[Outcome], level: int | None, published: int, what: str) -> Found:
    """A level beside the published one; not measured where the levels leave it out, or stop before it can be told."""
    levels = {run.level for run in runs}
    highest = max(levels, default=-1)
    if published not in levels or (level is None and highest <= published):
        return None
    said = f"{what} {level}" if level is not None else f"none up to {what} {highest}"
    return said, level is not None and abs(level - published) <= 1


def _extension(trials: Sequence[Row]) -> Iterator[tuple[str, str, str, str, Found]]:
    one, two = _of(trials, 1), _of(trials, 2)
    near = "within one level"
    first = _first(two, has_separated)
    found = _near(two, first, 7, "level")
    yield "4.2.1", "two layers: the first level of extension with a separated net", "level 7", near, found
    cuts = min((run.separated["pruning"] for run in two if run.separated), default=None)
    found = _near(two, cuts, 7, "pruning")
    yield (
        "4.2.1",
        "two layers: the fewest prunings after which a net is separated",
        "7 prunings",
        "within one",
        found,
    )
    yield (
        "4.2.1",
        "two layers: most nets separate from this level on",
        "level 9",
        "the first with most within one level, and most of all runs from 9 on",
        _majority(two, 9),
    )
    found = _near(two, _first(two, lambda run: run.degraded is not None), 10, "level")
    yield "4.2.1", "two layers: the first level with a degraded net", "level 10", near, found
    found = _near(one, _first(one, has_separated), 5, "level")
    yield "4.2.1", "one layer: the first level with a separated net", "level 5", near, found
    late = [run for run in one if run.level >= 14]
    count = sum(map(has_separated, late))
    found = (f"{count} of {len(late)} runs separate", not count) if late else None
    yield "4.2.1", "one layer: from level 14 on nets only degrade", "none separates", "none separates", found


def _majority(runs: Sequence[Outcome], published: int) -> Found:
    shares = {level: np.mean([has_separated(run) for run in own]) for level, own in by_level(runs).items()}
    late = [has_separated(run) for run in runs if run.level >= published]
    if not late:
        return None
    first = next((level for level in sorted(shares) if shares[level] > 0.5), None)
    said = f"level {first}" if first is not None else "at no level"
    holds = first is not None and abs(first - published) <= 1 and float(np.mean(late)) > 0.5
    return f"{said}; {sum(late)} of {len(late)} runs from level {published} on", holds


def _sizes(runs: Sequence[Outcome]) -> Iterator[tuple[str, str, str, str, Found]]:
    small = [run for run in runs if run.width in (31, 38)]
    count = sum(map(has_separated, small))
    found = (f"{count} of {len(small)} runs separate", not count) if small else None
    yield (
        "4.2.3",
        "widths 31 and 38 never separate, whatever the number of prunings",
        "none of 88",
        "none separates",
        found,
    )
    own = [run for run in runs if run.width == _RATE_WIDTH and run.level]
    fewest = min((run.level for run in own if has_separated(run)), default=None)
    found = None
    if own:
        said = f"{_rate(fewest):.3f} ({fewest} prunings)" if fewest else "none separates"
        found = (said, fewest is not None and abs(fewest - 3) <= 1)
    yield (
        "4.2.3",
        "width 48: the largest rate at which a net separates",
        "about 0.65",
        "within one pruning",
        found,
    )
    late = [has_separated(run) for run in own if run.level >= 6]
    found = (f"{sum(late)} of {len(late)} runs separate", all(late)) if late else None
    yield "4.2.3", "width 48: at rates below 0.41 nets separate consistently", "all", "all separate", found


def _rate(prunings: int | None) -> float:
    return RATES.get(prunings or 0, float("nan"))


def at_separation(runs: Sequence[Outcome], name: str) -> dict[int, list[int]]:
    """Weights of the first separated tickets, by level of extension: `active`, or `kept` (the available ones)."""
    found = {
        level: [run.separated[name] for run in own if run.separated] for level, own in by_level(runs).items()
    }
    return {level: values for level, values in found.items() if values}


def _weights(trials: Sequence[Row]) -> Iterator[tuple[str, str, str, str, Found]]:
    for layers, word, low, high in ((2, "two layers", 80, 120), (1, "one layer", 70, 120)):
        means = [float(np.mean(v)) for v in at_separation(_of(trials, layers), "active").values()]
        inside = sum(low - 5 <= mean <= high + 5 for mean in means)
        found = None
        if means:
            said = f"{min(means):.0f} to {max(means):.0f}; {inside} of {len(means)} levels in the range"
            found = (said, inside >= 0.9 * len(means))
        claim = f"{word}: active weights at separation, means by level"
        yield "4.2.2", claim, f"{low} to {high}", "nine levels of ten in the range, give or take 5", found
    for layers, word, published, highest in ((2, "two layers", 900, 25), (1, "one layer", 1400, 13)):
        runs = _of(trials, layers)
        available = {level: float(np.mean(v)) for level, v in at_separation(runs, "kept").items()}
        claim = f"{word}: available weights at separation grow with the net"
        yield (
            "4.2.2",
            claim,
            "grow exponentially",
            "Spearman's rank correlation above 0.7",
            _growth(available),
        )
        claim = f"{word}: available weights at the separation of the largest nets"
        reached = bool(available) and max(run.level for run in runs) >= highest
        most = max(available.values(), default=0.0)
        found = (f"{most:.0f}", published / 1.5 <= most <= published * 1.5) if reached else None
        yield "4.2.2", claim, f"about {published}", "within a factor of 1.5", found
    late = [run.active_share for run in _of(trials, 2) if run.level >= 20]
    found = (f"{np.mean(late):.0%}", 0.1 <= float(np.mean(late)) <= 0.3) if late else None
    yield (
        "4.2.1",
        "two layers: active of the weights left, from level 20 on",
        "about 20 %",
        "10 to 30 %",
        found,
    )
    tickets = [row for run in _of(trials, 2) for row in run.rows]
    inactive, zombie = (sum(row[name] for row in tickets) for name in ("inactive", "zombie"))
    found = None
    if zombie or inactive:
        said = f"{inactive / zombie:.1f} times as many" if zombie else "no zombies"
        found = (said, inactive >= 3 * zombie)
    yield (
        "4.2.6",
        "two layers: inactive weights are far more than zombies",
        "far more",
        "three times as many",
        found,
    )


def _growth(available: Mapping[int, float]) -> Found:
    if len(available) < 4:
        return None
    from scipy.stats import spearmanr

    levels = sorted(available)
    rho = float(spearmanr(levels, [available[level] for level in levels]).statistic)
    ends = f"{available[levels[0]]:.0f} at level {levels[0]}, {available[levels[-1]]:.0f} at {levels[-1]}"
    return f"{ends}; correlation {rho:.2f}", rho > 0.7


def _losses(trials: Sequence[Row]) -> Iterator[tuple[str, str, str, str, Found]]:
    rows = [row for run in _of(trials, 2) for row in run.rows if row["val_loss"] is not None]
    by_category = {
        name: [row["val_loss"] for row in rows if row["category"] == name]
        for name in ("separated", "interconnected")
    }
    found = None
    if all(by_category.values()):
        own, other = (float(np.median(values)) for values in by_category.values())
        found = (f"median {own:.3f}; interconnected {other:.3f}", own <= other)
    yield (
        "4.2.5",
        "separated nets are among those with the lowest loss",
        "amongst the lowest",
        "their median is at most that of the interconnected",
        found,
    )
    found = None
    if rows:
        ends = (0.0, 0.04, 0.08, 0.56)
        first, between, second = np.histogram([row["val_loss"] for row in rows], ends)[0].tolist()
        said = f"{second} of {len(rows)} tickets; {between} from .04 to .08, {first} below"
        found = (said, min(first, second) > between)
    claim = "a second cluster of nets with a higher loss"
    yield "4.2.5", claim, "losses of .08 to .56", "more nets there, and below .04, than between", found
    runs = [run for layers in (2, 3) for run in _of(trials, layers) if run.separated]
    pairs = [pair for run in runs if (pair := _degrees(run)) is not None]
    found = None
    if pairs:
        ahead = sum(a > b for a, b in pairs)
        a, b = np.mean(pairs, axis=0)
        found = (f"{ahead} of {len(pairs)} runs; mean degree {a:.2f} against {b:.2f}", ahead > len(pairs) / 2)
    claim = "separation seen from the outputs comes before that seen from the inputs"
    yield "4.2.4", claim, "before", "the mean degree until separation is higher in most runs", found


def _degrees(run: Outcome) -> tuple[float, float] | None:
    """Mean degree of separation of the hidden layers until the run separates, from the outputs and the inputs."""
    assert run.separated is not None
    rows = [row for row in run.rows if 0 < row["pruning"] <= run.separated["pruning"]]
    means = []
    for name in ("from_outputs", "from_inputs"):
        values = [value for row in rows for value in row[name][1:-1] if value is not None]
        if not values:
            return None
        means.append(float(np.mean(values)))
    return means[0], means[1]


def _images(runs: Sequence[Outcome]) -> Iterator[tuple[str, str, str, str, Found]]:
    found = None
    ends = [run.separated["test_accuracy"] for run in runs if run.separated in run.trained]
    if ends or (runs and not any(run.separated for run in runs)):
        said = f"{min(ends):.1f} to {max(ends):.1f} %" if ends else f"none of {len(runs)} separates"
        found = (said, bool(ends) and all(81 <= value <= 88 for value in ends))
    claim = "MNIST-Fashion: accuracy of the separated nets"
    yield "4.3.1", claim, "about 83 to 86 %", "within two points", found
    gaps = [_gaps(run) for run in runs if len(run.trained) > 1]
    found = None
    if gaps:
        peak = float(np.mean([gap for gap, _, _ in gaps]))
        found = (f"{peak:.1f} points at the best level", peak > 10)
    claim = "MNIST-Fashion: MNIST lies above Fashion-MNIST"
    yield "4.3.1", claim, "more than 10 points", "more than 10 points at the best level", found
    found = None
    if gaps:
        mnist, fashion = (float(np.mean([gap[n] for gap in gaps])) for n in (1, 2))
        found = (f"{mnist:.1f} points, Fashion-MNIST {fashion:.1f}", mnist > fashion)
    claim = "MNIST-Fashion: with fewer weights MNIST falls faster, from the best level to the last"
    yield "4.3.1", claim, "significantly faster", "it falls further", found


def _gaps(run: Outcome) -> tuple[float, float, float]:
    """MNIST above Fashion at the best level, and how far each falls from there to the last."""
    best = max(run.trained, key=lambda row: row["test_accuracy"])["test_by_task"]
    last = run.trained[-1]["test_by_task"]
    falls = [best[name] - last[name] for name in ("mnist", "fashion")]
    return best["mnist"] - best["fashion"], falls[0], falls[1]
