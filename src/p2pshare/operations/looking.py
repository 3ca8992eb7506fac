"""`lookup`, `search`, `show`, `explain` and `status`: what is held here, which partner gets or got it, and how this node
is."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, structs

from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.identifiers import EnvelopeId, PartnerId, PublicationId
from p2pshare.intel.checks import is_id
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import Wanted
from p2pshare.node.node import NodeReading, Progress
from p2pshare.node.store import StoreReading
from p2pshare.operations.incident_alarms import EVERY_ALARM
from p2pshare.operations.interface import Query, Several
from p2pshare.operations.space_alarms import spaces_status
from p2pshare.queries.explaining import Explanation, explain
from p2pshare.queries.lookup import LookedUp, look_up
from p2pshare.queries.searching import (
    FoundObject,
    HeldEnvelope,
    HeldObject,
    PublicationShown,
    find,
    raw_version,
    show_envelope,
    show_object,
    show_publications,
    versions_of,
)
from p2pshare.queries.status import NodeStatus, status

Number = Annotated[int, Meta(ge=1, le=2**63 - 1)]  # what the store can compare


class LookUp(Query[Several[LookedUp]], frozen=True, tag="lookup"):
    """Look values up: an answer for each, in order."""

    values: tuple[str, ...]

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[LookedUp]:
        return Several(look_up(node.store, self.values, now))


class Search(Query[Several[FoundObject]], frozen=True, tag="search"):
    """Find at most `limit` objects, newest arrival first; `since` in unix seconds. None and empty: anything."""

    limit: Number
    type: str | None = None
    author: str | None = None
    tlp: Tlp | None = None
    since: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    label: str = ""
    text: str = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[FoundObject]:
        author = None if self.author is None else _author_called(node.store, self.author)
        wanted = Wanted(self.type, author, self.tlp, self.since, self.label, self.text)
        return Several(find(node.store, wanted, self.limit, lambda done, of: progress("searched", done, of)))


def _author_called(store: StoreReading, name: str) -> PartnerId:
    """Returns the author of that alias or id, present or past. Raises NotFoundError."""
    for partner_id, alias in store.partners.names().items():
        if name in (alias, partner_id.text):
            return partner_id
    raise NotFoundError("no author of that name is known here", hint="see `p2pshare partner list`")


class ShowObject(Query[HeldObject], frozen=True, tag="show-object"):
    """Show the object with every version, or with the one of that number."""

    id: str
    number: Number | None = None

    def run(self, node: NodeReading, now: int, progress: Progress) -> HeldObject:
        _require_id(self.id)
        shown = show_object(node.store, self.id)
        if self.number is None:
            return shown
        _require_version(self.number, len(shown.versions))
        return structs.replace(shown, versions=[shown.versions[self.number - 1]])


class RawObject(Struct, frozen=True, forbid_unknown_fields=True):
    """An object's bytes as they were sealed; None where the request did not say which of several versions."""

    raw: bytes | None


class ShowRaw(Query[RawObject], frozen=True, tag="show-raw"):
    """Show the bytes of the version of that number, else of the only current one."""

    id: str
    number: Number | None = None

    def run(self, node: NodeReading, now: int, progress: Progress) -> RawObject:
        _require_id(self.id)
        versions = versions_of(node.store, self.id)
        if self.number is not None:
            _require_version(self.number, len(versions))
        version = raw_version(versions, self.number)
        return RawObject(None if version is None else version.raw)


def _require_id(text: str) -> None:
    if not is_id(text):
        raise AuthorError(
            "that is no id",
            hint="TYPE--UUID for an object, 64 hexadecimal digits for an envelope, 32 for a publication",
            reason="bad-id",
        )


def _require_version(number: int, versions: int) -> None:
    if number > versions:
        raise NotFoundError(
            f"no version {number} is held here", hint="`p2pshare show ID` numbers those that are"
        )


class ShowEnvelope(Query[HeldEnvelope], frozen=True, tag="show-envelope"):
    """Show the envelope of that id."""

    id: str

    def run(self, node: NodeReading, now: int, progress: Progress) -> HeldEnvelope:
        try:
            envelope_id = EnvelopeId.parse(self.id)
        except ValueError:
            raise AuthorError(
                "that is no envelope's id", hint="64 hexadecimal digits", reason="bad-id"
            ) from None
        return show_envelope(node.store, envelope_id, node.config.gossip.circles)


class ShowPublication(Query[Several[PublicationShown]], frozen=True, tag="show-publication"):
    """Show the publication of that id, of each author who has one."""

    id: str

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[PublicationShown]:
        try:
            publication = PublicationId.parse(self.id)
        except ValueError:
            raise AuthorError(
                "that is no publication's id", hint="32 hexadecimal digits", reason="bad-id"
            ) from None
        return Several(show_publications(node.store, publication))


class Explain(Query[Explanation], frozen=True, tag="explain"):
    """Explain for each envelope with `asked` (an id or a value) whether the partner gets it, and why."""

    asked: str
    partner: str

    def run(self, node: NodeReading, now: int, progress: Progress) -> Explanation:
        return explain(node, self.asked, self.partner, now)


class ShowStatus(Query[NodeStatus], frozen=True, tag="status"):
    """Describe this node on one screen."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> NodeStatus:
        return status(node, now, EVERY_ALARM, spaces=spaces_status(node))
