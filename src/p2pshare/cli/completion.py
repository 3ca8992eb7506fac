"""Shell completion beyond commands, options and choices, which click knows by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_file(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Have the shell complete the name of a file or folder; for click it is a text like any other."""
    from click.shell_completion import CompletionItem

    shown = begun.encode(
        errors="replace"
    ).decode()  # what is no UTF-8 cannot be printed; bash and zsh go by the type
    return [CompletionItem(shown, type="file")]
