"""`framework react`: the playbook that members agreed on becomes the tasks of an incident, and the clocks of its duties run.

1. It is the newest version that has its quorum and that our own organisation has adopted; else it is said who is missing. What we began to
   work by, the incident keeps.
2. Tasks that stand in the incident already are not written again: who reacts twice, or beside another member, adds nothing.
3. A clock runs from what we stated in the incident. What we stated under one law is stated under those of the framework, too, at the same
   time: when we became aware is one fact. Nothing else is stated for anybody.
4. The steps are read by all members of the incident: they are marked as the stricter of both spaces, and what is for the members of the
   framework alone (AMBER+STRICT, RED) goes to nobody else.
5. Nothing of a playbook is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.duty_templates import DutyTemplate
from p2pshare.intel.incident_record import ToldDuty
from p2pshare.intel.playbooks.playbook_tasks import PlaybookTask, tasks_of
from p2pshare.node.duty_files import duty_templates_of
from p2pshare.node.node import Node, Progress
from p2pshare.operations.incidents import AMBER_STRICT, INCIDENT
from p2pshare.operations.interface import Request
from p2pshare.operations.spaces import TLP_LABELS, AmbiguousId, Called, names_here, space_called, who_may
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


class React(Request[Reacted], frozen=True, tag="framework-react"):
    """React to the incident of that id by the playbook that answers its type, or by the one of that id. `dry_run`: show it, and write nothing."""

    id: Called
    playbook: PlaybookCalled = ""
    dry_run: bool = False

    def run(self, node: Node, now: int, progress: Progress) -> Reacted:
        row = space_called(node.store, self.id, INCIDENT)
        state = spaces_of(node).state(row.space)
        fold, own = state.kind, node.identity.partner_id
        assert isinstance(fold, IncidentFold)
        if fold.is_closed:
            raise RefusedError(
                "the incident is closed", hint="`p2pshare incident reopen` opens it again", reason="closed"
            )
        chosen = self._chosen(node, fold)
        version = version_of(chosen, fold, own, names_here(node.store))
        document = chosen.document(version.digest)
        tasks = tasks_of(document)
        readers = [
            member
            for member, status in sorted(state.members.items())
            if status in READING_STATUSES and member != own
        ]
        outsiders = [member for member in readers if member not in chosen.members]
        tlp = max(row.tlp, chosen.row.tlp)
        if tlp >= AMBER_STRICT and outsiders:
            raise RefusedError(
                f"the framework is {TLP_LABELS[chosen.row.tlp]}, the incident {TLP_LABELS[row.tlp]}, and"
                f" {_named(outsiders, names_here(node.store))} would read the steps without being in the framework",
                hint="its lead invites them into the framework, or work by the playbook in an incident without them",
                reason="not-for-these-members",
            )
        known = {held.id for held in fold.tasks()}
        statements = list(self._statements(row, chosen, version, document, tasks, fold, own, known))
        ...
