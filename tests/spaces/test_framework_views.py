"""The SQL view of playbooks, and the signatures behind it: what it says is what who holds the texts may say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from framework_histories import V1, V2, manifest_of
from playbooks_made import AT, playbook_with, step_id
from shared_spaces import hand_over, id_of, partners, run
from store_rows import named_rows
from whole_nodes import NOW, World

from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.playbooks.playbook_text import playbook_digest
from p2pshare.jcs import jcs_bytes
from p2pshare.node.node import Node
from p2pshare.operations.frameworks import (
    AdoptFramework,
    ApprovePlaybook,
    FindAnswers,
    ImportPlaybook,
    ListPlaybooks,
    PlaybookWritten,
    ShowFramework,
    ShowPlaybook,
    WriteManifest,
    framework_beside,
    version_called,
)
from p2pshare.operations.interface import AsideWork
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.operations.spaces import OpenSpace, PurgeSpace, space_called, written
from p2pshare.operations.status import ShowStatus
from p2pshare.spaces import framework_holding
from p2pshare.spaces.framework import PlaybookApproval, PlaybookSaid, encode_framework
from p2pshare.spaces.framework_holding import APPROVALS_JUDGED_MAX
from p2pshare.spaces.framework_views import FrameworkViews
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.writing import SpaceStatement

ACTION = {
    "type": "action",
    "name": "Isolate it",
    "commands": [{"type": "manual", "command": "Pull the plug."}],
    "agent": step_id("organization", 1),
    "targets": [step_id("sector", 1)],
    "on_completion": step_id("end", 1),
}
assert AT == V1
P = step_id("playbook", 1)
LONG_AGO = 1_700_000_000


def playbook(text: str = "Pull the plug.", modified: str = V1) -> bytes:
    workflow = {
        step_id("start", 1): {"type": "start", "on_completion": step_id("action", 1)},
        step_id("action", 1): ACTION | {"commands": [{"type": "manual", "command": text}]},
        step_id("end", 1): {"type": "end"},
    }
    return json.dumps(playbook_with(workflow, modified=modified)).encode()


class Framework:
    """A framework of two, opened by alpha, and the view of bravo, who follows."""

    def __init__(self, alpha: Node, bravo: Node, tlp: Tlp = Tlp.AMBER) -> None:
        self.alpha, self.bravo = alpha, bravo
        self.id = run(alpha, OpenSpace("framework", "Hospitals", tlp, ("bravo",))).space
        self.meet()
        run(bravo, JoinSpace(self.id))
        self.meet()

    def meet(self) -> None:
        for giver, taker in ((self.alpha, self.bravo), (self.bravo, self.alpha)):
            hand_over(self.id, giver, taker)

    def begin(self, raw: bytes = b"", review: int = 0) -> PlaybookWritten:
        done = run(self.alpha, ImportPlaybook(self.id, raw or playbook(), review))
        run(self.alpha, WriteManifest(self.id, manifest_of(P)))
        self.meet()
        return done

    def approve(self, *nodes: Node, version: str = V1, **how: Any) -> None:
        for node in nodes:
            run(node, ApprovePlaybook(P, version, self.id, **how))
            self.meet()

    def rows(self, node: Node | None = None, now: int = NOW + 60) -> list[dict[str, Any]]:
        node = node or self.bravo
        self.meet()
        views = FrameworkViews(node.store.database, spaces_of(node), id_of(node))
        for second in (now, now + 1):  # what is due is looked for once a second
            while spaces_of(node).go_on(second) | views.go_on(second):
                pass
        ordered = "SELECT * FROM v1_playbooks WHERE framework = ? ORDER BY version, hash"
        return named_rows(node.store.database.path, ordered, self.id)

    def forge(self, node: Node, jss: bytes, digest: str, modified: str = V1) -> None:
        self.say(node, "approve", PlaybookApproval(P, modified, bytes.fromhex(digest), jss))

    def say(self, node: Node, kind: str, body: PlaybookApproval | PlaybookSaid) -> None:
        """Have a node write an entry that the program does not write."""
        row = space_called(node.store, self.id, "framework")
        written(node, row, SpaceStatement(kind, encode_framework(body), row.tlp), NOW)
        self.meet()

    def carry(self, raw: bytes, digest: bytes | None = None, modified: str = V1) -> PlaybookSaid:
        """Have alpha write a text that nobody has checked, and the entry that names it."""
        for _ in exchange_of(self.alpha).saying_whole(EntryId.parse(self.id), raw, int(Tlp.AMBER), NOW, ()):
            pass
        digest = digest or playbook_digest(json.loads(raw))
        said = PlaybookSaid(P, modified, digest, hashlib.sha256(raw).digest(), "Isolate", 0, 0)
        self.say(self.alpha, "playbook", said)
        return said


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    world = World(tmp_path_factory.mktemp("frameworks"))
    yield partners(world, "alpha", "bravo")
    world.close()


@pytest.fixture
def shared(two: list[Node]) -> Framework:
    return Framework(*two)


def test_the_view_says_who_approves_what_is_in_force_and_whether_we_adopted_it(shared: Framework) -> None:
    alpha, bravo = shared.alpha, shared.bravo
    imported = shared.begin()
    (row,) = shared.rows()
    assert (row["id"], row["version"], row["hash"]) == (P, V1, imported.hash)
    assert (json.loads(row["approvals"]), row["quorum"], row["in_force"], row["adopted"]) == ([], 2, 0, 0)
    assert (row["is_held"], row["forked"], row["template"], row["tlp"]) == (1, 0, 0, "TLP:AMBER")
    assert (row["owner"], row["framework_title"], row["is_current"]) == (id_of(alpha).text, "Hospitals", 1)
    shared.approve(alpha, bravo)
    run(bravo, AdoptFramework(shared.id))
    (row,) = shared.rows()
    assert sorted(json.loads(row["approvals"])) == sorted([id_of(alpha).text, id_of(bravo).text])
    assert (row["in_force"], row["adopted"], row["bad_signatures"]) == (1, 1, 0)
    (row,) = shared.rows(alpha)
    assert (row["in_force"], row["adopted"]) == (1, 0), "each organisation adopts for itself"
    (answer,) = [
        one for one in run(bravo, FindAnswers(types=("ransomware",))).each if one.framework == shared.id
    ]
    assert (answer.state, answer.missing, answer.hash) == ("ready", 0, imported.hash)
    (answer,) = [
        one for one in run(alpha, FindAnswers(types=("ransomware",))).each if one.framework == shared.id
    ]
    assert answer.state == "not-adopted"


@pytest.mark.parametrize(
    "fault", ["no json", "of another playbook", "not canonical", "RS256", "one bit", "nests"]
)
def test_an_approval_whose_signature_is_none_counts_for_nothing_and_is_told(
    shared: Framework, fault: str
) -> None:
    hash_ = shared.begin().hash
    shared.approve(shared.alpha)
    raw = run(shared.alpha, ShowPlaybook(P, V1, shared.id)).signatures[0]
    jss = json.loads(raw)
    value = jss["value"]
    forged = {
        "no json": b"\xff",
        "of another playbook": jcs_bytes(jss | {"related_to": step_id("playbook", 2)}),
        "not canonical": raw + b" ",
        "RS256": jcs_bytes(jss | {"algorithm": "RS256"}),
        "one bit": jcs_bytes(jss | {"value": ("B" if value[0] == "A" else "A") + value[1:]}),
        "nests": b"[" * 4_000,
    }[fault]
    shared.forge(shared.bravo, forged, hash_)
    for node in (shared.alpha, shared.bravo):
        (row,) = shared.rows(node)
        assert json.loads(row["approvals"]) == [id_of(shared.alpha).text]
        assert (row["bad_signatures"], row["in_force"]) == (1, 0)
    (listed,) = run(shared.bravo, ListPlaybooks(shared.id)).each
    assert listed.bad_signatures == 1 and [by.by for by in listed.approvals] == ["alpha"]
    (entry,) = run(shared.bravo, ShowFramework(shared.id)).entries
    assert (entry.state, entry.missing) == ("approving", 1)
    shared.approve(shared.bravo)
    assert shared.rows()[0]["in_force"] == 1, "a good one of the same member counts beside it"


def test_who_writes_many_bad_signatures_pays_with_its_good_one(shared: Framework) -> None:
    hash_ = shared.begin().hash
    shared.approve(shared.alpha, shared.bravo)
    assert shared.rows()[0]["in_force"] == 1
    for _ in range(APPROVALS_JUDGED_MAX - 1):
        shared.forge(shared.bravo, b"{}", hash_)
    assert shared.rows()[0]["in_force"] == 1
    shared.forge(shared.bravo, b"{}", hash_)
    (row,) = shared.rows()
    assert (row["in_force"], row["bad_signatures"]) == (0, APPROVALS_JUDGED_MAX)


def test_one_changed_byte_of_a_step_voids_every_approval_on_every_node(shared: Framework) -> None:
    shared.begin()
    shared.approve(shared.alpha, shared.bravo)
    run(shared.alpha, ImportPlaybook(shared.id, playbook("Pull the plug?", V2)))
    for node in (shared.alpha, shared.bravo):
        old, new = shared.rows(node)
        assert (old["in_force"], len(json.loads(old["approvals"]))) == (1, 2)
        assert (new["in_force"], json.loads(new["approvals"])) == (0, [])


def test_a_second_content_of_a_version_ends_what_was_in_force_and_nobody_adopts(shared: Framework) -> None:
    shared.begin()
    shared.approve(shared.alpha, shared.bravo)
    run(shared.alpha, ImportPlaybook(shared.id, playbook("Pull the plug?")))
    rows = shared.rows()
    assert [(row["forked"], row["in_force"]) for row in rows] == [(1, 0), (1, 0)]
    with pytest.raises(RefusedError) as refused:
        run(shared.bravo, AdoptFramework(shared.id))
    assert refused.value.reason == "forked"
    words = [one.word for one in run(shared.bravo, ShowStatus()).alarms if one.space == shared.id]
    assert words == ["playbook-forked"]


def test_white_space_and_signatures_in_the_file_change_no_approval(shared: Framework) -> None:
    first = shared.begin()
    shared.approve(shared.alpha, shared.bravo)
    pretty = json.dumps(json.loads(playbook()), indent=2).encode()
    again = run(shared.alpha, ImportPlaybook(shared.id, pretty))
    assert again.hash == first.hash and again.is_new
    assert [(row["in_force"], row["forked"]) for row in shared.rows()] == [(1, 0), (1, 0)]


def test_only_the_owner_makes_versions(shared: Framework) -> None:
    shared.begin()
    with pytest.raises(RefusedError) as refused:
        run(shared.bravo, ImportPlaybook(shared.id, playbook("Pull the plug?", V2)))
    assert refused.value.reason == "not-owner"


def test_an_entry_that_lies_about_its_text_is_approved_by_nobody(shared: Framework) -> None:
    shared.begin()
    (held,) = run(shared.alpha, ListPlaybooks(shared.id)).each
    row = space_called(shared.alpha.store, shared.id, "framework")
    said = framework_beside(shared.alpha, row).fold.playbooks()[P][0].said
    lie = said._replace(modified=V2, digest=bytes(32))
    written(shared.alpha, row, SpaceStatement("playbook", encode_framework(lie), row.tlp), NOW)
    rows = shared.rows()
    assert [(one["version"], one["is_held"]) for one in rows] == [(V1, 1), (V2, 0)] and held.version == V1
    with pytest.raises(RefusedError) as refused:
        run(shared.bravo, ApprovePlaybook(P, V2, shared.id))
    assert refused.value.reason == "hash-mismatch"


def test_a_text_that_is_not_here_yet_is_told_and_nobody_approves_it(shared: Framework) -> None:
    shared.begin()
    database = shared.bravo.store.database
    spaces_of(shared.bravo).forget()
    with database.transaction() as writer:  # as if the part had not come
        writer.execute(
            """UPDATE space_entry SET body = NULL WHERE length(body) > 600
            AND space = (SELECT id FROM space WHERE space_id = ?)""",
            (bytes(EntryId.parse(shared.id)),),
        )
    row = space_called(shared.bravo.store, shared.id, "framework")
    assert framework_beside(shared.bravo, row).texts == frozenset()
    for ask in (ApprovePlaybook(P, V1, shared.id), ShowPlaybook(P, V1, shared.id)):
        with pytest.raises(NotFoundError) as missing:
            run(shared.bravo, ask)
        assert missing.value.reason == "content-missing"
    (answer,) = [
        one
        for one in run(shared.bravo, FindAnswers(types=("ransomware",))).each
        if one.framework == shared.id
    ]
    assert answer.state == "missing"


def test_a_day_that_is_past_is_told(shared: Framework) -> None:
    shared.begin(review=LONG_AGO)
    (row,) = shared.rows()
    assert (row["review"], row["review_due"]) == ("2023-11-14T22:13:20Z", 1)
    words = [one.word for one in run(shared.bravo, ShowStatus()).alarms if one.space == shared.id]
    assert words == ["playbook-review"]


def test_a_red_framework_is_in_no_view_and_a_purged_one_leaves_it(two: list[Node]) -> None:
    alpha, bravo = two
    red = Framework(alpha, bravo, Tlp.AMBER_STRICT)
    red.begin()
    assert len(red.rows()) == 1, "it stays in this organisation"
    with bravo.store.database.transaction() as writer:
        writer.execute("UPDATE space SET tlp = 4 WHERE space_id = ?", (bytes(EntryId.parse(red.id)),))
    assert red.rows() == []
    shared = Framework(alpha, bravo)
    shared.begin()
    assert len(shared.rows()) == 1
    while run(bravo, PurgeSpace(shared.id)).left:
        pass
    path, database = bravo.store.database.path, bravo.store.database
    assert named_rows(path, "SELECT * FROM v1_playbooks WHERE framework = ?", shared.id) == []
    for table in ("framework_view", "framework_playbook"):
        kept = f"SELECT count(*) FROM {table} t LEFT JOIN space s ON s.id = t.space WHERE s.id IS NULL"
        assert database.fetch(kept) == [(0,)]


def test_an_export_carries_the_good_signature_of_who_counts_and_no_other(two: list[Node]) -> None:
    """An approval that names another version, or one that nobody checks any more, is of no use to who wrote it, and is handed to nobody."""
    framework = Framework(*two)
    done = framework.begin()
    framework.forge(framework.bravo, b"no JSON", done.hash)
    framework.approve(framework.bravo)
    framework.forge(framework.bravo, b"no JSON", done.hash, V2)
    framework.forge(framework.bravo, b"{}", done.hash)
    for node in (framework.alpha, framework.bravo):
        [signature] = run(node, ShowPlaybook(P, "", framework.id)).signatures
        assert json.loads(signature)["signee"] == "bravo"


def test_a_text_that_does_not_fit_is_read_once_however_many_approve_it(
    two: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    framework = Framework(*two)
    framework.begin()
    said = framework.carry(playbook("Pull it."), b"d" * 32, V2)
    read: list[bytes] = []

    def counting(raw: bytes) -> Any:
        read.append(raw)
        return playbook_of(raw)

    playbook_of = framework_holding.playbook_of
    monkeypatch.setattr(framework_holding, "playbook_of", counting)
    for number in range(3):
        framework.forge(framework.bravo, b"{}", said.digest.hex(), V2)
        framework.rows(framework.bravo, NOW + 60 + 10 * number)
    assert read.count(playbook("Pull it.")) == 1


def test_nobody_approves_what_its_owner_wrote_past_the_lint(two: list[Node]) -> None:
    framework = Framework(*two)
    framework.begin()
    document = json.loads(playbook(modified=V2))
    document["workflow"][step_id("action", 1)]["on_completion"] = step_id("action", 1)
    said = framework.carry(json.dumps(document).encode(), modified=V2)
    with pytest.raises(RefusedError) as caught:
        run(framework.bravo, ApprovePlaybook(P, said.digest.hex(), framework.id))
    assert caught.value.reason == "loop"


def test_the_newest_version_is_that_of_the_later_instant_however_it_is_written(two: list[Node]) -> None:
    framework = Framework(*two)
    framework.begin()
    for number, modified in enumerate(("2027-03-01T08:00:00.5Z", "2027-03-01T08:00:00Z")):
        said = PlaybookSaid(P, modified, bytes([number]) * 32, b"r" * 32, "Isolate", 0, 0)
        framework.say(framework.alpha, "playbook", said)
    held = framework_beside(framework.bravo, space_called(framework.bravo.store, framework.id, "framework"))
    assert version_called(held, P, "").said.modified == "2027-03-01T08:00:00.5Z"


def test_the_lint_is_done_beside_the_writer(two: list[Node]) -> None:
    framework = Framework(*two)
    assert isinstance(next(ImportPlaybook(framework.id, playbook()).steps(framework.alpha, NOW)), AsideWork)


def test_nothing_is_adopted_that_was_changed_since_it_was_shown(two: list[Node]) -> None:
    framework = Framework(*two)
    framework.begin()
    shown = hashlib.sha256(run(framework.bravo, ShowFramework(framework.id)).manifest).hexdigest()
    run(framework.alpha, WriteManifest(framework.id, manifest_of(P, quorum=1, version=2)))
    framework.meet()
    with pytest.raises(RefusedError) as caught:
        run(framework.bravo, AdoptFramework(framework.id, shown))
    assert caught.value.reason == "changed-meanwhile"
    shown = hashlib.sha256(run(framework.bravo, ShowFramework(framework.id)).manifest).hexdigest()
    run(framework.bravo, AdoptFramework(framework.id, shown))
