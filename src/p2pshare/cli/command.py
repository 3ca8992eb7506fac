"""Classes of all commands: `--home` is understood wherever it stands, a group without more shows its help, whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


def home_folder(option: str | None) -> Path:
    """Returns `--home`, else P2PSHARE_HOME, else p2pshare in the user's data folder (XDG base directories)."""
    chosen = option or os.environ.get("P2PSHARE_HOME", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else Path.home() / ".local" / "share") / "p2pshare"


def _choose_home(context: click.Context, _: click.Parameter, option: str | None) -> None:
    """Let the innermost `--home` win: a context begins with the home of the one around it."""
    if option or context.obj is None:
        context.obj = home_folder(option)


HOME_OPTION = click.Option(
    ["--home"],
    metavar="DIR",
    expose_value=False,
    callback=_choose_home,
    help="home folder; else P2PSHARE_HOME, else the user's data folder",
)


class Command(click.Command):
    """A command that understands `--home`; its function gets the folder by `click.pass_obj`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Returns the command's own parameters, `--home`, and click's `--help` at the end."""
        own = len(self.params)
        params = super().get_params(ctx)
        return [*params[:own], HOME_OPTION, *params[own:]]

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; what the audit log knows by the command itself is written down behind it."""
        from p2pshare.cli.audited_commands import AUDITED_COMMANDS, called, note_command

        row = None if isinstance(self, click.Group) else AUDITED_COMMANDS.get(called(ctx))
        if row is None:
            return super().invoke(ctx)
        try:
            answer = super().invoke(ctx)
        except BaseException as error:
            note_command(ctx, row, error, None)
            raise
        note_command(ctx, row, None, answer)
        return answer


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Add `--help` where no command is given: `p2pshare partner` asks what there is."""
        _, rest, _ = self.make_parser(ctx).parse_args(list(args))
        return super().parse_args(ctx, args if rest or self.invoke_without_command else [*args, "--help"])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its first paragraph, which click would cut at the width of a line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._about(ctx, name)) for name in self.list_commands(ctx)])

    def _about(self, ctx: click.Context, name: str) -> str:
        command: Any = self.get_command(ctx, name)
        return " ".join((command.help or "").partition("\n\n")[0].split())
