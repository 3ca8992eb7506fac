"""`p2pshare config`: the config file, checked before the daemon meets it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import json_option


@click.group(cls=Group)
def config() -> None:
    """check the config file"""


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
