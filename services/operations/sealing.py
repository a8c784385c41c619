"""Files of a backup: compressed, then encrypted in chunks, so that any of them is written and read as a stream.

A sealed file is `MXB1`, the length of its header (4 bytes), the header (JSON, readable by anybody), and chunks of
`CHUNK_BYTES` of compressed data, each encrypted with AES-256-GCM. Every file has a key of its own, derived from
the backup's key and random bytes in the header. A chunk's nonce is its number and whether it is the last, and the
header is bound into each chunk: what was cut off, put in another order, taken from another file or changed in one
bit does not open. See docs/decisions/0012-backup.md.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import secrets
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.operations.refusal import BackupRefused

MAGIC = b"MXB1"
CHUNK_BYTES = 1024 * 1024
HEADER_BYTES_MAX = 16_384
PASSPHRASE_CHARACTERS_MIN = 20
SALT_BYTES = 16
OPENED_BYTES_MAX = 16 * 1024 * 1024  # held at once: a chunk of zeros would expand to a gigabyte
_TAG_BYTES = 16
_KEY_HEX_CHARACTERS = 64
_SCRYPT = {"n": 2**17, "r": 8, "p": 1, "maxmem": 256 * 1024 * 1024, "dklen": 32}  # half a second, 128 MB
_COMPRESSION = 1  # log and tables shrink to a fifth; more effort gains little and costs a core


@dataclass(frozen=True, slots=True)
class BackupKey:
    """What backups are encrypted with: 32 bytes written as 64 hexadecimal digits, or else a passphrase."""

    secret: bytes = field(repr=False)
    stretched: bool
    _roots: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes], repr=False, compare=False)

    @classmethod
    def read(cls, path: Path) -> BackupKey:
        """The key in the file `path`. Raises BackupRefused."""
        try:
            text = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise BackupRefused(
                f"The key of backups cannot be read from {path} ({reason}): set MATRIX_BACKUP_KEY_FILE to a file with "
                "64 hexadecimal digits (`openssl rand -hex 32`) or a passphrase."
            ) from error
        return cls.of(text)

    @classmethod
    def of(cls, text: str) -> BackupKey:
        if len(text) == _KEY_HEX_CHARACTERS:
            try:
                return cls(bytes.fromhex(text), stretched=False)
            except ValueError:
                pass
        if len(text) < PASSPHRASE_CHARACTERS_MIN:
            raise BackupRefused(
                f"The passphrase of backups has {len(text)} characters and needs {PASSPHRASE_CHARACTERS_MIN}: "
                "choose a longer one, or a key from `openssl rand -hex 32`."
            )
        return cls(text.encode(), stretched=True)

    def derived(self, salt: bytes, purpose: str) -> bytes:
        """32 bytes for one purpose."""
        return _derived(self._root(salt), purpose)

    def _root(self, salt: bytes) -> bytes:
        if not self.stretched:
            return _derived(self.secret + salt, "root")
        if salt not in self._roots:
            self._roots[salt] = hashlib.scrypt(self.secret, salt=salt, **_SCRYPT)
        return self._roots[salt]

    def mark(self, salt: bytes) -> str:
        """By which a key is told from another without opening anything."""
        return hmac.new(self.derived(salt, "mark"), b"mark", hashlib.sha256).hexdigest()[:16]


def _derived(secret: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"matrix backup 1 {purpose}".encode()).derive(secret)


@dataclass(frozen=True, slots=True)
class Written:
    """A sealed file as it should be: on disk, and opened."""

    name: str
    bytes: int
    sha256: str
    plain_bytes: int
    plain_sha256: str


class SealedWriter(io.RawIOBase):
    """Seals what is written to it into `path`, which must not exist. Only a file that was closed by `finish` opens.

    `name` says what it is and where in the backup it belongs; `facts` stand in the header for anybody to read.
    """

    def __init__(self, path: Path, name: str, key: BackupKey, salt: bytes, **facts: Any) -> None:
        super().__init__()
        self._file = path.open("xb")
        self._name = name
        file_salt = secrets.token_bytes(SALT_BYTES)
        header = {
            "name": name,
            "salt": salt.hex(),
            "file": file_salt.hex(),
            "key": key.mark(salt),
            "facts": facts,
        }
        text = json.dumps(header).encode()
        self._bound = MAGIC + len(text).to_bytes(4, "big") + text
        self._cipher = AESGCM(key.derived(salt, f"file {file_salt.hex()}"))
        self._compress = zlib.compressobj(_COMPRESSION)
        self._waiting = bytearray()
        self._chunks = 0
        self._plain, self._plain_bytes = hashlib.sha256(), 0
        self._sealed, self._sealed_bytes = hashlib.sha256(), 0
        self._put(self._bound)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._plain.update(view)
        self._plain_bytes += len(view)
        self._take(self._compress.compress(view))
        return len(view)

    def finish(self) -> Written:
        """Write the last chunk, and return once all of it is on the disk."""
        self._take(self._compress.flush())
        self._seal(bytes(self._waiting), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()
        return Written(
            name=self._name,
            bytes=self._sealed_bytes,
            sha256=self._sealed.hexdigest(),
            plain_bytes=self._plain_bytes,
            plain_sha256=self._plain.hexdigest(),
        )

    def close(self) -> None:
        self._file.close()
        super().close()

    def _take(self, compressed: bytes) -> None:
        self._waiting += compressed
        while len(self._waiting) > CHUNK_BYTES:  # a full one stays until it is known not to be the last
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._put(self._cipher.encrypt(_nonce(self._chunks, last=last), chunk, self._bound))
        self._chunks += 1

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._sealed.update(data)
        self._sealed_bytes += len(data)


class SealedReader(io.RawIOBase):
    """Opens a sealed file. Raises BackupRefused for another key, another file's content and any damage.

    Damage of a later part is found when that part is read: `finish` reads the rest and says that all is whole.
    """

    def __init__(self, path: Path, name: str, key: BackupKey) -> None:
        super().__init__()
        self._path = path
        self._file = _opened(path)
        try:
            header, self._bound = _header(self._file, path)
            salt = bytes.fromhex(header["salt"])
            if header["name"] != name:
                raise BackupRefused(f"{path} holds {header['name']} and not {name}: it was moved or renamed.")
            if header["key"] != key.mark(salt):
                raise BackupRefused(
                    f"The key given does not open {path}: it was made with another; name that key's file in "
                    "MATRIX_BACKUP_KEY_FILE."
                )
            self.facts: dict[str, Any] = header["facts"]
            self._cipher = AESGCM(key.derived(salt, f"file {header['file']}"))
        except BaseException:
            self._file.close()
            raise
        self._expand = zlib.decompressobj()
        self._ahead = self._file.read(CHUNK_BYTES + _TAG_BYTES)
        self._chunks = 0
        self._ended = False
        self._compressed = b""
        self._ready = memoryview(b"")
        self._plain, self._plain_bytes = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not (self._ended and not self._compressed):
            self._ready = memoryview(self._open_more())
        taken = min(len(buffer), len(self._ready))
        buffer[:taken] = self._ready[:taken]
        self._ready = self._ready[taken:]
        return taken

    def finish(self) -> tuple[int, str]:
        """Read to the end; (bytes, SHA-256) of all that the file holds."""
        while self.read(CHUNK_BYTES):
            pass
        return self._plain_bytes, self._plain.hexdigest()

    def close(self) -> None:
        self._file.close()
        super().close()

    def _open_more(self) -> bytes:
        if not self._compressed:
            self._compressed = self._open_next()
        plain = self._expand.decompress(self._compressed, OPENED_BYTES_MAX)
        self._compressed = self._expand.unconsumed_tail
        if self._ended and not self._compressed:
            plain += self._expand.flush()
        self._plain.update(plain)
        self._plain_bytes += len(plain)
        return plain

    def _open_next(self) -> bytes:
        chunk, self._ahead = self._ahead, self._file.read(CHUNK_BYTES + _TAG_BYTES)
        self._ended = not self._ahead
        self._chunks += 1
        try:
            return self._cipher.decrypt(_nonce(self._chunks - 1, last=self._ended), chunk, self._bound)
        except (InvalidTag, ValueError) as error:
            raise BackupRefused(
                f"{self._path} is damaged at chunk {self._chunks}: take another copy of it, or an older backup."
            ) from error


def facts_of(path: Path) -> dict[str, Any]:
    """What a sealed file says about itself to anybody. Believed only once the file has been opened."""
    with _opened(path) as file:
        return _header(file, path)[0]["facts"]


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise BackupRefused(f"{path} cannot be read ({error.strerror}).") from error


def _header(file: IO[bytes], path: Path) -> tuple[dict[str, Any], bytes]:
    start = file.read(len(MAGIC) + 4)
    size = int.from_bytes(start[len(MAGIC) :], "big")
    if not start.startswith(MAGIC) or len(start) < len(MAGIC) + 4 or size > HEADER_BYTES_MAX:
        raise BackupRefused(f"{path} is not a file of a backup, or its beginning is damaged.")
    text = file.read(size)
    try:
        header = json.loads(text)
        bytes.fromhex(header["salt"])
        return {name: header[name] for name in ("name", "salt", "file", "key", "facts")}, start + text
    except (ValueError, KeyError, TypeError) as error:
        raise BackupRefused(f"{path} is not a file of a backup, or its beginning is damaged.") from error


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
