"""What lists are called in sentences about their exports."""

from __future__ import annotations

LISTS = {
    "audit": "the audit log",
    "keys": "API keys",
    "ledger.accounts": "the ledger's accounts",
    "ledger.journals": "the ledger's journals",
    "requests": "requests",
}
