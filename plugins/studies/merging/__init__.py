"""Merging lottery tickets: do tickets that are combined, by dominance or by averaging, still win?

Runs the experiment of H. Coffey, C. Edwards and L. McDonald, Merging Lottery Tickets, and the controls that its
conclusion asks for: single tickets and random masks of the same density, small dense nets, and merging until the
net is nearly dense.
"""

from kerastickets_plugins.studies.merging.figures import figures
from kerastickets_plugins.studies.merging.jobs import BUDGETS, Budget, jobs
from kerastickets_plugins.studies.merging.tables import notes, tables
from kerastickets_plugins.studies.merging.trials import trials

__all__ = ["BUDGETS", "PAPER", "TITLE", "Budget", "figures", "jobs", "notes", "tables", "trials"]

TITLE = "Merging lottery tickets"
PAPER = "H. Coffey, C. Edwards, L. McDonald, Merging Lottery Tickets"
