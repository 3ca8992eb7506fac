"""`framework react`: the playbook that members agreed on becomes the tasks of an incident, and the clocks of its duties run.

1. It is the newest version that has its quorum and that our own organisation has adopted; else it is said who is missing. What we began to
   work by, the incident keeps.
2. Tasks that stand in the incident already are not written again: who reacts twice, or beside another member, adds nothing.
3. A clock runs from what we stated in the incident. What we stated under one law is stated under those of the framework, too, at the same
   time: when we became aware is one fact. Nothing else is stated for anybody.
4. The steps are read by all members of the incident, marked as the stricter of both spaces; who of them is not in the framework is told before,
   and where the framework is AMBER+STRICT or RED there may be none such.
5. Nothing of a playbook is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.duty_templates import DutyTemplate, is_zone
from p2pshare.intel.incident_record import ToldDuty
from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry
from p2pshare.intel.playbooks.playbook_tasks import PlaybookTask, tasks_of
from p2pshare.node.duty_files import duty_templates_of
from p2pshare.node.node import Node
from p2pshare.operations.frameworks import (
    AnsweringPlaybook,
    PlaybookCalled,
    answering,
    document_of,
    entry_shown,
    framework_here,
    is_called,
    judging,
    row_called,
    rows,
)
from p2pshare.operations.incidents import AMBER_STRICT, INCIDENT
from p2pshare.operations.interface import LongRequest
from p2pshare.operations.spaces import TLP_LABELS, AmbiguousId, Called, names_here, space_called, who_may
from p2pshare.spaces.framework import PlaybookSaid
from p2pshare.spaces.framework_holding import HeldFramework
from p2pshare.spaces.incident import IncidentFold
from p2pshare.spaces.incident_entries import (
    DutyStatement,
    IncidentBody,
    IncidentReaction,
    IncidentTask,
    TaskStep,
    encode_incident,
    step_task_id,
)
from p2pshare.spaces.incident_telling import Telling, duties_under
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceRow
from p2pshare.spaces.writing import SpaceStatement

READING_STATUSES = ("joined", "invited", "forked")


class ReactionTask(Struct, frozen=True, forbid_unknown_fields=True):
    """A step as a task. `below`: the task in one of whose branches it is, None: in none. `not_run`: the types of its commands that are shown and
    not run here. `playbook` is another playbook that it names, `playbook_state` how that one stands in the framework. `is_new`: it was not there."""

    task: str
    place: int
    kind: str
    title: str
    text: str
    below: str | None
    branch: str
    at_once: bool
    not_run: list[str]
    playbook: str
    playbook_state: str
    is_new: bool


class Reacted(Struct, frozen=True, forbid_unknown_fields=True):
    """By which playbook the incident is worked, in which version (`modified`) and content (`hash`), its tasks in order and our duties as they
    stand; `readers` are the members of the incident besides us. `notes` say what a person should know. `is_done` False: a dry run."""

    incident: str
    framework: str
    playbook: str
    name: str
    version: str
    hash: str
    approvals: list[str]
    needed: int
    tlp: str
    readers: list[str]
    outsiders: list[str]
    tasks: list[ReactionTask]
    duties: list[dict[str, str | None]]
    notes: list[str]
    is_done: bool


class React(LongRequest[Reacted], frozen=True, tag="framework-react"):
    """React to the incident of that id by the playbook that answers its types, or by the one that is called so, of one framework where
    several have it. `aware`: when we became aware
    (unix seconds, 0: not said here), in `zone`. `hash`: of the content that a person was shown; by another one nothing is done. `dry_run`: show it,
    and write nothing."""

    id: Called
    playbook: PlaybookCalled = ""
    framework: Called = ""
    aware: int = 0
    zone: str = "UTC"
    hash: Annotated[str, Meta(max_length=64)] = ""
    dry_run: bool = False

    def steps(self, node: Node, now: int) -> Iterator[Reacted | None]:
        row = space_called(node.store, self.id, INCIDENT)
        yield from judging(node, [row_called(node, self.framework)] if self.framework else rows(node), now)
        while not spaces_of(node).caught_up(row.space, now):
            yield None
        yield self._react(node, now)

    def _react(self, node: Node, now: int) -> Reacted:
        row = space_called(node.store, self.id, INCIDENT)
        state = spaces_of(node).state(row.space)
        fold, own, names = state.kind, node.identity.partner_id, names_here(node.store)
        assert isinstance(fold, IncidentFold)
        if fold.is_closed:
            raise RefusedError(
                "the incident is closed", hint="`p2pshare incident reopen` opens it again", reason="closed"
            )
        asked = [row_called(node, self.framework)] if self.framework else rows(node)
        frameworks = [framework_here(node, one) for one in asked]
        chosen = _chosen(frameworks, fold, own, self.playbook)
        digest, approvals = _version(chosen, fold, own, names)
        if self.hash and digest.hex() != self.hash:
            raise RefusedError(
                "another version of the playbook is in force now than the one that was shown",
                hint="look at it, and react again",
                reason="changed-meanwhile",
            )
        document, said = document_of(node, chosen.held, chosen.entry.playbook, digest)
        tasks = tasks_of(document)
        readers = [
            member
            for member, status in sorted(state.members.items())
            if status in READING_STATUSES and member != own
        ]
        outsiders = [member for member in readers if member not in chosen.held.joined]
        tlp = max(row.tlp, chosen.held.row.tlp)
        if chosen.held.row.tlp >= AMBER_STRICT and outsiders:
            raise RefusedError(
                f"the framework is {TLP_LABELS[chosen.held.row.tlp]}, and {_named(outsiders, names)} would read the steps without being in it",
                hint="its lead invites them, or work by it in an incident without them",
                reason="not-for-these-members",
            )
        templates, notes = _templates(node, chosen.entry)
        own_words = [one for one in Telling(state, names).stated_duties() if one.author == own]
        stated = list(_stated(templates, own_words, self.aware, self.zone))
        known = {held.id for held in fold.tasks()}
        shown = [
            _shown(
                one, row.space, digest, known, chosen.held, names, {task.place: task.step for task in tasks}
            )
            for one in tasks
        ]
        if not self.dry_run:
            statements = list(_statements(row, chosen, said, tasks, stated, fold, own, known))
            with node.store.transaction():
                for kind, body in statements:
                    try:
                        spaces_of(node).say(row.space, SpaceStatement(kind, encode_incident(body), tlp), now)
                    except RefusedError as error:
                        raise who_may(node, row, error) from None
        words = [*own_words, *(_told(one, own) for one in stated)]
        duties = [
            {name: value for name, value in duty.items() if name != "organisation"}
            for template in templates.values()
            for duty in duties_under(
                template, own, [one for one in words if one.template == template.template], now
            )
        ]
        return Reacted(
            row.space.text,
            chosen.held.row.space.text,
            said.playbook,
            said.name,
            said.modified,
            digest.hex(),
            sorted(names.get(PartnerId.parse(one)) or one for one in approvals),
            chosen.entry.quorum,
            TLP_LABELS[tlp],
            [names.get(one) or one.text for one in readers],
            [names.get(one) or one.text for one in outsiders],
            shown,
            duties,
            notes,
            not self.dry_run,
        )


def _chosen(
    frameworks: list[HeldFramework], fold: IncidentFold, own: PartnerId, called: str
) -> AnsweringPlaybook:
    """Returns the one playbook to work by. Raises NotFoundError where none answers, AmbiguousId with the list for several."""
    held = fold.determination()
    types = held.determination.types if held else ()
    found = answering(iter(frameworks), own, types=types, called=called)
    begun = {said.playbook for vertex, said in fold.reactions() if vertex.author == own}
    if len(found) > 1 and not called and any(one.entry.playbook in begun for one in found):
        found = [one for one in found if one.entry.playbook in begun]
    if not found:
        raise NotFoundError(
            f"no framework of ours has a playbook {'that is called so' if called else 'for ' + (', '.join(types) or 'an incident without a type')}",
            hint="`p2pshare framework status` says what there is; --playbook ID names one; `p2pshare incident determine --type` says what it is",
        )
    if len(found) > 1:
        told = "; ".join(
            f"{one.entry.playbook} {one.name} (framework {one.held.row.space.short})" for one in found
        )
        raise AmbiguousId(
            f"several playbooks answer it: {told}", hint="say which: --playbook ID, --framework ID"
        )
    return found[0]


def _version(
    chosen: AnsweringPlaybook, fold: IncidentFold, own: PartnerId, names: Mapping[PartnerId, str]
) -> tuple[bytes, tuple[str, ...]]:
    """Returns the hash of the version to work by, and who approves it. Raises RefusedError that says who is missing."""
    counted = {one.version.digest: one for one in chosen.tally.of}
    begun = [
        (vertex.author == own, said.digest)
        for vertex, said in fold.reactions()
        if said.playbook == chosen.entry.playbook
    ]
    for is_ours, digest in sorted(begun, reverse=True):
        one = counted.get(digest)
        has_quorum = one is not None and len(one.approvals) >= chosen.entry.quorum and not one.is_forked
        if is_ours or (has_quorum and chosen.is_adopted):
            return digest, one.approvals if one is not None else ()
    version = chosen.tally.version
    if version is None:
        raise _no_quorum(chosen, names)
    if not chosen.is_adopted:
        raise RefusedError(
            "our organisation has not adopted the framework as it is now",
            hint=f"`p2pshare framework adopt {chosen.held.row.space.short}`",
            reason="not-adopted",
        )
    return version.digest, chosen.tally.approvals


def _named(members: Iterable[PartnerId], names: Mapping[PartnerId, str]) -> str:
    return ", ".join(sorted(names.get(one) or one.short for one in members))


def _no_quorum(chosen: AnsweringPlaybook, names: Mapping[PartnerId, str]) -> RefusedError:
    entry = entry_shown(chosen.held, chosen.entry, dict(names), [])
    if entry.state == "missing":
        return RefusedError(
            f"the playbook {chosen.entry.playbook} is not here",
            hint="its owner imports it: `p2pshare playbook import`",
            reason="content-missing",
        )
    if entry.state == "forked":
        return RefusedError(
            f"two contents of one version of {chosen.name} are there",
            hint="its owner makes a new version, and members approve that",
            reason="forked",
        )
    by = ", ".join(one.by for one in entry.approvals) or "nobody"
    version = f" of {entry.version}" if entry.version else ""
    return RefusedError(
        f"{chosen.name}{version} needs {entry.needed} approvals and has {len(entry.approvals)} ({by}); missing:"
        f" {entry.missing} of {', '.join(sorted(entry.may_approve)) or 'members who have not joined yet'}",
        hint=f"they run `p2pshare playbook approve {chosen.entry.playbook.removeprefix('playbook--')[:8]}`",
        reason="no-quorum",
    )


def _templates(node: Node, entry: FrameworkEntry) -> tuple[dict[str, DutyTemplate], list[str]]:
    """Returns the laws of an entry that are known here, and a note on each that is not, or is another text."""
    from p2pshare.node.duty_files import duty_template_digests

    held, digests = duty_templates_of(node.home).templates, duty_template_digests(node.home)
    found, notes = {}, []
    for duty in entry.duties:
        template = held.get(duty.template)
        if template is None:
            notes.append(
                f"the duties of {duty.template} are not known here: put its file into the folder `duties` of the home"
            )
            continue
        found[duty.template] = template
        if digests.get(duty.template) != duty.sha256:
            notes.append(
                f"{duty.template} is version {template.version} here, and the framework means version {duty.version}: what is told is by ours"
            )
    return found, notes


def _stated(
    templates: Mapping[str, DutyTemplate], own: list[ToldDuty], aware: int, zone: str
) -> Iterator[DutyStatement]:
    """Yields what is to be stated under the framework's laws: what we stated under others already, and since when we are aware."""
    if aware and not is_zone(zone):
        raise RefusedError(f"{zone} is no time zone", hint="Europe/Berlin, UTC, ...", reason="unknown-zone")
    known = {(one.template, one.event): (one.at, one.zone) for one in own if not one.stage}
    facts: dict[str, tuple[int, str]] = {}
    for one in own:
        if not one.stage and (one.event not in facts or one.at < facts[one.event][0]):
            facts[one.event] = one.at, one.zone
    if aware:
        facts["aware"] = aware, zone
    for name, template in templates.items():
        for event, (at, where) in sorted(facts.items()):
            before = known.get((name, event))
            is_new = before != (at, where) if aware and event == "aware" else before is None
            if template.names(event) and is_new:
                yield DutyStatement(event, "", name, at, where, "")


