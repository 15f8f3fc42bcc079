"""Network separation: do winning tickets of nets with two independent tasks come apart?

Runs the experiments of the thesis whose figures it draws: nets are extended and pruned along shared counts, on two
toy tasks and on MNIST beside Fashion-MNIST, and every ticket is asked what it is made of.
"""

from kerastickets_plugins.studies.separation.budgets import BUDGETS, Budget
from kerastickets_plugins.studies.separation.figures import figures
from kerastickets_plugins.studies.separation.jobs import jobs
from kerastickets_plugins.studies.separation.notes import notes
from kerastickets_plugins.studies.separation.tables import tables
from kerastickets_plugins.studies.separation.trials import trials

__all__ = ["BUDGETS", "PAPER", "TITLE", "Budget", "figures", "jobs", "notes", "tables", "trials"]

TITLE = "Structure of winning tickets: when networks separate"
PAPER = "M. Burger, Winning the Lottery Twice with Iterative Magnitude Pruning (2024), chapter 4"
