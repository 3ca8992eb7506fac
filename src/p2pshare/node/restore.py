"""A restore: the home of a backup, put where nothing is, so that partners and readers of the feed take it for what it is.

1. *Checked before it is there.* All of it is read into `.restore.part` of the new home; only when every check has passed does it move into
   its place, the configuration last: without that there is no home. An error leaves the folder as it was.
2. *Checked*: the archive (`node.backup_archive`), each file's SHA-256, configuration, card, key file, that they are of one partner, and
   each file of SQLite: whole, ours, of a schema that this program reads.
3. *A life of its own.* A new incarnation, so that no number means two envelopes; a new feed id, so that readers of the feed begin again;
   and a note that it was restored: no card is issued before partners have shown whether they have a newer one (`sharing.own_card`).
4. *Told*: what comes home from partners, and what nobody has.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from msgspec import Struct

from p2pshare.config import load_config
from p2pshare.database.connection import FULL_ERRNOS, free_space_bytes
from p2pshare.database.online_copy import require_opens, require_whole, schema_number
from p2pshare.database.schema import RISK, STORE, WARNING_INDEX
from p2pshare.database.settings import OWN_ID
from p2pshare.envelope.age_format import AgeIdentity, read_age
from p2pshare.envelope.card import Card, believe_chain
from p2pshare.envelope.keys import Secret
from p2pshare.errors import (
    AuthorError,
    DiskFull,
    KeyFileError,
    OperatorError,
    PeerError,
    StoreError,
)
from p2pshare.intel.instants import SECOND_US, parse_instant
from p2pshare.limits import CARD_CHAIN_BYTES_MAX, MIB, TTL_CLASS_BY_NAME, TTL_SECONDS_BY_CLASS
from p2pshare.node.backup import FREE_BYTES_MIN, REQUIRED, RESTORE_PART_NAME, RISK_FOLDER, empty_folder
from p2pshare.node.backup_archive import ArchiveReader, BackupFile, BackupManifest
from p2pshare.node.home import (
    CARD_FILE_NAME,
    CONFIG_NAME,
    HOME_MODE,
    KEY_FILE_NAME,
    STORE_NAME,
    WARNING_INDEX_NAME,
)
from p2pshare.node.keyfile import KEY_FILE_BYTES_MAX, identity_of, is_encrypted, read_key_file
from p2pshare.node.node import Progress
from p2pshare.node.store import Store, open_store
from p2pshare.node.whole_files import FOLDER_MODE, sync_folder

SQLITE_SUFFIX = ".sqlite"
SCHEMAS = {STORE_NAME: STORE, WARNING_INDEX_NAME: WARNING_INDEX, f"{RISK_FOLDER}/risk.sqlite": RISK}
"""Files of SQLite that this program opens by their name; those of exercises are opened at a start, and one that cannot be is named then."""
READ_WHOLE_BYTES_MAX = {
    CARD_FILE_NAME: CARD_CHAIN_BYTES_MAX,
    KEY_FILE_NAME: KEY_FILE_BYTES_MAX,
    CONFIG_NAME: 1 * MIB,  # one with every field explained has 5 KiB
}
"""What is read into memory here, at most so large."""
STAYS = frozenset({"lock", "lost+found", RESTORE_PART_NAME})
"""What may lie in a folder that counts as empty: what a service or a disk brings along, and what a restore that was killed left."""


class RestoreNote(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that comes home, or that does not: a word for a program, how many there are (None: not known), a sentence."""

    what: str
    count: int | None
    text: str


class Restored(Struct, frozen=True, forbid_unknown_fields=True):
    """What a restore began and what it says: the id of the new feed (16 hexadecimal digits), our new incarnation."""

    feed_id: str
    incarnation: int
    coming_home: list[RestoreNote]
    missing: list[RestoreNote]


def restore_home(
    home: Path,
    read: Callable[[int], bytes],
    *,
    now: int,
    progress: Progress,
    identities: Sequence[AgeIdentity] = (),
    passphrase: Secret | None = None,
    key_passphrase: Secret | None = None,
) -> tuple[Restored, BackupManifest]:
    """Put the home of a backup, which `read` gives, at `home`, where nothing may be. `passphrase` opens the backup, `key_passphrase` the key
    file in it; without that it is not looked into. `now` in unix seconds.

    Raises AuthorError for what is no good backup, StoreError, KeyFileError, ConfigError for what is wrong with the home in it,
    OperatorError `home-exists`, `DiskFull`; then nothing is left of it.
    """
    made = _prepared(home)
    part = home / RESTORE_PART_NAME
    try:
        part.mkdir(mode=FOLDER_MODE, exist_ok=True)
        empty_folder(part)
        archive = ArchiveReader(read_age(read, identities=identities, passphrase=passphrase))
        manifest = archive.manifest
        _require_known(manifest)
        _require_room(part, manifest)
        _unpack(archive, part, progress)
        card = _check(part, manifest, key_passphrase)
        restored = _begin_life(part, card, manifest, now)
        _move_in(part, home, manifest)
        return restored, manifest
    except OSError as error:
        raise _failed(home, error) from None
    finally:
        with suppress(OSError):
            shutil.rmtree(part, ignore_errors=True)
            if made and not any(home.iterdir()):
                home.rmdir()


