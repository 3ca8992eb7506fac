"""`p2pshare run`: the daemon, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli.command import Command


@click.command(cls=Command)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="how much to log to stderr, whatever `log.level` in the config says",
)
@click.pass_obj
def run(home: Path, log_level: str | None) -> None:
    """run the daemon in the foreground; SIGTERM ends it clean, SIGHUP reloads the config"""
    from p2pshare.daemon.run import run_daemon

    run_daemon(home, log_level)
