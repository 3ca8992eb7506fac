"""`p2pshare risk`: what partners' words mean for our own assets. Each command is a file beside this one, and a line here."""

from __future__ import annotations

import click

from p2pshare.cli.command import Group
from p2pshare.cli.risk.alias import alias
from p2pshare.cli.risk.board_report import report
from p2pshare.cli.risk.decide import decide
from p2pshare.cli.risk.diff import diff
from p2pshare.cli.risk.exposure import exposure
from p2pshare.cli.risk.measure import measure
from p2pshare.cli.risk.plan import plan
from p2pshare.cli.risk.rank import rank
from p2pshare.cli.risk.source import source
from p2pshare.cli.risk.vex import vex
from p2pshare.cli.risk.worker import worker


@click.group(cls=Group)
def risk() -> None:
    """hold what partners and catalogues say against our own assets; it stays here, but for `exposure --share`"""


for command in (source, rank, alias, vex, decide, measure, plan, diff, report, exposure, worker):
    risk.add_command(command)
