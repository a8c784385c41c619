"""The one kind of error of backups."""

from services.core.refusal import Refused


class BackupRefused(Refused):
    """A backup cannot be made, read or restored."""
