"""Documentation cannot drift: every command, option, exit code, config field and README command is compared."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from msgspec import NODEFAULT, inspect

from p2pshare import errors
from p2pshare.cli.incident import incident
from p2pshare.cli.lab import lab
from p2pshare.cli.options import EXIT_PARTLY_DONE, UsageProblem
from p2pshare.cli.program import EXIT_INTERRUPTED, program
from p2pshare.cli.space_verbs import VERBS, SpaceGroup
from p2pshare.config import field_explanations, parse_config
from p2pshare.operations.table import OPERATIONS

SHELL_COMMENT = re.compile(r"\s+#.*$")


def commands() -> dict[str, click.Command]:
    """`card show` -> its command, for everything that can be typed, however deep; but the verbs of all spaces under `space` alone."""
    found: dict[str, click.Command] = {}

    def walk(group: click.Group, words: tuple[str, ...]) -> None:
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            assert command is not None
            if isinstance(group, SpaceGroup) and group.only and command in VERBS:
                continue
            if not isinstance(command, click.Group) or command.invoke_without_command:
                found[" ".join((*words, name))] = command
            if isinstance(command, click.Group):
                walk(command, (*words, name))

    walk(program, ())
    return found


def below(name: str, command: click.Command) -> dict[str, click.Command]:
    if not isinstance(command, click.Group):
        return {name: command}
    own = {name: command} if command.invoke_without_command else {}
    for inner in command.commands:
        own |= below(f"{name} {inner}", command.commands[inner])
    return own


def headings(repository: Path) -> dict[str, str]:
    """Of docs/cli.md: command -> its usage line."""
    lines = re.findall(r"^### `p2pshare (.+)`$", (repository / "docs" / "cli.md").read_text(), re.MULTILINE)
    names = sorted(commands(), key=len, reverse=True)
    return {next(name for name in names if line.startswith(name)): line for line in lines}


def test_docs_cli_has_every_command_and_no_other(repository: Path) -> None:
    assert set(headings(repository)) == set(commands())


@pytest.mark.parametrize("name", commands())
def test_docs_cli_shows_every_option_of_a_command_and_no_other(name: str, repository: Path) -> None:
    options = {
        option
        for parameter in commands()[name].params
        if isinstance(parameter, click.Option)
        for option in parameter.opts[:1]
    }
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", headings(repository)[name])) == options


@pytest.mark.parametrize("name", ["publish", "export"])
def test_docs_cli_shows_every_format(name: str, repository: Path) -> None:
    [choice] = [one.type for one in commands()[name].params if one.name == "format_name"]
    assert isinstance(choice, click.Choice)
    assert f"--format {'|'.join(choice.choices)}" in headings(repository)[name]


def test_docs_cli_has_every_operation_with_its_fields_and_no_other(repository: Path) -> None:
    """The table of the control socket: `?` is a field that may be left out."""
    text = (repository / "docs" / "cli.md").read_text().partition("## The control socket")[2]
    told = re.findall(r"^\| `([a-z-]+)` \| (yes )?\| ?(.*?) \|$", text, re.MULTILINE)
    assert [name for name, _, _ in told] == list(OPERATIONS)
    for name, reads, fields in told:
        operation = OPERATIONS[name]
        info = inspect.type_info(operation.request)
        assert isinstance(info, inspect.StructType)
        optional = {one.encode_name: one.default is not NODEFAULT for one in info.fields}
        assert bool(reads) == operation.reads_only, name
        assert fields == ", ".join(f"{one}{'?' * optional[one]}" for one in optional), name


def test_docs_cli_has_every_exit_code(repository: Path) -> None:
    text = (repository / "docs" / "cli.md").read_text()
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    raised = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ShareError)
    }
    assert told == raised | {0, UsageProblem.exit_code, EXIT_PARTLY_DONE, EXIT_INTERRUPTED}


def test_config_example_has_every_field_with_its_explanation_and_is_good(repository: Path) -> None:
    path = repository / "config" / "example.toml"
    text = path.read_text()
    parse_config(tomllib.loads(text), text, str(path))
    plain = re.sub(r"^# ", "", text, flags=re.MULTILINE)
    for key, (_, explanation) in field_explanations().items():
        assert re.search(rf"^(\[{key}\]|{key.rpartition('.')[2]} = )", text, re.MULTILINE), key
        assert explanation in plain, key


def readme_commands(repository: Path) -> list[str]:
    """Lines of the README's code blocks that start with p2pshare or ./scripts, and commands in its text."""
    text = (repository / "README.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)
    return [SHELL_COMMENT.sub("", line) for line in lines if line.startswith(("p2pshare ", "./scripts/"))]


def test_readme_shows_commands_that_exist(repository: Path) -> None:
    shown = readme_commands(repository)
    assert any(line.startswith("p2pshare ") for line in shown)
    for line in shown:
        words = shlex.split(line.partition(" < ")[0])
        if words[0] == "p2pshare":
            check_typed(words[1:])
        else:
            assert (repository / words[0]).is_file(), line


def test_the_page_on_working_together_shows_commands_that_exist(repository: Path) -> None:
    """Each line of its blocks, and each verb of a space in one of them or in its text."""
    text = (repository / "docs" / "working-together.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) > 15 and all(line.startswith("p2pshare ") for line in lines)
    for line in lines:
        check_typed(shlex.split(line)[1:])
    shown = set(re.findall(r"(?:p2pshare space |`)([a-z]+)\b", text))
    assert {name.removeprefix("space ") for name in commands() if name.startswith("space ")} <= shown


def check_typed(words: list[str], parent: click.Context | None = None) -> None:
    """Parses a command line as click would, without running it."""
    if (
        words[0] in ("incident", "lab")
        and " ".join(words[:2]) not in commands()
        and words[1] in {one.name for one in VERBS}
    ):
        words = ["space", *words[1:]]  # a verb of all spaces
    name = next(name for count in (3, 2, 1) if (name := " ".join(words[:count])) in commands())
    command = commands()[name]
    with command.make_context(name, words[len(name.split()) :], parent=parent):
        pass


def test_readme_links_lead_somewhere(repository: Path) -> None:
    for page in ("README.md", "docs/cli.md"):
        path = repository / page
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{page}: {target}"


def test_readme_shows_what_the_demo_says(repository: Path) -> None:
    """The story's titles and the commands between them, in the demo's order."""
    text = (repository / "README.md").read_text()
    shown = text.partition("# alpha publishes")[2].partition("```")[0]
    titles = re.findall(r"^# (.+)$", "# alpha publishes" + shown, re.MULTILINE)
    source = (repository / "scripts" / "demos" / "sharing.py").read_text()
    told = re.findall(r'title\("([^"]+)"\)', source)
    assert titles == told[-len(titles) :]
    assert len(titles) >= 5


@pytest.mark.parametrize(
    ("name", "story"),
    [("risk.md", "risk.py"), ("incident-response.md", "incident.py"), ("detection-labs.md", "lab.py")],
)
def test_a_page_shows_what_its_demo_says(
    repository: Path, name: str, story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Titles of the story in their order, and commands that can be typed."""
    page = (
        (repository / "docs" / name).read_text().partition("## What it looks like")[2].partition("\n## ")[0]
    )
    told = re.findall(r'title\(\s*"([^"]+)"', (repository / "scripts" / "demos" / story).read_text())
    shown = re.findall(r"^# (.+)$", page, re.MULTILINE)
    assert len(shown) >= 5 and [title for title in told if title in shown] == shown
    for group in (incident, lab):
        monkeypatch.setattr(group, "choose", lambda _: "3f9ac2")  # as where one is open
    parent = click.Context(incident, obj=repository)
    typed = re.findall(r"^\$ p2pshare --home demo-home/\w+ (.+)$", page, re.MULTILINE)
    assert len(typed) > 10
    for line in typed:
        check_typed(shlex.split(line), parent)


@pytest.mark.parametrize(("name", "tenths"), [("p2pshare.service", 12), ("p2pshare-risk.service", 2)])
def test_systemd_unit_keeps_its_sandbox(name: str, tenths: int, repository: Path) -> None:
    """`systemd-analyze security` rates the exposure in tenths; 12 is 1.2 (docs/operations/audit.md has why not 1.1)."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("skipped: systemd-analyze not installed")
    unit = repository / "config" / name
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={tenths}",
        "--no-pager",
        str(unit),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("name", ["p2pshare.service", "p2pshare-risk.service"])
def test_the_unit_leaves_no_core_file(name: str, repository: Path) -> None:
    assert "\nLimitCORE=0\n" in (repository / "config" / name).read_text()


def test_the_unit_of_the_worker_has_no_network_and_that_of_the_daemon_neither_inventory_nor_samples(
    repository: Path,
) -> None:
    worker = (repository / "config" / "p2pshare-risk.service").read_text().splitlines()
    assert {
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=none",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
    } <= set(worker)
    daemon = (repository / "config" / "p2pshare.service").read_text().splitlines()
    for hidden in ("risk", "samples"):
        assert f"InaccessiblePaths=-/var/lib/p2pshare/{hidden}" in daemon


def test_demo_data_is_what_its_generator_writes(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(repository / "scripts" / "make-demo-data"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_man_page_and_completions_are_what_the_commands_say(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(repository / "scripts" / "make_man.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_man_page_is_good_roff_and_shows_every_command_and_option(repository: Path) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("skipped: mandoc not installed")
    page = str(repository / "docs" / "p2pshare.1")
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
    # it has no date, which would be another at each writing
    assert [line for line in lint.stdout.splitlines() if "missing date" not in line] == []
    text = subprocess.run(["mandoc", "-T", "ascii", page], capture_output=True, text=True, check=True).stdout
    shown = " ".join(re.sub(r".\x08", "", text).split())
    for name, command in commands().items():
        assert f"p2pshare {name} [OPTIONS]" in shown, name
        for option in (one for one in command.params if isinstance(one, click.Option)):
            assert re.search(rf" {option.opts[0]}[ ,]", shown), f"{name} {option.opts[0]}"
            assert " ".join((option.help or "").split()) in shown, f"{name} {option.opts[0]}"


def test_man_page_has_every_variable_that_the_program_reads(repository: Path) -> None:
    sources = "".join(path.read_text() for path in (repository / "src").rglob("*.py"))
    read = set(re.findall(r"\bP2PSHARE_[A-Z_]+|\bNO_COLOR\b", sources))
    page = (repository / "docs" / "p2pshare.1").read_text()
    assert read <= set(re.findall(r"^\.B ([A-Z0-9_]+)$", page, re.MULTILINE))
    assert len(read) > 2


def test_a_shell_completes_every_file_that_a_command_takes() -> None:
    for name, command in commands().items():
        context = click.Context(command)
        for parameter in command.params:
            shown = parameter.make_metavar(context)
            offered = {item.type for item in parameter.shell_complete(context, "ioc")}
            assert ("file" in offered) == bool(re.search(r"\b(FILE|DIR)\b", shown)), f"{name} {shown}"
