"""English texts of tasks and exports."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "nav.tasks": "Tasks",
    "tasks.title": "Tasks",
    "tasks.text": "What takes longer than a look, and what came of it?",
    "tasks.task": "Task",
    "tasks.progress": "Progress",
    "tasks.asked_by": "Asked by",
    "tasks.asked_at": "Asked",
    "tasks.none": "No task yet",
    "tasks.none_text": "Export a list from its own page; how far it has come and its file appear here.",
    "tasks.to_keys": "Go to API keys",
    "tasks.download": "Download",
    "tasks.download_of": "Download {task}",
    "tasks.cancel": "Cancel",
    "tasks.cancel_of": "Cancel {task}",
    "tasks.retry": "Try again",
    "tasks.retry_of": "Try again: {task}",
    "tasks.cancelling": "Ends after its current step",
    "tasks.expired": "The file has expired",
    "tasks.list.audit": "Export of the audit log",
    "tasks.list.keys": "Export of API keys",
    "tasks.list.ledger.accounts": "Export of the ledger's accounts",
    "tasks.list.ledger.journals": "Export of the ledger's journals",
    "tasks.list.requests": "Export of requests",
}
