"""`p2pshare publish`: read a file, show what would leave and to whom, ask once, hand it over.

The file is read and checked here, in the asking process; the daemon (or this process, when none runs) only
resolves the audience, seals and stores (docs/decisions/0003). It is handed over part by part while it is read, so neither
process holds more than a part of it (0073). The question is for people: without a terminal the command goes on as it was
told (0005).
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import (
    EXIT_PARTLY_DONE,
    STANDARD_STREAM,
    UsageProblem,
    exercise_option,
    json_option,
    open_input,
)
from p2pshare.cli.rejects import Rejects, rejects_file
from p2pshare.cli.session import (
    Session,
    ask,
    connect,
    is_running,
    open_store_for_reading,
    report_when_it_leaves,
)
from p2pshare.errors import AuthorError, DaemonUnreachable, RefusedError, ShareError, StoreError
from p2pshare.importers.registry import IMPORTERS
from p2pshare.limits import TTL_CLASS_BY_NAME

if TYPE_CHECKING:
    from p2pshare.identifiers import PartnerId
    from p2pshare.operations.interface import A, Request
    from p2pshare.operations.publishing import Prepare, Prepared
    from p2pshare.sharing.already_held import SharedIndex, Stance
    from p2pshare.sharing.drafting import Draft, DraftPart, FirstCreated

_LENGTH_BYTES = 8
MISSING_ID_DIGITS = 16  # of a partner whose name nobody knows
VALUES_SHOWN_MAX = 40  # before the question: what fits a screen
MARKING_REASONS = frozenset(
    {
        "no-marking",
        "unknown-marking",
        "two-markings",
        "stricter-than-part",
        "event-distribution",
        "distribution",
        "not-ours-to-share",
        "origin-withdrawn",
    }
)
FINDINGS_PER_REQUEST = 1_024
NOTHING_FOUND = "read as a report, the input holds no values; `--format list` reads each line as one"
NOT_PREPARED = "not-prepared"  # sharing.spool.NOT_PREPARED: what waited is gone; a test compares
HELD_HINT = "--as-own states it as a finding of your own; --restate passes it on in your name, and it falls with its author's"
NOT_OURS_HINT = "what you found yourself is a value of your own: publish it as a list"
ORIGIN_WITHDRAWN_HINT = "its author took it back: --affirm passes it on all the same, and you stand for it"
WITHDRAWN_HINT = "what you have withdrawn counts again as a version with a later `modified`"
REFUSAL_HINTS = {
    "withdrawn": WITHDRAWN_HINT,
    "not-ours-to-share": NOT_OURS_HINT,
    "origin-withdrawn": ORIGIN_WITHDRAWN_HINT,
}
CONFIRMATIONS = {  # reason of the privacy lint and of warning lists -> the option that confirms it
    "private-address": "--share-private",
    "internal-name": "--share-private",
    "internal-mail": "--share-private",
    "user-account": "--share-private",
    "user-name-in-path": "--share-private",
    "warning-list": "--share-listed",
    "allow-list": "--share-listed",
}


@click.command(cls=Command)
@click.argument("file", shell_complete=complete_file, required=False)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["auto", *IMPORTERS]),
    default="auto",
    show_default=True,
    help="how to read it: " + "; ".join(f"{name}, {row.about}" for name, row in IMPORTERS.items()),
)
@click.option(
    "--column",
    "columns",
    metavar="NAME|NUMBER",
    multiple=True,
    help="of a table: the column that holds the values; may be given again",
)
@click.option(
    "--undefanged",
    "takes_undefanged",
    is_flag=True,
    help="of a text: take addresses and names that are not defanged, too",
)
@click.option(
    "--tlp",
    metavar="LEVEL",
    help="marking of what has none, or a looser one: clear, green, amber, amber+strict or red",
)
@click.option(
    "--to", "names", metavar="NAME|GROUP", multiple=True, help="who may read it; may be given again"
)
@click.option(
    "--ttl", type=click.Choice(list(TTL_CLASS_BY_NAME)), help="how long partners carry it; else the config's"
)
@click.option(
    "--rejects",
    metavar="FILE",
    shell_complete=complete_file,
    help="write every refusal there, a line of JSON each",
)
@click.option("--dry-run", is_flag=True, help="show what would be published and to whom; nothing leaves")
@click.option("--share-private", is_flag=True, help="share what tells of your own network and people, too")
@click.option(
    "--share-listed", is_flag=True, help="share what a blocking warning list or your allow list knows"
)
@click.option(
    "--as-own", is_flag=True, help="state what others have shared already as a finding of your own, too"
)
@click.option(
    "--restate",
    is_flag=True,
    help="pass on what others have shared already, in your name; it falls with theirs",
)
@click.option("--affirm", is_flag=True, help="of --restate: what its author has withdrawn, too")
@click.option("--yes", is_flag=True, help="do not ask")
@click.option(
    "--resume", is_flag=True, help="without FILE: go on with what an interruption left on its way out"
)
@click.option(
    "--discard", metavar="PUBLICATION", help="without FILE: forget one of which nothing has left yet"
)
@exercise_option
@json_option
@click.pass_obj
def publish(
    home: Path,
    file: str | None,
    format_name: str,
    columns: tuple[str, ...],
    takes_undefanged: bool,
    tlp: str | None,
    names: tuple[str, ...],
    ttl: str | None,
    rejects: str | None,
    dry_run: bool,
    share_private: bool,
    share_listed: bool,
    as_own: bool,
    restate: bool,
    affirm: bool,
    yes: bool,
    resume: bool,
    discard: str | None,
    as_json: bool,
) -> int:
    """publish what is in FILE, or on stdin for -: STIX, MISP, a table, a list of values, a report

    Without --to, TLP:CLEAR and TLP:GREEN go to all partners; stricter markings need names. What others have shared already
    is told and not published again.
    """
    if resume or discard is not None:
        return _go_on(home, file, is_resuming=resume, discarded=discard, as_json=as_json)
    if file is None:
        raise UsageProblem("what is to be published?", hint="give a file, or - for stdin")
    stance = _stance(as_own=as_own, restate=restate, affirm=affirm)
    if columns and format_name not in ("auto", "csv"):
        raise UsageProblem("only a table has columns", hint="leave --column out, or read it as --format csv")
    if columns:
        format_name = "csv"
    asks = not (dry_run or yes) and file != STANDARD_STREAM and console.can_ask()
    with (
        rejects_file(rejects, file) as rejected,
        read_draft(home, file, format_name, columns, tlp, takes_undefanged, stance, rejected) as (
            draft,
            parts,
        ),
        DraftedParts(parts, is_kept=asks) as drafted,
        connect(home) as session,
    ):
        request = _request(names, ttl, share_private, share_listed, dry_run)
        done = _prepare_and_seal(session, request, drafted, draft, asks=asks)
        rejected.add_counted(done["refused"])
    refused = _together(draft.refusals.to_json(), done["refused"])
    notes = _together(draft.notes.to_json(), done["notes"])
    held = _held(home, draft)
    answer: dict[str, Any] = {"read": draft.read, "merged": draft.merged, "held": held}
    answer |= done | {"refused": refused, "notes": notes}
    if draft.values is not None:
        answer["values"] = [{"type": one.type, "value": one.value} for one in draft.values]
    if draft.columns:
        answer["columns"] = [
            {"column": title, "values": [{"type": one.type, "value": one.value} for one in first]}
            for title, first in draft.columns.items()
        ]
    if as_json:
        console.print_json(answer)
    else:
        _print_answer(answer, draft, is_dry_run=dry_run)
    report_when_it_leaves(session, answer["envelopes"])
    return _exit_code(answer, draft, says_anew=as_own or restate)


def _stance(*, as_own: bool, restate: bool, affirm: bool) -> Stance:
    """Returns what the options say about what others have shared. Raises UsageProblem."""
    from p2pshare.sharing.already_held import Stance

    if as_own and (restate or affirm):
        raise UsageProblem(
            "what is your own finding is not passed on", hint="give either --as-own or --restate"
        )
    if affirm and not restate:
        raise UsageProblem("--affirm is of --restate", hint="give both, or --as-own")
    if affirm:
        return Stance.AFFIRM
    return Stance.RESTATE if restate else Stance.AS_OWN if as_own else Stance.LEAVE


def _held(home: Path, draft: Draft) -> list[dict[str, Any]]:
    """Returns how many objects each author has shared already, the most first."""
    if not draft.held:
        return []
    names = {**_author_names(home), draft.author.partner_id.text: draft.author.name}
    named = Counter[str]()  # a partner may have our own name
    for author, count in draft.held.items():
        named[names.get(author.text, author.text)] += count
    ordered = sorted(named.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"author": name, "count": count} for name, count in ordered]


def _author_names(home: Path) -> dict[str, str]:
    """Returns the aliases of partners by their ids as text: present and past ones, where the store's file may be opened."""
    from p2pshare.operations.partners import ListPartners

    try:
        with open_store_for_reading(home) as store:
            return {partner_id.text: alias for partner_id, alias in store.partners.names().items()}
    except StoreError:
        return {one.partner_id: one.alias for one in ask(home, ListPartners()).each}


