"""What a guess at a password costs. In all other tests it costs next to nothing."""

from __future__ import annotations

from argon2 import PasswordHasher, Type

from services.identity import passwords


def test_a_guess_costs_in_production_what_owasp_asks_for(production_hasher: PasswordHasher) -> None:
    asked = (production_hasher.type, production_hasher.memory_cost, production_hasher.time_cost)

    assert asked == (Type.ID, 46 * 1024, 1)
    assert production_hasher.parallelism == 1


async def test_who_has_a_cheaper_hash_gets_a_new_one_at_the_next_sign_in(
    production_hasher: PasswordHasher,
) -> None:
    cheap = await passwords.hashed("nine lives and one more")

    assert production_hasher.check_needs_rehash(cheap)
    assert not passwords.is_outdated(cheap)
    assert await passwords.matches("nine lives and one more", cheap)
    assert not await passwords.matches("nine lives and no more", cheap)
