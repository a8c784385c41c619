"""Where new keys are kept, as settings say, and how those are reached that are kept elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from services.core import aws_kms, key_file, pkcs11_keys
from services.core.aws_kms import Kms, KmsKey
from services.core.aws_signing import Credentials
from services.core.key_file import Keys, Remote
from services.core.key_providers import Reach, WrappingKey, lookup_under, nowhere
from services.core.pkcs11_keys import Hsm, HsmKey
from services.core.settings import Settings

FILE = "file"


@dataclass(frozen=True, slots=True)
class KeptBy:
    """`kind` is what keeps the next key that is made, `name` what it is called there."""

    kind: str
    name: str
    reach: Reach

    def new_key(self) -> tuple[str, bytes | Remote]:
        """A key and its id. A remote one is there already, and only named."""
        if self.kind == FILE:
            made = key_file.new()
            return made.current, made.wrapping[made.current]
        return key_file.new_id(self.kind), Remote(self.kind, self.name)

    async def made(self) -> Keys:
        """Keys for an installation that has none. Raises KeysUnavailable and Refused."""
        if self.kind == FILE:
            return key_file.new()
        key_id, key = self.new_key()
        lookup = key_file.new_secret()
        keys = Keys(key_id, {key_id: key}, lookup)
        return replace(keys, lookup=await lookup_under(keys, key_id, lookup, self.reach))


IN_THE_FILE = KeptBy(FILE, "", nowhere)


def kept_by(settings: Settings) -> KeptBy:
    """New keys as settings choose; those that are kept elsewhere are reached wherever settings say how."""

    def reach(remote: Remote) -> WrappingKey:
        if remote.kind == aws_kms.KIND and settings.kms_secret_key is not None:
            return KmsKey(_kms(settings, settings.kms_secret_key.get_secret_value()), remote.name)
        if remote.kind == pkcs11_keys.KIND and settings.pkcs11_pin is not None:
            pin = settings.pkcs11_pin.get_secret_value()
            return _hsm_key(Hsm(settings.pkcs11_module, settings.pkcs11_token, pin), remote.name)
        return nowhere(remote)

    names = {aws_kms.KIND: settings.kms_key, pkcs11_keys.KIND: settings.pkcs11_key}
    return KeptBy(settings.keys, names.get(settings.keys, ""), reach)


@cache
def _hsm_key(hsm: Hsm, label: str) -> HsmKey:
    """One in a process, whoever asks for it: each holds a session, and a token has few."""
    return HsmKey(hsm, label)


def _kms(settings: Settings, secret_key: str) -> Kms:
    endpoint = settings.kms_endpoint or f"https://kms.{settings.kms_region}.amazonaws.com"
    return Kms(endpoint, Credentials(settings.kms_access_key, secret_key, settings.kms_region))
