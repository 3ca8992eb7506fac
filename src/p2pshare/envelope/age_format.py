"""The age file format, version 1 (age-encryption.org/v1), for backups: written and read a chunk at a time.

::

    file    = header || nonce (16) || chunk || chunk ...
    header  = "age-encryption.org/v1" LF, a stanza a recipient, "--- " MAC LF
    stanza  = "-> X25519 EPHEMERAL" LF body LF     the file key, wrapped for a recipient `age1...`
            | "-> scrypt SALT LOG_N" LF body LF    the file key, wrapped for a passphrase; then there is no other stanza
    chunk   = ChaCha20-Poly1305(payload key, counter (11) || is last (1), 64 KiB of the payload)

The primitives are those of `cryptography`; docs/decisions/0116 says why no library of age is used. The real `age` reads what this
writes and the other way round (tests/envelope/test_envelope_age_format.py), and the vectors of its authors hold. Not read: armoured
files, recipients of plug-ins, post-quantum ones (`age1pq`). Who reads trusts nothing before it was authenticated: the header by its MAC,
each chunk by its tag, the end by the tag of the last one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from p2pshare.envelope.keys import Secret
from p2pshare.errors import AuthorError
from p2pshare.limits import KIB

VERSION_LINE = b"age-encryption.org/v1\n"
ANY_VERSION = b"age-encryption.org/"
CHUNK_BYTES = 64 * KIB
SCRYPT_LOG_N = 18  # 256 MiB and about a second a guess: what `age -p` takes
SCRYPT_LOG_N_MAX = 20  # a file that asks for more than 1 GiB of memory is no backup
STANZAS_MAX = 256  # of a file that we read; each costs one agreement for each identity
LINE_BYTES_MAX = 1 * KIB  # of a header: the lines of native recipients have 80
HEADER_BYTES_MAX = 64 * KIB
RECIPIENTS_MAX = 64
IDENTITY_FILE_BYTES_MAX = 64 * KIB

_FILE_KEY_BYTES = 16
_NONCE_BYTES = 16
_TAG_BYTES = 16
_SALT_BYTES = 16
_WRAPPED_BYTES = _FILE_KEY_BYTES + _TAG_BYTES
_ZERO_NONCE = bytes(12)
_COLUMNS = 64
_SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
_X25519_LABEL = b"age-encryption.org/v1/X25519"
_RECIPIENT_PREFIX = "age"
_IDENTITY_PREFIX = "AGE-SECRET-KEY-"
_LOG_N = re.compile(rb"[1-9][0-9]?")
_ARGUMENT = re.compile(rb"[!-~]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*")


@dataclass(frozen=True, slots=True)
class AgeRecipient:
    """A public key that files are encrypted to; its text is `age1...`."""

    public: bytes


@dataclass(frozen=True, slots=True)
class AgeIdentity:
    """The secret key of a recipient."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class _Stanza:
    arguments: tuple[bytes, ...]
    body: bytes


class AgeWriter:
    """Encrypts what is written to it, and hands the file over piece by piece. Without `finish` nobody reads it: its end is missing.

    `scrypt_log_n` (0: SCRYPT_LOG_N) says what a guess at the passphrase costs.
    """

    def __init__(
        self,
        put: Callable[[bytes], object],
        *,
        recipients: Sequence[AgeRecipient] = (),
        passphrase: Secret | None = None,
        scrypt_log_n: int = 0,
    ) -> None:
        assert bool(recipients) != (passphrase is not None), (
            "either recipients or a passphrase: age allows no mixture"
        )
        file_key = secrets.token_bytes(_FILE_KEY_BYTES)
        if passphrase is not None:
            stanzas = [_for_passphrase(file_key, passphrase, scrypt_log_n or SCRYPT_LOG_N)]
        else:
            stanzas = [_for_recipient(file_key, one) for one in recipients]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        self._put = put
        self._cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
        self._counter = 0
        self._pending = bytearray()
        header = VERSION_LINE + b"".join(map(_written, stanzas)) + b"---"
        put(header + b" " + _text(_mac(file_key, header)) + b"\n" + nonce)

    def write(self, raw: bytes) -> int:
        """Take bytes of the payload; returns their number, as a file does."""
        self._pending += raw
        while len(self._pending) > CHUNK_BYTES:  # a full chunk stays until it is known not to be the last
            self._put_chunk(bytes(self._pending[:CHUNK_BYTES]), is_last=False)
            del self._pending[:CHUNK_BYTES]
        return len(raw)

    def finish(self) -> None:
        """Write the last chunk."""
        self._put_chunk(bytes(self._pending), is_last=True)

    def _put_chunk(self, plain: bytes, *, is_last: bool) -> None:
        self._put(self._cipher.encrypt(_chunk_nonce(self._counter, is_last), plain, None))
        self._counter += 1