def _prepared(home: Path) -> bool:
    """Require that nothing is at `home`; returns whether its folder was made."""
    try:
        if home.exists():
            if any(one.name not in STAYS for one in home.iterdir()):
                raise OperatorError(
                    f"{home} is not empty",
                    hint="name another folder with --home, or move away what is there: nothing is ever overwritten",
                    reason="home-exists",
                )
            return False
        home.mkdir(mode=HOME_MODE, parents=True)
        home.chmod(HOME_MODE)  # whatever the umask
        return True
    except OSError as error:
        raise _failed(home, error) from None


def _require_known(manifest: BackupManifest) -> None:
    """Refuse what this program could not open, before its gigabytes are read."""
    if manifest.schema > STORE.number:
        raise StoreError(
            f"the backup's store has schema {manifest.schema}, and this version of p2pshare knows up to {STORE.number}",
            hint=f"restore it with p2pshare {manifest.program} or a newer one",
            reason="schema-newer",
        )
    try:
        parse_instant(manifest.created)
    except ValueError:
        raise AuthorError("the backup does not say when it was made", reason="bad-backup") from None
    names = {one.path for one in manifest.files}
    for one in manifest.files:
        if one.size > READ_WHOLE_BYTES_MAX.get(one.path, one.size):
            raise AuthorError(f"{one.path} in the backup is too large to be one", reason="bad-backup")
    if lacking := [name for name in REQUIRED if name not in names]:
        raise AuthorError(f"the backup has no {lacking[0]}", reason="bad-backup")


def _require_room(part: Path, manifest: BackupManifest) -> None:
    needed, free = manifest.bytes + FREE_BYTES_MIN, free_space_bytes(part)
    if free < needed:
        raise DiskFull(
            f"the home needs {needed // MIB} MiB, and {free // MIB} MiB are free", hint="nothing was written"
        )


