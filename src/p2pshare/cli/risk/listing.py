"""A list of findings or of work, on the terminal or written as JSON, CSV or a page: what `risk rank` and `risk plan` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from p2pshare.cli import console
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM
from p2pshare.cli.output import write_output
from p2pshare.cli.risk import pages

FORMATS = ("table", "json", "csv", "html")

F = TypeVar("F", bound=Callable[..., Any])


def format_options(function: F) -> F:
    """Give a command `--format` and `-o`."""
    for option in (
        click.option(
            "-o",
            "output",
            metavar="FILE",
            default=STANDARD_STREAM,
            help="write to FILE; else stdout",
            shell_complete=complete_file,
        ),
        click.option(
            "--format",
            "format_name",
            type=click.Choice(FORMATS),
            default="table",
            show_default=True,
            help="how it is written",
        ),
    ):
        function = option(function)
    return function


def write_listing(
    found: Sequence[dict[str, Any]],
    format_name: str,
    output: str,
    *,
    columns: Sequence[str],
    cells_of: Callable[[dict[str, Any]], Sequence[object]],
    title: str,
    parts: Callable[[Sequence[dict[str, Any]]], Iterable[str]],
) -> bool:
    """Write a list in its format; returns False for a table, which its command prints."""
    if format_name == "json" and output == STANDARD_STREAM:
        console.print_json(found)
    elif format_name == "json":
        write_output(output, console.json_text(found).encode())
    elif format_name == "csv":
        write_output(output, pages.csv_text(columns, map(cells_of, found)).encode())
    elif format_name == "html":
        write_output(output, pages.page(title, parts(found)).encode())
    return format_name != "table"
