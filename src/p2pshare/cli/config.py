"""`p2pshare config`: the config file, checked before the daemon meets it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import json_option
from p2pshare.cli.session import ask, is_running
from p2pshare.errors import DaemonUnreachable


@click.group(cls=Group)
def config() -> None:
    """check the config file, and have the daemon take it anew"""


@config.command("check")
@json_option
@click.pass_obj
def check_config(home: Path, as_json: bool) -> None:
    """read the config file and name the first mistake, with file, line and mend"""
    from p2pshare.config import load_config
    from p2pshare.node.home import CONFIG_NAME

    path = home / CONFIG_NAME
    loaded = load_config(path)
    if as_json:
        console.print_json({"file": str(path), "config": dataclasses.asdict(loaded)})
        return
    console.print_result(f"{console.shown(path)} is good")
    if (address := loaded.listen_address) is None:
        console.say(f"{console.shown(loaded.name)}, listening nowhere: it dials its partners")
        return
    host, port = address
    console.say(
        f"{console.shown(loaded.name)} at {console.shown(loaded.url)}, listening on {console.shown(host)} port {port}"
    )


@config.command("reload")
@json_option
@click.pass_obj
def reload_config(home: Path, as_json: bool) -> None:
    """have the running daemon take the config file anew, and wait for it: one that is wrong is named, and the old one stays"""
    from p2pshare.operations.config_reloading import ReloadConfig

    if not is_running(home):
        raise DaemonUnreachable(
            "no daemon runs that could take the config anew",
            hint="`p2pshare config check` reads it without one",
        )
    answer = ask(home, ReloadConfig())
    for name in answer.needs_restart:
        console.warn(f"'{name}' was changed: it holds from the daemon's next start on")
    if as_json:
        console.print_json(answer)
    else:
        console.print_result("the daemon has taken the config anew")
