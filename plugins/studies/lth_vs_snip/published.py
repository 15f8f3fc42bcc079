"""The numbers of the paper's tables 2 to 7, by net and pruning iteration 1 to 10."""

from collections.abc import Mapping

#: Early-stop iterations, tables 2 to 5. 5550 (SNIP, FC1, 2) is no mean of two multiples of 500.
EARLY_STOP: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("fc1", "lth"): (3000, 6000, 3750, 4500, 3500, 3000, 2500, 2500, 4000, 3000),
    ("fc1", "snip"): (8750, 5550, 4750, 5250, 4000, 6250, 4250, 4750, 4000, 8000),
    ("fc1", "flip-7"): (7250, 4250, 5000, 5750, 4250, 5250, 3500, 2750, 3250, 4750),
    ("fc1", "flip-8"): (7250, 3500, 9250, 3250, 5000, 3250, 4000, 3000, 4750, 3500),
    ("conv-2", "lth"): (4500, 4750, 3750, 3250, 2750, 2750, 2500, 3500, 3250, 2500),
    ("conv-2", "snip"): (4750, 6500, 6000, 6250, 7750, 6500, 7500, 9500, 10750, 11000),
    ("conv-2", "flip-7"): (12000, 11750, 12000, 12500, 13000, 13250, 13750, 12500, 13000, 13000),
    ("conv-2", "flip-8"): (11250, 10750, 14750, 13500, 14500, 11750, 11500, 11250, 11000, 11750),
}

#: Weights kept, tables 6 and 7 (706877.5 printed for Conv-2, 7: a mean of two runs that cannot differ).
KEPT: Mapping[str, tuple[int, ...]] = {
    "fc1": (213060, 170538, 136511, 109282, 87490, 70051, 56094, 44923, 35981, 28823),
    "conv-2": (2658477, 2130485, 1707721, 1369177, 1098041, 880863, 706877, 567470, 455748, 366193),
}

#: Percentages of tables 4 and 5, as printed.
PERCENT: Mapping[str, tuple[float, ...]] = {
    "fc1": (80.03, 65.06, 51.28, 41.05, 32.86, 26.32, 21.07, 16.86, 13.52, 10.83),
    "conv-2": (80.12, 64.21, 51.47, 41.27, 33.09, 26.54, 17.10, 17.10, 13.74, 11.04),
}

#: Weights that LTH and SNIP both keep, tables 6 and 7. Rows 1 to 3 of Conv-2 say that all are the same, which
#: their own difference (there total - kept) contradicts.
OVERLAP: Mapping[str, tuple[float, ...]] = {
    "fc1": (174184.5, 118529.5, 81159.5, 56679.5, 39917.0, 28488.5, 20295.0, 14351.0, 9962.5, 6808.0),
    "conv-2": (
        *(2658477.0, 2130485.0, 1707721.0, 584339.0, 400618.5),
        *(278462.5, 200877.0, 143829.5, 102677.0, 74643.5),
    ),
}

#: The printed difference: kept by LTH and not by SNIP.
DIFFERENCE: Mapping[str, tuple[float, ...]] = {
    "fc1": (38875.5, 52008.5, 55351.5, 52602.5, 47573.0, 41562.5, 35799.0, 30572.0, 26018.5, 22015.0),
    "conv-2": (
        *(659475.0, 1187467.0, 1610231.0, 784838.0, 697422.5),
        *(602400.5, 506000.0, 423640.5, 353071.0, 291549.5),
    ),
}

#: Prunable weights.
TOTAL: Mapping[str, int] = {"fc1": 266200, "conv-2": 3317952}
