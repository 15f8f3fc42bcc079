"""LTH against SNIP: magnitude pruning with training, SNIP without, flipped masks, and SNIP in several steps.

Runs the experiment of the paper whose tables it prints, on LeNet-300-100 with MNIST and Conv-2 with CIFAR-10, at equal
counts from equal initial weights, and answers its questions by paired tests.
"""

from kerastickets_plugins.studies.lth_vs_snip.figures import figures
from kerastickets_plugins.studies.lth_vs_snip.jobs import BUDGETS, Budget, jobs
from kerastickets_plugins.studies.lth_vs_snip.tables import notes, tables
from kerastickets_plugins.studies.lth_vs_snip.trials import trials

__all__ = ["BUDGETS", "PAPER", "TITLE", "Budget", "figures", "jobs", "notes", "tables", "trials"]

TITLE = "The lottery ticket hypothesis against SNIP"
PAPER = "G070, On Multiple Winning Tickets and LTH vs SNIP: Final Report"
