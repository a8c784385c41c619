"""Addresses from an extended public key (BIP-32), and how addresses are written (EIP-55). Pure.

Only public keys come here: nobody can spend with what this installation knows.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.core.errors import Invalid

# Loaded where they are used: that takes a tenth of a second, and every process imports this.
if TYPE_CHECKING:
    from Crypto.PublicKey.ECC import EccPoint  # pyright: ignore[reportPrivateImportUsage]

INDEX_MAX = 2**31 - 1  # from there on BIP-32 needs the private key
KEY_CHARACTERS = 111
_PUBLIC = {bytes.fromhex("0488b21e"), bytes.fromhex("043587cf")}  # xpub, and tpub of test chains
_PRIVATE = {bytes.fromhex("0488ade4"), bytes.fromhex("04358394")}
_ACCOUNT_DEPTH, _CHAIN_DEPTH = 3, 4  # m/44'/60'/0' and m/44'/60'/0'/0
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CURVE = "secp256k1"
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_PRIME = 2**256 - 2**32 - 977
_GENERATOR = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


class PrivateKeyGiven(Invalid):
    """Where a public key belongs, somebody gave one that can spend."""

    code = "private_key_given"
    title = "This is a private key"


@dataclass(frozen=True, slots=True)
class PublicNode:
    """A point and what its children are made with. `depth` is how far it is from the master key."""

    depth: int
    chain_code: bytes
    point: EccPoint

    def child(self, index: int) -> PublicNode:
        """Raises IndexError for an index that only the private key has, or that has no point (one in 2^127)."""
        if not 0 <= index <= INDEX_MAX:
            raise IndexError(index)
        told = hmac.digest(self.chain_code, _compressed(self.point) + index.to_bytes(4, "big"), "sha512")
        tweak = int.from_bytes(told[:32], "big")
        if tweak >= _ORDER:
            raise IndexError(index)
        point = self.point + _point_at(*_GENERATOR) * tweak
        if point.is_point_at_infinity():
            raise IndexError(index)
        return PublicNode(self.depth + 1, told[32:], point)

    @property
    def address(self) -> str:
        x, y = (int(part).to_bytes(32, "big") for part in self.point.xy)
        return checksummed("0x" + _keccak(x + y)[-20:].hex())


def read_key(text: str) -> PublicNode:
    """The extended public key of an account (depth 3) or of its receiving addresses (depth 4).

    Raises PrivateKeyGiven, and Invalid for what is no such key. Neither says what was given.
    """
    raw = _base58_checked(text)
    if raw[:4] in _PRIVATE:
        raise PrivateKeyGiven(
            "This key can spend what is paid. Only the public one may be given here.",
            field="settings.key",
            next_step="Give the extended public key (xpub), and move what the private one guards: it was sent.",
        )
    if raw[:4] not in _PUBLIC:
        raise _no_key("begins with neither xpub nor tpub")
    if raw[4] not in (_ACCOUNT_DEPTH, _CHAIN_DEPTH):
        raise _no_key("is of another depth")
    try:
        return PublicNode(raw[4], raw[13:45], _point(raw[45:]))
    except ValueError as error:
        raise _no_key("holds no point of the curve") from error


def address_of(key: str, index: int) -> str:
    """The receiving address of that index: m/44'/60'/0'/0/index, as wallets count them."""
    node = read_key(key)
    return (node.child(0) if node.depth == _ACCOUNT_DEPTH else node).child(index).address


def checksummed(address: str) -> str:
    """The address as EIP-55 writes it. Raises Invalid for what is none, or whose own checksum is wrong."""
    digits = address.removeprefix("0x")
    if len(digits) != 40 or not set(digits) <= set("0123456789abcdefABCDEF"):
        raise Invalid("An address is 0x and 40 hexadecimal digits.", field="settings.assets")
    lower = digits.lower()
    told = _keccak(lower.encode()).hex()
    written = "".join(one.upper() if int(by, 16) > 7 else one for one, by in zip(lower, told, strict=False))
    if digits not in (written, lower, digits.upper()):
        raise Invalid(
            "The checksum of this address is wrong: a letter or digit is not the one that was meant.",
            field="settings.assets",
        )
    return "0x" + written


def _keccak(data: bytes) -> bytes:
    from Crypto.Hash import keccak

    return keccak.new(digest_bits=256, data=data).digest()


def _base58_checked(text: str) -> bytes:
    if len(text) != KEY_CHARACTERS or not set(text) <= set(_BASE58):
        raise _no_key(f"has not {KEY_CHARACTERS} characters of base 58")
    number = 0
    for one in text:
        number = number * 58 + _BASE58.index(one)
    try:
        raw = number.to_bytes(82, "big")
    except OverflowError as error:
        raise _no_key("is too large") from error
    if hashlib.sha256(hashlib.sha256(raw[:78]).digest()).digest()[:4] != raw[78:]:
        raise _no_key("was mistyped: its checksum is wrong")
    return raw[:78]


def _point(raw: bytes) -> EccPoint:
    """Raises ValueError for what is on no point of the curve."""
    if raw[0] not in (2, 3):
        raise ValueError("no compressed point")
    x = int.from_bytes(raw[1:], "big")
    y = pow(x**3 + 7, (_PRIME + 1) // 4, _PRIME)
    return _point_at(x, y if y % 2 == raw[0] % 2 else _PRIME - y)


def _point_at(x: int, y: int) -> EccPoint:
    from Crypto.PublicKey.ECC import EccPoint  # pyright: ignore[reportPrivateImportUsage]

    return EccPoint(x, y, _CURVE)


def _compressed(point: EccPoint) -> bytes:
    x, y = (int(part) for part in point.xy)
    return bytes([2 + y % 2]) + x.to_bytes(32, "big")


def _no_key(why: str) -> Invalid:
    return Invalid(
        f"This extended public key {why}.",
        field="settings.key",
        next_step="Export the account's public key (xpub) from your wallet.",
    )
