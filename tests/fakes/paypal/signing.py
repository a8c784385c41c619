"""How PayPal signs: RSA-SHA256 over id, time, webhook and CRC-32 of the body, with a certificate at an address."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests.fakes.paypal.world import PayPalWorld
from tests.fakes.stripe.store import Thing

NAME = "messageverificationcerts.paypal.test"
_PEM = serialization.Encoding.PEM


class Signer:
    """`root` is what receivers have to trust, `chain` what the address in the header gives."""

    def __init__(self, world: PayPalWorld) -> None:
        self._world = world
        kept = world.store.find("_signer") or world.store.put(
            {"id": "_signer", "object": "_signer", **_made()}
        )
        self.root: str = kept["root"]
        self.chain: str = kept["chain"]
        key = serialization.load_pem_private_key(kept["key"].encode(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key

    def sign(self, event: Thing, endpoint: Thing) -> tuple[bytes, dict[str, str]]:
        raw = json.dumps(event["body"]).encode()
        identifier = self._world.new_id("t")[2:]
        # Receivers compare it with the wall's clock, whatever ours says.
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{identifier}|{at}|{endpoint['id']}|{zlib.crc32(raw)}"
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return raw, {
            "Content-Type": "application/json",
            "PAYPAL-TRANSMISSION-ID": identifier,
            "PAYPAL-TRANSMISSION-TIME": at,
            "PAYPAL-TRANSMISSION-SIG": base64.b64encode(signature).decode(),
            "PAYPAL-CERT-URL": f"{self._world.base}/v1/notifications/certs/CERT-360caa42-fca2a594",
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
        }


def _made() -> dict[str, str]:
    root_key, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test provider root")])
    root = _certificate(root_name, root_name, root_key.public_key(), root_key, authority=True)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    leaf = _certificate(name, root_name, key.public_key(), root_key, authority=False)
    pem = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "key": pem.decode(),
        "root": root.public_bytes(_PEM).decode(),
        "chain": leaf.public_bytes(_PEM).decode(),
    }


def _certificate(
    subject: x509.Name, issuer: x509.Name, public: rsa.RSAPublicKey, by: rsa.RSAPrivateKey, *, authority: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    build = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650 if authority else 365))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if authority:
        build = build.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        build = build.add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )  # fmt: skip
    else:
        build = build.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    return build.sign(by, hashes.SHA256())
