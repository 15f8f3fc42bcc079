"""All errors that this library raises by name.

Each message says what was expected, what was received and what to do next.
"""


class KerasTicketsError(Exception):
    """Base class of every error of this library. Catch it to catch them all."""


class TicketError(KerasTicketsError):
    """A ticket or a ticket file is invalid, or does not allow what is asked of it."""


class LayerCollapseError(KerasTicketsError):
    """A cut or an operation would leave a layer without any weight."""


class AlignError(KerasTicketsError):
    """A ticket and a model, or two tickets, differ in architecture, keys or shapes."""


class PluginError(KerasTicketsError):
    """A plugin is unknown, ambiguous or broken, or was given wrong options."""


class DataError(KerasTicketsError):
    """A data set is missing, or holds values that cannot be trained on."""


class RecipeError(KerasTicketsError):
    """A setting is invalid, or contradicts other settings, the run's folder or the training it leads to."""


class ExportError(KerasTicketsError):
    """An export cannot be written or read back, or computes other outputs than its model."""