def _go_on(home: Path, file: str | None, *, is_resuming: bool, discarded: str | None, as_json: bool) -> int:
    """Finish what is on its way out, or forget one of which nothing has left."""
    from p2pshare.operations.publishing import DiscardPublication, PublicationsUnderWay

    if file is not None or (is_resuming and discarded is not None):
        raise UsageProblem("--resume and --discard stand alone", hint="they need no file")
    finished: list[str] = []
    with connect(home) as session:
        if discarded is not None:
            session.run(DiscardPublication(discarded))
            console.say("nothing of it has left, and nothing will")
        else:
            failed: ShareError | None = None
            under_way = session.run(PublicationsUnderWay()).each
            if not under_way:
                console.say("nothing is on its way out")
            for one in under_way:
                try:
                    finished += seal_on(session, one.publication)
                except ShareError as error:  # the next one may go on all the same
                    console.warn(f"publication {one.publication}: {error.message}")
                    failed = error
            if failed is not None:
                raise failed
    if as_json:
        console.print_json({"envelopes": finished})
        return 0
    for envelope_id in finished:
        console.print_result(envelope_id)
    return 0


def _request(
    names: tuple[str, ...], ttl: str | None, share_private: bool, share_listed: bool, is_dry_run: bool
) -> Prepare:
    """Returns the request to the daemon, without parts."""
    from p2pshare.operations.publishing import Prepare

    return Prepare(
        parts=(),
        to=names,
        ttl_class=None if ttl is None else TTL_CLASS_BY_NAME[ttl],
        share_private=share_private,
        share_listed=share_listed,
        dry_run=is_dry_run,
    )


