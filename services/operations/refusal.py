"""The one kind of error of backups, apart from what needs libraries to be loaded."""


class BackupRefused(RuntimeError):
    """A backup cannot be made, read or restored; the text is one sentence for the person, with the way out."""
