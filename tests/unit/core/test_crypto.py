"""A sealed value opens in its own place, under its own keys, unchanged - and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from services.core import key_file, runtime
from services.core.crypto import CannotOpen, Place, Vault, file_vault
from tests.sealing import at_once

runtime.know_all_tables()
PLACE = Place(tenant="org_a", table="upstream", column="api_key_sealed", row="ups_1")


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return file_vault(tmp_path_factory.mktemp("keys"))


@given(secret=st.binary(max_size=500))
def test_what_is_sealed_opens_again_and_does_not_show(vault: Vault, secret: bytes) -> None:
    sealed = at_once(vault.seal(secret, PLACE))

    assert at_once(vault.open(sealed, PLACE)) == secret
    assert len(secret) < 4 or secret not in sealed
    assert at_once(vault.seal(secret, PLACE)) != sealed


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, tenant="org_b"),
        replace(PLACE, table="model"),
        replace(PLACE, column="other"),
        replace(PLACE, row="ups_2"),
    ],
)
def test_a_moved_value_does_not_open(vault: Vault, elsewhere: Place) -> None:
    with pytest.raises(CannotOpen):
        at_once(vault.open(at_once(vault.seal(b"secret", PLACE)), elsewhere))


@given(data=st.data())
def test_a_changed_value_does_not_open(vault: Vault, data: st.DataObject) -> None:
    sealed = bytearray(at_once(vault.seal(b"secret", PLACE)))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(CannotOpen):
        at_once(vault.open(bytes(sealed), PLACE))


@given(noise=st.binary(max_size=200))
def test_noise_is_refused_in_one_way(vault: Vault, noise: bytes) -> None:
    with pytest.raises(CannotOpen):
        at_once(vault.open(noise, PLACE))


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.json"

    sealed = at_once(file_vault(tmp_path).seal(b"secret", PLACE))

    assert path.stat().st_mode & 0o777 == 0o600
    assert at_once(file_vault(tmp_path).open(sealed, PLACE)) == b"secret"
    assert list(path.parent.iterdir()) == [path]


def test_another_installation_opens_nothing_and_hashes_differently(vault: Vault, tmp_path: Path) -> None:
    other = file_vault(tmp_path)

    with pytest.raises(CannotOpen):
        at_once(other.open(at_once(vault.seal(b"secret", PLACE)), PLACE))
    assert other.lookup_hash("mx-1") != vault.lookup_hash("mx-1")
    assert vault.lookup_hash("mx-1") == vault.lookup_hash("mx-1")


def test_nothing_is_sealed_for_a_place_that_no_rotation_would_find(vault: Vault) -> None:
    with pytest.raises(ValueError, match="not declared"):
        at_once(vault.seal(b"secret", replace(PLACE, column="base_url")))


def test_what_was_sealed_before_lengths_were_written_opens_and_is_brought_up_to_date(tmp_path: Path) -> None:
    keys = key_file.make(key_file.path_in(tmp_path))
    key, vault = keys.wrapping[keys.current], file_vault(tmp_path)
    assert isinstance(key, bytes)
    header = bytes([1, len(keys.current)]) + keys.current.encode()
    aad, data_key, nonce = header + PLACE.aad(), bytes(range(32)), bytes(12)
    wrapped = nonce + AESGCM(key).encrypt(nonce, data_key, aad)

    old = header + wrapped + nonce + AESGCM(data_key).encrypt(nonce, b"secret", aad)
    new = at_once(vault.rewrap(old, PLACE))

    assert at_once(vault.open(old, PLACE)) == at_once(vault.open(new, PLACE)) == b"secret"
    assert (old[0], new[0]) == (1, 2)
    with pytest.raises(CannotOpen):
        at_once(vault.rewrap(old, replace(PLACE, row="ups_2")))