class DraftedParts:
    """The parts of a draft, to be walked: once, or again and again where they are kept, in a file without a name, for a person
    who thinks for longer than what they were shown waits."""

    def __init__(self, parts: Iterator[DraftPart], *, is_kept: bool) -> None:
        self._parts: Iterator[DraftPart] | None = parts
        self._file = tempfile.TemporaryFile() if is_kept else None  # noqa: SIM115 - its life is that of this

    def __enter__(self) -> DraftedParts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[DraftPart]:
        if self._parts is None:
            yield from self._again()
            return
        from msgspec import msgpack

        parts, self._parts = self._parts, None
        for part in parts:
            if self._file is not None:
                raw = msgpack.encode(part)
                self._file.write(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)
            yield part

    def _again(self) -> Iterator[DraftPart]:
        from msgspec import msgpack

        from p2pshare.sharing.drafting import DraftPart

        assert self._file is not None, "what is walked twice is kept"
        self._file.seek(0)
        while head := self._file.read(_LENGTH_BYTES):
            yield msgpack.decode(self._file.read(int.from_bytes(head, "big")), type=DraftPart)


@contextmanager
def read_draft(
    home: Path,
    file: str,
    format_name: str,
    columns: tuple[str, ...],
    tlp: str | None,
    takes_undefanged: bool,
    stance: Stance,
    rejected: Rejects,
    incident: str = "",
) -> Iterator[tuple[Draft, Iterator[DraftPart]]]:
    """Yields the file and its parts, which are read while they are walked; `incident`: the one in which it is stated. Raises AuthorError, RefusedError, as walking
    does."""
    from p2pshare.envelope.card import believe_chain
    from p2pshare.intel.marking import Tlp
    from p2pshare.node.home import CARD_FILE_NAME, require_home
    from p2pshare.sharing.drafting import Author, open_draft

    level = Tlp.parse(tlp) if tlp is not None else None
    own = believe_chain((require_home(home) / CARD_FILE_NAME).read_bytes())
    with (
        _earlier_publications(home, own.partner_id) as (first_created, shared),
        open_input(file) as stream,
        console.ProgressLine() as line,
    ):
        with rejected.what_ends_it():
            draft, parts = open_draft(
                stream,
                name=file,
                format_name=format_name,
                tlp=level,
                columns=columns,
                author=Author(own.partner_id, own.name),
                now=int(time.time()),
                first_created=first_created,
                progress=line.show,
                takes_undefanged=takes_undefanged,
                reject=rejected.add,
                shared=shared,
                stance=stance,
                incident=incident,
            )
        yield draft, _told(parts, rejected)


