"""The key file: everything secret a partner has, in one file that only its owner can read (docs/card.md, "Key file").

::

    file    = [magic "p2pk", 1, log2 of scrypt's N (0: no passphrase), salt, nonce, content (bin)]
    content = SHA-384(keys)[:32] || keys, encrypted when there is a passphrase (AES-256-GCM, aad = all before it)
    keys    = {0 partner id, 1 [root secret, ...], 2 [[sign, kem, hint, TLS key, TLS certificate], ...], 3 playbook seed}

A root file has roots and no sets: keys that are kept elsewhere, and only sign cards; it has no key 3, nor has a file of a version before
that key. The first operational set is the newest. Reading refuses a file that others could read or change; writing replaces
it atomically, so a crash leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from p2pshare.envelope.card import Card, believe_chain
from p2pshare.envelope.encoding import Reader, pack
from p2pshare.envelope.hybrid import SIGNING_SECRET_BYTES
from p2pshare.envelope.jss import PLAYBOOK_SEED_BYTES
from p2pshare.envelope.keys import (
    HintKey,
    Identity,
    KemKey,
    OperationalKeys,
    PlaybookKey,
    Secret,
    SigningKey,
    TlsKey,
)
from p2pshare.errors import KeyFileError, PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CARD_CHAIN_BYTES_MAX, CARD_HINT_KEYS_MAX, ROOT_KEYS_MAX, TLS_CERTIFICATE_BYTES_MAX
from p2pshare.node.undumpable import make_undumpable
from p2pshare.node.whole_files import put_whole

KEY_FILE_MAGIC = b"p2pk"
FORMAT_VERSION = 1
KEY_FILE_BYTES_MAX = 64 * 1024
KEY_FILE_MODE = 0o600
PASSPHRASE_FILE_VARIABLE = "P2PSHARE_PASSPHRASE_FILE"  # noqa: S105 - a name, not a secret
CREDENTIAL_NAME = "passphrase"
PASSPHRASE_BYTES_MAX = 1024  # longer ones are other files, named by mistake
PASSPHRASE_CHARACTERS_MIN = 12  # of random small letters: 2^56 guesses, each of 0.4 s and 128 MiB
PASSPHRASE_DIFFERENT_MIN = 5  # fewer different characters are one key held down
CARD_FILE_MODE = 0o644

SCRYPT_LOG_N = 17  # 128 MiB and 0.4 s a guess (RFC 7914; OWASP's figure for r = 8, p = 1)
SCRYPT_LOG_N_MAX = 20  # a file that asks for more than 1 GiB is damaged
_SCRYPT_R = 8
_SCRYPT_P = 1
_SALT_BYTES = 16
_NONCE_BYTES = 12
_CHECKSUM_BYTES = 32


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """Contents of a key file: root keys (none when kept offline), operational sets, the newest first, and the key for playbooks."""

    partner_id: PartnerId
    roots: tuple[SigningKey, ...]
    sets: tuple[OperationalKeys, ...]
    playbook: PlaybookKey | None = None


def write_key_file(
    path: Path, identity: Identity, passphrase: Secret | None = None, *, scrypt_log_n: int = SCRYPT_LOG_N
) -> None:
    """Put the keys of `identity` at `path`, 0600, replacing what was there. Raises KeyFileError."""
    sets = (identity.operational, *identity.retired)
    material = KeyMaterial(identity.partner_id, identity.roots, sets, identity.playbook)
    write_keys(path, material, passphrase, scrypt_log_n=scrypt_log_n)


def write_root_file(
    path: Path, partner_id: PartnerId, root: SigningKey, passphrase: Secret | None = None
) -> None:
    """Put one root key at `path`, 0600, where nothing is yet. Raises KeyFileError."""
    require_absent(path)
    write_keys(path, KeyMaterial(partner_id, (root,), ()), passphrase)


def require_absent(path: Path) -> None:
    """Require that nothing is at `path`. Raises KeyFileError `root-file-exists`."""
    if os.path.lexists(path):
        raise KeyFileError(
            f"{path} exists", hint="a key is never overwritten: name another file", reason="root-file-exists"
        )


def write_keys(
    path: Path, material: KeyMaterial, passphrase: Secret | None, *, scrypt_log_n: int = SCRYPT_LOG_N
) -> None:
    """Put a key file or root file at `path`, 0600, replacing what was there. Raises KeyFileError."""
    make_undumpable()
    keys = encode_keys(material)
    content = hashlib.sha384(keys).digest()[:_CHECKSUM_BYTES] + keys
    if passphrase is None:
        raw = pack([KEY_FILE_MAGIC, FORMAT_VERSION, 0, b"", b"", content])
    else:
        salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
        key = _passphrase_key(passphrase, salt, scrypt_log_n)
        sealed = AESGCM(key).encrypt(nonce, content, _associated(scrypt_log_n, salt, nonce))
        raw = pack([KEY_FILE_MAGIC, FORMAT_VERSION, scrypt_log_n, salt, nonce, sealed])
    replace_file(path, raw, KEY_FILE_MODE)


def write_card_file(path: Path, card: Card) -> None:
    """Put every version of `card` at `path`, readable by all. Raises KeyFileError."""
    replace_file(path, card.raw, CARD_FILE_MODE)


def read_key_file(path: Path, passphrase: Secret | None = None) -> KeyMaterial:
    """Returns the keys at `path`. Raises KeyFileError (`key-file-missing`, `-symlink`, `-unreadable`, `-owner`,
    `-permissions`, `-damaged`, `passphrase-missing`, `passphrase-wrong`), `root-file` for one that has roots alone."""
    material = _read_keys(path, passphrase)
    if not material.sets:
        raise KeyFileError(
            f"{path} holds root keys alone", hint="`p2pshare card sign` works with it", reason="root-file"
        )
    return material


def read_roots(path: Path, passphrase: Secret | None = None) -> tuple[SigningKey, ...]:
    """Returns the root keys of a root file or key file. Raises KeyFileError as `read_key_file`, `roots-offline` where it has
    none."""
    roots = _read_keys(path, passphrase).roots
    if not roots:
        raise KeyFileError(
            f"{path} holds no root key",
            hint="they are kept elsewhere: name that file",
            reason="roots-offline",
        )
    return roots


def _read_keys(path: Path, passphrase: Secret | None) -> KeyMaterial:
    make_undumpable()
    raw = _read_private(path)
    try:
        return decode_keys(_decode_content(path, raw, passphrase))
    except (PeerError, ValueError):  # shape or key: the file was cut or changed
        raise _damaged(path) from None


def is_encrypted(path: Path) -> bool:
    """Returns whether the key file at `path` needs a passphrase. Raises KeyFileError as `read_key_file`."""
    try:
        return _decode_file(path, _read_private(path)).log_n > 0
    except PeerError:
        raise _damaged(path) from None


def read_all_keys(path: Path) -> KeyMaterial:
    """Returns the keys at `path`, with the passphrase from where `find_passphrase` looks. Raises KeyFileError."""
    return read_key_file(path, find_passphrase(os.environ))


def read_operational_keys(path: Path) -> KeyMaterial:
    """Returns what a node works with from the key file at `path`, and keeps no root key. Raises as `read_all_keys`."""
    return replace(read_all_keys(path), roots=())


def read_completed_keys(path: Path) -> KeyMaterial:
    """Returns what `read_operational_keys` returns. A file of a version before the key for playbooks is given one, where it can be
    written: who calls this holds the home."""
    passphrase = find_passphrase(os.environ)  # once: it may come through a pipe
    material = read_key_file(path, passphrase)
    if material.playbook is None:
        completed = replace(material, playbook=PlaybookKey.generate())
        with contextlib.suppress(KeyFileError):  # a node without it works, and approves no playbook
            write_keys(path, completed, passphrase if is_encrypted(path) else None)
            material = completed
    return replace(material, roots=())


def read_identity(key_path: Path, card_path: Path, passphrase: Secret | None = None) -> Identity:
    """Returns the identity from its key file and its card file. Raises KeyFileError as `read_key_file` does, and
    `card-file-missing`, `card-file-damaged`, `key-and-card-differ`.

    The card may have expired: its owner must be able to renew it. After a crash between writing new keys and the new
    card, the set that the card names is the one in use.
    """
    return identity_of(read_key_file(key_path, passphrase), key_path, card_path)


def identity_of(material: KeyMaterial, key_path: Path, card_path: Path) -> Identity:
    """Returns the identity of `material`, which was read at `key_path`, with the card at `card_path`. Raises KeyFileError
    `card-file-missing`, `card-file-damaged`, `key-and-card-differ`.
    """
    try:
        card = believe_chain(_read_public(card_path))
    except PeerError as error:
        hint = "restore the file from a backup, or from a partner"
        if error.reason == "bad-certificate":  # docs/decisions/0066: a home of a version before that
            hint += "; one that never worked with this version: `p2pshare init` in another folder, exchange cards anew"
        raise KeyFileError(
            f"{card_path}: our own card is damaged ({error.reason})", hint=hint, reason="card-file-damaged"
        ) from None
    newest = card.sign_keys[0].key.key_id
    in_use = [keys for keys in material.sets if keys.sign.key_id == newest]
    if card.partner_id != material.partner_id or not in_use:
        raise KeyFileError(
            f"{key_path} and {card_path} do not belong together",
            hint="restore both from the same backup",
            reason="key-and-card-differ",
        )
    retired = tuple(keys for keys in material.sets if keys is not in_use[0])
    return Identity(material.partner_id, material.roots, in_use[0], card, retired, material.playbook)


def find_passphrase(environment: Mapping[str, str]) -> Secret | None:
    """Returns the passphrase from the file that PASSPHRASE_FILE_VARIABLE names, else from systemd's credentials
    (LoadCredential= or LoadCredentialEncrypted=passphrase:..., systemd.exec(5)); None where neither is set.

    Only paths come from the environment, never the passphrase itself. Raises KeyFileError `passphrase-file`.
    """
    named = environment.get(PASSPHRASE_FILE_VARIABLE)
    if named:
        return read_passphrase_file(Path(named))
    folder = environment.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / CREDENTIAL_NAME if folder else None
    return read_passphrase_file(credential) if credential is not None and credential.exists() else None


def read_passphrase_file(path: Path) -> Secret:
    """Returns the first line of `path`. Raises KeyFileError `passphrase-file` when there is none, or one of more than
    PASSPHRASE_BYTES_MAX."""
    make_undumpable()
    try:
        with path.open("rb") as file:
            _check_passphrase_file(path, os.fstat(file.fileno()))
            raw = file.read(PASSPHRASE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileError(
            f"{path}: the passphrase cannot be read: {error.strerror}", reason="passphrase-file"
        ) from None
    line = raw.split(b"\n", 1)[0].removesuffix(b"\r")
    if not line or len(line) > PASSPHRASE_BYTES_MAX:
        raise KeyFileError(
            f"{path}: no passphrase on the first line",
            hint="one line, at most 1 KiB",
            reason="passphrase-file",
        )
    return Secret(line)


def weakness_of(passphrase: Secret) -> str:
    """Returns what makes `passphrase` easy to guess, empty when nothing plain does.

    What a dictionary holds is not known here: the two figures keep out what a person would be ashamed of.
    """
    characters = passphrase.reveal().decode("utf-8", "replace")
    if len(characters) < PASSPHRASE_CHARACTERS_MIN:
        return f"it has {len(characters)} of at least {PASSPHRASE_CHARACTERS_MIN} characters"
    if len(set(characters)) < PASSPHRASE_DIFFERENT_MIN:
        return f"it has {len(set(characters))} of at least {PASSPHRASE_DIFFERENT_MIN} different characters"
    return ""


def check_new_passphrase(passphrase: Secret) -> None:
    """Refuse a passphrase that is chosen now and easy to guess; a file that has one already still opens.

    Raises KeyFileError `passphrase-weak`.
    """
    if weakness := weakness_of(passphrase):
        raise KeyFileError(
            f"the passphrase is easy to guess: {weakness}",
            hint="take five random words, or what `openssl rand -base64 18` writes",
            reason="passphrase-weak",
        )


def replace_file(path: Path, raw: bytes, mode: int) -> None:
    """Write `raw` to `path` as `put_whole` does. Raises KeyFileError `key-file-unwritable`."""
    try:
        put_whole(path, raw, mode=mode)
    except OSError as error:
        raise KeyFileError(
            f"{path}: cannot be written: {error.strerror}", reason="key-file-unwritable"
        ) from None


# --- the bytes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _SealedFile:
    """The outer array of a key file; `log_n` is 0 where `content` is not encrypted."""

    log_n: int
    salt: bytes
    nonce: bytes
    content: bytes


def encode_keys(material: KeyMaterial) -> bytes:
    """Returns `keys` of the format above: the secrets in the clear."""
    keys: dict[int, object] = {
        0: material.partner_id,
        1: [root.secret().reveal() for root in material.roots],
        2: [_pack_set(held) for held in material.sets],
    }
    if material.playbook is not None:
        keys[3] = material.playbook.secret().reveal()
    return pack(keys)


def _pack_set(keys: OperationalKeys) -> list[bytes]:
    held = (keys.sign.secret(), keys.kem.secret(), keys.hint.secret(), keys.tls.secret())
    return [*(secret.reveal() for secret in held), keys.tls.certificate]


def _passphrase_key(passphrase: Secret, salt: bytes, log_n: int) -> bytes:
    derivation = Scrypt(salt=salt, length=32, n=1 << log_n, r=_SCRYPT_R, p=_SCRYPT_P)
    return derivation.derive(passphrase.reveal())


def _associated(log_n: int, salt: bytes, nonce: bytes) -> bytes:
    return pack([KEY_FILE_MAGIC, FORMAT_VERSION, log_n, salt, nonce])


def _decode_file(path: Path, raw: bytes) -> _SealedFile:
    reader = Reader(raw)
    reader.array(6, 6)
    if reader.blob(4, 4) != KEY_FILE_MAGIC or reader.integer() != FORMAT_VERSION:
        raise _damaged(path)
    log_n = reader.integer(SCRYPT_LOG_N_MAX)
    is_sealed = log_n > 0
    salt = reader.blob(_SALT_BYTES * is_sealed, _SALT_BYTES * is_sealed)
    nonce = reader.blob(_NONCE_BYTES * is_sealed, _NONCE_BYTES * is_sealed)
    content = reader.blob(_CHECKSUM_BYTES, KEY_FILE_BYTES_MAX)
    reader.end()
    return _SealedFile(log_n, salt, nonce, content)


def _decode_content(path: Path, raw: bytes, passphrase: Secret | None) -> bytes:
    """The keys, decrypted and their checksum verified."""
    file = _decode_file(path, raw)
    content = file.content
    if file.log_n > 0:
        if passphrase is None:
            raise KeyFileError(
                f"{path}: a passphrase is needed",
                hint="P2PSHARE_PASSPHRASE_FILE names the file whose first line it is",
                reason="passphrase-missing",
            )
        try:
            key = _passphrase_key(passphrase, file.salt, file.log_n)
            content = AESGCM(key).decrypt(file.nonce, content, _associated(file.log_n, file.salt, file.nonce))
        except InvalidTag:
            raise KeyFileError(
                f"{path}: wrong passphrase, or a damaged file", reason="passphrase-wrong"
            ) from None
    checksum, keys = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
    if checksum != hashlib.sha384(keys).digest()[:_CHECKSUM_BYTES]:
        raise _damaged(path)
    return keys


def decode_keys(raw: bytes) -> KeyMaterial:
    """Returns the keys of the bytes that `encode_keys` wrote. Raises PeerError and ValueError."""
    reader = Reader(raw)
    count = reader.map_between(3, 4)
    reader.key(0)
    partner_id = PartnerId(reader.blob(32, 32))
    reader.key(1)
    roots = tuple(
        SigningKey.from_secret(_secret(reader, SIGNING_SECRET_BYTES))
        for _ in range(reader.array(0, ROOT_KEYS_MAX))
    )
    reader.key(2)
    sets = tuple(_decode_set(reader) for _ in range(reader.array(0, CARD_HINT_KEYS_MAX)))
    playbook = None
    if count == 4:
        reader.key(3)
        playbook = PlaybookKey(_secret(reader, PLAYBOOK_SEED_BYTES))
    reader.end()
    return KeyMaterial(partner_id, roots, sets, playbook)


def _decode_set(reader: Reader) -> OperationalKeys:
    reader.array(5, 5)
    sign = SigningKey.from_secret(_secret(reader, SIGNING_SECRET_BYTES))
    kem = KemKey.from_secret(_secret(reader, 32))
    hint = HintKey.from_secret(_secret(reader, 32))
    private = Secret(reader.blob(1, 1024))
    return OperationalKeys(
        sign, kem, hint, TlsKey.from_secret(private, reader.blob(1, TLS_CERTIFICATE_BYTES_MAX))
    )


def _secret(reader: Reader, size: int) -> Secret:
    return Secret(reader.blob(size, size))


def _damaged(path: Path) -> KeyFileError:
    return KeyFileError(
        f"{path}: not a key file, or a damaged one",
        hint="restore it from a backup",
        reason="key-file-damaged",
    )


# --- the file --------------------------------------------------------------------------------------


def _read_private(path: Path) -> bytes:
    """Returns the bytes at `path`, only if it is a regular file of ours that nobody else can touch. Raises KeyFileError."""
    try:
        # O_NONBLOCK: a named pipe must not make us wait; it is refused just below.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyFileError(
            f"{path}: no such file", hint="run `p2pshare init`", reason="key-file-missing"
        ) from None
    except OSError as error:
        reason = "key-file-symlink" if path.is_symlink() else "key-file-unreadable"
        raise KeyFileError(f"{path}: cannot be opened: {error.strerror}", reason=reason) from None
    try:
        _check_owner(path, os.fstat(descriptor))  # of the open file: the name may point elsewhere by now
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            raw = file.read(KEY_FILE_BYTES_MAX + 1)
    finally:
        os.close(descriptor)
    if len(raw) > KEY_FILE_BYTES_MAX:
        raise _damaged(path)
    return raw


def _check_owner(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path}: not a regular file", reason="key-file-unreadable")
    if status.st_uid != os.geteuid():
        raise KeyFileError(
            f"{path}: belongs to another user",
            hint="run it as that user, or start its daemon, which is then asked; chown it where the daemon's user was changed",
            reason="key-file-owner",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise KeyFileError(
            f"{path}: others can read or change it", hint=f"chmod 600 {path}", reason="key-file-permissions"
        )


def _check_passphrase_file(path: Path, status: os.stat_result) -> None:
    """Refuse what others could read or change; `status` is of the open file.

    Root's file may be read by its group, as PostgreSQL has it for its key: systemd's credentials are root's, with an
    access list whose mask shows as the group's bits. A terminal's mode says who may write to it, not who reads along.
    """
    if stat.S_ISCHR(status.st_mode):
        return
    own = os.geteuid()
    if status.st_uid not in (own, 0):
        raise KeyFileError(
            f"{path}: the passphrase belongs to another user",
            hint=f"chown it to the user who runs this, and chmod 600 {path}",
            reason="passphrase-file-owner",
        )
    if stat.S_IMODE(status.st_mode) & (0o077 if status.st_uid == own else 0o037):
        raise KeyFileError(
            f"{path}: others can read or change the passphrase",
            hint=f"chmod 600 {path}",
            reason="passphrase-file-permissions",
        )


def _read_public(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(CARD_CHAIN_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}", reason="card-file-missing") from None
