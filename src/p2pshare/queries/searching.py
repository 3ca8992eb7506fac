"""Searching and showing: objects and envelopes that are held here, as a person sees them.

Analysts see every marking they hold. Nothing here is made safe for a terminal: the command that shows it does that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct, field

from p2pshare.envelope.envelope import Mode
from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId, PublicationId
from p2pshare.intel.derivation import read_derivation
from p2pshare.intel.grouping import DEFINITION, IDENTITY
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.object_texts import labels_of, title_of
from p2pshare.knowledge.interface import HeldPublication, ObjectVersion, Walked, Wanted
from p2pshare.log.interface import ContentState
from p2pshare.node.store import StoreReading
from p2pshare.queries.lookup import StatedOrigin, WithdrawalReason, origins_named, reason_of

COMPANION_TYPES = frozenset({DEFINITION, IDENTITY})
TITLES_MAX = 10  # of a publication: enough to know it again
TITLE_OBJECTS_MAX = 100  # looked at in one envelope, ...
TITLE_ENVELOPES_MAX = 10  # ... of so many
TITLE_CHARACTERS_MAX = 200  # of a result: enough to know it again; `show` has the whole object


class ShownVersion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version of an object, without its content."""

    author: str
    author_id: str
    tlp: str
    pap: str | None
    modified: str | None
    is_current: bool
    is_revoked: bool
    is_fallen: bool
    """True where what it stems from was withdrawn (origin-withdrawn)."""
    envelope_id: str
    received_at: str | None


class FoundObject(ShownVersion, frozen=True, forbid_unknown_fields=True):
    """The current version of an object that fits the search."""

    id: str | None
    type: str | None
    title: str
    labels: list[str]
    pattern_type: str | None