def _told(said: DutyStatement, own: PartnerId) -> ToldDuty:
    return ToldDuty(
        author=own, event=said.event, stage=said.stage, template=said.template, at=said.at, zone=said.zone
    )


def _statements(
    row: SpaceRow,
    chosen: AnsweringPlaybook,
    said: PlaybookSaid,
    tasks: Iterable[PlaybookTask],
    stated: Iterable[DutyStatement],
    fold: IncidentFold,
    own: PartnerId,
    known: set[EntryId],
) -> Iterator[tuple[str, IncidentBody]]:
    """Yields what is not written yet."""
    if not any(vertex.author == own and one.digest == said.digest for vertex, one in fold.reactions()):
        yield (
            "react",
            IncidentReaction(chosen.held.row.space, said.playbook, said.modified, said.digest, said.name),
        )
    for one in tasks:
        if step_task_id(row.space, said.digest, one.step) not in known:
            types = tuple(sorted({one.kind, *(("not-run-here",) if one.not_run else ())}))
            step = TaskStep(said.digest, one.step, one.place)
            yield "task", IncidentTask(one.title, one.text, 0, types, (step,))
    for statement in stated:
        yield "duty", statement


def _shown(
    one: PlaybookTask,
    incident: EntryId,
    digest: bytes,
    known: set[EntryId],
    held: HeldFramework,
    names: Mapping[PartnerId, str],
    steps: Mapping[int, str],
) -> ReactionTask:
    task = step_task_id(incident, digest, one.step)
    below = step_task_id(incident, digest, steps[one.below]).text if one.below else None
    state = _state_of(held, one.playbook, dict(names)) if one.playbook else ""
    return ReactionTask(
        task.text,
        one.place,
        one.kind,
        one.title,
        one.text,
        below,
        one.branch,
        one.is_at_once,
        list(one.not_run),
        one.playbook,
        state,
        task not in known,
    )


def _state_of(held: HeldFramework, playbook: str, names: dict[PartnerId, str]) -> str:
    """Returns how another playbook stands in the framework: in words of FrameworkEntryShown, or `not-in-framework`."""
    manifest = held.fold.manifest()
    entries: tuple[Any, ...] = () if manifest is None else manifest.manifest.entries
    for entry in entries:
        if is_called(entry.playbook, playbook):
            return entry_shown(held, entry, names, []).state
    return "not-in-framework"
