"""`p2pshare export`: active indicators, in a format that other programs read."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem
from p2pshare.cli.output import open_output
from p2pshare.cli.session import open_store_for_reading
from p2pshare.exporters.registry import EXPORTERS, load_exporter


@click.command(cls=Command)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(EXPORTERS)),
    required=True,
    help="how to write them: " + "; ".join(f"{name}, {row.about}" for name, row in EXPORTERS.items()),
)
@click.option("--type", "type_", metavar="T", help="only this type: ipv4, domain, url, sha256, ...")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete_file,
    default=STANDARD_STREAM,
    help="write FILE at once when complete, not stdout; a folder where the format is one",
)
@click.pass_obj
def export(home: Path, format_name: str, type_: str | None, output: str) -> None:
    """write the active indicators to stdout or FILE; TLP:RED only when policy.siem_red says so"""
    from p2pshare.config import CONFIG_NAME, load_config
    from p2pshare.exporters.interface import FolderFormat, Selection
    from p2pshare.node.node import gate_settings
    from p2pshare.policy.gate import Exit, strictest

    _check_type(type_)
    settings = gate_settings(load_config(home / CONFIG_NAME))
    with open_store_for_reading(home) as store:
        now_us, tlp_max = time.time_ns() // 1000, strictest(Exit.SIEM, settings)
        selection = Selection(now_us, tlp_max, type_, store.partners.names())
        exporter = load_exporter(format_name)
        if isinstance(exporter, FolderFormat):
            _write_folder(exporter.render(store.knowledge, selection), exporter.stale, output)
        else:
            with open_output(output) as stream:
                for piece in exporter.render(store.knowledge, selection):
                    stream.write(piece)
    if output != STANDARD_STREAM:
        console.say(f"written to {console.shown(output)}")


def _write_folder(files: Iterable[tuple[str, bytes]], stale: re.Pattern[str], folder: str) -> None:
    """Write each file whole, in their order. Files of an earlier export (`stale`) that this one has not are removed at the
    end, for they may hold what was withdrawn. Raises UsageProblem for stdout, OperatorError."""
    if folder == STANDARD_STREAM:
        raise UsageProblem("this format is a folder", hint="give -o FOLDER")
    written = set()
    try:
        Path(os.path.realpath(folder)).mkdir(exist_ok=True)
        for name, content in files:
            with open_output(str(Path(folder) / name)) as stream:
                stream.write(content)
            written.add(name)
        for path in Path(folder).iterdir():
            if path.name not in written and stale.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise console.unwritable(folder, error) from None


def _check_type(type_: str | None) -> None:
    """Refuse a mistyped type: it would give an empty block list and the exit code of success. Raises UsageProblem."""
    from p2pshare.intel.observable import TYPES

    if type_ is not None and type_ not in TYPES:
        raise UsageProblem(f"there is no type '{type_}'", hint=f"one of {', '.join(sorted(TYPES))}")