class HeldVersion(ShownVersion, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of an object, by the number that `show --version` takes; `object` is its JSON."""

    number: int
    is_fork: bool
    withdrawal: WithdrawalReason | None
    derived_from: list[StatedOrigin]
    public_source: str | None
    possible_echo: list[str]
    """Other authors that have an object of this id, where this one does not say that it stems from theirs."""
    object: dict[str, Any]


class HeldFork(Struct, frozen=True, forbid_unknown_fields=True):
    """Two contents of one version: `times` how many came after the first."""

    author: str
    modified: str | None
    envelopes: list[str]
    times: int


class HeldObject(Struct, frozen=True, forbid_unknown_fields=True):
    """An object with its versions, of every author, in order of arrival."""

    id: str
    versions: list[HeldVersion]
    forks: list[HeldFork]


class HeldContent(Struct, frozen=True, forbid_unknown_fields=True):
    """An object in an envelope, as its author described it; a field is None where that was no text."""

    id: str | None
    type: str | None
    modified: str | None
    title: str


class HeldEnvelope(Struct, frozen=True, forbid_unknown_fields=True):
    """An envelope that is held. `objects` are given only of one that was opened here; `received_from` None: it is ours."""

    envelope_id: str
    author: str
    author_id: str
    circle: str
    mode: str
    created: str | None
    expires: str | None
    size: int
    received_from: str | None = field(name="from")
    received_at: str | None
    opened: bool
    carried: bool
    objects: list[HeldContent]
    publication: str | None
    """Of one that was read here; `part`: its number there, and of how many."""
    part: list[int] | None


class PartShown(Struct, frozen=True, forbid_unknown_fields=True):
    """An envelope of a publication: the number of its part, from 1."""

    part: int
    envelope_id: str
    size: int
    created: str | None
    received_at: str | None


class PublicationShown(Struct, frozen=True, forbid_unknown_fields=True):
    """A publication: how many of its parts are held and read here, and of how many; the number of different values in them;
    the titles of the first objects."""

    publication: str
    author: str
    author_id: str
    parts: int
    parts_held: int
    values: int
    titles: list[str]
    envelopes: list[PartShown]


def find(store: StoreReading, wanted: Wanted, limit: int, walked: Walked) -> list[FoundObject]:
    """Returns at most `limit` objects that fit, newest arrival first; `walked` is called as rows are read."""
    names = store.partners.names()
    return [
        _found_object(version, names) for version in islice(store.knowledge.search(wanted, walked), limit)
    ]


def _found_object(version: ObjectVersion, names: Mapping[PartnerId, str]) -> FoundObject:
    stix = _parsed(version.raw)
    return FoundObject(
        id=_text(stix.get("id")),
        type=_text(stix.get("type")),
        title=title_of(stix)[:TITLE_CHARACTERS_MAX],
        labels=labels_of(stix),
        pattern_type=_text(stix.get("pattern_type")),
        **_version_to_dict(version, names),
    )


def _parsed(raw: bytes) -> dict[str, Any]:
    stix = json.loads(raw)
    return stix if isinstance(stix, dict) else {}


def _version_to_dict(version: ObjectVersion, names: Mapping[PartnerId, str]) -> dict[str, Any]:
    return {
        "author": names.get(version.author, version.author.text),
        "author_id": version.author.text,
        "tlp": version.tlp.label,
        "pap": None if version.pap is None else version.pap.label,
        "modified": format_instant(version.modified_us),
        "is_current": version.is_current,
        "is_revoked": version.is_revoked,
        "is_fallen": version.is_fallen,
        "envelope_id": version.envelope_id.text,
        "received_at": format_instant(version.received_at * SECOND_US),
    }


def show_object(store: StoreReading, object_id: str) -> HeldObject:
    """Returns the object with its versions and forks. Raises NotFoundError."""
    versions = versions_of(store, object_id)
    names = store.partners.names()
    withdrawn = store.knowledge.withdrawals(object_id)
    contents: dict[tuple[PartnerId, int | None], int] = {}
    for one in versions:
        contents[one.author, one.modified_us] = contents.get((one.author, one.modified_us), 0) + 1
    authors = sorted({one.author for one in versions if one.is_current})
    return HeldObject(
        id=object_id,
        versions=[
            HeldVersion(
                number=number,
                **_version_to_dict(one, names),
                is_fork=one.modified_us is not None and contents[one.author, one.modified_us] > 1,
                withdrawal=reason_of(withdrawn.get(one.author)) if one.is_revoked else None,
                **_descent_to_dict(one, authors, names),
                object=_parsed(one.raw),
            )
            for number, one in enumerate(versions, start=1)
        ],
        forks=[
            HeldFork(
                author=names.get(fork.author, fork.author.text),
                modified=format_instant(fork.modified_us),
                envelopes=[fork.first.text, fork.second.text],
                times=fork.times,
            )
            for fork in store.knowledge.object_forks()
            if fork.object_id == object_id
        ],
    )


def _descent_to_dict(
    version: ObjectVersion, authors: Sequence[PartnerId], names: Mapping[PartnerId, str]
) -> dict[str, Any]:
    try:
        said = read_derivation(_parsed(version.raw))
    except AuthorError:  # intake refuses such an object
        said = None
    others = [] if said is not None and said.origins else [one for one in authors if one != version.author]
    return {
        "derived_from": [] if said is None else origins_named(said, names),
        "public_source": None if said is None else said.public_source,
        "possible_echo": [names.get(one, one.text) for one in others if version.is_current],
    }


def versions_of(store: StoreReading, object_id: str) -> list[ObjectVersion]:
    """Returns an object's versions in order of arrival. Raises NotFoundError."""
    versions = store.knowledge.object_versions(object_id)
    if not versions:
        raise NotFoundError(
            "no object of that id is held here",
            hint="`p2pshare search --text WORDS` finds objects by what they say",
        )
    return versions


def raw_version(versions: Sequence[ObjectVersion], number: int | None) -> ObjectVersion | None:
    """Returns the version of that number, counted from 1; without one the only current one. None when there is no such."""
    if number is not None:
        return versions[number - 1] if 1 <= number <= len(versions) else None
    current = [one for one in versions if one.is_current]
    return current[0] if len(current) == 1 else None


def show_envelope(store: StoreReading, envelope_id: EnvelopeId, circles: Sequence[str] = ()) -> HeldEnvelope:
    """Returns the envelope; `circles` are the names that may stand for its circle's id. Raises NotFoundError."""
    entry, record = store.log.entry(envelope_id), store.log.record(envelope_id)
    if entry is None or record is None:
        raise NotFoundError(
            f"no envelope {envelope_id.short} is held here", hint="it never came, or it has expired"
        )
    names = store.partners.names()
    part = store.knowledge.part_of(envelope_id)
    received_from = record.received_from
    return HeldEnvelope(
        envelope_id=envelope_id.text,
        author=names.get(entry.author, entry.author.text),
        author_id=entry.author.text,
        circle=next((name for name in circles if CircleId.of(name) == entry.circle), entry.circle.text),
        mode=Mode(entry.mode).name.lower(),
        created=format_instant(entry.created * SECOND_US),
        expires=format_instant(entry.expires * SECOND_US),
        size=entry.size,
        received_from=None if received_from is None else names.get(received_from, received_from.text),
        received_at=format_instant(record.received_at * SECOND_US),
        opened=record.content is ContentState.READ,
        carried=record.is_carried,
        objects=[_held_content(raw) for raw in store.knowledge.envelope_objects(envelope_id)],
        publication=None if part is None else part.publication.text,
        part=None if part is None else [part.place.number, part.place.of],
    )


def show_publications(store: StoreReading, publication: PublicationId) -> list[PublicationShown]:
    """Returns each publication of this id, one an author. Raises NotFoundError."""
    names = store.partners.names()
    shown = [_shown_publication(store, one, names) for one in store.knowledge.publications(publication)]
    if not shown:
        if store.log.staged_publication(publication) is not None:
            raise NotFoundError(
                f"publication {publication.short} is on its way out, and not stored yet",
                hint="`p2pshare status` shows how far it is, `p2pshare publish --resume` goes on with it",
            )
        raise NotFoundError(
            f"no publication {publication.short} is held here",
            hint="it never came, was not for us, or is still being read: see `p2pshare status`",
        )
    return shown


def _shown_publication(
    store: StoreReading, held: HeldPublication, names: Mapping[PartnerId, str]
) -> PublicationShown:
    parts = []
    for number, envelope_id in held.envelopes.items():
        entry, record = store.log.entry(envelope_id), store.log.record(envelope_id)
        if entry is not None and record is not None:
            parts.append(
                PartShown(
                    number,
                    envelope_id.text,
                    entry.size,
                    format_instant(entry.created * SECOND_US),
                    format_instant(record.received_at * SECOND_US),
                )
            )
    return PublicationShown(
        publication=held.publication.text,
        author=names.get(held.author, held.author.text),
        author_id=held.author.text,
        parts=held.parts,
        parts_held=len(parts),
        values=store.knowledge.publication_values(held.author, held.publication),
        titles=_titles(store, [EnvelopeId.parse(part.envelope_id) for part in parts]),
        envelopes=parts,
    )


def _titles(store: StoreReading, envelopes: Sequence[EnvelopeId]) -> list[str]:
    """Returns the first titles of the objects that are no companions, each once."""
    titles: dict[str, None] = {}
    for envelope_id in envelopes[:TITLE_ENVELOPES_MAX]:
        for raw in islice(store.knowledge.envelope_objects(envelope_id), TITLE_OBJECTS_MAX):
            content = _held_content(raw)
            if content.title and content.type not in COMPANION_TYPES:
                titles.setdefault(content.title)
            if len(titles) == TITLES_MAX:
                return list(titles)
    return list(titles)


def _held_content(raw: bytes) -> HeldContent:
    """Returns an object as its author sealed it; intake may have refused some of it, so nothing is taken for granted."""
    try:
        stix = _parsed(raw)
    except (ValueError, RecursionError):
        stix = {}
    return HeldContent(
        id=_text(stix.get("id")),
        type=_text(stix.get("type")),
        modified=_text(stix.get("modified")),
        title=title_of(stix)[:TITLE_CHARACTERS_MAX],
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
