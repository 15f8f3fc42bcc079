"""Tickets in transfer learning: does a ticket found on some classes start well on others?

Runs the experiment of the paper whose tables it prints, random halves of the classes of CIFAR-10, and then what
that paper leaves open: other data sets, other numbers of classes, late resetting, a criterion by the loss, few
examples, and classical transfer.
"""

from kerastickets_plugins.studies.transfer.budgets import BUDGETS, Budget
from kerastickets_plugins.studies.transfer.figures import figures
from kerastickets_plugins.studies.transfer.jobs import jobs
from kerastickets_plugins.studies.transfer.notes import notes
from kerastickets_plugins.studies.transfer.tables import tables
from kerastickets_plugins.studies.transfer.trials import trials

__all__ = ["BUDGETS", "PAPER", "TITLE", "Budget", "figures", "jobs", "notes", "tables", "trials"]

TITLE = "Winning tickets in transfer learning"
PAPER = "R. Van Soelen, J. Sheppard, Using Winning Lottery Tickets in Transfer Learning for CNNs"
