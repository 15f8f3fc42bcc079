"""The numbers of the paper's tables I to IV: best accuracy in percent, C, and how many trials."""

from collections.abc import Mapping

#: Table I, by data set and level: accuracy and C of single tickets, four each.
SINGLE: Mapping[tuple[str, int], tuple[float, float]] = {
    ("mnist", 0): (96.688, 3.041),
    ("mnist", 6): (96.908, 3.516),
    ("mnist", 7): (96.932, 3.740),
    ("mnist", 11): (96.948, 3.928),
    ("mnist", 15): (96.928, 3.405),
    ("mnist", 21): (96.835, 3.442),
    ("fashion-mnist", 0): (85.555, 2.875),
    ("fashion-mnist", 6): (85.63, 3.685),
    ("fashion-mnist", 7): (85.927, 3.705),
    ("fashion-mnist", 11): (85.985, 3.382),
    ("fashion-mnist", 15): (85.915, 3.623),
    ("fashion-mnist", 21): (85.973, 4.092),
}

#: Tables II to IV, by method, data set and number of tickets: accuracy, C and trials. Of table II's trials on
#: MNIST, 42 and 27 came from a script's mistake: by its own design there are 12 and 24.
MERGED: Mapping[tuple[str, str, int], tuple[float, float, int]] = {
    ("dtm", "mnist", 2): (96.635, 3.497, 42),
    ("dtm", "mnist", 3): (96.724, 3.405, 27),
    ("dtm", "mnist", 4): (96.64, 3.170, 2),
    ("dtm", "fashion-mnist", 2): (85.736, 3.295, 12),
    ("dtm", "fashion-mnist", 3): (85.659, 3.254, 24),
    ("dtm", "fashion-mnist", 4): (85.735, 3.460, 2),
    ("atm", "mnist", 2): (96.668, 3.558, 6),
    ("atm", "mnist", 3): (96.72, 3.189, 4),
    ("atm", "mnist", 4): (96.85, 3.331, 1),
    ("atm", "fashion-mnist", 2): (85.832, 3.419, 6),
    ("atm", "fashion-mnist", 3): (85.45, 3.477, 4),
    ("atm", "fashion-mnist", 4): (85.76, 2.916, 1),
    ("dtm", "mnist", 7): (96.83, 3.068, 1),
    ("atm", "mnist", 7): (96.66, 2.907, 1),  # the text of the paper says 98.63
    ("dtm", "fashion-mnist", 5): (85.74, 3.295, 1),
    ("atm", "fashion-mnist", 5): (85.12, 3.035, 1),
}

#: Share of the weights kept after averaging, by data set and number of tickets.
DENSITY: Mapping[tuple[str, int], float] = {("fashion-mnist", 3): 0.2901, ("mnist", 7): 0.5473}
