"""What the paper prints. Accuracies are in percent here; the paper prints shares."""

from collections.abc import Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """Two rows of the paper's tables II and III: a sparse net and its dense net, over ten splits."""

    mean: float
    sd: float
    dense: float
    dense_sd: float
    t: float
    p: float


#: Table II: the ticket with the source's initial weights. Table III: its topology, weights drawn anew. Each has dense
#: nets of its own, so the two tables cannot be paired with each other.
TABLES: Mapping[str, Mapping[float, Row]] = {
    "ticket": {
        0.25: Row(79.7, 4.88, 79.6, 4.79, 0.942, 0.371),
        0.5: Row(79.2, 4.79, 79.6, 4.49, 1.84, 0.0982),
        0.75: Row(78.3, 5.38, 79.4, 4.70, 2.27, 0.0491),
        0.9: Row(76.8, 5.35, 79.1, 4.66, 4.98, 0.000758),
    },
    "random-reinit": {
        0.25: Row(80.7, 3.15, 81.1, 3.60, 1.33, 0.217),
        0.5: Row(80.4, 3.20, 81.3, 3.55, 5.20, 0.000565),
        0.75: Row(80.3, 3.18, 81.5, 3.62, 5.63, 0.000324),
        0.9: Row(79.9, 3.38, 81.1, 3.46, 3.55, 0.00621),
    },
}

#: The data set and the filters of the net that these numbers are of.
DATASET, WIDTH = "cifar10", 64
