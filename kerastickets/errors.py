"""The errors a user can meet. Each says what was expected, what was received and what to do next."""


class KerasTicketsError(Exception):
    """Base of every named error: catch this one to catch them all."""


class TicketError(KerasTicketsError):
    """A ticket file or value is not what it claims to be."""


class LayerCollapseError(KerasTicketsError):
    """A cut would leave a layer without a single weight."""


class AlignError(KerasTicketsError):
    """A ticket and a model, or two tickets, differ in keys or shapes."""


class PluginError(KerasTicketsError):
    """A plugin is unknown, ambiguous, broken, or was given options it does not have."""


class DataError(KerasTicketsError):
    """A data set is missing, or holds what cannot be trained on."""


class RecipeError(KerasTicketsError):
    """A run's settings contradict each other, its folder, or the training they lead to."""


class ExportError(KerasTicketsError):
    """An export cannot be written, cannot be read back, or computes something else than its model."""
