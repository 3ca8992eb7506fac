"""The vouch pages of our own revocations, as files: `vouch/ROOT/NUMBER.p2pvouch` in the home folder.

Only who made a vouch has its pages: the salts are random, so nobody can make them again. They are written before the card
that names their root, which others may still have to sign. Pages whose root our card does not name count for nobody.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from p2pshare.envelope.card import Card
from p2pshare.envelope.vouch import Vouch, VouchPage, check_page, decode_page
from p2pshare.errors import OperatorError, PeerError
from p2pshare.node.keyfile import replace_file
from p2pshare.node.whole_files import FILE_MODE, FOLDER_MODE

VOUCH_FOLDER = "vouch"
SUFFIX = ".p2pvouch"


def keep_pages(home: Path, vouch: Vouch) -> None:
    """Write every page of `vouch` to the disk, durably. Raises OperatorError."""
    folder = home / VOUCH_FOLDER / vouch.root.hex()
    for number, (_, raw) in enumerate(vouch.pages()):
        try:
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise OperatorError(f"{folder}: cannot be made: {error.strerror}") from None
        replace_file(folder / f"{number:05}{SUFFIX}", raw, FILE_MODE)


def own_pages(home: Path, card: Card) -> Iterator[tuple[VouchPage, bytes]]:
    """Yields each page that counts for `card`, our newest, with its bytes; what was damaged is left out."""
    for revocation in card.revoked:
        for path in sorted((home / VOUCH_FOLDER / revocation.vouch_root.hex()).glob(f"*{SUFFIX}")):
            with suppress(PeerError, OSError):
                raw = path.read_bytes()
                page = decode_page(raw)
                check_page(page, card)
                yield page, raw


def drop_pages(home: Path, card: Card) -> None:
    """Remove the pages for which `card`, our newest, does not stand: it is in force, so no unfinished one is good any more."""
    roots = {revocation.vouch_root.hex() for revocation in card.revoked}
    with suppress(OSError):
        for folder in (home / VOUCH_FOLDER).iterdir():
            if folder.name not in roots:
                shutil.rmtree(folder, ignore_errors=True)
