"""What a reader of the study's tables must know: readings that were chosen, and what is left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerastickets_plugins.studies.separation.budgets import PARTS, Budget
from kerastickets_plugins.studies.separation.outcomes import outcomes


def notes(budget: Budget, trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Readings that were chosen, and what is left out."""
    texts = [
        "Degraded: a feature that counts lies in no subnetwork. Separated: not degraded, and no subnetwork holds "
        "features of two tasks. Interconnected: otherwise. The thesis's own rule goes by the number of subnetworks, "
        "and leaves open what it says of more subnetworks than tasks; its verdict is reported beside.",
        "A level that degrades is trained as well, as in the thesis's listing 3.1: training comes before the verdict, "
        "and the losses of degraded nets in figure 4.15 are such. Masks are known before, so a run that asked for no "
        "loss could stop without that training.",
        "The last weights of a level are pruned, as in the thesis's code; losses and accuracies are theirs too. The "
        "lowest validation loss is `best_val_loss`. The thesis held out 1000 examples that served for validation and "
        "for test; here these are 500 and 500.",
        "Of three hidden layers the base net has width 4 and 56 weights, but runs end at 108, the first net of the "
        "thesis's column.",
        *_different(trials),
    ]
    missing = [part for part in PARTS if part not in budget.parts]
    if missing:
        texts.append(f"Left out by the dial `parts`: {', '.join(missing)}.")
    if "maps" in budget.parts:
        texts.append(
            "Nets with one task of images take the data sets' own standardisation, one mean and deviation for all "
            "pixels; the thesis standardises each pixel. "
            + (
                "Figure 4.26 is of a net of its own."
                if budget.joined
                else "Figure 4.26 is of the net that part `mnist-fashion` prunes, not of another."
            )
        )
    return texts


def _different(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """How often the two rules disagree."""
    runs = [run for run in outcomes(trials) if run.last["category"] is not None]
    tickets = [row for run in runs for row in run.rows]
    other = sum(row["category"] != row["as_published"] for row in tickets)
    kinds = sum(run.kind != run.as_published for run in runs)
    if not tickets:
        return []
    return [
        f"The thesis's rule gives another verdict for {other} of {len(tickets)} tickets, and another kind to {kinds} "
        f"of {len(runs)} runs."
    ]