def _told(parts: Iterator[DraftPart], rejected: Rejects) -> Iterator[DraftPart]:
    """Yields the parts; an error that ends the reading is a refusal of all that is left."""
    with rejected.what_ends_it():
        yield from parts


@contextmanager
def _earlier_publications(home: Path, own: PartnerId) -> Iterator[tuple[FirstCreated, SharedIndex]]:
    """Yields the lookups of what we published before, and of what others have, in the store. Members of the daemon's group may
    not open the store's file: for them each value counts as new, which costs its first `created` and nothing else, and
    the daemon is asked for what others have shared. In an exercise nothing was before."""
    from p2pshare.operations.already_held import AskedIndex
    from p2pshare.sharing.already_held import NothingShared, shared_in
    from p2pshare.sharing.drafting import nothing_before, published_before

    if console.chosen_exercise():  # what is real says nothing of what is played
        yield nothing_before, NothingShared()
        return
    with ExitStack() as open_files:
        try:
            store = open_files.enter_context(open_store_for_reading(home))
        except StoreError:
            if not is_running(home):
                raise
            yield nothing_before, AskedIndex(lambda query: ask(home, query))
            return
        yield published_before(store, own), shared_in(store)


def _prepare_and_seal(
    session: Session, request: Prepare, drafted: DraftedParts, draft: Draft, *, asks: bool
) -> dict[str, Any]:
    """Returns what was published, or would be, as a map; the counts of the file's reader are in it.

    Asks once, where it `asks`; a person who takes longer than a publication waits is asked again only if something else
    would leave by then.
    """
    from p2pshare.operations.crossing import fields_of
    from p2pshare.operations.publishing import Seal

    shown: tuple[str, dict[str, Any]] | None = None
    while True:
        done = fields_of(_prepare(session, request, drafted))
        token, basis = done.pop("token"), done.pop("basis")
        is_asked = bool(token) and asks and (basis, done) != shown
        if is_asked:
            shown = basis, done
            _ask_or_discard(session, token, done, draft)
        if token or (draft.merged and not request.dry_run):
            _note_findings(session, draft)
        try:
            if not token:
                return done | {"publication": ""}
            sealed = _run(session, Seal(token))
        except ShareError as error:
            if error.reason != NOT_PREPARED or not is_asked:
                raise
            continue
        envelopes = sealed.envelopes if sealed.is_finished else seal_on(session, sealed.publication)
        return done | {"publication": sealed.publication, "envelopes": envelopes}


