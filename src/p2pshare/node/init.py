"""Initialisation: a new home folder with keys, card, configuration and an empty store. Never touches an existing one."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from p2pshare.config import parse_config, render_config
from p2pshare.envelope.keys import Identity, Secret, create_identity
from p2pshare.errors import OperatorError
from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME, HOME_MODE, KEY_FILE_NAME, STORE_NAME
from p2pshare.node.keyfile import (
    check_new_passphrase,
    require_absent,
    write_card_file,
    write_key_file,
    write_root_file,
)
from p2pshare.node.store import open_store
from p2pshare.node.undumpable import make_undumpable


def found_home(
    home: Path,
    *,
    name: str,
    url: str,
    listen: str,
    passphrase: Secret | None,
    now: int,
    root_files: Sequence[Path] = (),
    threshold: int = 1,
    group: str = "",
) -> Identity:
    """Make `home` with everything that a node needs; returns the new identity. `now` in unix seconds, `group` the system group
    that may use the command line against the daemon.

    Each of `root_files` gets one root key, of which `threshold` sign a card, and the home's key file none; without them it has
    the only one.

    Raises ConfigError for unusable values, OperatorError where a home or a key file is there already (`home-exists`,
    `home-unfinished`) or the folder cannot be made.

    The configuration is written last: a key without it is an unfinished initialisation or a lost configuration, and a
    person has to say which. A key is never overwritten.
    """
    text = render_config(name, url, listen, group)
    parse_config(tomllib.loads(text), text, "the new configuration")
    if (home / CONFIG_NAME).exists():
        raise OperatorError(
            f"{home} is a p2pshare home already", hint="choose another with --home", reason="home-exists"
        )
    if (home / KEY_FILE_NAME).exists():
        raise OperatorError(
            f"{home} holds a key file but no {CONFIG_NAME}",
            hint=f"put {CONFIG_NAME} back; or delete the folder if `init` was interrupted and nobody has its card",
            reason="home-unfinished",
        )
    for path in root_files:
        require_absent(path)
    if passphrase is not None:
        check_new_passphrase(passphrase)
    make_undumpable()
    identity = create_identity(
        name, [url] if url else [], now, roots=max(1, len(root_files)), threshold=threshold
    )
    try:
        if not home.is_dir():  # a folder that was there keeps the mode that somebody gave it
            home.mkdir(mode=HOME_MODE, parents=True)
            home.chmod(HOME_MODE)  # whatever the umask
    except OSError as error:
        raise OperatorError(
            f"cannot make {home}: {error.strerror}", hint="check the folder above it"
        ) from None
    for path, root in zip(root_files, identity.roots, strict=False):
        write_root_file(path, identity.partner_id, root, passphrase)
    if root_files:
        identity = replace(identity, roots=())
    write_key_file(home / KEY_FILE_NAME, identity, passphrase)
    write_card_file(home / CARD_FILE_NAME, identity.card)
    open_store(home / STORE_NAME).close()
    _write_durably(home / CONFIG_NAME, text)
    _hand_over(home)
    return identity


def _hand_over(home: Path) -> None:
    """Give what root made in a folder of another user to that user: its daemon could not read it else."""
    owner = home.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for name in (KEY_FILE_NAME, CARD_FILE_NAME, STORE_NAME, CONFIG_NAME):
        os.chown(home / name, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _write_durably(path: Path, text: str) -> None:
    with path.open("x") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
