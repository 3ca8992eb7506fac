"""Stories of frameworks, one for each rule of docs/frameworks.md, each with what every node must say of it.

As incident_stories.py: what is expected is written by hand, and `scripts/make-vectors` writes the stories to framework.json.
"""

from __future__ import annotations

from framework_histories import JSS, V1, V2, FrameworkTeller, P, digest, manifest_of
from kind_stories import Expecting, KindStory, telling

from p2pshare.envelope.encoding import pack

FRAMEWORK_STORIES: list[KindStory] = []


class TellingFramework(Expecting, FrameworkTeller):
    """A teller of frameworks."""


story = telling(TellingFramework, FRAMEWORK_STORIES, "LAB")


@story("nothing is said yet; a note changes nothing else")
def _(s: TellingFramework) -> None:
    s.expect({"manifest": None, "manifest_version": None, "playbooks": [], "approvals": [], "adoptions": []})
    s.note("A", "who imports it?")
    s.expect({"notes.0.text": "who imports it?", "manifest": None})


@story("who writes the first version owns a playbook; another's version is a proposal")
def _(s: TellingFramework) -> None:
    first = s.playbook("A")
    other = s.playbook("B", "Y", V2)
    s.expect(
        {
            "playbooks.0.id": first.text, "playbooks.0.counts": True, "playbooks.1.id": other.text, "playbooks.1.counts": False,
        }
    )  # fmt: skip


@story("the lead may write a version of another's playbook, and it counts")
def _(s: TellingFramework) -> None:
    s.playbook("A")
    s.playbook("L", "Y", V2)
    s.expect({"playbooks.0.counts": True, "playbooks.1.counts": True})


@story("an entry that says it came early takes no playbook over that a manifest names")
def _(s: TellingFramework) -> None:
    s.note("A", "before")
    own = s.playbook("A")
    s.manifest("L")
    joined = next(
        one
        for one, entry in s.entries.items()
        if (entry.header.kind, s.names[entry.header.author]) == ("join", "B")
    )
    thief = s.playbook("B", "Y", after=[joined])
    assert s.entries[thief].header.depth < s.entries[own].header.depth
    s.expect({"playbooks.0.id": own.text, "playbooks.1.id": thief.text, "playbooks.1.counts": False})


@story("of a playbook that a manifest names before anybody wrote it the lead is the owner")
def _(s: TellingFramework) -> None:
    s.manifest("L")
    theirs = s.playbook("A")
    s.expect({"playbooks.0.id": theirs.text, "playbooks.0.counts": False})
    own = s.playbook("L", "Y")
    s.expect({"playbooks.0.id": own.text, "playbooks.0.forked": False, "playbooks.1.id": theirs.text})


@story("two contents under one version are forked, also where an instant is written in two ways")
def _(s: TellingFramework) -> None:
    s.playbook("A")
    s.expect({"playbooks.0.forked": False})
    s.playbook("A", "Y", "2026-03-01T08:00:00Z")
    s.expect({"playbooks.0.forked": True, "playbooks.1.forked": True})


@story("an approval stands; its author's revocation takes it out; who knows of that approves anew")
def _(s: TellingFramework) -> None:
    s.playbook("A")
    s.approve("B")
    s.expect({"approvals.0.stands": True, "approvals.0.sha256": digest("X").hex()})
    s.revoke("B")
    s.expect({"approvals.0.stands": False, "revocations.0.modified": V1})
    s.approve("B")
    s.expect({"approvals.0.stands": False, "approvals.1.stands": True})


@story("a revocation of another content, or of another member, takes nothing out")
def _(s: TellingFramework) -> None:
    s.playbook("A")
    s.approve("B")
    s.revoke("B", "Y")
    s.revoke("B", modified=V2)
    s.revoke("A")
    s.expect({"approvals.0.stands": True})


@story("where a forked member approves and revokes beside each other the revocation wins")
def _(s: TellingFramework) -> None:
    s.playbook("A")
    seen = s.heads()
    s.approve("B", after=seen)
    s.revoke("B", after=seen)
    s.expect({"approvals.0.stands": False})


@story("a manifest is the lead's; the newest counts, and what adopts names one")
def _(s: TellingFramework) -> None:
    theirs = s.manifest("A")
    s.expect({"manifest": None}, {theirs: "not-lead"})
    first = s.manifest("L")
    adopted = s.adopt("A", first)
    assert adopted
    second = s.manifest("L", version=2)
    s.expect(
        {
            "manifest": second.text,
            "manifest_version": 2,
            "manifest_conflict": False,
            "adoptions.0.manifest": first.text,
        },
        {theirs: "not-lead"},
    )
    s.adopt("A", second)
    s.expect({"adoptions.0.manifest": second.text}, {theirs: "not-lead"})


@story("two manifests of a forked lead beside each other are a conflict, and one of them is shown")
def _(s: TellingFramework) -> None:
    seen = s.heads()
    one, other = s.manifest("L", after=seen), s.manifest("L", version=2, after=seen)
    last = max(one, other)
    s.expect({"manifest_conflict": True, "manifest": last.text})


@story("what breaks a bound has no effect")
def _(s: TellingFramework) -> None:
    wrong = [
        s.write(
            "A",
            "playbook",
            pack({0: "playbook--1", 1: V1, 2: digest("X"), 3: digest("X"), 4: "", 5: 0, 6: 0}),
        ),
        s.write(
            "A", "playbook", pack({0: P, 1: "yesterday", 2: digest("X"), 3: digest("X"), 4: "", 5: 0, 6: 0})
        ),
        s.write(
            "A", "playbook", pack({0: P, 1: V1, 2: digest("X"), 3: digest("X"), 4: "n" * 257, 5: 0, 6: 0})
        ),
        s.write("A", "playbook", pack({0: P, 1: V1, 2: digest("X"), 3: digest("X"), 4: "", 5: 0, 6: 2})),
        s.write("A", "approve", pack({0: P, 1: V1, 2: digest("X")[:31], 3: JSS})),
        s.write("A", "approve", pack({0: P, 1: V1, 2: digest("X"), 3: b""})),
        s.write("A", "approve", pack({0: P, 1: V1, 2: digest("X"), 3: b" " * 4_097})),
        s.write("A", "revoke-approval", pack({0: P, 1: V1, 2: digest("X"), 3: JSS})),
        s.write("A", "adopt", pack({0: b"short"})),
        s.write("L", "manifest", pack({0: b"no json"})),
        s.write("L", "manifest", pack({0: manifest_of(P) + b" " * 65_536})),
    ]
    s.expect(
        {"playbooks": [], "approvals": [], "manifest": None, "adoptions": []},
        dict.fromkeys(wrong, "bad-body"),
    )
