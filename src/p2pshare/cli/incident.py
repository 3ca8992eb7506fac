"""`p2pshare incident`: several organisations work one case. The verbs of every space under their own word, and those of incidents."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from p2pshare.cli import console
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import (
    STANDARD_STREAM,
    UsageProblem,
    json_option,
    owner_output_option,
    read_input,
    required_output_option,
)
from p2pshare.cli.output import OWN_MODE, open_output
from p2pshare.cli.session import open_store_for_reading, read_or_ask
from p2pshare.cli.space_verbs import (
    SpaceSubgroup,
    answer,
    confirm,
    only_one_open,
    say_links,
    space_group,
    write,
)
from p2pshare.errors import AuthorError, NotFoundError, OperatorError, RefusedError

if TYPE_CHECKING:
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.incidents import IncidentFile, IncidentShown
    from p2pshare.operations.publishing import Part
    from p2pshare.operations.spaces import SpaceWritten
    from p2pshare.spaces.incident_entries import IncidentBody

_Made = TypeVar("_Made")

EXPORT_FORMATS = ("stix", "markdown", "html", "csv", "veris")
DUTY_EVENTS_HELP = "`aware` and `classify` have words of their own"
READ_SUFFIXES = frozenset(
    {".csv", ".json", ".list", ".pdf", ".tsv", ".txt", ".xml", ".yaml", ".yar", ".yara", ".yml"}
)
"""Of files that `publish` reads: a name that ends so and is no file here is a slip, hardly a value."""
OPEN_OUTCOMES = ("pending", "ongoing", "unknown")
VOID_SHOWN_MAX = 20  # entries without effect, the last; --json has them all


def _print_state(output: Mapping[str, Any], called: Callable[[str | None], str]) -> None:
    """Print what an incident comes to, for `space show`."""
    state = output["state"]
    console.print_fields(
        {
            "status": state["status"],
            "determination": state["determination"] or "not yet",
            "late": len(state["late"]),
            "tasks": len(state["tasks"]),
        }
    )


incident = space_group(
    "incident",
    "incident",
    {"incident": _print_state},
    "work one case with partners: open, tell, share tasks, hand over, close",
)


# --- what verbs share --------------------------------------------------------------------------------


def _only_open(home: Path) -> str:
    """Returns the only incident that is open and in which we may write, as `only_one_open`."""
    from p2pshare.operations.incidents import ListIncidents

    listed = read_or_ask(home, ListIncidents()).each
    return only_one_open(
        "incident",
        [
            (one.incident, one.title)
            for one in listed
            if one.status in ("new", "open") and one.role in ("lead", "joined")
        ],
    )


incident.choose = _only_open
incident.is_played = True


def _look(home: Path, incident_id: str) -> dict[str, Any]:
    return _told(home, _shown(home, incident_id))


def _shown(home: Path, incident_id: str, *, by_graph: bool = False) -> IncidentShown:
    from p2pshare.operations.incidents import ShowIncident

    return read_or_ask(home, ShowIncident(incident_id, by_graph))


def _told(home: Path, found: IncidentShown) -> dict[str, Any]:
    """Returns what `show --json` prints: with the duties, by the templates of this home."""
    from p2pshare.operations.incidents import duties_in

    told: dict[str, Any] = json.loads(found.shown)
    return told | {"duties": duties_in(json.loads(found.canonical), home, int(time.time()))}


def _say(
    home: Path,
    incident_id: str,
    kind: str,
    body: IncidentBody | bytes,
    text: str,
    *,
    as_json: bool,
    tlp: str | None = None,
    to: Sequence[str] = (),
    is_one: bool = True,
) -> SpaceWritten:
    """Write an entry, and print what became of it; as JSON only where it `is_one`, and not one of several."""
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.incidents import AskFirstWord, SayInIncident
    from p2pshare.spaces.incident_entries import encode_incident

    first = read_or_ask(home, AskFirstWord(incident_id))
    if first.is_first and not as_json:
        readers = ", ".join(to or first.members) or "nobody yet"
        console.say(
            f"the first that we write in it: {console.shown(readers)} will read it, {tlp or first.tlp} or stricter"
        )
    content = body if isinstance(body, bytes) else encode_incident(body)
    level = None if tlp is None else Tlp.parse(tlp)
    written = write(home, SayInIncident(incident_id, kind, content, level, tuple(to)))  # type: ignore[arg-type]
    if is_one or not as_json:
        answer(written, f"{written.entry}  {text}", as_json=as_json)
    return written


def _id(function: Any) -> Any:
    return click.argument("incident_id", metavar="ID")(function)


def _text_option(about: str) -> Callable[[Any], Any]:
    return click.option("--text", metavar="TEXT", default="", help=about)


def _audience_options(function: Any) -> Any:
    function = click.option(
        "--to", "to", metavar="NAME", multiple=True, help="a member who alone may read it; repeat it"
    )(function)
    return click.option("--tlp", metavar="LEVEL", help="marked more strictly than the incident")(function)


def _instant(text: str | None, zone: str = "") -> int:
    """Returns a time that a person wrote, in unix seconds; 0 for none. Raises UsageProblem."""
    from p2pshare.intel.duty_templates import read_time

    if text is None:
        return 0
    at = read_time(text, zone)
    if at is None:
        raise UsageProblem(
            f"'{console.shown(text)}' is no time that can be told",
            hint="write 2027-02-12T09:00:00Z, or with an offset; without one say --zone, where clocks do not go back just then",
        )
    return at


def _member(shown: Mapping[str, Any], name: str) -> Any:
    """Returns the partner id of a member by its name here, or the beginning of its id. Raises NotFoundError, UsageProblem."""
    from p2pshare.identifiers import PartnerId

    members = shown["members"]
    found = [one for one in members if one["name"] == name] or [
        one for one in members if len(name) >= 6 and one["partner_id"].startswith(name.lower())
    ]
    if not found:
        raise NotFoundError(f"no member is called {console.shown(name)}", hint="see `p2pshare incident show`")
    if len(found) > 1:
        raise UsageProblem(f"several members are called {console.shown(name)}", hint="give more of its id")
    return PartnerId.parse(found[0]["partner_id"])


def _entry(digits: str, ids: Iterable[str], what: str) -> Any:
    from p2pshare.operations.incidents import entry_named

    return entry_named(digits, list(ids), what)


def _types(values: Iterable[str]) -> tuple[str, ...]:
    from p2pshare.intel.incident_words import as_word

    found = tuple(sorted({as_word(one) for one in values}))
    if "" in found:
        raise UsageProblem("a type is a word: lower-case letters, digits and hyphens")
    return found


# --- open, list, show --------------------------------------------------------------------------------


@incident.command("open")
@click.option("--title", metavar="TITLE", required=True, help="what all members read above it")
@click.option(
    "--type",
    "types",
    metavar="TYPE",
    multiple=True,
    required=True,
    help="ransomware, phishing, ...; repeat it",
)
@click.option(
    "--tlp", metavar="LEVEL", required=True, help="what is written in it is marked so, or more strictly"
)
@click.option("--invite", "names", metavar="NAME", multiple=True, help="a partner's alias or id; repeat it")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def open_(
    home: Path, title: str, types: tuple[str, ...], tlp: str, names: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    """open an incident with the partners that are named"""
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.incidents import OpenIncident
    from p2pshare.operations.spaces import PreviewMembers

    level = Tlp.parse(tlp)

    def tell() -> None:
        console.say(f"names as members, besides you: {', '.join(map(console.shown, names)) or 'nobody'}")
        console.say(
            f"they read all that is written in it, but what names its readers; everything is {level.label} or stricter"
        )
        say_links(read_or_ask(home, PreviewMembers(names)), "its members")

    confirm("who is named stays named: open?", yes=yes, tell=tell)
    named = _types(types)
    opened = write(home, OpenIncident(title, named, level, names))
    answer(opened, f"{opened.incident}  opened", as_json=as_json)
    _offer(home, opened.incident, named)


def _offer(home: Path, incident_id: str, types: tuple[str, ...]) -> None:
    """Say which playbook of our frameworks answers it, and how it stands."""
    from p2pshare.operations.frameworks import FindAnswers

    if console.chosen_exercise():
        return  # playbooks are real
    try:
        found = read_or_ask(home, FindAnswers(types)).each
    except OperatorError as error:  # without the extra: the incident is open all the same
        console.warn(f"whether a playbook answers it is not known: {error.message}")
        return
    for one in found:
        about = f"{console.shown(one.name)}, version {one.version or 'none'}"
        call = f"`p2pshare framework react {incident_id[:10]} --playbook {one.playbook.removeprefix('playbook--')[:8]}`"
        if one.state == "ready":
            console.say(f"a playbook answers it: {about}: {call}")
        elif one.state == "not-adopted":
            framework = one.framework[:10]
            console.say(f"a playbook would answer it: {about}; first `p2pshare framework adopt {framework}`")
        else:
            console.say(
                f"a playbook would answer it, and {one.missing} of {one.needed} approvals are missing: {about}"
            )


@incident.command("list")
@click.option("--archived", is_flag=True, help="those that were put away, and no others")
@json_option
@click.pass_obj
def list_(home: Path, archived: bool, as_json: bool) -> None:
    """list the incidents that are held here, and invitations"""
    from p2pshare.operations.incidents import ListIncidents

    listed = read_or_ask(home, ListIncidents(archived)).each
    if as_json:
        console.print_json(listed)
        return
    rows = (
        (
            one.incident[:10],
            one.status,
            one.type,
            one.lead or (f"invited by {one.invited_by}" if not one.members else "contested"),
            len(one.members),
            one.role,
            one.unread,
            one.title,
        )
        for one in listed
    )
    console.print_table(("incident", "status", "type", "lead", "members", "we", "unread", "title"), rows)


@incident.command()
@_id
@click.option(
    "--canonical", is_flag=True, help="the output that is the same at all who hold the same entries"
)
@click.option(
    "--order",
    type=click.Choice(["time", "graph"]),
    default="time",
    show_default=True,
    help="of the time line",
)
@json_option
@click.pass_obj
def show(home: Path, incident_id: str, canonical: bool, order: str, as_json: bool) -> None:
    """show members, time line, tasks, values, lessons and duties of ID; what a person was shown here, members are told"""
    from p2pshare.cli.space_verbs import mark_shown

    found = _shown(home, incident_id, by_graph=order == "graph")
    if canonical:
        console.print_result(console.shown(found.canonical) if sys.stdout.isatty() else found.canonical)
        return
    shown = _told(home, found)
    if as_json:
        console.print_json(shown)
        return
    _print_incident(shown)
    mark_shown(home, shown["incident"], found.numbers)


def _print_incident(shown: Mapping[str, Any]) -> None:
    names = {one["partner_id"]: one["name"] or one["partner_id"][:10] for one in shown["members"]}

    def called(member: str | None) -> str:
        return console.shown(names.get(member, (member or "")[:10])) if member else ""

    late = f" (+{len(shown['late'])} late: reopen to deal with them)" if shown["late"] else ""
    console.print_fields(
        {
            "incident": shown["incident"],
            "title": shown["title"],
            "tlp": shown["tlp"],
            "status": f"{shown['status']}{late}",
            "determination": shown["determination"] or "not yet",
            "types": shown["types"],
            "lead": "contested" if shown["contested"] else called(shown["lead"]),
            "members": [
                f"{called(one['partner_id'])} ({one['status']}{', ' + one['own_status'] if one['own_status'] else ''})"
                for one in shown["members"]
            ],
        }
    )
    for one in {one["sha256"]: one for one in reversed(shown["playbooks"])}.values():
        named = f"{one['name'] or one['playbook']}, version {one['version']} ({one['sha256'][:10]})"
        console.print_fields({"playbook": named})
    for title, heading, rows in (
        (
            "time line",
            ("entry", "when", "by", "what", ""),
            [
                (
                    one["entry"][:10],
                    one["at"],
                    called(one["author"]),
                    one["text"] if one["text"] is not None else "(not to be read here)",
                    " ".join(one["badges"]),
                )
                for one in shown["timeline"]
            ],
        ),
        (
            "without effect",
            ("entry", "by", "kind", "why"),
            [
                (one["entry"][:10], called(one["author"]), one["kind"], one["reason"])
                for one in shown["void"][-VOID_SHOWN_MAX:]
            ],
        ),
        (
            "tasks",
            ("task", "owner", "outcome", "due", "title"),
            [
                (
                    one["task"][:10],
                    called(one["owner"]) + (" (several claim it)" if one["conflict"] else ""),
                    one["outcome"] + (" (disputed)" if one["disputed"] else ""),
                    one["due"] or "",
                    (f"{one['step']['place']}. " if one["step"] else "")
                    + one["title"]
                    + (" (told in several ways)" if one["differs"] else ""),
                )
                for one in shown["tasks"]
            ],
        ),
        (
            "values",
            ("entry", "type", "value"),
            [(one["entry"][:10], one["type"], one["value"]) for one in shown["observables"]],
        ),
        (
            "lessons",
            ("lesson", "owner", "due", "status", "text"),
            [
                (one["lesson"][:10], called(one["owner"]), one["due"] or "", one["status"], one["text"])
                for one in shown["lessons"]
            ],
        ),
        (
            "duties",
            ("who", "under", "stage", "due", "state"),
            [
                (called(one["organisation"]), one["template"], one["stage"], one["due"] or "", one["state"])
                for one in shown["duties"]
            ],
        ),
    ):
        if rows:
            console.print_result("")
            console.print_result(title)
            console.print_table(heading, rows)


# --- telling -----------------------------------------------------------------------------------------


@incident.command()
@_id
@click.argument("text")
@_audience_options
@json_option
@click.pass_obj
def note(
    home: Path, incident_id: str, text: str, tlp: str | None, to: tuple[str, ...], as_json: bool
) -> None:
    """write the note TEXT into ID"""
    _say(home, incident_id, "note", text.encode("utf-8"), "written", as_json=as_json, tlp=tlp, to=to)


@incident.group("event", cls=SpaceSubgroup)
def event() -> None:
    """what happened"""


@event.command("add")
@_id
@click.option("--start", metavar="TIME", help="when it began")
@click.option("--end", metavar="TIME", help="when it ended")
@click.option(
    "--status",
    default="occurred",
    show_default=True,
    metavar="STATUS",
    help="occurred, ongoing, pending, not-occurred or undetermined",
)
@click.option(
    "--fidelity",
    default="",
    metavar="UNIT",
    help="how exact the times are: year, month, day, hour, minute or second",
)
@click.option("--type", "types", metavar="TYPE", multiple=True, help="a word; repeat it")
@click.option("--zone", default="", metavar="ZONE", help="of times without an offset: Europe/Berlin")
@_text_option("what happened")
@_audience_options
@json_option
@click.pass_obj
def event_add(
    home: Path,
    incident_id: str,
    start: str | None,
    end: str | None,
    status: str,
    fidelity: str,
    types: tuple[str, ...],
    zone: str,
    text: str,
    tlp: str | None,
    to: tuple[str, ...],
    as_json: bool,
) -> None:
    """add an event to ID"""
    from p2pshare.spaces.incident_entries import IncidentEvent

    began, ended = _instant(start, zone), _instant(end, zone)
    if began and ended and ended < began:
        console.warn("it ends before it begins: it is shown so")
    body = IncidentEvent(
        status, began, fidelity if began else "", ended, fidelity if ended else "", _types(types), text
    )
    _say(home, incident_id, "event", body, "added", as_json=as_json, tlp=tlp, to=to)


@incident.group("impact", cls=SpaceSubgroup)
def impact() -> None:
    """what harm it does"""


@impact.command("add")
@_id
@click.argument("category")
@click.argument("details", metavar="KEY=VALUE...", nargs=-1, required=True)
@click.option("--start", metavar="TIME", help="when it began")
@click.option("--end", metavar="TIME", help="when it ended")
@click.option("--criticality", type=click.IntRange(0, 100), help="0 to 100")
@click.option(
    "--recoverability",
    default="",
    metavar="WORD",
    help="regular, supplemented, extended, not-recoverable or not-applicable",
)
@click.option("--count", "counts", metavar="WHAT=NUMBER", multiple=True, help="computers-server=7; repeat it")
@_text_option("the harm in words")
@_audience_options
@json_option
@click.pass_obj
def impact_add(
    home: Path,
    incident_id: str,
    category: str,
    details: tuple[str, ...],
    start: str | None,
    end: str | None,
    criticality: int | None,
    recoverability: str,
    counts: tuple[str, ...],
    text: str,
    tlp: str | None,
    to: tuple[str, ...],
    as_json: bool,
) -> None:
    """add an impact of a CATEGORY to ID: availability availability_impact=70, or confidentiality loss_type=suspected-loss"""
    from p2pshare.spaces.incident_entries import IncidentImpact

    counted = dict(map(_pair, counts))
    if not all(value.isascii() and value.isdigit() for value in counted.values()):
        raise UsageProblem("what is counted is a whole number", hint="--count computers-server=7")
    body = IncidentImpact(
        category,
        tuple(sorted(dict(map(_pair, details)).items())),
        _instant(start),
        _instant(end),
        () if criticality is None else (criticality,),
        recoverability,
        tuple(sorted((key, int(value)) for key, value in counted.items())),
        text,
    )
    _say(home, incident_id, "impact", body, "added", as_json=as_json, tlp=tlp, to=to)


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not (key and sign and value):
        raise UsageProblem(f"'{console.shown(text)}' is not KEY=VALUE")
    return key, value


@incident.group("ioc", cls=SpaceSubgroup)
def ioc() -> None:
    """values by which others find it at home"""


@ioc.command("add")
@_id
@click.argument("inputs", metavar="FILE|VALUE...", nargs=-1, required=True, shell_complete=complete_file)
@_text_option("where it was seen")
@_audience_options
@click.option("--share-private", is_flag=True, help="tell what tells of your own network and people, too")
@click.option("--share-listed", is_flag=True, help="tell what a warning list or your allow list knows")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def ioc_add(
    home: Path,
    incident_id: str,
    inputs: tuple[str, ...],
    text: str,
    tlp: str | None,
    to: tuple[str, ...],
    share_private: bool,
    share_listed: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """tell in ID, and publish to its members that are partners, values as people write them or what is in a FILE that
    `publish` reads

    A word that is a value is no file: write ./NAME for a file of that name, - for stdin.
    """
    import msgspec

    from p2pshare.cli.options import EXIT_PARTLY_DONE
    from p2pshare.cli.publish import CONFIRMATIONS
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.incident_indicators import AddIndicators
    from p2pshare.operations.incidents import ShowIncident

    values, files = _values_and_files(inputs)
    told = json.loads(read_or_ask(home, ShowIncident(incident_id)).shown)
    level = max(Tlp.parse(tlp or told["tlp"]), Tlp.parse(told["tlp"]))
    parts, refused = _drafted(home, values, files, level, told["incident"])
    request = AddIndicators(
        incident_id, parts, text, to, dry_run=True, share_private=share_private, share_listed=share_listed
    )
    if not yes and console.can_ask() and STANDARD_STREAM not in files:
        shown = write(home, request)

        def tell() -> None:
            for one in shown.told:
                console.say(f"{one.type} {console.shown(one.value)}")
            audience = ", ".join(map(console.shown, to)) or "all members"
            console.say(
                f"{level.label}, for {audience}; published to {', '.join(shown.recipients) or 'nobody'}"
            )

        confirm("tell them?", yes=False, tell=tell)
    added = write(home, msgspec.structs.replace(request, dry_run=False))
    refused += [msgspec.structs.asdict(one) for one in added.refused]
    options = sorted({CONFIRMATIONS[one["reason"]] for one in refused if one["reason"] in CONFIRMATIONS})
    if as_json:
        console.print_json(msgspec.to_builtins(added) | {"refused": refused})
    else:
        for one in added.told:
            console.print_result(f"{one.entry}  {one.type} {one.value}")
        console.print_counts("refused", refused)
        if added.merged:
            console.say(f"{console.counted(added.merged, 'value')} of ours stood there already")
        if added.told:
            console.say(f"published to {', '.join(map(console.shown, added.recipients)) or 'nobody'}")
    if refused and options:
        console.say(f"hint: if it shall be told all the same: {' '.join(options)}")
    if refused and not added.told and not added.merged:
        raise RefusedError(
            "nothing of it was told", hint="the reasons are above", reason=refused[0]["reason"]
        )
    return EXIT_PARTLY_DONE if refused else 0


def _values_and_files(inputs: Iterable[str]) -> tuple[list[str], list[str]]:
    """Returns which words are values and which are files. Raises AuthorError for what is neither, UsageProblem for what is both."""
    from p2pshare.intel.observable import InvalidValue, detect

    values, files = [], []
    for one in inputs:
        is_file = one == STANDARD_STREAM or Path(one).is_file()
        if one == STANDARD_STREAM or (is_file and ("/" in one or one.startswith("."))):
            files.append(one)
            continue
        try:
            found = detect(one)
        except InvalidValue as error:
            if is_file:
                files.append(one)
                continue
            raise AuthorError(
                f"'{console.shown(one)}': {error.message}",
                hint=f"{error.hint}; nothing was added",
                reason=error.reason,
            ) from None
        if found.type == "file-name":  # so do the names of most files read
            if is_file:
                files.append(one)
                continue
            if Path(one).suffix.lower() in READ_SUFFIXES:
                raise UsageProblem(
                    f"there is no file {console.shown(one)} here",
                    hint="to tell it as the name of a file that was seen, put it into a list",
                )
        if is_file:
            raise UsageProblem(
                f"{console.shown(one)} is a file, and reads as a {found.type}",
                hint=f"./{one} is the file; for the value go where there is no such file",
            )
        values.append(one)
    return values, files


def _drafted(
    home: Path, values: Sequence[str], files: Sequence[str], level: Tlp, incident_id: str
) -> tuple[tuple[Part, ...], list[dict[str, Any]]]:
    """Returns values and files as parts, and what their readers refused. Raises AuthorError, RefusedError as `publish` does."""
    import tempfile

    from p2pshare.cli.publish import read_draft
    from p2pshare.cli.rejects import Rejects
    from p2pshare.operations.publishing import Part
    from p2pshare.sharing.already_held import Stance

    parts: list[Part] = []
    refused: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        sources = [(one, "auto") for one in files]
        if values:
            listed = Path(folder) / "values"
            listed.write_text("".join(f"{one}\n" for one in values), encoding="utf-8")
            sources.insert(0, (str(listed), "list"))
        for name, format_name in sources:
            reading = read_draft(
                home, name, format_name, (), level.label, False, Stance.LEAVE, Rejects(None), incident_id
            )
            with reading as (draft, drafted):
                parts += [Part(one.tlp, one.frames, one.objects, one.repeats) for one in drafted]
            refused += draft.refusals.to_json()
            for author, count in draft.held.items():
                console.say(
                    f"shared already by {author.short}, and not told as ours: {console.counted(count, 'object')}"
                )
    return tuple(parts), refused


@ioc.command("remove")
@_id
@click.argument("entry")
@json_option
@click.pass_obj
def ioc_remove(home: Path, incident_id: str, entry: str, as_json: bool) -> None:
    """take back the value of ENTRY: its author or the lead may"""
    from p2pshare.operations.space_entries import RedactEntry

    named = _entry(entry, (one["entry"] for one in _look(home, incident_id)["observables"]), "value")
    redacted = write(home, RedactEntry(incident_id, named.text, "incident"))
    answer(redacted, f"{redacted.entry}  taken back", as_json=as_json)


@incident.command()
@_id
@click.argument("text")
@click.option("--to", "to", metavar="NAME", multiple=True, help="who is asked; nobody: everybody")
@json_option
@click.pass_obj
def ask(home: Path, incident_id: str, text: str, to: tuple[str, ...], as_json: bool) -> None:
    """ask members the question TEXT; all may read it"""
    from p2pshare.spaces.incident_entries import IncidentQuestion

    shown = _look(home, incident_id) if to else {}
    asked = tuple(sorted({_member(shown, name) for name in to}))
    _say(home, incident_id, "ask", IncidentQuestion(asked, text), "asked", as_json=as_json)


@incident.command("answer")
@_id
@click.argument("question")
@click.argument("text")
@json_option
@click.pass_obj
def answer_(home: Path, incident_id: str, question: str, text: str, as_json: bool) -> None:
    """answer the QUESTION with TEXT"""
    from p2pshare.spaces.incident_entries import IncidentAnswer

    named = _entry(question, (one["entry"] for one in _look(home, incident_id)["questions"]), "question")
    _say(home, incident_id, "answer", IncidentAnswer(named, text), "answered", as_json=as_json)


@incident.command()
@_id
@click.argument("opinion")
@click.option("--about", metavar="ENTRY", help="an entry; without it the determination")
@click.option("--determination", default="", metavar="WORD", help="the one we would make")
@_text_option("why")
@json_option
@click.pass_obj
def opine(
    home: Path,
    incident_id: str,
    opinion: str,
    about: str | None,
    determination: str,
    text: str,
    as_json: bool,
) -> None:
    """say disagree, neutral or agree, or strongly so, to the determination or to an entry"""
    from p2pshare.spaces.entry_fields import NO_ENTRY
    from p2pshare.spaces.incident_entries import IncidentOpinion

    named: bytes = NO_ENTRY
    if about is not None:
        named = _entry(about, (one["entry"] for one in _look(home, incident_id)["timeline"]), "entry")
    _say(
        home,
        incident_id,
        "opinion",
        IncidentOpinion(opinion, named, determination, text),
        "said",
        as_json=as_json,
    )


@incident.command()
@_id
@click.argument("determination")
@click.option("--criticality", type=click.IntRange(0, 100), help="0 to 100")
@click.option(
    "--type", "types", metavar="TYPE", multiple=True, help="a word; repeat it; without any they stay"
)
@_text_option("why")
@json_option
@click.pass_obj
def determine(
    home: Path,
    incident_id: str,
    determination: str,
    criticality: int | None,
    types: tuple[str, ...],
    text: str,
    as_json: bool,
) -> None:
    """say what it is: suspected, confirmed, blocked, failed-attempt or false-positive; the lead may"""
    from p2pshare.spaces.incident_entries import IncidentDetermination

    shown = _look(home, incident_id)
    kept = shown["criticality"] if criticality is None else criticality
    body = IncidentDetermination(
        determination,
        () if kept is None else (kept,),
        _types(types) if types else tuple(sorted(shown["types"])),
        text,
    )
    _say(home, incident_id, "determination", body, determination, as_json=as_json)


@incident.command("own-status")
@_id
@click.argument("status")
@_text_option("in words")
@json_option
@click.pass_obj
def own_status(home: Path, incident_id: str, status: str, text: str, as_json: bool) -> None:
    """say how far we are: engaged, contained, recovered or closed"""
    from p2pshare.spaces.incident_entries import OwnStatus

    _say(home, incident_id, "own-status", OwnStatus(status, text), status, as_json=as_json)


# --- tasks -------------------------------------------------------------------------------------------


@incident.group("task", cls=SpaceSubgroup)
def task() -> None:
    """work to be done, by whom, and what came of it"""


@task.command("add")
@_id
@click.argument("title")
@click.option("--due", metavar="TIME", help="when it is due")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="containment, recovery, ...; repeat it")
@click.option("--zone", default="", metavar="ZONE", help="of a time without an offset")
@_text_option("what is to be done")
@json_option
@click.pass_obj
def task_add(
    home: Path,
    incident_id: str,
    title: str,
    due: str | None,
    types: tuple[str, ...],
    zone: str,
    text: str,
    as_json: bool,
) -> None:
    """add the task TITLE to ID"""
    from p2pshare.spaces.incident_entries import IncidentTask

    body = IncidentTask(title, text, _instant(due, zone), _types(types))
    _say(home, incident_id, "task", body, "added", as_json=as_json)


def _task_verb(name: str, kind: str, about: str, outcome: str = "") -> None:
    """Add a verb about one task."""

    @task.command(name, help=about)
    @_id
    @click.argument("task_id", metavar="TASK")
    @_text_option("how, or why")
    @json_option
    @click.pass_obj
    def verb(home: Path, incident_id: str, task_id: str, text: str, as_json: bool) -> None:
        from p2pshare.spaces.incident_entries import TaskClaim, TaskOutcome

        named = _entry(task_id, (one["task"] for one in _look(home, incident_id)["tasks"]), "task")
        body = TaskOutcome(named, outcome, text) if outcome else TaskClaim(named)
        _say(home, incident_id, kind, body, name, as_json=as_json)


_task_verb("claim", "claim", "take TASK; where others take it too, all see that")
_task_verb("release", "release", "let TASK go")
_task_verb("done", "outcome", "TASK was done: who has it, or the lead, may say so", "successful")
_task_verb("fail", "outcome", "TASK failed: who has it, or the lead, may say so", "failed")
_task_verb("cancel", "outcome", "TASK is not to be done: who has it, or the lead, may say so", "cancelled")


@task.command("assign")
@_id
@click.argument("task_id", metavar="TASK")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def task_assign(home: Path, incident_id: str, task_id: str, name: str | None, as_json: bool) -> None:
    """give TASK to a member, or to nobody; the lead may"""
    from p2pshare.spaces.incident_entries import TaskAssignment

    shown = _look(home, incident_id)
    named = _entry(task_id, (one["task"] for one in shown["tasks"]), "task")
    to = () if name is None else (_member(shown, name),)
    _say(home, incident_id, "assign", TaskAssignment(named, to), "assigned", as_json=as_json)


@task.command("show")
@_id
@click.argument("task_id", metavar="TASK")
@json_option
@click.pass_obj
def task_show(home: Path, incident_id: str, task_id: str, as_json: bool) -> None:
    """show what is to be done for TASK, who has it and what came of it"""
    shown = _look(home, incident_id)
    named = _entry(task_id, (one["task"] for one in shown["tasks"]), "task")
    told = next(one for one in shown["tasks"] if one["task"] == named.text)
    if as_json:
        console.print_json(told)
        return
    names = {one["partner_id"]: one["name"] or one["partner_id"][:10] for one in shown["members"]}
    step = told["step"]
    console.print_fields(
        {
            "task": told["task"],
            "title": told["title"],
            **({"step": f"{step['place']} of the playbook {step['playbook'][:10]}"} if step else {}),
            "owner": names.get(told["owner"], told["owner"]) or "nobody",
            "outcome": told["outcome"] + (" (disputed)" if told["disputed"] else ""),
            "due": told["due"] or "no time",
        }
    )
    for line in told["text"].splitlines():
        console.print_result(console.shown(line))


# --- lessons, closing --------------------------------------------------------------------------------


@incident.group("lesson", cls=SpaceSubgroup)
def lesson() -> None:
    """what is to be done so that it does not happen again"""


@lesson.command("add")
@_id
@click.argument("text")
@click.option("--owner", metavar="NAME", help="who sees to it")
@click.option("--due", metavar="TIME", help="until when")
@click.option("--link", default="", metavar="URL", help="where that is tracked")
@json_option
@click.pass_obj
def lesson_add(
    home: Path, incident_id: str, text: str, owner: str | None, due: str | None, link: str, as_json: bool
) -> None:
    """add the lesson TEXT to ID"""
    from p2pshare.spaces.entry_fields import NO_ENTRY
    from p2pshare.spaces.incident_entries import IncidentLesson

    owners = () if owner is None else (_member(_look(home, incident_id), owner),)
    body = IncidentLesson(NO_ENTRY, text, owners, _instant(due), link, "open")
    _say(home, incident_id, "lesson", body, "added", as_json=as_json)


@lesson.command("done")
@_id
@click.argument("lesson_id", metavar="LESSON")
@json_option
@click.pass_obj
def lesson_done(home: Path, incident_id: str, lesson_id: str, as_json: bool) -> None:
    """LESSON is learnt: its author, its owner or the lead may say so"""
    from p2pshare.identifiers import PartnerId
    from p2pshare.spaces.incident_entries import IncidentLesson

    lessons = {one["lesson"]: one for one in _look(home, incident_id)["lessons"]}
    named = _entry(lesson_id, lessons, "lesson")
    old = lessons[named.text]
    owners = () if old["owner"] is None else (PartnerId.parse(old["owner"]),)
    body = IncidentLesson(named, old["text"], owners, _instant(old["due"]), old["link"] or "", "done")
    _say(home, incident_id, "lesson", body, "done", as_json=as_json)


@incident.command()
@_id
@click.option(
    "--override", metavar="REASON", help="close though organisations are not done, or no lesson is complete"
)
@_text_option("how it ended")
@json_option
@click.pass_obj
def close(home: Path, incident_id: str, override: str | None, text: str, as_json: bool) -> None:
    """close ID: the lead may, once every affected organisation is closed and a lesson has an owner, a time and a link"""
    from p2pshare.spaces.incident_entries import IncidentClosing

    shown = _look(home, incident_id)
    open_ones = [
        one["name"] or one["partner_id"][:10]
        for one in shown["members"]
        if one["own_status"] not in (None, "closed")
    ]
    is_complete = any(one["owner"] and one["due"] and one["link"] for one in shown["lessons"])
    if override is None and (open_ones or not is_complete):
        why = [f"not closed at: {', '.join(open_ones)}"] if open_ones else []
        why += [] if is_complete else ["no lesson has an owner, a time and a link"]
        raise RefusedError(
            f"the incident is not ready to be closed: {'; '.join(why)}",
            hint="`incident own-status`, `incident lesson add --owner --due --link`, or --override REASON",
            reason="not-ready",
        )
    reason = "; ".join(part for part in (text, f"override: {override}" if override else "") if part)
    _say(home, incident_id, "close", IncidentClosing(reason), "closed", as_json=as_json)


@incident.command()
@_id
@_text_option("why")
@json_option
@click.pass_obj
def reopen(home: Path, incident_id: str, text: str, as_json: bool) -> None:
    """open ID again: the lead may, and whoever has said its own status"""
    from p2pshare.spaces.incident_entries import IncidentClosing

    entry = _say(home, incident_id, "reopen", IncidentClosing(text), "reopened", as_json=as_json).entry
    if _look(home, incident_id)["status"] == "closed":
        console.warn(
            f"{entry[:10]} opens nothing: only the lead, or an organisation that has said its own status, reopens (`incident own-status`)"
        )


@incident.command()
@_id
@click.argument("space")
@_text_option("why")
@json_option
@click.pass_obj
def duplicate(home: Path, incident_id: str, space: str, text: str, as_json: bool) -> None:
    """say that the incident SPACE (its whole id) is the same as ID; the lead may"""
    from p2pshare.identifiers import EntryId
    from p2pshare.spaces.incident_entries import IncidentDuplicate

    try:
        other = EntryId.parse(space)
    except ValueError:
        raise UsageProblem("the other incident is named by its whole id, 64 hexadecimal digits") from None
    _say(home, incident_id, "duplicate", IncidentDuplicate(other, text), "said", as_json=as_json)


@incident.command()
@_id
@click.option("--undo", is_flag=True, help="fetch it back")
@json_option
@click.pass_obj
def archive(home: Path, incident_id: str, undo: bool, as_json: bool) -> None:
    """put ID away here: lists leave it out, and it goes on; members are not told"""
    from p2pshare.operations.incidents import ArchiveIncident

    done = write(home, ArchiveIncident(incident_id, undo))
    answer(done, f"{done.incident}  {'archived' if done.archived else 'fetched back'}", as_json=as_json)


@incident.command()
@_id
@click.argument("file", shell_complete=complete_file)
@click.option("--name", metavar="NAME", help="what members see; without it the file's name")
@_audience_options
@json_option
@click.pass_obj
def attach(
    home: Path,
    incident_id: str,
    file: str,
    name: str | None,
    tlp: str | None,
    to: tuple[str, ...],
    as_json: bool,
) -> None:
    """attach FILE to ID, up to 16 MiB: a log, a screenshot, a report. Malware is told by its hash alone"""
    from p2pshare.intel.marking import Tlp
    from p2pshare.operations.incident_attachments import AttachFile
    from p2pshare.spaces.parts import PART_BYTES_MAX, PARTS_MAX

    whole = read_input(file, PART_BYTES_MAX * PARTS_MAX)
    level = None if tlp is None else Tlp.parse(tlp)
    called = name or ("stdin" if file == STANDARD_STREAM else Path(file).name)
    attached = write(home, AttachFile(incident_id, called, whole, level, to))
    answer(attached, f"{attached.entry}  {attached.sha256}", as_json=as_json)


@incident.command()
@_id
@click.argument("what", metavar="SHA256|ENTRY")
@required_output_option
@click.pass_obj
def fetch(home: Path, incident_id: str, what: str, file: str) -> None:
    """write an attachment of ID into FILE: as its author attached it, byte for byte"""
    from p2pshare.node.beside import NodeBeside
    from p2pshare.operations.incident_attachments import attached

    with open_store_for_reading(home) as store:
        whole = attached(NodeBeside(home, store), incident_id, what.lower())
    _put(file, whole)


# --- after the close ---------------------------------------------------------------------------------


@incident.group("watch", cls=SpaceSubgroup)
def watch() -> None:
    """values of closed incidents, and whether they are seen again"""


@watch.command("list")
@click.argument("incident_id", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def watch_list(home: Path, incident_id: str | None, as_json: bool) -> None:
    """list the values of ID, else of all closed incidents, that are watched, and what was seen of them here since"""
    import msgspec

    from p2pshare.operations.incident_watch import ListWatch

    found = read_or_ask(home, ListWatch(incident_id or "")).each
    if as_json:
        console.print_json([msgspec.structs.asdict(one) for one in found])
        return
    rows = [
        (
            one.incident[:10],
            one.type,
            one.value,
            one.until,
            f"{one.seen} {one.at}" if one.seen else "",
            "told" if one.is_told else "",
        )
        for one in found
    ]
    console.print_table(("incident", "type", "value", "until", "seen again", ""), rows)


@watch.command("tell")
@_id
@click.argument("value")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def watch_tell(home: Path, incident_id: str, value: str, yes: bool, as_json: bool) -> None:
    """tell all members of ID that VALUE was seen again today, where nothing tells it by itself"""
    from p2pshare.operations.incident_watch import TellRecurrence

    def tell() -> None:
        console.say("all members are told the value, and that it was seen today; not where, nor by whom else")

    confirm("may they know?", yes=yes, tell=tell)
    told = write(home, TellRecurrence(incident_id, value))
    answer(told, f"{told.entry}  told", as_json=as_json)


# --- duties ------------------------------------------------------------------------------------------


def _duty_options(function: Any) -> Any:
    for option in (
        click.option("--at", "at", metavar="TIME", required=True, help="when; with an offset, or in --zone"),
        click.option(
            "--zone",
            metavar="ZONE",
            help="of our organisation, in which dates count: Europe/Berlin; else this machine's",
        ),
        click.option(
            "--under",
            "templates",
            metavar="TEMPLATE",
            multiple=True,
            help="nis2, gdpr, dora, ...; repeat it; else each that names what took place",
        ),
    ):
        function = option(function)
    return function


def _machine_zone() -> str:
    """Returns the name of the zone that this machine's clock is set to; UTC where it has none."""
    from p2pshare.intel.duty_templates import is_zone

    link = os.path.realpath("/etc/localtime")
    for name in (os.environ.get("TZ", ""), link.rpartition("/zoneinfo/")[2]):
        if name and not name.startswith(("/", ":")) and is_zone(name):
            return name
    return "UTC"


