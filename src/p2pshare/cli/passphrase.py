"""`p2pshare passphrase`: what the key file is encrypted with."""

from __future__ import annotations

import getpass
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.errors import AuthorError

if TYPE_CHECKING:
    from p2pshare.envelope.keys import Secret


@click.group(cls=Group)
def passphrase() -> None:
    """encrypt the key file, or change its passphrase"""


@passphrase.command("set")
@click.option(
    "--new-file",
    metavar="FILE",
    shell_complete=complete_file,
    help="the new passphrase is the first line of FILE; else it is asked, on a terminal",
)
@json_option
@click.pass_obj
def set_passphrase(home: Path, new_file: str | None, as_json: bool) -> None:
    """encrypt the key file anew; the daemon must not run, and needs the new passphrase at its next start"""
    from p2pshare.cli.session import is_running
    from p2pshare.daemon.home_lock import wait_for_home
    from p2pshare.node.home import KEY_FILE_NAME, require_home
    from p2pshare.node.keyfile import (
        check_new_passphrase,
        find_passphrase,
        read_key_file,
        read_passphrase_file,
        write_keys,
    )

    path = require_home(home) / KEY_FILE_NAME
    if new_file is None and not console.can_ask():
        raise UsageProblem("passphrase set needs --new-file", hint="without a terminal nothing is asked")
    with wait_for_home(home, is_hopeless=partial(is_running, home)):  # a daemon may just write new keys
        material = read_key_file(path, find_passphrase(os.environ))
        secret = ask_new_passphrase() if new_file is None else read_passphrase_file(Path(new_file))
        check_new_passphrase(secret)
        write_keys(path, material, secret)
        read_key_file(path, secret)
    if as_json:
        console.print_json({"key_file_encrypted": True})
        return
    console.say(
        "the key file has the new passphrase; give it to the daemon through P2PSHARE_PASSPHRASE_FILE or the systemd"
        " credential 'passphrase'. Backups and copies of the old file still open with the old one"
    )


def ask_new_passphrase() -> Secret:
    """Ask for a passphrase twice, without showing it; returns it. Raises AuthorError when the two differ."""
    from p2pshare.envelope.keys import Secret

    first, second = (
        getpass.getpass(f"{question}: ", stream=sys.stderr) for question in ("new passphrase", "once more")
    )
    if first != second:
        raise AuthorError("the two are not the same", hint="nothing was changed", reason="passphrase-differs")
    return Secret(first.encode("utf-8", "surrogateescape"))
