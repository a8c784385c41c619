"""From where somebody comes."""

from __future__ import annotations

from dataclasses import dataclass

from services.identity import rules


@dataclass(frozen=True, slots=True)
class Client:
    """From where somebody comes, as far as we can tell."""

    address: str = ""
    user_agent: str = ""
    device: str = ""  # the cookie of a browser; see devices.py

    @property
    def network(self) -> str:
        return rules.network_of(self.address)
