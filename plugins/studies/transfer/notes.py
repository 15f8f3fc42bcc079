"""What a reader of the study's tables must know: what the paper does not say, and what is left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from kerastickets_plugins.studies.transfer.budgets import PARTS, Budget


def notes(budget: Budget, trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Readings that were chosen, and what is left out."""
    texts = []
    if budget.dataset == "cifar10":
        texts.append(
            "CIFAR-10 here are its real images, re-encoded as JPEG by their publisher and so slightly lossy: "
            "accuracies may be a little below those on the original images."
        )
    texts += [
        f"The paper does not say how long it trains, how weights start, what local response normalisation adds and "
        f"multiplies, or how 32x32 pixels become 28x28. Here: {_said(budget.train)} on the source and as many on the "
        "target; Glorot normal weights and zero biases; LRN of radius 4 with bias 1, alpha .001/9, beta .75; a random "
        "crop in training, the middle at test.",
        "Accuracy is that on the target's test examples at the end of training, as in the paper. Nothing is selected "
        "by it: its curve is only written down.",
        "Each layer loses round(n * sparsity) of its weights at once, the smallest after training on the source; "
        "biases stay. Ticket, dense net and net with weights drawn anew see the same batches in the same order; "
        "ticket and dense net start from the same weights. One dense net a split serves all sparsities and both "
        "tables; the paper trained others for each row.",
        "A mean accuracy over splits hides that splits differ by some points: that is why the tests are paired.",
    ]
    if min(budget.splits) < 3:
        texts.append(
            "Where there are fewer than three splits nothing is tested: such tables show numbers only."
        )
    if "classical" in budget.parts:
        texts.append(
            "Fine-tuning, frozen layers and pruning while fine-tuning begin with the dense net trained on the "
            "source, so they have had twice the training of the dense net from scratch; frozen layers get a new "
            "output layer. A two-branch hybrid net (Liu et al.) is not among the protocols."
        )
    missing = [part for part in PARTS if part not in budget.parts]
    if missing:
        texts.append(f"Left out by the dial `parts`: {', '.join(missing)}.")
    return texts


def _said(train: str) -> str:
    return f"{train.removesuffix('it')} iterations" if train.endswith("it") else train
