"""The one kind of error that a command shows as a sentence instead of a traceback."""


class Refused(RuntimeError):
    """Going on makes no sense; the text is one sentence for the person, with the way out."""
