"""Errors that a person can act on. One class a kind of failure; the text says what was found, the rule, what to do."""


class QuadrantError(Exception):
    """Base of every error that is shown as one line to the user; anything else is a defect."""


class InputError(QuadrantError):
    """A file, a value or a mapping that cannot be used; nothing was changed."""


class WorkspaceError(QuadrantError):
    """The workspace folder cannot be read or written, or was written by a newer version."""


class MissingInput(QuadrantError):
    """A step needs a dataset or another step's result that is not there."""


class Corrupt(QuadrantError):
    """Stored bytes no longer match their SHA-256."""


class Cancelled(QuadrantError):
    """The user asked the running step to stop."""