def read_age(
    read: Callable[[int], bytes],
    *,
    identities: Sequence[AgeIdentity] = (),
    passphrase: Secret | None = None,
) -> Iterator[bytes]:
    """Yields the payload of an age file, a chunk of 64 KiB after the other, each authenticated; `read` gives up to so many bytes.

    Raises AuthorError `not-age` for other bytes, `age-version`, `age-damaged` for a header or payload that was changed or cut,
    `age-no-match` where no identity is a recipient's, `age-passphrase` (missing, or given for a file that has none), and
    `passphrase-wrong`.
    """
    buffer = _Buffer(read)
    stanzas, signed, mac = _read_header(buffer)
    file_key = _unwrapped(stanzas, identities, passphrase)
    if not hmac.compare_digest(_mac(file_key, signed), mac):
        raise _damaged("its header was changed")
    nonce = buffer.exactly(_NONCE_BYTES)
    if len(nonce) < _NONCE_BYTES:
        raise _damaged("it was cut off")
    return _read_payload(buffer, ChaCha20Poly1305(_derived(file_key, nonce, b"payload")))


def _read_payload(buffer: _Buffer, cipher: ChaCha20Poly1305) -> Iterator[bytes]:
    counter = 0
    sealed = buffer.exactly(CHUNK_BYTES + _TAG_BYTES)
    while True:
        following = (
            buffer.exactly(CHUNK_BYTES + _TAG_BYTES) if len(sealed) == CHUNK_BYTES + _TAG_BYTES else b""
        )
        try:
            plain = cipher.decrypt(_chunk_nonce(counter, not following), sealed, None)
        except (InvalidTag, ValueError):
            raise _damaged("it was changed or cut off") from None
        if not following and not plain and counter:
            raise _damaged("it ends in an empty piece")
        if plain:
            yield plain
        if not following:
            return
        sealed, counter = following, counter + 1


def parse_recipient(text: str) -> AgeRecipient:
    """Returns the recipient of `age1...`. Raises AuthorError `bad-recipient`."""
    public = _bech32_bytes(_RECIPIENT_PREFIX, text)
    if public is None or len(public) != 32 or text != text.lower():
        raise AuthorError(
            "this is no recipient of age: a character is missing or mistyped, or it is of a kind that is not written here",
            hint="`age-keygen -y FILE` shows yours: age1 and 58 letters and digits",
            reason="bad-recipient",
        )
    return AgeRecipient(public)


def parse_identities(raw: bytes) -> list[AgeIdentity]:
    """Returns the identities of a file as `age-keygen` writes it, one a line, beside comments. Raises AuthorError `bad-identity`."""
    found = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        secret = _bech32_bytes(_IDENTITY_PREFIX, text)
        if secret is None or len(secret) != 32:
            raise AuthorError(
                f"line {number} of the identity file is no identity of age that is read here",
                hint="give what `age-keygen` wrote: AGE-SECRET-KEY-1 and 58 letters and digits; one under a passphrase first goes"
                " through `age -d`",
                reason="bad-identity",
            )
        found.append(AgeIdentity(Secret(secret)))
    if not found:
        raise AuthorError(
            "the identity file holds no identity", hint="give the file of `age-keygen`", reason="bad-identity"
        )
    return found


def recipient_of(identity: AgeIdentity) -> AgeRecipient:
    return AgeRecipient(
        X25519PrivateKey.from_private_bytes(identity.secret.reveal()).public_key().public_bytes_raw()
    )


# --- the header ------------------------------------------------------------------------------------