def _state_event(
    home: Path,
    incident_id: str,
    event: str,
    stage: str,
    templates: Sequence[str],
    at: str,
    zone: str | None,
    text: str,
    *,
    as_json: bool,
) -> None:
    from p2pshare.intel.duty_templates import is_zone
    from p2pshare.node.duty_files import load_duty_templates
    from p2pshare.spaces.incident_entries import DutyStatement

    known = load_duty_templates(home)
    if not templates:
        templates = [
            name
            for name, one in known.items()
            if (one.rule_of(stage) is not None if stage else one.names(event))
        ]
        if stage and len(templates) > 1:
            raise UsageProblem(
                f"several laws have a stage {console.shown(stage)}", hint=f"--under {' or '.join(templates)}"
            )
        if not templates:
            raise UsageProblem(
                f"no template names {console.shown(stage or event)}", hint="see `p2pshare incident duty list`"
            )
        console.say(f"under {', '.join(templates)}: --under names those that apply")
    if zone is None:
        zone = _machine_zone()
        console.say(f"dates count in {zone}, the zone of this machine: --zone names another")
    unknown = [name for name in templates if name not in known]
    if unknown:
        raise UsageProblem(
            f"there is no template {console.shown(unknown[0])}", hint=f"there are: {', '.join(known)}"
        )
    if stage and any(known[name].rule_of(stage) is None for name in templates):
        stages = ", ".join(rule.stage for name in templates for rule in known[name].duties)
        raise UsageProblem(f"there is no stage {console.shown(stage)}", hint=f"there are: {stages}")
    if not is_zone(zone):
        raise UsageProblem(
            f"{console.shown(zone)} is no time zone of this machine", hint="Europe/Berlin, UTC, ..."
        )
    when = _instant(at, zone)
    written = []
    for name in templates:
        body = DutyStatement(event, stage, name, when, zone, text)
        what = f"{name}: {event}{':' + stage if stage else ''}"
        written.append(_say(home, incident_id, "duty", body, what, as_json=as_json, is_one=False))
    if as_json:
        console.print_json(
            {
                "space": written[-1].space,
                "entry": written[-1].entry,
                "entries": [one.entry for one in written],
                "under": list(templates),
                "zone": zone,
            }
        )


