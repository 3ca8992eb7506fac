"""`p2pshare backup`: all of a home that cannot be made again, in one encrypted file, while the daemon runs."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.as_owner import as_owner
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem, json_option
from p2pshare.cli.output import OWN_MODE, open_output
from p2pshare.errors import AuthorError, OperatorError
from p2pshare.limits import MIB

if TYPE_CHECKING:
    from p2pshare.envelope.keys import Secret


@click.command(cls=Command)
@click.argument("file", shell_complete=complete_file)
@click.option(
    "--passphrase-file",
    metavar="FILE",
    shell_complete=complete_file,
    help="encrypt the backup with the first line of FILE; without it and --recipient it is asked, on a terminal",
)
@click.option(
    "--recipient",
    "recipients",
    metavar="age1...",
    multiple=True,
    help="encrypt it to a recipient of age instead, whose identity then opens it; may be repeated, each opens it",
)
@click.option("--with-risk", is_flag=True, help="take the risk inventory along, which is in no backup else")
@click.option("--force", is_flag=True, help="replace FILE where it is there")
@json_option
@click.pass_obj
def backup(
    home: Path,
    file: str,
    passphrase_file: str | None,
    recipients: tuple[str, ...],
    with_risk: bool,
    force: bool,
    as_json: bool,
) -> None:
    """write an encrypted backup of the home folder to FILE, or to stdout for -

    The daemon may run. In it are the store, keys, card, configuration, warning lists, spaces, exercises and all else of the home; not what
    waits to be published. `age -d FILE | tar x` takes it apart without p2pshare; `p2pshare restore FILE` makes a home of it.
    """
    from p2pshare.envelope.age_format import RECIPIENTS_MAX, parse_recipient
    from p2pshare.intel.instants import SECOND_US, format_instant
    from p2pshare.node.backup import write_backup
    from p2pshare.node.home import require_home
    from p2pshare.node.undumpable import make_undumpable

    make_undumpable()  # the key file passes through this process
    require_home(home)
    if recipients and passphrase_file is not None:
        raise UsageProblem(
            "a backup is for a passphrase, or for recipients",
            hint="age has no file that is for both: make two",
        )
    if len(recipients) > RECIPIENTS_MAX:
        raise UsageProblem(f"more than {RECIPIENTS_MAX} recipients")
    keys = [parse_recipient(one) for one in dict.fromkeys(recipients)]
    _require_place(file, force=force)
    secret = None if keys else _new_passphrase(passphrase_file)
    now, written = int(time.time()), 0
    with console.ProgressLine() as line, open_output(file, mode=OWN_MODE) as stream:

        def put(raw: bytes) -> None:
            nonlocal written
            try:
                stream.write(raw)
            except OSError as error:
                raise console.unwritable(file, error) from None
            written += len(raw)

        with as_owner(home):
            manifest = write_backup(
                home,
                put,
                now=now,
                progress=line.show,
                recipients=keys,
                passphrase=secret,
                with_risk=with_risk,
            )
    if force:
        _close(file)
    for left in manifest.left_out:
        console.say(f"not in it: {console.shown(left)}")
    if file == STANDARD_STREAM:
        return
    described = {
        "file": file,
        "bytes": written,
        "created": format_instant(now * SECOND_US),
        "partner_id": manifest.partner_id,
    }
    if as_json:
        console.print_json(described)
        return
    console.print_result(f"{console.shown(file)}  {written / MIB:.1f} MiB  {manifest.partner_id}")
    console.say(
        "whoever opens it has this node's keys: keep it away from this machine, and "
        + ("the identity of a recipient" if keys else "its passphrase")
        + " away from it; `p2pshare restore FILE` makes a home of it"
    )


def _require_place(file: str, *, force: bool) -> None:
    """Refuse what would be lost, and what nobody could read. Raises UsageProblem, OperatorError `backup-exists`."""
    if file == STANDARD_STREAM:
        if sys.stdout.isatty():
            raise UsageProblem(
                "a backup is no text", hint="name a file, or pass it on: `p2pshare backup - | ...`"
            )
        return
    if not force and os.path.isfile(file):
        raise OperatorError(
            f"{file} is there already",
            hint="name another file, or replace it with --force",
            reason="backup-exists",
        )


def _close(file: str) -> None:
    """A file that was replaced has kept its mode, which may have let others read it."""
    if file != STANDARD_STREAM and stat.S_ISREG(os.stat(file).st_mode):
        os.chmod(file, OWN_MODE)


def _new_passphrase(file: str | None) -> Secret:
    from p2pshare.cli.passphrase import ask_new_passphrase
    from p2pshare.node.keyfile import check_new_passphrase, read_passphrase_file

    if file is None and not console.can_ask():
        raise UsageProblem(
            "backup needs --passphrase-file or --recipient", hint="without a terminal nothing is asked"
        )
    secret = ask_new_passphrase() if file is None else read_passphrase_file(Path(file))
    if not secret.reveal():
        raise AuthorError("the passphrase is empty", reason="passphrase-weak")
    check_new_passphrase(secret)
    return secret