def _prepare(session: Session, request: Prepare, drafted: DraftedParts) -> Prepared:
    """Returns what the draft would come to: its parts are handed over one by one, the next one read meanwhile."""
    from msgspec import structs

    from p2pshare.operations.publishing import Part

    token = ""
    before: tuple[Part, ...] = ()
    try:
        with console.ProgressLine() as line:
            for one in drafted:
                if before:
                    goes_on = structs.replace(request, parts=before, token=token, goes_on=True)
                    token = session.run(goes_on, line.show).token
                before = (Part(one.tlp, one.frames, one.objects, one.repeats),)
            return session.run(structs.replace(request, parts=before, token=token), line.show)
    except BaseException:
        if token:
            discard_prepared(session, token)
        raise


def seal_on(session: Session, publication: str) -> list[str]:
    """Go on with a publication on its way out until it is at its end; returns the ids of its envelopes, in order. Where that ends
    too early it is told how it goes on."""
    from p2pshare.operations.publishing import SealOn

    has_left = False
    with console.ProgressLine() as line:
        try:
            while True:
                done = session.run(SealOn(publication), line.show)
                line.show(done.step.what, done.step.done, done.step.of)
                has_left = done.step.has_left
                if done.step.is_finished:
                    return done.envelopes
        except (StoreError, DaemonUnreachable, KeyboardInterrupt):
            console.warn(
                f"publication {publication}: "
                + ("it leaves" if has_left else "nothing of it has left")
                + "; `p2pshare status` shows how far it is, `p2pshare publish --resume` and the daemon go on with it"
                + ("" if has_left else f", `p2pshare publish --discard {publication}` ends it")
            )
            raise


def _note_findings(session: Session, draft: Draft) -> None:
    """Have it kept in mind, before they are sealed, beside whose objects our own findings stand."""
    from p2pshare.operations.already_held import NoteFindings

    findings = [(one.author.text, one.object_id, one.own_id) for one in draft.findings]
    for start in range(0, len(findings), FINDINGS_PER_REQUEST):
        _run(session, NoteFindings(tuple(findings[start : start + FINDINGS_PER_REQUEST])))


def _run(session: Session, request: Request[A]) -> A:
    with console.ProgressLine() as line:
        return session.run(request, line.show)


def _ask_or_discard(session: Session, token: str, preview: Mapping[str, Any], draft: Draft) -> None:
    try:
        _ask(preview, draft)
    except (RefusedError, KeyboardInterrupt):
        discard_prepared(session, token)
        raise


def discard_prepared(session: Session, token: str) -> None:
    """Forget what waits to be sealed under `token`."""
    from p2pshare.operations.publishing import Discard

    with suppress(ShareError):  # it is gone within minutes anyway
        _run(session, Discard(token))


def _ask(preview: Mapping[str, Any], draft: Draft) -> None:
    """Show values found in a text, the first of each column of a table, refusals, marking and recipients, and ask once.

    Raises RefusedError on a no.
    """
    values = draft.values or ()
    console.print_counts("refused", preview["refused"])
    if draft.held:
        console.say(f"not published: {console.counted(draft.held.total(), 'object')} shared already")
    for line in _columns_shown(draft):
        console.say(line)
    for one in values[:VALUES_SHOWN_MAX]:
        console.say(f"found {one.type} {console.shown(one.value)}")
    if len(values) > VALUES_SHOWN_MAX:
        console.say(f"and {len(values) - VALUES_SHOWN_MAX} more, which --dry-run shows")
    _print_audience(preview)
    if not console.ask("publish?"):
        raise RefusedError("nothing was published", reason="not-confirmed")


def _columns_shown(draft: Draft) -> Iterator[str]:
    """Yields a line for each column that was read, with its first values: whose they are is seen at a glance."""
    for title, first in draft.columns.items():
        yield f"{title}: {', '.join(console.shown(one.value) for one in first)}"


def _print_audience(answer: Mapping[str, Any]) -> None:
    markings = ", ".join(map(console.shown, answer["markings"]))
    recipients = ", ".join(map(console.shown, answer["recipients"]))
    objects = console.counted(answer["published"], "object")
    observables = console.counted(answer["observables"], "observable")
    console.say(f"{objects} with {observables}, {markings}, for {recipients}")
    if answer.get("missing_cards") is not None:
        _print_reach(len(answer["recipients"]), answer["missing_cards"])
    for left_out in answer["skipped"]:
        console.warn(f"{left_out['name']} is left out: {left_out['reason']}")


