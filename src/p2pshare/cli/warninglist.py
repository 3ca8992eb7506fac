"""`p2pshare warninglist`: lists of what is no indicator (MISP's format), imported, shown, asked and set.

An import ends when what is stored was evaluated under the new lists; a daemon goes on with that by itself when the
command is interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.lookup import typed_values
from p2pshare.cli.options import EXIT_PARTLY_DONE, UsageProblem, json_option, read_input
from p2pshare.cli.session import Session, ask, connect
from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.limits import WARNING_LIST_BYTES_MAX

if TYPE_CHECKING:
    from p2pshare.operations.warninglists import CheckedValue, ImportedList

LIST_FILE_NAME = "list.json"  # how MISP's repository calls each, in a folder of its own
ACTIONS = click.Choice(["block", "inform"])


@click.group(cls=Group)
def warninglist() -> None:
    """import, list, check and set warning lists"""


@warninglist.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="DIR|FILE ...", shell_complete=complete_file)
@click.option("--action", type=ACTIONS, help="what the lists do; else as before, and inform for a new one")
@json_option
@click.pass_obj
def import_lists(home: Path, sources: tuple[str, ...], action: str | None, as_json: bool) -> int:
    """take MISP warning lists in: FILE, or each list.json below DIR; a list replaces the one of its name"""
    from p2pshare.operations.warninglists import ImportList
    from p2pshare.warninglists.warning_lists import ListAction

    files = [file for source in sources for file in _files(source)]
    imported: list[ImportedList] = []
    failed: list[dict[str, str]] = []
    wanted = None if action is None else ListAction(action)
    with connect(home) as session, evaluating(session) as evaluated:
        for file in files:
            raw = read_input(str(file), WARNING_LIST_BYTES_MAX)
            try:
                imported.append(session.run(ImportList(raw, wanted)))
            except AuthorError as error:
                failed.append({"file": str(file), "reason": error.reason})
                console.warn(f"{file}: {error.message}")
    if as_json:
        console.print_json({"lists": imported, "failed": failed} | evaluated)
    else:
        _print_imported(imported, evaluated)
    if failed and not imported:
        raise AuthorError("no list was imported", hint="the reasons are above")
    return EXIT_PARTLY_DONE if failed or any(one.refused for one in imported) else 0


def _files(source: str) -> list[Path]:
    """Returns the file, or the lists below a folder. Raises UsageProblem for a folder without lists."""
    path = Path(source)
    if not path.is_dir():
        return [path]
    found = sorted(path.rglob(LIST_FILE_NAME))
    if not found:
        raise UsageProblem(f"no {LIST_FILE_NAME} below {source}", hint="give a list's file by its name")
    return found


@contextmanager
def evaluating(session: Session) -> Iterator[dict[str, int]]:
    """Yields, around a change of lists, a dictionary that tells afterwards how many observables were {quarantined,
    released}: the store is evaluated when the block ends, step by step. A daemon does the same meanwhile; its steps count
    as well."""
    from p2pshare.operations.warninglists import EvaluateAgain

    before = session.run(EvaluateAgain())
    evaluated: dict[str, int] = {}
    yield evaluated
    with console.ProgressLine() as line:
        while not (step := session.run(EvaluateAgain())).is_finished:
            line.show("evaluated", step.done, step.of)
    evaluated["quarantined"] = step.quarantined - before.quarantined
    evaluated["released"] = step.released - before.released


def print_evaluated(evaluated: Mapping[str, int]) -> None:
    console.say(f"in the store: {evaluated['quarantined']} quarantined, {evaluated['released']} released")


def _print_imported(imported: Iterable[ImportedList], evaluated: Mapping[str, int]) -> None:
    from msgspec.structs import asdict

    for one in imported:
        name = console.shown(one.name)
        console.print_counts(f"{name}: refused", map(asdict, one.refused))
        console.print_counts(f"{name}: note", map(asdict, one.notes))
        entries = f"{one.entries} {'entry' if one.entries == 1 else 'entries'}"
        console.print_result(f"{name}  version {one.version}  {entries}  {one.action}")
    print_evaluated(evaluated)


@warninglist.command("list")
@json_option
@click.pass_obj
def list_lists(home: Path, as_json: bool) -> None:
    """list the lists: what each does, how many entries it has, where it comes from"""
    from p2pshare.operations.warninglists import ListLists

    lists = ask(home, ListLists()).each
    if as_json:
        console.print_json(lists)
        return
    rows = ((one.name, one.version, one.entries, one.action, one.enabled, one.origin) for one in lists)
    console.print_table(("name", "version", "entries", "action", "enabled", "origin"), rows)


@warninglist.command("check")
@click.argument("values", nargs=-1, required=True, metavar="VALUE ...|-")
@json_option
@click.pass_obj
def check(home: Path, values: tuple[str, ...], as_json: bool) -> int:
    """tell which lists know a value, defanged or not; - reads stdin; exit code 3 when none does"""
    from p2pshare.operations.warninglists import CheckValues

    answers = ask(home, CheckValues(tuple(typed_values(values)))).each
    if as_json:
        console.print_json(answers)
    else:
        for answer in answers:
            _print_answer(answer)
    return 0 if any(answer.on for answer in answers) else NotFoundError.exit_code


def _print_answer(answer: CheckedValue) -> None:
    value = console.shown(answer.value)
    if not answer.on:
        known = "on no list" if answer.type else "no address, domain, hash or other known type"
        console.say(f"{value}: {known}")
    for hit in answer.on:
        listed = f"{console.shown(hit.list)}: {console.shown(hit.entry)}"
        console.print_result(f"{value}  {answer.type}  {hit.action}  {listed}")


@warninglist.command("set")
@click.argument("name")
@click.option("--action", type=ACTIONS, help="block: refuse and quarantine; inform: only tell")
@click.option("--enabled", type=click.Choice(["yes", "no"]), help="whether the list is asked at all")
@json_option
@click.pass_obj
def set_list(home: Path, name: str, action: str | None, enabled: str | None, as_json: bool) -> None:
    """say what the list called NAME does; what is stored is evaluated again"""
    if action is None and enabled is None:
        raise UsageProblem("nothing to set", hint="give --action or --enabled")
    from msgspec.structs import asdict

    from p2pshare.operations.warninglists import SetList
    from p2pshare.warninglists.warning_lists import ListAction

    does = None if action is None else ListAction(action)
    wanted = SetList(name, does, None if enabled is None else enabled == "yes")
    with connect(home) as session, evaluating(session) as evaluated:
        changed = session.run(wanted)
    if as_json:
        console.print_json(asdict(changed) | evaluated)
        return
    state = changed.action if changed.enabled else "not asked"
    console.print_result(f"{console.shown(changed.name)}  {state}")
    print_evaluated(evaluated)
