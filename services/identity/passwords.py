"""Password hashes: argon2id, in a few threads of their own.

The parameters are one of OWASP's equal choices (46 MiB, one pass, one lane). Two threads bound the memory
that a rush of sign-ins can take to twice that, and keep other threaded work from queueing behind it.
"""

from __future__ import annotations

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(
        _threads, _hasher.hash, _same_everywhere(password)
    )


async def matches(password: str, stored: str | None) -> bool:
    """Whether `password` belongs to the hash.

    Without a hash it works as long and says no, so that the time of an answer does not tell which
    addresses have an account.
    """
    return await asyncio.get_running_loop().run_in_executor(
        _threads, _verify, _same_everywhere(password), stored
    )


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _verify(password: str, stored: str | None) -> bool:
    try:
        return _hasher.verify(stored or _nobodys_hash(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash("the password of nobody")


def _same_everywhere(password: str) -> str:
    """Keyboards differ in how they compose accents; the same password must not."""
    return unicodedata.normalize("NFC", password)
