"""A framework as a file: which playbook answers what, how many must approve it, which duties run and which outcomes it serves.

One JSON file (docs/playbooks.md, "A framework in a file"), read strictly: a member that nobody knows, a word that is none, an outcome that NIST
does not have is an error with its place. Partners agree on what is read here in a space; who does not is free to keep the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Annotated

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.intel.playbooks.csf_outcomes import CSF_OUTCOMES
from p2pshare.intel.playbooks.playbook_text import TextLimits, read_strictly
from p2pshare.limits import KIB

MANIFEST_BYTES_MAX = 256 * KIB  # an entry has half a KiB: ours of three have 2 KiB
ENTRIES_MAX = 256  # playbooks of one framework: RE&CT's whole catalogue of incidents has fewer
WORDS_MAX = 32  # of one kind in one trigger, and duties or outcomes of one entry
QUORUM_MAX = 256  # members that must approve: no space has more
_LIMITS = TextLimits(MANIFEST_BYTES_MAX, MANIFEST_BYTES_MAX, MANIFEST_BYTES_MAX)
_HINT = 'docs/playbooks.md, "A framework in a file", says what it has'
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# A `$` would let a line break stand behind the word.
FrameworkWord = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}\Z")]
IncidentTypeWord = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9&._+:-]{1,64}\Z")]
AttackTechnique = Annotated[str, msgspec.Meta(pattern=r"^TA?[0-9]{4}([.][0-9]{3})?\Z")]
RiskOutcome = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9 &-]{0,63}\Z")]
PlaybookName = Annotated[str, msgspec.Meta(pattern=rf"^playbook--{_UUID}\Z")]
CacaoInstant = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z\Z")
]
Sha256Text = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Several = msgspec.Meta(max_length=WORDS_MAX)


class FrameworkTrigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What calls for a playbook: types of an incident, techniques or tactics of ATT&CK, outcomes of the risk tables, at least one of all."""

    types: Annotated[tuple[IncidentTypeWord, ...], _Several] = ()
    attack: Annotated[tuple[AttackTechnique, ...], _Several] = ()
    risk: Annotated[tuple[RiskOutcome, ...], _Several] = ()

    def __post_init__(self) -> None:
        if not (self.types or self.attack or self.risk):
            raise ValueError("a trigger has types, attack or risk")


class FrameworkDuty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A law whose duties run. `sha256` is of the template's file, so that members who say one name mean one text."""

    template: FrameworkWord
    version: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    sha256: Sha256Text


class FrameworkEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One playbook and when it is used. `least`: the `modified` of the oldest version that will do; `quorum`: members that approve."""

    trigger: FrameworkTrigger
    playbook: PlaybookName
    least: CacaoInstant
    quorum: Annotated[int, msgspec.Meta(ge=1, le=QUORUM_MAX)]
    duties: Annotated[tuple[FrameworkDuty, ...], _Several] = ()
    csf: Annotated[tuple[str, ...], _Several] = ()

    def matches(
        self, types: Collection[str] = (), attack: Collection[str] = (), risk: Collection[str] = ()
    ) -> bool:
        """Returns whether any of these words calls for the playbook. A technique also calls for what its sub-techniques do."""
        return (
            not set(self.trigger.types).isdisjoint(types)
            or not set(self.trigger.risk).isdisjoint(risk)
            or any(
                one in self.trigger.attack or one.partition(".")[0] in self.trigger.attack for one in attack
            )
        )


class FrameworkManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A framework. `version` changes with each change of the file."""

    framework: FrameworkWord
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    version: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    entries: Annotated[tuple[FrameworkEntry, ...], msgspec.Meta(min_length=1, max_length=ENTRIES_MAX)]


_decode = msgspec.json.Decoder(FrameworkManifest).decode


def read_manifest(raw: bytes, name: str) -> FrameworkManifest:
    """Returns the framework of a file called `name`. Raises AuthorError `bad-framework` with the place in it, and what is wrong there."""
    _, faults = read_strictly(raw, _LIMITS)
    if faults:
        where = f" at {faults[0].pointer}" if faults[0].pointer else ""
        raise _bad(f"{name} is no framework: {faults[0].message}{where}")
    try:
        manifest = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _bad(f"{name} is no framework: {error}") from None
    for problem in _problems(manifest):
        raise _bad(f"{name}: {problem}")
    return manifest


def manifest_bytes(manifest: FrameworkManifest) -> bytes:
    """Returns the file that `read_manifest` reads, with each member, in their order."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _problems(manifest: FrameworkManifest) -> Iterator[str]:
    """Yields what no member by itself shows to be wrong: place and what."""
    for number, entry in enumerate(manifest.entries):
        place = f"/entries/{number}"
        for outcome in entry.csf:
            if outcome not in CSF_OUTCOMES:
                yield f"{place}/csf: {outcome!r} is no outcome of NIST CSF 2.0, as `RS.MA-01` is one"
        several = (
            ("trigger/types", entry.trigger.types),
            ("trigger/attack", entry.trigger.attack),
            ("trigger/risk", entry.trigger.risk),
            ("csf", entry.csf),
            ("duties", tuple(duty.template for duty in entry.duties)),
        )
        for member, words in several:
            if twice := _twice(words):
                yield f"{place}/{member}: {twice!r} stands twice"
    if twice := _twice(tuple(entry.playbook for entry in manifest.entries)):
        yield f"/entries: {twice} stands twice: one entry of it has all its triggers"


def _twice(words: tuple[str, ...]) -> str:
    return next((word for word, count in Counter(words).items() if count > 1), "")


def _bad(message: str) -> AuthorError:
    return AuthorError(message, hint=_HINT, reason="bad-framework")
