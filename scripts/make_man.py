"""Writes the man page and the shells' completions from the commands themselves; scripts/make-man explains it.

The man page says what `--help` says of each command, and has the introduction and the exit codes of docs/cli.md.
The completions are click's own: the shell asks the program, so they know each command that the program knows.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from p2pshare import __version__
from p2pshare.cli.program import program

TOP = Path(__file__).resolve().parent.parent
NAME = "p2pshare"
LINE_LENGTH = 65  # of the text; what is escaped is longer, and mandoc asks for less than 80
COMPLETIONS = {"bash": "p2pshare.bash", "zsh": "_p2pshare", "fish": "p2pshare.fish"}
ENVIRONMENT = {
    "P2PSHARE_HOME": "the home folder, where --home is not given",
    "P2PSHARE_PASSPHRASE_FILE": "a file whose first line is the passphrase of an encrypted key file",
    "P2PSHARE_TRACEBACK": "set: a bug of p2pshare shows the whole way there",
    "NO_COLOR": "set: neither colour nor moving lines, on a terminal either",
}
FILES = {
    "~/.local/share/p2pshare": "the home folder, where neither --home nor P2PSHARE_HOME says otherwise",
    "config.toml": "in the home folder: the configuration, each field with its explanation",
    "identity.p2pkey": "in the home folder: the private keys",
    "risk/risk.sqlite": "in the home folder: the own inventory and what was found of it; no daemon opens it",
    "store.sqlite": "in the home folder: what is held; any SQLite client may read its views",
}


def main(arguments: list[str]) -> int:
    wanted = {TOP / "docs" / f"{NAME}.1": man_page()}
    for shell, file in COMPLETIONS.items():
        wanted[TOP / "config" / "completions" / file] = completion(shell)
    if arguments == ["--check"]:
        stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
        for path in stale:
            print(f"{path.relative_to(TOP)} is not what the commands say; scripts/make-man writes it anew")
        return 1 if stale else 0
    for path, text in wanted.items():
        path.write_text(text)
    return 0


def completion(shell: str) -> str:
    """The script that `_P2PSHARE_COMPLETE=SHELL_source p2pshare` prints."""
    known = get_completion_class(shell)
    assert known is not None, shell
    return known(program, {}, NAME, f"_{NAME.upper()}_COMPLETE").source().strip() + "\n"


# --- the man page ---


def man_page() -> str:
    """The text of p2pshare(1), in the macros of man(7)."""
    top = click.Context(program, info_name=NAME, **program.context_settings)
    reference = (TOP / "docs" / "cli.md").read_text()
    sections = {
        "NAME": [roff(NAME) + " \\- " + roff(paragraphs(program)[0])],
        "SYNOPSIS": [usage(top)],
        "DESCRIPTION": spaced(introduction(reference)),
        "OPTIONS": options(top, program.get_params(top)),
        "COMMANDS": [line for one in commands(top) for line in about(one)],
        "EXIT STATUS": listed(exit_codes(reference)),
        "ENVIRONMENT": listed(ENVIRONMENT),
        "FILES": listed(FILES),
    }
    head = f'.\\" Written by scripts/make-man.\n.TH {NAME.upper()} 1 "" "{NAME} {__version__}"'
    return "\n".join([head, *(f".SH {name}\n" + "\n".join(lines) for name, lines in sections.items())]) + "\n"


def commands(parent: click.Context) -> Iterator[click.Context]:
    """Everything below `parent` that can be typed, in the order in which help lists it."""
    group = parent.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None, name
        context = click.Context(command, parent=parent, info_name=name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield context
        if isinstance(command, click.Group):
            yield from commands(context)


def about(context: click.Context) -> list[str]:
    """A command's heading, its usage, what it does, and its options."""
    name = context.command_path.removeprefix(f"{NAME} ")
    told = spaced(paragraphs(context.command))
    return [f".SS {roff(name)}", usage(context), ".PP", *told, *options(context, context.command.params)]


def usage(context: click.Context) -> str:
    words = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
    return f".B {roff(words)}"


def options(context: click.Context, parameters: list[click.Parameter]) -> list[str]:
    """Each option of `parameters` with its help: what all commands understand is in none's own."""
    own = [one for one in parameters if isinstance(one, click.Option)]
    return listed(dict(filter(None, (one.get_help_record(context) for one in own))))


def paragraphs(command: click.Command) -> list[str]:
    return [" ".join(part.split()) for part in (command.help or "").split("\n\n") if part.strip()]


def introduction(reference: str) -> list[str]:
    """What docs/cli.md says before its second heading, without Markdown's marks."""
    text = reference.partition("\n\n")[2].partition("\n## ")[0]
    return [" ".join(part.split()).replace("`", "") for part in text.split("\n\n")]


def exit_codes(reference: str) -> dict[str, str]:
    """What docs/cli.md says each exit code means."""
    return dict(re.findall(r"^\| (\d+) \| (.+) \|$", reference, re.MULTILINE))


def spaced(texts: list[str]) -> list[str]:
    """Paragraphs, and what parts them."""
    return [line for text in texts for line in (filled(text), ".PP")][:-1]


def listed(told: dict[str, str]) -> list[str]:
    """A tagged paragraph for each name and what is told of it."""
    return [line for name, text in told.items() for line in (".TP", f".B {roff(name)}", filled(text))]


def filled(text: str) -> str:
    lines = textwrap.wrap(text, LINE_LENGTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(roff, lines))


def roff(text: str) -> str:
    """One line that is shown as it stands: nothing in it is a request, an escape or a typographic quote."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    for character, name in (("'", "aq"), ("`", "ga"), ('"', "dq"), ("^", "ha"), ("~", "ti")):
        escaped = escaped.replace(character, f"\\({name}")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