def _unpack(archive: ArchiveReader, part: Path, progress: Progress) -> None:
    for folder in archive.manifest.folders:
        (part / folder.path).mkdir(mode=FOLDER_MODE)
    done, of = 0, archive.manifest.bytes
    for file, content in archive.files():
        for size in _unpacked(part / file.path, file, content):
            done += size
            progress("reading the backup, MiB", done // MIB, of // MIB)


def _unpacked(path: Path, file: BackupFile, content: Iterator[bytes]) -> Iterator[int]:
    """Write one file; yields the size of each piece. Raises AuthorError `bad-backup` where its digest is another."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        for piece in content:
            stream.write(piece)
            digest.update(piece)
            yield len(piece)
        stream.flush()
        os.fsync(stream.fileno())
    if digest.hexdigest() != file.sha256:
        raise AuthorError(
            f"{file.path!a} in the backup is not what its list says",
            hint="take another copy; nothing was changed",
            reason="bad-backup",
        )


def _check(part: Path, manifest: BackupManifest, key_passphrase: Secret | None) -> Card:
    """Check 2. Returns the card."""
    load_config(part / CONFIG_NAME)
    try:
        card = believe_chain((part / CARD_FILE_NAME).read_bytes())
    except PeerError as error:
        raise KeyFileError(
            f"the card in the backup is damaged ({error.reason})",
            hint="take an older backup",
            reason="card-file-damaged",
        ) from None
    if card.partner_id.text != manifest.partner_id:
        raise _other_partner("the card")
    if not is_encrypted(part / KEY_FILE_NAME) or key_passphrase is not None:
        material = read_key_file(part / KEY_FILE_NAME, key_passphrase)
        identity_of(material, part / KEY_FILE_NAME, part / CARD_FILE_NAME)
    for file in manifest.files:
        if file.path.endswith(SQLITE_SUFFIX):
            require_whole(part / file.path)
            if (schema := SCHEMAS.get(file.path)) is not None:
                require_opens(part / file.path, schema)
            elif (
                schema_number(part / file.path) > STORE.number
            ):  # an exercise's: it has the tables of the store
                raise StoreError(f"{file.path} in the backup has a newer schema", reason="schema-newer")
    return card


def _other_partner(what: str) -> AuthorError:
    return AuthorError(
        f"{what} in the backup is another partner's", hint="nothing was changed", reason="key-and-card-differ"
    )


def _begin_life(part: Path, card: Card, manifest: BackupManifest, now: int) -> Restored:
    """Begin rule 3 in the store that was read, before it is anybody's; returns what is told (rule 4)."""
    with closing(open_store(part / STORE_NAME, free_space_bytes_min=0)) as store:
        if store.database.setting(OWN_ID) not in (None, bytes(card.partner_id)):
            raise _other_partner("the store")
        store.log.distrust_keys([one.key_id for one in card.revoked])
        store.partners.note_restored(now)
        invitations, histories = store.invitations.end_open(), store.knowledge.end_forwardings()
        incarnation = store.log.begin_incarnation(now)
        feed = store.knowledge.begin_restored_feed(incarnation)
        return Restored(
            feed.hex(),
            incarnation,
            _coming_home(store, manifest),
            [*_missing(store, manifest, now), *_ended(invitations, histories)],
        )


def _coming_home(store: Store, manifest: BackupManifest) -> list[RestoreNote]:
    """What partners hold and hand over by themselves once this node runs."""
    links = [row for row in store.partners.all() if row.has_link and not row.is_frozen]
    if not links:
        return []
    since, many = manifest.created, len(links)
    waiting = sum(len(store.log.outbox(row.partner_id)) for row in links)
    told = [
        RestoreNote(
            "own-published",
            None,
            f"what this node published since {since}: what went to circles from any of {many} linked partners, what went to one"
            " partner alone from that partner; it counts again, and can be withdrawn",
        ),
        RestoreNote(
            "partners-published", None, f"what partners published since {since}, as long as it is carried"
        ),
        RestoreNote("cards", many, "newer cards and revocations of partners"),
        RestoreNote(
            "spaces",
            None,
            f"entries of spaces and exercises that were written since {since}, our own among them",
        ),
    ]
    if waiting:
        told.append(
            RestoreNote(
                "not-acknowledged",
                waiting,
                "envelopes that partners had not acknowledged are handed over again",
            )
        )
    return told


def _missing(store: Store, manifest: BackupManifest, now: int) -> list[RestoreNote]:
    """What nobody has, or what a person has to see to."""
    since = manifest.created
    told = [
        RestoreNote(
            "never-sealed",
            len(store.log.staged_publications()) or None,
            "what was prepared and had not left when the backup was made, or since: publish it again (`spool` is in no backup)",
        ),
        RestoreNote(
            "settings-since",
            None,
            f"what a person changed since {since}: config.toml, partners that were added or removed, warning lists, the allow"
            " list, training results, samples and inventories that stay here",
        ),
        RestoreNote(
            "delivery-since",
            None,
            f"who has acknowledged what since {since}; partners say so again when they are handed it a second time",
        ),
        RestoreNote(
            "card-since",
            None,
            "keys and addresses put on the card since: where partners show a newer card, `p2pshare card renew --over-newer`"
            " goes on from it. What was sealed with or for newer keys, by this node and by partners, stays unread here: publish it again,"
            " and ask them to",
        ),
    ]
    created = parse_instant(since) // SECOND_US
    ended = [
        name for name, number in TTL_CLASS_BY_NAME.items() if now - created > TTL_SECONDS_BY_CLASS[number]
    ]
    if ended:
        told.append(
            RestoreNote(
                "expired",
                None,
                f"what was sealed with a lifetime of {', '.join(ended)} in the first days after {since}: nobody carries it any"
                " more; publish again what still holds",
            )
        )
    if not any(row.has_link for row in store.partners.all()):
        told.append(
            RestoreNote(
                "own-published",
                None,
                f"what this node published since {since}: no partner is linked that could hand it back",
            )
        )
    told += [RestoreNote("left-out", None, one) for one in manifest.left_out]
    return told


def _ended(invitations: int, histories: int) -> list[RestoreNote]:
    """What may have been done since, and is not done a second time."""
    told = []
    if invitations:
        told.append(
            RestoreNote(
                "invitations",
                invitations,
                "invitations that nobody had used: each may have been since, and is void; `p2pshare invite` makes new ones",
            )
        )
    if histories:
        told.append(
            RestoreNote(
                "histories",
                histories,
                "partners that others' envelopes were being handed on to: nothing of that goes on; give `p2pshare share history` again",
            )
        )
    return told


def _move_in(part: Path, home: Path, manifest: BackupManifest) -> None:
    """Move all into the home, the configuration last, with the modes and the owner that it shall have."""
    owner = home.stat()
    modes = {one.path: one.mode for one in manifest.folders} | {one.path: one.mode for one in manifest.files}
    for path in sorted(modes, reverse=True):  # a folder after what is in it
        mode = 0o600 if path in (KEY_FILE_NAME, STORE_NAME) else modes[path]
        _give(part / path, owner, mode)
    for one in part.iterdir():
        if one.name not in modes:  # what opening the store made beside it
            _give(one, owner, stat.S_IMODE(one.stat().st_mode))
    names = sorted((one.name for one in part.iterdir()), key=lambda name: name == CONFIG_NAME)
    moved: list[str] = []
    try:
        for name in names:
            os.rename(part / name, home / name)
            moved.append(name)
        sync_folder(home)
    except OSError:
        for name in moved:
            os.rename(home / name, part / name)  # and goes with it
        raise


def _give(path: Path, owner: os.stat_result, mode: int) -> None:
    """Set the mode, and where root restores into another user's folder, the owner."""
    path.chmod(mode)
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _failed(home: Path, error: OSError) -> OperatorError:
    if error.errno in FULL_ERRNOS:
        return DiskFull("the disk is full; nothing was kept of the restore", hint="free some space")
    return OperatorError(
        f"{home}: {(error.strerror or 'unknown').lower()}",
        hint="check the owner and mode of the folder, and of the one above it",
        reason="restore-folder",
    )
