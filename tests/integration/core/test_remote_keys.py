"""Keys that are kept elsewhere: what they wrap opens for its place alone; moving there and back is a rotation."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientTimeout
from pydantic import SecretStr, ValidationError

from matrix_app import key_commands
from services.core import aws_kms, key_file, key_rotation
from services.core.database import Database
from services.core.key_file import Remote, Wrapped
from services.core.key_providers import CannotUnwrap, KeysUnavailable, WrappingKey, lookup_of
from services.core.key_service import KeptBy, kept_by
from services.core.keyring import open_vault
from services.core.refusal import Refused
from services.core.settings import Settings
from services.operations import alarms, key_watch
from tests.fakes.kms.running import REGION, FakeKms, running_kms
from tests.integration.core.test_key_rotation import holding, opened
from tests.integration.walk.victim import furnish
from tests.world import World

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptBy]:
    """A token with an AES key, in software."""
    if not SOFTHSM.exists() or shutil.which("softhsm2-util") is None:
        pytest.skip("there is no SoftHSM here")
    pkcs11 = pytest.importorskip("pkcs11")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        made = [
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            "matrix",
            "--pin",
            "1234",
            "--so-pin",
            "5678",
        ]
        subprocess.run(made, check=True, capture_output=True)
        token = pkcs11.lib(str(SOFTHSM)).get_token(token_label="matrix")
        with token.open(rw=True, user_pin="1234") as session:
            session.generate_key(pkcs11.KeyType.AES, 256, label="wraps", store=True)
        yield kept_by(
            Settings(
                keys="pkcs11", pkcs11_module=str(SOFTHSM), pkcs11_token="matrix", pkcs11_key="wraps",
                pkcs11_pin=SecretStr("1234"),
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def kms() -> Iterator[FakeKms]:
    with running_kms() as fake, pytest.MonkeyPatch.context() as patched:
        patched.setattr(aws_kms, "_TIMEOUT", ClientTimeout(total=60))  # callers wait less; here nobody does
        yield fake


def settings_of(kms: FakeKms, **changed: str) -> Settings:
    given = {
        "keys": "aws-kms", "kms_key": kms.key, "kms_region": REGION, "kms_endpoint": kms.url,
        "kms_access_key": kms.access_key, "kms_secret_key": kms.secret_key,
    }  # fmt: skip
    return Settings(**(given | changed))  # type: ignore[arg-type]


def chosen(kms: FakeKms, **changed: str) -> KeptBy:
    return kept_by(settings_of(kms, **changed))


async def listed(on: Database, there: Settings) -> str:
    """What `matrix keys` prints."""
    return "\n".join([line async for line in key_commands._lines(on, there, key_commands.SHOW)])


def key_of(kept: KeptBy) -> WrappingKey:
    _, key = kept.new_key()
    assert not isinstance(key, bytes)
    return kept.reach(key)


async def test_what_kms_wraps_opens_for_its_place_alone(kms: FakeKms) -> None:
    key = key_of(chosen(kms))

    wrapped = await key.wrap(bytes(range(32)), b"here")

    assert await key.unwrap(wrapped, b"here") == bytes(range(32))
    changed = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    for content, aad in ((wrapped, b"there"), (changed, b"here"), (b"noise", b"here")):
        with pytest.raises(CannotUnwrap):
            await key.unwrap(content, aad)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kms_secret_key": "wrong"}, "refused"),
        ({"kms_access_key": "AKIANOBODY"}, "refused"),
        ({"kms_key": "alias/none"}, "refused"),
        ({"kms_endpoint": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
async def test_a_service_that_does_not_do_it_is_told_from_a_wrong_value_and_no_secret_is_said(
    kms: FakeKms, changed: dict[str, str], said: str, written: io.StringIO
) -> None:
    with pytest.raises(KeysUnavailable, match=said) as refused:
        await key_of(chosen(kms, **changed)).wrap(bytes(32), b"here")

    told = f"{refused.value} {written.getvalue()}"
    assert kms.secret_key not in told
    assert kms.access_key not in told


async def test_moving_to_kms_and_back_is_a_rotation(
    kms: FakeKms, database: Database, world: World, owner_url: str, tmp_path: Path
) -> None:
    kept, path = chosen(kms), key_file.path_in(tmp_path)
    await furnish(world, "Ours", folder=tmp_path)
    product = await open_vault(database, tmp_path, kept)
    before, hashed, secrets = await opened(product), product.lookup_hash("mx-1"), path.read_text()
    old = key_file.read(path)
    assert old is not None
    assert isinstance(old.lookup, bytes)

    async for said in key_rotation.rotate(database, path, kept, batch=1):
        assert await opened(product) == before, said

    written = path.read_text()
    assert old.current in secrets
    assert old.current not in written
    assert old.lookup.hex() not in written
    assert await holding(owner_url, old.current.encode()) == []
    again = await open_vault(database, tmp_path, kept)
    assert (await opened(again), again.lookup_hash("mx-1")) == (before, hashed)
    with pytest.raises(Refused, match="aws-kms"):
        await open_vault(database, tmp_path)
    away = settings_of(kms, kms_endpoint="http://127.0.0.1:9", data_dir=str(tmp_path))
    with pytest.raises(KeysUnavailable):
        await open_vault(database, tmp_path, kept_by(away))

    here = settings_of(kms, data_dir=str(tmp_path))
    told = await listed(database, here)
    assert [line.split()[1] for line in told.splitlines()] == ["current", "retired"]
    fault = "\n" + " " * 19 + "cannot be used: What keeps the keys cannot be reached."
    assert await listed(database, away) == told.replace("\n", f"{fault}\n")
    assert (await key_watch.opens(here), await alarms.beside(here)) == (
        True,
        [("matrix_key_service_answers", "", 1.0)],
    )

    await _rotated(database, path, chosen(kms, keys="file"))

    assert await opened(product) == before
    alone = await open_vault(database, tmp_path)
    assert (await opened(alone), alone.lookup_hash("mx-1")) == (before, hashed)


async def _rotated(on: Database, path: Path, kept: KeptBy) -> None:
    async for _ in key_rotation.rotate(on, path, kept):
        pass


async def test_a_hardware_module_wraps_for_a_place_alone_and_takes_over_by_a_rotation(
    hsm: KeptBy, database: Database, world: World, owner_url: str, tmp_path: Path
) -> None:
    key, path = key_of(hsm), key_file.path_in(tmp_path)
    wrapped = await key.wrap(bytes(range(32)), b"here")
    assert await key.unwrap(wrapped, b"here") == bytes(range(32))
    for content, aad in ((wrapped, b"there"), (wrapped[:-1], b"here"), (b"noise", b"here")):
        with pytest.raises(CannotUnwrap):
            await key.unwrap(content, aad)
    with pytest.raises(KeysUnavailable, match="refused"):
        await hsm.reach(Remote("pkcs11", "no such key")).wrap(bytes(32), b"here")

    await furnish(world, "Ours", folder=tmp_path)
    product = await open_vault(database, tmp_path, hsm)
    before, old = await opened(product), product.current_header()[2:]
    await _rotated(database, path, hsm)

    assert await opened(product) == before
    assert await opened(await open_vault(database, tmp_path, hsm)) == before
    assert await holding(owner_url, old) == []


async def test_an_installation_may_begin_with_kms_and_keeps_no_key_of_its_own(
    kms: FakeKms, database: Database, tmp_path: Path
) -> None:
    folder, kept = tmp_path / "begun", chosen(kms)

    begun = await open_vault(database, folder, kept)
    again = await open_vault(database, folder, kept)

    keys = key_file.read(key_file.path_in(folder))
    assert keys is not None
    assert list(map(type, keys.wrapping.values())) == [Remote]
    assert isinstance(keys.lookup, Wrapped)
    assert begun.fingerprint() == again.fingerprint() == keys.fingerprint
    with pytest.raises(Refused, match="did not wrap"):
        await lookup_of(replace(keys, lookup=replace(keys.lookup, content=b"x")), kept.reach)


def test_what_reaches_the_keys_is_asked_for_at_once() -> None:
    with pytest.raises(ValidationError, match="MATRIX_KMS_KEY and MATRIX_KMS_ACCESS_KEY"):
        Settings(keys="aws-kms")
