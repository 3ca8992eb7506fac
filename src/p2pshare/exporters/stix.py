"""STIX 2.1: a bundle of the indicators that claim something active, each as its author wrote it, with the identities and
marking definitions that they name.

Each object has one external reference more, which says where it comes from (`intel.export_origin`): platforms that give
every object an id of their own keep those.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from p2pshare.exporters.interface import Format, Selection
from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import named_id
from p2pshare.intel.export_origin import SOURCE_NAME, ExportOrigin, origin_uri
from p2pshare.intel.grouping import DEFINITION
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.interface import StoredText
from p2pshare.knowledge.knowledge import KnowledgeReading
from p2pshare.policy.gate import Use, strictest_pap

VALUES_PER_LOOKUP = 1_024

AuthorsObject = tuple[PartnerId, str]
"""(author, object id)."""


def render(knowledge: KnowledgeReading, selection: Selection) -> Iterator[bytes]:
    """Yields the bundle in pieces, an object a piece."""
    yield b'{"type":"bundle","id":"bundle--' + _bundle_uuid(selection).encode() + b'","objects":['
    is_first = True
    for stix in _objects(knowledge, selection):
        yield (b"" if is_first else b",\n") + msgspec.json.encode(stix)
        is_first = False
    yield b"]}\n"


def _bundle_uuid(selection: Selection) -> str:
    return named_id(f"bundle:{selection.now_us}:{selection.type or ''}:{int(selection.tlp_max)}")


def _objects(knowledge: KnowledgeReading, selection: Selection) -> Iterator[dict[str, Any]]:
    """Yields each object once, where the first of its values stands among all; what it names before it."""
    done: set[AuthorsObject] = set()
    definitions: set[str] = set()
    values = knowledge.values(
        selection.now_us,
        type=selection.type,
        tlp_max=selection.tlp_max,
        pap_max=strictest_pap(Use.DETECT),
    )
    while batch := [Observable(*pair) for pair in islice(values, VALUES_PER_LOOKUP)]:
        claims = knowledge.lookup(batch)
        taken = (claim for one in batch for claim in claims.get(one, ()) if selection.takes(claim))
        wanted = {(claim.author, claim.object_id) for claim in taken} - done
        found = _read(knowledge, wanted, selection)
        named = {(text.author, name) for text, stix in found for name in _companions_of(stix)} - done
        done |= wanted | named
        for text, stix in (*_read(knowledge, named, selection), *found):
            if stix["type"] == DEFINITION:  # the same for everybody who has it, and once in a bundle
                if text.object_id not in definitions:
                    definitions.add(text.object_id)
                    yield stix
                continue
            yield _with_origin(text, stix)


def _read(
    knowledge: KnowledgeReading, wanted: Collection[AuthorsObject], selection: Selection
) -> list[tuple[StoredText, dict[str, Any]]]:
    """Returns those of the objects that the gate lets pass, parsed."""
    return [
        (text, msgspec.json.decode(text.raw))
        for text in (knowledge.texts(wanted) if wanted else ())
        if text.tlp <= selection.tlp_max
    ]


def _companions_of(stix: dict[str, Any]) -> Sequence[str]:
    """Returns the ids of the identity and the definitions without which an object cannot be read."""
    granular = (one.get("marking_ref") for one in stix.get("granular_markings", ()))
    names = (stix.get("created_by_ref"), *stix.get("object_marking_refs", ()), *granular)
    return [name for name in dict.fromkeys(names) if isinstance(name, str)]


def _with_origin(text: StoredText, stix: dict[str, Any]) -> dict[str, Any]:
    uri = origin_uri(ExportOrigin(text.author, text.object_id, text.envelope_id))
    references = stix.get("external_references")
    kept = references if isinstance(references, list) else []
    return {**stix, "external_references": [*kept, {"source_name": SOURCE_NAME, "url": uri}]}


FORMAT = Format(render)
