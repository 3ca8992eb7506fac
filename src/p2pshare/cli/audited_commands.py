"""Commands that are themselves what the audit log knows: what leaves the house as a file or on stdout, keys, and the risk inventory.

All that goes through an operation is written down there (`operations.audited`), where the daemon knows who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from p2pshare.audit_log import subject_of
from p2pshare.cli.noting_acts import note_act
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem
from p2pshare.errors import ShareError
from p2pshare.node.home import CONFIG_NAME


@dataclass(frozen=True)
class NotedCommand:
    """The word for what a command does. `ids` and `words`: its parameters that say to what (ids; words of this program). `unless_shown`: the
    parameter with the file; what goes to stdout instead was only looked at. `is_of_service`: it is done to the machine's service, and
    stands in the log of the service's home, whatever home the command was called with."""

    action: str
    ids: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    unless_shown: str = ""
    is_of_service: bool = False


AUDITED_COMMANDS = {
    "init": NotedCommand("init"),
    "backup": NotedCommand("backup"),
    "restore": NotedCommand("restore"),
    "service install": NotedCommand("service-install", is_of_service=True),
    "service uninstall": NotedCommand("service-uninstall", is_of_service=True),
    "service upgrade": NotedCommand("service-upgrade", is_of_service=True),
    "passphrase set": NotedCommand("keys-passphrase"),
    "card sign": NotedCommand("keys-sign"),
    "export": NotedCommand("export", words=("format_name", "type_")),
    "envelope export": NotedCommand("export", ids=("envelope_id",)),
    "space export": NotedCommand("export", ids=("space_id",)),
    "framework export": NotedCommand("export", ids=("space_id",)),
    "incident export": NotedCommand("export", ids=("incident_id",), words=("format_",)),
    "incident sitrep": NotedCommand("export", ids=("incident_id",)),
    "incident fetch": NotedCommand("export", ids=("incident_id",)),
    "lab export": NotedCommand("export", ids=("lab_id",), words=("format_",)),
    "lab fetch": NotedCommand("export", ids=("lab_id",)),
    "exercise report": NotedCommand("export", ids=("exercise_id",)),
    "playbook export": NotedCommand("export", words=("format_",)),
    "partner export": NotedCommand("export"),
    "support-bundle": NotedCommand("export"),
    "doctor proof": NotedCommand("export", words=("kind",)),
    "training report": NotedCommand("export", words=("format_name",), unless_shown="file"),
    "training take": NotedCommand("training-take"),
    "lab sample add": NotedCommand("lab-sample-add", ids=("lab_id",)),
    "lab sample remove": NotedCommand("lab-sample-remove", ids=("lab_id",)),
    "asset import": NotedCommand("asset-import"),
    "asset set": NotedCommand("asset-set"),
    "risk alias confirm": NotedCommand("risk-alias-confirm"),
    "risk alias reject": NotedCommand("risk-alias-reject"),
    "risk decide": NotedCommand("risk-decide"),
    "risk measure add": NotedCommand("risk-measure-add"),
    "risk measure verify": NotedCommand("risk-measure-verify", ids=("number",)),
    "risk source add": NotedCommand("risk-source-add", words=("kind",)),
    "risk vex import": NotedCommand("risk-vex-import"),
    "risk plan": NotedCommand("export", words=("format_name",), unless_shown="output"),
    "risk rank": NotedCommand("export", words=("format_name",), unless_shown="output"),
    "risk report": NotedCommand("export", unless_shown="output"),
}
"""By the words behind `p2pshare`."""


def called(context: click.Context) -> str:
    return context.command_path.partition(" ")[2]


def note_command(
    context: click.Context, row: NotedCommand, error: BaseException | None, answer: object
) -> None:
    """Write down what came of a command: `done`, `exit-N`, or the reason of the error that ended it. Nothing where it was called wrongly, where
    it only showed something (`--dry-run`), and where there is no home."""
    home, given = context.obj, context.params
    if row.is_of_service:
        from p2pshare.cli.installation import SERVICE_HOME

        home = SERVICE_HOME
    is_shown = bool(row.unless_shown) and given.get(row.unless_shown) in (None, STANDARD_STREAM)
    if isinstance(error, UsageProblem | click.ClickException) or is_shown or not _has_home(home):
        return
    if given.get("is_listing") or given.get("dry_run"):
        return
    result = f"exit-{answer}" if type(answer) is int and answer else "done"
    if error is not None:
        result = (
            error.reason
            if isinstance(error, ShareError)
            else "cut-off"
            if isinstance(error, OSError)
            else "ended"
        )
    subject = subject_of(
        [(key, given.get(key)) for key in row.ids],
        names=[(key.rstrip("_"), given.get(key)) for key in row.words],
    )
    note_act(home, row.action, subject, result)


def _has_home(home: Path) -> bool:
    try:
        return (home / CONFIG_NAME).is_file()
    except OSError:  # a folder of another user's: what was asked for was refused there
        return False
