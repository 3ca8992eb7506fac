"""Histories of frameworks, told entry by entry and drawn: honest work, and anybody saying anything from any past."""

from __future__ import annotations

import random
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from drawn_spaces import NAMES, Drawn
from space_histories import Teller

from p2pshare.identifiers import EntryId
from p2pshare.intel.playbooks.framework_manifest import (
    FrameworkEntry,
    FrameworkManifest,
    FrameworkTrigger,
    manifest_bytes,
)
from p2pshare.spaces.framework import (
    ApprovalRevoked,
    FrameworkBody,
    ManifestAdoption,
    ManifestSaid,
    PlaybookApproval,
    PlaybookSaid,
    encode_framework,
)

P = "playbook--00000000-0000-4000-8000-000000000001"
Q = "playbook--00000000-0000-4000-8000-000000000002"
V1, V2 = "2026-03-01T08:00:00.000Z", "2026-03-02T08:00:00.000Z"
JSS = b"{}"
"""Where nobody holds a text nobody judges a signature."""


def digest(content: str) -> bytes:
    return sha256(content.encode()).digest()


def manifest_of(
    *playbooks: str,
    version: int = 1,
    quorum: int = 2,
    least: str = V1,
    types: Iterable[str] = ("ransomware",),
) -> bytes:
    entries = tuple(
        FrameworkEntry(FrameworkTrigger(types=tuple(types)), playbook, least, quorum)
        for playbook in playbooks
    )
    return manifest_bytes(FrameworkManifest("hospitals", "Hospitals", version, entries))


class FrameworkTeller(Teller):
    """Tells a framework; each method returns the id of the entry."""

    def __init__(self, members: str = "LAB", *, title: str = "hospitals", **how: Any) -> None:
        Teller.__init__(self, members, kind="framework", title=title, **how)

    def say(self, author: str, kind: str, body: FrameworkBody, **how: Any) -> EntryId:
        return self.write(author, kind, encode_framework(body), **how)

    def playbook(
        self, author: str, content: str = "X", modified: str = V1, playbook: str = P, **how: Any
    ) -> EntryId:
        template, review = how.pop("template", 0), how.pop("review", 0)
        body = PlaybookSaid(
            playbook, modified, digest(content), digest(f"raw {content}"), "Isolate", review, template
        )
        return self.say(author, "playbook", body, **how)

    def manifest(self, author: str, *playbooks: str, **how: Any) -> EntryId:
        said = {key: how.pop(key) for key in ("version", "quorum", "least") if key in how}
        return self.say(author, "manifest", ManifestSaid(manifest_of(*(playbooks or (P,)), **said)), **how)

    def approve(
        self, author: str, content: str = "X", modified: str = V1, playbook: str = P, **how: Any
    ) -> EntryId:
        return self.say(author, "approve", PlaybookApproval(playbook, modified, digest(content), JSS), **how)

    def revoke(
        self, author: str, content: str = "X", modified: str = V1, playbook: str = P, **how: Any
    ) -> EntryId:
        body = ApprovalRevoked(playbook, modified, digest(content))
        return self.say(author, "revoke-approval", body, **how)

    def adopt(self, author: str, manifest: EntryId, **how: Any) -> EntryId:
        return self.say(author, "adopt", ManifestAdoption(manifest), **how)


FRAMEWORK_KINDS = {
    "approve": 14, "revoke": 8, "playbook": 9, "manifest": 5, "adopt": 6, "note": 2, "spoilt": 1, "redact": 1,
}  # fmt: skip


class DrawnFramework(FrameworkTeller, Drawn):
    """A framework in which much counts and much is wrong: who leads and who is a member is drawn as in `drawn_spaces`."""

    def __init__(self, draw: random.Random, members: str, *, wildness: float) -> None:
        FrameworkTeller.__init__(self, members, are_joined=draw.random() < 0.9)
        self.draw = draw
        self.wildness = wildness
        self.members = members
        self.everybody = members + "X"
        self.leads = [members[0]]

    def go_on(self, entries: int) -> None:
        for _ in range(entries):
            past = self.drawn_past()
            if self.draw.random() < 0.2:
                led = ["takeover", "ack", "handover", "accept", "invite", "remove", "rekey", "leave", "merge"]
                self.next(self.draw.choice(led), past)
            else:
                self.work(past)

    def work(self, after: list[EntryId]) -> EntryId:
        draw = self.draw
        kind = draw.choices(list(FRAMEWORK_KINDS), weights=list(FRAMEWORK_KINDS.values()))[0]
        who = draw.choice(self.members)
        how: dict[str, Any] = {"after": after}
        about = {
            "content": draw.choice("XXY"), "modified": draw.choice([V1, V1, V2]), "playbook": draw.choice([P, P, Q]),
        }  # fmt: skip
        match kind:
            case "approve" | "revoke":
                return getattr(self, kind)(who, **about, **how)
            case "playbook":
                return self.playbook(draw.choice([who, self.members[0]]), **about, **how)
            case "manifest":
                who = self.members[0] if draw.random() < 0.8 else who
                named = draw.choice([(P,), (P, Q), (Q,)])
                return self.manifest(who, *named, version=draw.randint(1, 3), **how)
            case "adopt":
                known = [one for one, entry in self.entries.items() if entry.header.kind == "manifest"]
                return self.adopt(who, draw.choice(known or [self.opening]), **how)
            case "redact":
                return self.redact(who, draw.choice(list(self.entries)), **how)
            case "spoilt":
                spoilt = draw.choice(["playbook", "manifest", "approve", "revoke-approval", "adopt"])
                return self.write(who, spoilt, b"\xc1", **how)
            case _:
                sealed = draw.sample(self.members, 1) if draw.random() < 0.2 else ()
                return self.note(who, "seen", audience=sealed, **how)


def drawn_framework(seed: int, entries: int = 60) -> DrawnFramework:
    """Returns a drawn framework; one seed, one history."""
    draw = random.Random(seed)
    told = DrawnFramework(draw, NAMES[: draw.randint(2, 5)], wildness=draw.choice([0.1, 0.3, 0.6, 0.9]))
    told.playbook("L")
    told.go_on(draw.randint(entries // 2, entries))
    return told
