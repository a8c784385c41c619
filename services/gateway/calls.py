"""One call of the gateway as it is booked: in the journal first, in the database later."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from services.gateway.refusals import STATUS_AND_TYPE, Code

UPSTREAM = "upstream"
COUNTED = "counted"


@dataclass(slots=True)
class Call:
    """What is known of a call. Made when its caller is known; completed when it ends.

    Tokens are the upstream's own count, or ours of what was sent when `tokens_source` is `counted`.
    """

    id: str
    organization_id: str
    key_id: str
    account_id: str
    endpoint: str
    started_at: datetime
    address: str
    trace_id: str
    model: str = ""
    upstream_id: str = ""
    streamed: bool = False
    prompt_estimate: int = 0
    status: int = 0
    error_code: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens_source: str = UPSTREAM
    latency_ms: int = 0
    first_token_ms: int | None = None
    attempts: int = 0
    holder: str = ""  # the process that holds what the call may cost, where it must be there before
    reserved: str = ""  # of the wallet, in major units of the organisation's currency
    caps: dict[str, str] = field(default_factory=dict[str, str])  # of budgets that stop, by their names

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def count_sent(self, sent: int, *, prompt: int) -> None:
        """The upstream gave no final count: `sent` tokens left us, `prompt` were reported on the way, or 0.

        A prompt counts once something of the answer was sent, by the upstream's word if it gave one in
        time, else by estimate. Nothing sent, nothing owed.
        """
        self.completion_tokens = sent
        self.prompt_tokens = (prompt or self.prompt_estimate) if sent else 0
        self.tokens_source = COUNTED

    def broke_off(self, code: Code, *, sent: int, prompt: int) -> None:
        """It ended in the middle, with what had been sent."""
        self.status = STATUS_AND_TYPE[code][0]
        self.error_code = code.value
        self.count_sent(sent, prompt=prompt)


_NAMES = frozenset(field.name for field in fields(Call))


def from_json(values: dict[str, Any]) -> Call:
    """A call as the journal keeps it. Fields of a newer version are left out, missing ones take defaults."""
    known = {name: value for name, value in values.items() if name in _NAMES}
    known["started_at"] = datetime.fromisoformat(known["started_at"])
    return Call(**known)
