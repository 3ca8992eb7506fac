"""Markings: TLP 2.0 and PAP on an object, folded into one effective marking. Fail closed.

Rules (docs/intelligence.md, "Markings"):
1. A marking only tightens. Granular markings count: the strictest part decides for the whole object.
2. The TLP ids of STIX, of TLP 1 (white = CLEAR) and of OpenCTI (AMBER+STRICT) are known by heart; what a bundle
   says a known id means is not believed.
3. No TLP, two TLP levels side by side, or a marking that is not understood (national classifications, ACS) is a
   problem. At sending it refuses the object (no TLP: unless the person gives a default). On receipt an object
   without TLP has its payload's marking, and the other two problems make it RED; what is not understood may also
   forbid use, so it is PAP:RED. Statements are neutral.
4. No PAP limits no use. Of several the strictest counts.
5. Words that look like a marking, wherever they stand, tighten like a granular marking, or are not understood
   (`marking_words`). They give no marking to an object that has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.intel.marking_words import NO_WORDS, MarkingWords, fold, words_in

TLP_EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
PAP_EXTENSION = "extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b"


class Tlp(IntEnum):
    """Traffic Light Protocol 2.0 (FIRST, 2022); the higher, the stricter."""

    CLEAR = 0
    GREEN = 1
    AMBER = 2
    AMBER_STRICT = 3
    RED = 4

    def __bool__(self) -> bool:
        """Returns True: a marking is never "nothing", and `marking or default` must not turn CLEAR into the default."""
        return True

    @property
    def label(self) -> str:
        """Returns the level as people write it: `TLP:AMBER+STRICT`."""
        return f"TLP:{self.name.replace('_', '+')}"

    @classmethod
    def from_label(cls, text: str) -> Tlp | None:
        """Returns the level, or None; case, the `TLP:` prefix and the sign before STRICT do not matter. WHITE is CLEAR."""
        return _TLP_BY_WORD.get(_word(text, "TLP"))

    @classmethod
    def parse(cls, text: str) -> Tlp:
        """Returns the level. Raises AuthorError unknown-marking."""
        level = cls.from_label(text)
        if level is None:
            raise AuthorError(
                "not a TLP level",
                hint="use one of clear, green, amber, amber+strict, red",
                reason="unknown-marking",
            )
        return level


class Pap(IntEnum):
    """Permissible Actions Protocol; the higher, the less may be done with the information."""

    CLEAR = 0
    GREEN = 1
    AMBER = 2
    RED = 3

    def __bool__(self) -> bool:
        return True

    @property
    def label(self) -> str:
        return f"PAP:{self.name}"

    @classmethod
    def from_label(cls, text: str) -> Pap | None:
        """Returns the level, or None. WHITE is CLEAR."""
        return _PAP_BY_WORD.get(_word(text, "PAP"))


_WORD_CHARACTERS_MAX = 32  # a text is a level as a whole, or none: what is cut off might say another


def _word(text: str, scheme: str) -> str:
    word = fold(text).strip().upper()
    if len(word) > _WORD_CHARACTERS_MAX:
        return ""
    return word.removeprefix(scheme).lstrip(": ").replace("-", "+").replace("_", "+").replace(" ", "+")


_TLP_BY_WORD = {level.name.replace("_", "+"): level for level in Tlp} | {"WHITE": Tlp.CLEAR}
_PAP_BY_WORD = {level.name: level for level in Pap} | {"WHITE": Pap.CLEAR}

TLP2_IDS: dict[Tlp, str] = {
    Tlp.CLEAR: "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    Tlp.GREEN: "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    Tlp.AMBER: "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    Tlp.AMBER_STRICT: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    Tlp.RED: "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}
TLP_IDS: dict[str, Tlp] = {id_: level for level, id_ in TLP2_IDS.items()} | {
    # TLP 1, STIX 2.1 section 7.2.1.4
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
    # OpenCTI's own, older than TLP 2.0 in STIX
    "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37": Tlp.AMBER_STRICT,
}
PAP_IDS: dict[str, Pap] = {  # OASIS common objects, pap-marking-definition-f8d
    "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92": Pap.CLEAR,
    "marking-definition--a3bea94c-b469-41dc-9cfe-d6e7daba7730": Pap.CLEAR,  # PAP:WHITE
    "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9": Pap.GREEN,
    "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab": Pap.AMBER,
    "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e": Pap.RED,
}


@dataclass(frozen=True)
class StatementMarking:
    """A marking that limits nobody: copyright and the like. A level that stands in its text tightens."""

    tlp: Tlp | None = None
    pap: Pap | None = None


STATEMENT = StatementMarking()
Meaning = Tlp | Pap | StatementMarking | None
"""Meaning of one marking definition; None: not understood."""

STATEMENT_IDS: dict[str, StatementMarking] = {
    # MITRE ATT&CK's copyright: copied into many bundles whose authors left the definition out
    "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168": STATEMENT,
}
KNOWN: dict[str, Meaning] = {**TLP_IDS, **PAP_IDS, **STATEMENT_IDS}


@dataclass(frozen=True)
class Marking:
    """Effective marking of an object: one TLP level, and a PAP level where there is one."""

    tlp: Tlp
    pap: Pap | None = None


@dataclass(frozen=True)
class MarkingProblem:
    """Reason why there is no effective marking: `no-marking`, `two-markings` or `unknown-marking`.

    `at_least` is the marking that is certain all the same: RED where something was not understood, else that
    of granular markings; a default or a payload's floor can only tighten it.
    """

    reason: str
    at_least: Marking


def levels_of(words: MarkingWords) -> tuple[Tlp | None, Pap | None]:
    """Returns the strictest level of each scheme in `words`, without its ids of marking definitions."""
    return (
        max((_TLP_BY_WORD[name] for name in words.tlp), default=None),
        max((_PAP_BY_WORD[name] for name in words.pap), default=None),
    )


_NO_MEANING = frozenset({"type", "spec_version", "id", "created", "created_by_ref", "object_marking_refs", "granular_markings"})  # fmt: skip


def meaning_of(definition: Mapping[str, Any]) -> Meaning:
    """Returns the meaning of a marking-definition object (parsed JSON of unknown shape). Levels in its name and texts
    tighten its definition; where they are of another scheme, or not understood, the definition is not understood."""
    meaning = _defined(definition)
    if meaning is None:
        return None
    words = words_in({name: value for name, value in definition.items() if name not in _NO_MEANING})
    tlp, pap = levels_of(words)
    if words.unknown or words.refs - TLP_IDS.keys():
        return None
    tlp = max((level for level in (tlp, *map(TLP_IDS.get, words.refs)) if level is not None), default=None)
    if isinstance(meaning, Tlp):
        return None if pap is not None else max(meaning, tlp or meaning)
    if isinstance(meaning, Pap):
        return None if tlp is not None else max(meaning, pap or meaning)
    return StatementMarking(tlp, pap)


def _defined(definition: Mapping[str, Any]) -> Meaning:
    """Returns the meaning by the properties that the standards and OpenCTI have for it."""
    extensions = definition.get("extensions")
    if isinstance(extensions, Mapping):
        for extension, property_, parse in (
            (TLP_EXTENSION, "tlp_2_0", Tlp.from_label),
            (PAP_EXTENSION, "pap", Pap.from_label),
        ):
            content = extensions.get(extension)
            if isinstance(content, Mapping):
                return _parse_with(parse, content.get(property_))
        return None
    kind, content = definition.get("definition_type"), definition.get("definition")
    if "x_opencti_definition_type" in definition:  # OpenCTI exports every other marking as a "statement"
        kind, content = definition["x_opencti_definition_type"], definition.get("x_opencti_definition")
    kind = kind.lower() if isinstance(kind, str) else ""
    if isinstance(content, Mapping):
        content = content.get(kind)
    if kind == "tlp":
        return _parse_with(Tlp.from_label, content)
    if kind == "pap":
        return _parse_with(Pap.from_label, content)
    return STATEMENT if kind == "statement" else None


def _parse_with(parse: Any, text: Any) -> Meaning:
    found: Meaning = parse(text) if isinstance(text, str) else None
    return found


def effective(
    object_refs: Iterable[str],
    granular_refs: Iterable[str] = (),
    definitions: Mapping[str, Meaning] = KNOWN,
    words: MarkingWords = NO_WORDS,
) -> Marking | MarkingProblem:
    """Returns the marking of one object, folded from its marking references and its other `words` of marking by the rules
    above, or the problem.

    `definitions` maps ids found beside the object to their meaning; KNOWN ids win over it.
    """
    levels: set[Tlp] = set()
    strictest, pap = levels_of(words)
    is_understood = not words.unknown
    for refs, is_granular in ((object_refs, False), (granular_refs, True), (words.refs, True)):
        for ref in refs:
            meaning = KNOWN[ref] if ref in KNOWN else definitions.get(ref)
            if isinstance(meaning, Tlp):
                strictest = meaning if strictest is None else max(strictest, meaning)
                if not is_granular:
                    levels.add(meaning)
            elif isinstance(meaning, Pap):
                pap = meaning if pap is None else max(pap, meaning)
            elif isinstance(meaning, StatementMarking):
                strictest = max((one for one in (strictest, meaning.tlp) if one is not None), default=None)
                pap = max((one for one in (pap, meaning.pap) if one is not None), default=None)
            else:
                is_understood = False
    if not is_understood:
        return MarkingProblem("unknown-marking", Marking(Tlp.RED, Pap.RED))
    if strictest is None or not levels:
        return MarkingProblem("no-marking", Marking(Tlp.CLEAR if strictest is None else strictest, pap))
    if len(levels) > 1:
        return MarkingProblem("two-markings", Marking(Tlp.RED, pap))
    return Marking(strictest, pap)


def definition_object(tlp: Tlp) -> dict[str, Any]:
    """Returns the STIX 2.1 marking definition of a TLP 2.0 level, as published by OASIS."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": TLP2_IDS[tlp],
        "created": "2022-10-01T00:00:00.000Z",
        "name": tlp.label,
        "extensions": {
            TLP_EXTENSION: {
                "extension_type": "property-extension",
                "tlp_2_0": tlp.name.lower().replace("_", "+"),
            }
        },
    }