@incident.command()
@_id
@_duty_options
@_text_option("how we know")
@json_option
@click.pass_obj
def aware(
    home: Path,
    incident_id: str,
    templates: tuple[str, ...],
    zone: str | None,
    at: str,
    text: str,
    as_json: bool,
) -> None:
    """state when we became aware: from then on the duties of these templates run"""
    _state_event(home, incident_id, "aware", "", templates, at, zone, text, as_json=as_json)


@incident.command()
@_id
@click.option(
    "--as",
    "event",
    metavar="EVENT",
    default="classified-major",
    show_default=True,
    help="an event that a template names: fix-available, handled, not-significant, ...",
)
@_duty_options
@_text_option("why")
@json_option
@click.pass_obj
def classify(
    home: Path,
    incident_id: str,
    event: str,
    templates: tuple[str, ...],
    zone: str | None,
    at: str,
    text: str,
    as_json: bool,
) -> None:
    """state when we classified it, or when another event took place from which duties run or by which they end"""
    _state_event(home, incident_id, event, "", templates, at, zone, text, as_json=as_json)


@incident.group("duty", cls=SpaceSubgroup)
def duty() -> None:
    """reports that laws ask for"""


@duty.command("list")
@click.argument("incident_id", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def duty_list(home: Path, incident_id: str | None, as_json: bool) -> None:
    """list the duties of ID and how they stand; without ID the templates that are known here"""
    from p2pshare.node.duty_files import load_duty_templates

    if incident_id is not None:
        duties = _look(home, incident_id)["duties"]
        if as_json:
            console.print_json(duties)
            return
        rows = [
            (
                one["organisation"][:10],
                one["template"],
                one["stage"],
                one["from"],
                one["from_at"] or "",
                one["due"] or "",
                one["state"],
                one["note"] or "",
            )
            for one in duties
        ]
        console.print_table(("who", "under", "stage", "from", "at", "due", "state", ""), rows)
        return
    templates = load_duty_templates(home).values()
    if as_json:
        console.print_json(
            [
                {
                    "template": one.template,
                    "version": one.version,
                    "title": one.title,
                    "act": one.source.act,
                    "url": one.source.url,
                    "stages": [rule.stage for rule in one.duties],
                }
                for one in templates
            ]
        )
        return
    laws = [(one.template, ", ".join(rule.stage for rule in one.duties), one.source.act) for one in templates]
    console.print_table(("template", "stages", "act"), laws)


@duty.command("done")
@_id
@click.argument("stage")
@_duty_options
@_text_option("its reference")
@json_option
@click.pass_obj
def duty_done(
    home: Path,
    incident_id: str,
    stage: str,
    templates: tuple[str, ...],
    zone: str | None,
    at: str,
    text: str,
    as_json: bool,
) -> None:
    """state when we submitted the report of a STAGE"""
    _state_event(home, incident_id, "submitted", stage, templates, at, zone, text, as_json=as_json)


# --- files -------------------------------------------------------------------------------------------


def _file(home: Path, incident_id: str, made: Callable[[IncidentFile], _Made]) -> _Made:
    """Returns what is made of an incident, read beside the daemon."""
    from p2pshare.node.beside import NodeBeside
    from p2pshare.operations.incidents import IncidentFile

    with open_store_for_reading(home) as store:
        return made(IncidentFile(home, NodeBeside(home, store), incident_id, int(time.time())))


def _put(file: str, raw: bytes) -> None:
    with open_output(file, mode=OWN_MODE) as stream:
        stream.write(raw)


@incident.command()
@_id
@click.option("--report", metavar="TEMPLATE[:STAGE]", help="the report that a duty asks for: nis2:72h")
@click.option("--nis2", "nis2", metavar="STAGE", help="the same as --report nis2:STAGE")
@owner_output_option
@click.pass_obj
def sitrep(home: Path, incident_id: str, report: str | None, nis2: str | None, file: str) -> None:
    """write where ID stands as Markdown, or a report to an authority, filled in as far as ID says it"""
    if nis2 is not None:
        report = f"nis2:{nis2}"

    def made(found: IncidentFile) -> bytes:
        from p2pshare.exporters.incidents.incident_markdown import sitrep as written

        if report is None:
            return written(found.record, found.duties)
        name, _, stage = report.partition(":")
        template = found.templates.get(name)
        if template is None:
            raise UsageProblem(
                f"there is no template {console.shown(name)}", hint=f"there are: {', '.join(found.templates)}"
            )
        rule = template.rule_of(stage or template.duties[0].stage)
        if rule is None:
            raise UsageProblem(
                f"{name} has no stage {console.shown(stage)}",
                hint=f"there are: {', '.join(one.stage for one in template.duties)}",
            )
        own = found.record.name_of(found.own)
        return written(found.record, found.own_duties, report=(template, rule), organisation=own)

    _put(file, _file(home, incident_id, made))


@incident.command()
@_id
@click.option(
    "--format",
    "format_",
    type=click.Choice(EXPORT_FORMATS),
    default="stix",
    show_default=True,
    help="`incident import` reads stix",
)
@owner_output_option
@click.pass_obj
def export(home: Path, incident_id: str, format_: str, file: str) -> None:
    """write ID for others; what is sealed for a few or was redacted is not in it. `space export` writes all that is held"""

    def made(found: IncidentFile) -> tuple[bytes, int, str]:
        from p2pshare.exporters.incidents.incident_formats import load_incident_exporter

        record = found.record
        return load_incident_exporter(format_)(record), record.withheld, record.tlp

    raw, withheld, tlp = _file(home, incident_id, made)
    _put(file, raw)
    if withheld:
        console.warn(f"{withheld} entries are not in it: sealed, redacted, or their text is not here")
    console.say(f"it is {tlp} or stricter")


@incident.command("import")
@_id
@click.argument("file", shell_complete=complete_file)
@json_option
@click.pass_obj
def import_(home: Path, incident_id: str, file: str, as_json: bool) -> int:
    """state anew in ID, as ours, what a STIX FILE with an incident says; we must lead it"""
    import msgspec

    from p2pshare.cli.options import EXIT_PARTLY_DONE
    from p2pshare.intel.bundle import read_stix
    from p2pshare.intel.incident_suite import read_incident
    from p2pshare.limits import INPUT_BYTES_MAX
    from p2pshare.operations.incidents import SayInIncident
    from p2pshare.operations.interface import counted
    from p2pshare.spaces.incident_restating import restated

    reading = read_stix(read_input(file, INPUT_BYTES_MAX))
    found = read_incident([msgspec.json.decode(one.raw) for one in reading.objects])
    refusals = reading.refusals
    refusals.merge(found.refusals)
    entries = 0
    for one in restated(found.record, refusals):
        written = write(home, SayInIncident(incident_id, one.kind, one.content))  # type: ignore[arg-type]
        entries += 1
        if one.outcome:
            from p2pshare.identifiers import EntryId

            outcome = one.outcome_of(EntryId.parse(written.entry))
            write(home, SayInIncident(incident_id, "outcome", outcome))
            entries += 1
    if as_json:
        console.print_json(
            {
                "incident": incident_id,
                "read": reading.read,
                "taken": found.taken,
                "entries": entries,
                "refused": counted(refusals),
                "notes": counted(found.notes),
            }
        )
    else:
        console.print_result(f"{entries} entries of {found.taken} objects")
        console.print_counts("refused", [msgspec.structs.asdict(one) for one in counted(refusals)])
        console.print_counts("noted", [msgspec.structs.asdict(one) for one in counted(found.notes)])
    return EXIT_PARTLY_DONE if refusals.total else 0
