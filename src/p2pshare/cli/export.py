"""`p2pshare export`: active indicators, in a format that other programs read."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem
from p2pshare.cli.output import lines_there, open_output
from p2pshare.cli.session import open_store_for_reading
from p2pshare.errors import OperatorError
from p2pshare.exporters.registry import EXPORTERS, load_exporter

SHRINK_FACTOR_MAX = (
    2  # a list with less than half the lines of the one before is more often a fault than news
)


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
@click.option(
    "--allow-empty", is_flag=True, help="of a list: let an empty one take the place of one that is not"
)
@click.option(
    "--allow-shrink", is_flag=True, help="of a list: let one take the place of one more than twice as long"
)
@click.pass_obj
def export(
    home: Path, format_name: str, type_: str | None, output: str, allow_empty: bool, allow_shrink: bool
) -> None:
    """write the active indicators to stdout or FILE; TLP:RED only when policy.siem_red says so"""
    from p2pshare.config import load_config
    from p2pshare.exporters.interface import FolderFormat, Selection
    from p2pshare.node.home import CONFIG_NAME
    from p2pshare.node.node import gate_settings
    from p2pshare.policy.gate import Exit, strictest

    _check_type(type_)
    exporter = load_exporter(format_name)
    is_for_blocking = not isinstance(exporter, FolderFormat) and exporter.is_for_blocking
    if (allow_empty or allow_shrink) and not is_for_blocking:
        raise UsageProblem("only a list for blocking is kept from shrinking", hint="leave --allow-... out")
    settings = gate_settings(load_config(home / CONFIG_NAME))
    with open_store_for_reading(home) as store:
        now_us, tlp_max = time.time_ns() // 1000, strictest(Exit.SIEM, settings)
        selection = Selection(now_us, tlp_max, type_, store.partners.names())
        if isinstance(exporter, FolderFormat):
            _write_folder(exporter.render(store.knowledge, selection), exporter.stale, output)
        else:
            pieces = exporter.render(store.knowledge, selection)
            if is_for_blocking:
                pieces = _not_shrunk(pieces, output, allow_empty=allow_empty, allow_shrink=allow_shrink)
            with open_output(output) as stream:
                for piece in pieces:
                    stream.write(piece)
    if output != STANDARD_STREAM:
        console.say(f"written to {console.shown(output)}")


def _not_shrunk(
    pieces: Iterator[bytes], output: str, *, allow_empty: bool, allow_shrink: bool
) -> Iterator[bytes]:
    """Yields `pieces`, and raises OperatorError at their end where the list in the file `output` would lose more than a
    fault may cost: what a firewall blocks by must not vanish because a store was new, or a date was wrong."""
    before, after = lines_there(output), 0
    for piece in pieces:
        after += piece.count(b"\n")
        yield piece
    if after == 0 and before and not allow_empty:
        raise OperatorError(
            f"the new list is empty, the one in {output} has {console.counted(before, 'line')}: it was kept",
            hint="look at `p2pshare status`; --allow-empty writes the empty one",
            reason="empty-list",
        )
    if after > 0 and after * SHRINK_FACTOR_MAX < before and not allow_shrink:
        raise OperatorError(
            f"the new list has {console.counted(after, 'line')}, the one in {output} has {before}: it was kept",
            hint="look at `p2pshare status`; --allow-shrink writes the shorter one",
            reason="shrunken-list",
        )


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