def _print_reach(recipients: int, missing: Mapping[str, Any]) -> None:
    """Say for how many it is, and who in the circle will not get it because no card of theirs is here."""
    console.say(f"it is for {console.counted(recipients, 'partner')}: everybody whose card you have")
    if not missing["count"]:
        return
    names = [one["name"] or one["partner_id"][:MISSING_ID_DIGITS] for one in missing["named"]]
    more = f" and {missing['count'] - len(names)} more" if missing["count"] > len(names) else ""
    console.warn(
        f"{console.counted(missing['count'], 'member')} of the circle cannot read it, for their cards are missing here: "
        f"{', '.join(names)}{more}; `p2pshare introduce accept` or `partner add` (names as their cards say)"
    )


def _together(*lists: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns refusals, or notes, of the reader and of the sealer as one list, the most frequent first."""
    by_reason: dict[str, dict[str, Any]] = {}
    for refusal in (one for some in lists for one in some):
        known = by_reason.setdefault(
            refusal["reason"], {"reason": refusal["reason"], "count": 0, "examples": []}
        )
        known["count"] += refusal["count"]
        known["examples"] += refusal["examples"]
    return sorted(by_reason.values(), key=lambda refusal: (-refusal["count"], refusal["reason"]))


def _print_answer(answer: Mapping[str, Any], draft: Draft, *, is_dry_run: bool) -> None:
    console.print_counts("refused", answer["refused"])
    console.print_counts("note", answer["notes"])
    for one in answer["held"]:
        console.say(
            f"already shared: {console.counted(one['count'], 'object')} by {console.shown(one['author'])}"
        )
    if answer["published"]:
        _print_audience(answer)
    if is_dry_run:
        for line in _columns_shown(draft):
            console.print_result(line)
        for one in answer.get("values", ()):
            console.print_result(f"{one['type']} {console.shown(one['value'])}")
        console.say("dry run: nothing was published")
    for envelope_id in answer["envelopes"]:
        console.print_result(envelope_id)


def _exit_code(answer: Mapping[str, Any], draft: Draft, *, says_anew: bool) -> int:
    """Returns 0, or 6 when something was refused beside what was published, or need not be. Raises the error of a refusal of
    everything; `says_anew`: held is then only what cannot be said anew."""
    policy = answer["refusal"]
    refused = {refusal["reason"] for refusal in answer["refused"]}
    options = sorted({CONFIRMATIONS[reason] for reason in refused & CONFIRMATIONS.keys()})
    hint = draft.hint or (f"if it shall leave all the same: {' '.join(options)}" if options else "")
    for reason, how in REFUSAL_HINTS.items():
        hint = hint or (how if reason in refused else "")
    if answer["published"]:
        if hint and (options or refused & REFUSAL_HINTS.keys()):
            console.say(f"hint: {hint}")
        if policy is not None:
            console.warn(policy["message"])
        return EXIT_PARTLY_DONE if refused else 0
    if policy is not None:
        raise RefusedError(policy["message"], hint=policy["hint"], reason=policy["reason"])
    if refused and (answer["merged"] if says_anew else answer["held"]):
        if hint:
            console.say(f"hint: {hint}")
        return EXIT_PARTLY_DONE
    if refused:
        # a definition that nothing names is left over when what named it was refused: no reason of its own
        deciding = refused - {"not-referenced"} or refused
        kind: type[ShareError] = (
            RefusedError if deciding <= MARKING_REASONS | CONFIRMATIONS.keys() else AuthorError
        )
        raise kind(
            "nothing in the input can be published", hint=hint or "the reasons are above, with examples"
        )
    if answer["held"]:
        console.say("nothing to publish: all that was read is shared already")
        if not says_anew and draft.held.keys() != {draft.author.partner_id}:
            console.say(f"hint: {HELD_HINT}")
        return 0
    if answer["merged"]:
        console.say("nothing to publish: you have said all of it")
        return 0
    console.say(
        f"nothing to publish: {'the input holds no objects' if draft.values is None else NOTHING_FOUND}"
    )
    return 0
