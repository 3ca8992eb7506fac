"""What is held from others already, for a command that drafts and may not open the store's file; and which findings of our own
stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.derivation import Derivation, ObjectOrigin
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.interface import OwnFinding, SharedObject
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Query, Request, Several


class SharedAlready(Struct, frozen=True, forbid_unknown_fields=True):
    """A `knowledge.interface.SharedObject` on its way to the command: values as (type, value), origins as (author, object id).
    `out_us`: when it was taken back, or fell with its origin."""

    author: str
    object_id: str
    tlp: Tlp
    revoked: bool
    modified_us: int | None
    sealed_at: int
    values: list[tuple[str, str]]
    origins: list[tuple[str, str]]
    public_source: str | None
    out_us: int | None


class FindShared(Query[Several[SharedAlready]], frozen=True, tag="find-shared"):
    """Say what each author says under these ids, in order of arrival."""

    ids: tuple[str, ...]

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[SharedAlready]:
        found = node.store.knowledge.shared_objects(self.ids)
        return Several([_crossing(one) for under in found.values() for one in under])


def _crossing(one: SharedObject) -> SharedAlready:
    said = one.derivation or Derivation()
    return SharedAlready(
        one.author.text,
        one.object_id,
        one.tlp,
        one.is_revoked,
        one.modified_us,
        one.sealed_at,
        sorted((value.type, value.value) for value in one.values),
        [(origin.author.text, origin.object_id) for origin in said.origins],
        said.public_source,
        one.out_us,
    )


class OwnStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """A value, and the id of an object of ours that states it."""

    type: str
    value: str
    object_id: str


class FindOwnStatements(Query[Several[OwnStatement]], frozen=True, tag="find-own-statements"):
    """Say which of these (type, value) we state as our own."""

    values: tuple[tuple[str, str], ...]

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[OwnStatement]:
        found = node.store.knowledge.own_statements([Observable(*value) for value in self.values])
        return Several([OwnStatement(one.type, one.value, object_id) for one, object_id in found.items()])


class FindingsNoted(Struct, frozen=True, forbid_unknown_fields=True):
    """How many findings were kept in mind."""

    noted: int


class NoteFindings(Request[FindingsNoted], frozen=True, tag="note-findings"):
    """Keep in mind beside which (author, object id) each of our objects (the third) stands as a finding of our own: when the
    author takes it back we are told."""

    findings: tuple[tuple[str, str, str], ...]

    def run(self, node: Node, now: int, progress: Progress) -> FindingsNoted:
        try:
            findings = [OwnFinding(PartnerId.parse(author), *ids) for author, *ids in self.findings]
        except ValueError:
            raise AuthorError(
                "that is no author's id", hint="64 hexadecimal digits", reason="bad-id"
            ) from None
        node.store.knowledge.note_findings(findings, now)
        return FindingsNoted(len(findings))


class AskedIndex:
    """A `sharing.already_held.SharedIndex` that asks by `run`, where the store's file may not be opened."""

    def __init__(self, run: Callable[[Query[Any]], Any]) -> None:
        self._run = run

    def shared_objects(self, object_ids: Collection[str]) -> Mapping[str, Sequence[SharedObject]]:
        found: dict[str, list[SharedObject]] = {}
        for one in self._run(FindShared(tuple(object_ids))).each:
            origins = tuple(ObjectOrigin(PartnerId.parse(author), id_) for author, id_ in one.origins)
            is_derived = bool(origins) or one.public_source is not None
            found.setdefault(one.object_id, []).append(
                SharedObject(
                    PartnerId.parse(one.author),
                    one.object_id,
                    one.tlp,
                    one.revoked,
                    one.modified_us,
                    one.sealed_at,
                    frozenset(Observable(*value) for value in one.values),
                    Derivation(origins, one.public_source) if is_derived else None,
                    one.out_us,
                )
            )
        return found

    def own_statements(self, observables: Collection[Observable]) -> Mapping[Observable, str]:
        asked = tuple((one.type, one.value) for one in observables)
        return {
            Observable(one.type, one.value): one.object_id for one in self._run(FindOwnStatements(asked)).each
        }
