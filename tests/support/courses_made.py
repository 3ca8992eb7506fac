"""A small course for tests, and its way into a node's store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from whole_nodes import NOW, Published, publish, quiet

from p2pshare.envelope.payload import compress_frame
from p2pshare.identifiers import PartnerId
from p2pshare.intel.course import (
    BuiltCourse,
    FileFound,
    build_course,
    course_bytes,
    course_hash,
    course_object,
    read_manifest,
)
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.sharing.drafting import DraftPart

TEXT = b"# Read this\n"
SMALL: dict[str, Any] = {
    "format": "p2pshare-course/1",
    "id": "first-aid",
    "version": "1.0.0",
    "title": "First aid",
    "provider": "Hospital",
    "language": "en",
    "material": [{"file": "read.md"}],
    "quiz": {
        "question": [{"id": "first", "text": "Whom?", "choices": ["Nobody", "The desk"], "answer": [2]}]
    },
}


def small_course(**changes: Any) -> BuiltCourse:
    """Returns a course of one page and one question, and changes of its manifest."""
    manifest, problems = read_manifest(json.dumps(SMALL | changes).encode(), is_json=True)
    assert manifest is not None, problems
    found = FileFound(len(TEXT), hashlib.sha256(TEXT).hexdigest(), TEXT)
    built, problems = build_course(manifest, dict.fromkeys(manifest.files(), found))
    assert built is not None, problems
    return built


def hash_of(built: BuiltCourse) -> str:
    return course_hash(course_bytes(built.course)).hex()


def object_of(built: BuiltCourse, author: PartnerId, now: int = NOW, tlp: Tlp = Tlp.GREEN) -> bytes:
    instant = now * SECOND_US
    return course_object(
        built.course, built.payloads, author=author, created_us=instant, modified_us=instant, tlp=tlp
    )


def tell_course(node: Node, built: BuiltCourse, *, to: Sequence[str], now: int = NOW) -> Published:
    """Publishes a course."""
    return tell_raw(node, object_of(built, node.identity.partner_id, now), to=to, now=now)


def tell_raw(node: Node, raw: bytes, *, to: Sequence[str], now: int = NOW, tlp: Tlp = Tlp.GREEN) -> Published:
    """Publishes one object, whatever it is."""
    part = DraftPart(tlp, (compress_frame(b"[" + raw + b"]"),), 1)
    return publish(node, [part], names=to, ttl_class=4, is_dry_run=False, now=now, progress=quiet)