class _Buffer:
    """Reads lines and blocks from a source that gives what it likes."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._held = b""

    def line(self, bytes_max: int = LINE_BYTES_MAX) -> bytes:
        """Returns the next line without its end. Raises AuthorError."""
        while b"\n" not in self._held:
            more = self._read(4 * KIB) if len(self._held) <= bytes_max else b""
            if not more:
                raise _damaged("its header was cut off")
            self._held += more
        line, _, self._held = self._held.partition(b"\n")
        if len(line) > bytes_max:
            raise _damaged("a line of its header is too long")
        return line

    def exactly(self, size: int) -> bytes:
        """Returns so many bytes, fewer at the end alone."""
        pieces, missing = [self._held[:size]], size - len(self._held[:size])
        self._held = self._held[size:]
        while missing and (more := self._read(missing)):
            pieces.append(more)
            missing -= len(more)
        return b"".join(pieces)

    def begins_with(self, expected: bytes) -> bool:
        while len(self._held) < len(expected) and (more := self._read(4 * KIB)):
            self._held += more
        return self._held.startswith(expected)


def _read_header(buffer: _Buffer) -> tuple[list[_Stanza], bytes, bytes]:
    """Returns the stanzas, the bytes that the MAC is of, and the MAC."""
    if not buffer.begins_with(ANY_VERSION):
        if buffer.begins_with(b"-----BEGIN AGE"):
            raise AuthorError("the file is armoured", hint="`age -d` reads it", reason="not-age")
        raise AuthorError(
            "the file is no backup: it is not encrypted with age",
            hint="give what `p2pshare backup` wrote",
            reason="not-age",
        )
    if not buffer.begins_with(VERSION_LINE):
        raise AuthorError(
            "the file is of another version of age", hint="a newer p2pshare may read it", reason="age-version"
        )
    signed = buffer.line() + b"\n"
    stanzas: list[_Stanza] = []
    while True:
        line = buffer.line()
        if line.startswith(b"---"):
            if not line.startswith(b"--- ") or not stanzas:
                raise _damaged("its header does not end as it should")
            return stanzas, signed + b"---", _bytes_of(line[4:], 32)
        if not line.startswith(b"-> ") or len(stanzas) == STANZAS_MAX:
            raise _damaged("its header is none")
        arguments = line[3:].split(b" ")
        if not all(_ARGUMENT.fullmatch(one) for one in arguments):
            raise _damaged("its header is none")
        signed += line + b"\n"
        body = b""
        while True:
            part = buffer.line(_COLUMNS)
            signed, body = signed + part + b"\n", body + part
            if len(part) < _COLUMNS:
                break
            if len(signed) > HEADER_BYTES_MAX:
                raise _damaged("its header is too long")
        if len(signed) > HEADER_BYTES_MAX:
            raise _damaged("its header is too long")
        stanzas.append(_Stanza(tuple(arguments), _bytes_of(body)))


def _unwrapped(
    stanzas: Sequence[_Stanza], identities: Sequence[AgeIdentity], passphrase: Secret | None
) -> bytes:
    """Returns the file key."""
    of_passphrase = [one for one in stanzas if one.arguments[0] == b"scrypt"]
    if of_passphrase:
        if len(stanzas) != 1:
            raise _damaged("a passphrase stands beside another recipient")
        salt, log_n, sealed = _scrypt_parts(of_passphrase[0])
        if passphrase is None:
            raise AuthorError(
                "the file is encrypted with a passphrase",
                hint="give --passphrase-file",
                reason="age-passphrase",
            )
        try:
            return ChaCha20Poly1305(_passphrase_key(passphrase, salt, log_n)).decrypt(
                _ZERO_NONCE, sealed, None
            )
        except InvalidTag:
            raise AuthorError(
                "wrong passphrase, or a damaged file", hint="nothing was changed", reason="passphrase-wrong"
            ) from None
    if not identities:
        raise AuthorError(
            "the file is encrypted to recipients, not with a passphrase",
            hint="give the file with the identity of one of them: --identity",
            reason="age-passphrase" if passphrase is not None else "age-no-match",
        )
    for stanza in stanzas:
        if stanza.arguments[0] == b"X25519":
            for identity in identities:
                if (file_key := _unwrapped_by(stanza, identity)) is not None:
                    return file_key
    raise AuthorError(
        "no identity that was given is a recipient of the file",
        hint="give the identity of one of the recipients named at `p2pshare backup --recipient`",
        reason="age-no-match",
    )


def _unwrapped_by(stanza: _Stanza, identity: AgeIdentity) -> bytes | None:
    if len(stanza.arguments) != 2 or len(stanza.body) != _WRAPPED_BYTES:
        raise _damaged("its header is none")
    ephemeral = _bytes_of(stanza.arguments[1], 32)
    secret = X25519PrivateKey.from_private_bytes(identity.secret.reveal())
    try:
        shared = secret.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    except ValueError:  # a point of low order: the shared secret would be zeros
        raise _damaged("its header is none") from None
    key = _derived(shared, ephemeral + secret.public_key().public_bytes_raw(), _X25519_LABEL)
    try:
        return ChaCha20Poly1305(key).decrypt(_ZERO_NONCE, stanza.body, None)
    except InvalidTag:
        return None


def _scrypt_parts(stanza: _Stanza) -> tuple[bytes, int, bytes]:
    if len(stanza.arguments) != 3 or len(stanza.body) != _WRAPPED_BYTES:
        raise _damaged("its header is none")
    _, salt, log_n = stanza.arguments
    if not _LOG_N.fullmatch(log_n):
        raise _damaged("its header is none")
    if int(log_n) > SCRYPT_LOG_N_MAX:
        raise AuthorError(
            f"the passphrase would take 2^{int(log_n)} steps to try, and 2^{SCRYPT_LOG_N_MAX} are allowed",
            hint="`age -d` may read it",
            reason="age-damaged",
        )
    return _bytes_of(salt, _SALT_BYTES), int(log_n), stanza.body


def _for_passphrase(file_key: bytes, passphrase: Secret, log_n: int) -> _Stanza:
    salt = secrets.token_bytes(_SALT_BYTES)
    sealed = ChaCha20Poly1305(_passphrase_key(passphrase, salt, log_n)).encrypt(_ZERO_NONCE, file_key, None)
    return _Stanza((b"scrypt", _text(salt), b"%d" % log_n), sealed)


def _for_recipient(file_key: bytes, recipient: AgeRecipient) -> _Stanza:
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient.public))
    except ValueError:
        raise AuthorError(
            "this recipient of age is no key that anybody could have", reason="bad-recipient"
        ) from None
    key = _derived(shared, share + recipient.public, _X25519_LABEL)
    return _Stanza((b"X25519", _text(share)), ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, file_key, None))


def _written(stanza: _Stanza) -> bytes:
    body = _text(stanza.body)
    lines = [body[start : start + _COLUMNS] for start in range(0, len(body) + 1, _COLUMNS)]
    return b"-> " + b" ".join(stanza.arguments) + b"\n" + b"".join(line + b"\n" for line in lines)


def _passphrase_key(passphrase: Secret, salt: bytes, log_n: int) -> bytes:
    return Scrypt(salt=_SCRYPT_LABEL + salt, length=32, n=1 << log_n, r=8, p=1).derive(passphrase.reveal())


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(secret)


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), header, hashlib.sha256)


def _chunk_nonce(counter: int, is_last: bool) -> bytes:
    return counter.to_bytes(11, "big") + bytes([is_last])


def _text(raw: bytes) -> bytes:
    return base64.b64encode(raw).rstrip(b"=")


def _bytes_of(text: bytes, size: int | None = None) -> bytes:
    """Returns what base64 without padding stands for, where it is its one form. Raises AuthorError."""
    try:
        if not _BASE64.fullmatch(text):
            raise _damaged("its header is none")
        raw = base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise _damaged("its header is none") from None
    if _text(raw) != text or size not in (None, len(raw)):
        raise _damaged("its header is none")
    return raw


def _damaged(why: str) -> AuthorError:
    return AuthorError(
        f"the file is damaged, or none of ours: {why}", hint="take another copy of it", reason="age-damaged"
    )


# --- Bech32 (BIP 173), without its limit of length -------------------------------------------------

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECK_LETTERS = 6
BECH32_LETTERS_MAX = 256  # of what is typed; those read here have 74 at most


def _bech32_bytes(prefix: str, text: str) -> bytes | None:
    """Returns the bytes of a Bech32 text with that prefix; None where it is none."""
    if len(text) > BECH32_LETTERS_MAX or not text.isascii() or text not in (text.lower(), text.upper()):
        return None
    name, _, letters = text.lower().rpartition("1")
    values = [_LETTERS.find(letter) for letter in letters]
    if name != prefix.lower() or min(values, default=-1) < 0 or len(values) < _CHECK_LETTERS:
        return None
    expanded = [ord(one) >> 5 for one in name] + [0] + [ord(one) & 31 for one in name]
    if _polymod(expanded + values) != 1:
        return None
    bits = "".join(f"{value:05b}" for value in values[:-_CHECK_LETTERS])
    whole, rest = bits[: len(bits) // 8 * 8], bits[len(bits) // 8 * 8 :]
    if len(rest) >= 5 or "1" in rest:
        return None
    return int(whole or "0", 2).to_bytes(len(whole) // 8, "big")


def _polymod(values: Sequence[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATORS):
            check ^= generator if top >> place & 1 else 0
    return check
