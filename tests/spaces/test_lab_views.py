"""The rules of labs in the SIEM view: what they say is what the fold says, at least as far as this node asks, and with their text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from shared_spaces import hand_over, id_of, partners, run
from store_rows import named_rows
from whole_nodes import NOW, World

from p2pshare.config import RULE_STATUSES
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import RULE_BYTES_MAX
from p2pshare.node.node import SIEM_STATUS_MIN, Node
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.operations.spaces import OpenSpace, PurgeSpace
from p2pshare.spaces.entry_fields import NO_ENTRY
from p2pshare.spaces.lab import SOAK_SECONDS, STATUSES
from p2pshare.spaces.lab_entries import (
    FieldFigure,
    LabBody,
    LabReview,
    LabRun,
    RuleDeprecation,
    RulePromotion,
    RuleVersion,
    encode_lab,
)
from p2pshare.spaces.lab_views import LabViews
from p2pshare.spaces.parts import ContentPart, split
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.writing import SpaceStatement

TEXT = "title: Loader\ndetection:\n  a:\n    b: ü\n  condition: a\n"
SOAKED = NOW + SOAK_SECONDS + 100
LONG_AGO = 1_700_000_000


class ViewedLab:
    """A lab of three; `alpha` adds rules and follows the view."""

    def __init__(self, *nodes: Node) -> None:
        self.alpha, self.bravo, self.charlie = self.nodes = nodes
        self.id = run(self.alpha, OpenSpace("lab", "who finds it", Tlp.GREEN, ("bravo", "charlie"))).space
        self.meet()
        for node in nodes[1:]:
            run(node, JoinSpace(self.id))
        self.meet()
        self.views = LabViews(self.alpha.store.database, spaces_of(self.alpha))
        self.ask_at_least("stable")

    def meet(self, now: int = NOW) -> None:
        for giver in self.nodes:
            for taker in self.nodes:
                if taker is not giver:
                    hand_over(self.id, giver, taker, now=now)

    def say(
        self, node: Node, kind: str, body: LabBody | bytes, now: int = NOW, tlp: int = 1, **more: Any
    ) -> EntryId:
        content = body if isinstance(body, bytes) else encode_lab(body)
        said = SpaceStatement(kind, content, tlp, **more)
        return spaces_of(node).say(EntryId.parse(self.id), said, now)[-1].entry_id

    def add(
        self,
        text: str = TEXT,
        *,
        kind: str = "rule",
        follows: bytes = NO_ENTRY,
        is_told: bool = True,
        **more: Any,
    ) -> EntryId:
        raw = text.encode()
        if is_told:
            for part in split(raw):
                self.say(self.alpha, "part", part.encode(), **more)
        body = RuleVersion(
            follows,
            "sigma",
            hashlib.sha256(raw).digest(),
            len(raw),
            "Loader",
            "Ada",
            "DRL-1.1",
            "high",
            ("t1059",),
            "",
        )
        return self.say(self.alpha, kind, body)

    def agree(self, text: str = TEXT, promoted: int = SOAKED) -> None:
        """All that `stable` takes."""
        digest = hashlib.sha256(text.encode()).digest()
        self.meet()
        for node in self.nodes[1:]:
            self.say(node, "review", LabReview(digest, "agree", ""))
            self.say(node, "run", LabRun(digest, bytes(32), "an engine", 1, 0, 0, 1, 1, 0, 2, 1))
            self.say(node, "field", FieldFigure(digest, 1, 2, 100, 10, 0))
        self.meet()
        if promoted:
            self.say(self.alpha, "promote", RulePromotion(digest, ""), promoted)

    def ask_at_least(self, status: str) -> None:
        self.alpha.store.database.put_setting(SIEM_STATUS_MIN, RULE_STATUSES.index(status))

    def rows(self) -> list[dict[str, Any]]:
        for second in (NOW, NOW + 1):
            while spaces_of(self.alpha).go_on(second) | self.views.go_on(second):
                pass
        path = self.alpha.store.database.path
        return named_rows(path, "SELECT * FROM v1_rules WHERE lab = ? ORDER BY is_current DESC", self.id)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    world = World(tmp_path_factory.mktemp("rules"))
    yield partners(world, "alpha", "bravo", "charlie")
    world.close()


@pytest.fixture
def lab(three: list[Node]) -> ViewedLab:
    return ViewedLab(*three)


def test_the_configuration_knows_the_statuses_of_the_fold() -> None:
    assert RULE_STATUSES == STATUSES


def test_a_stable_rule_is_shown_with_its_author_licence_and_text(lab: ViewedLab) -> None:
    rule = lab.add()
    assert lab.rows() == []
    lab.ask_at_least("experimental")
    (row,) = lab.rows()
    assert (row["status"], row["reviews"], row["runs"]) == ("experimental", 0, 0)
    lab.ask_at_least("stable")
    lab.agree(promoted=NOW + SOAK_SECONDS)
    (row,) = lab.rows()
    assert row == {
        "rule": rule.text,
        "type": "sigma",
        "title": "Loader",
        "author": id_of(lab.alpha).text,
        "author_name": "Ada",
        "licence": "DRL-1.1",
        "hash": hashlib.sha256(TEXT.encode()).hexdigest(),
        "tlp": "TLP:GREEN",
        "status": "stable",
        "text": TEXT,
        "envelope_id": None,
        "lab": lab.id,
        "level": "high",
        "attack": '["t1059"]',
        "reviews": 2,
        "runs": 2,
        "is_current": 1,
        "entry": rule.text,
        "partner_name": "alpha",
        "same_text": 0,
    }


def test_without_the_setting_no_rule_of_a_lab_is_shown(lab: ViewedLab) -> None:
    lab.add()
    lab.ask_at_least("experimental")
    assert len(lab.rows()) == 1
    with lab.alpha.store.database.transaction() as writer:
        writer.execute("DELETE FROM setting WHERE name = 'lab_siem_status_min'")
    assert lab.rows() == []


def test_a_promotion_of_a_time_to_come_is_test_until_then(lab: ViewedLab) -> None:
    lab.add()
    lab.agree(promoted=0)
    claimed = NOW + SOAK_SECONDS + 1
    lab.meet()
    lab.say(lab.bravo, "promote", RulePromotion(hashlib.sha256(TEXT.encode()).digest(), ""), claimed)
    lab.meet()  # by whose clock it is of a month hence
    lab.ask_at_least("test")
    lab.rows()
    database = lab.alpha.store.database
    assert database.fetch("SELECT counts_from FROM lab_rule WHERE status = 'stable'")[-1] == (claimed,)
    for counts_from, status in ((LONG_AGO, "stable"), (9_000_000_000, "test")):  # the clock of who reads
        with database.transaction() as writer:
            writer.execute("UPDATE lab_rule SET counts_from = ?", (counts_from,))
        assert [one["status"] for one in lab.rows()] == [status]


def test_while_a_stable_rule_is_changed_the_stable_text_stays(lab: ViewedLab) -> None:
    rule = lab.add()
    lab.agree(promoted=NOW + SOAK_SECONDS)
    changed = lab.add(TEXT + "# 2\n", kind="revise", follows=rule)
    (row,) = lab.rows()
    assert (row["status"], row["is_current"], row["text"], row["entry"]) == ("stable", 0, TEXT, rule.text)
    lab.ask_at_least("experimental")
    assert [(one["status"], one["entry"]) for one in lab.rows()] == [
        ("experimental", changed.text),
        ("stable", rule.text),
    ]
    lab.say(lab.alpha, "deprecate", RuleDeprecation(rule, ""))
    assert lab.rows() == []
    newest = lab.add(TEXT + "# 3\n", kind="revise", follows=changed)
    assert [one["entry"] for one in lab.rows()] == [newest.text], "what was deprecated does not come back"


def test_a_text_that_two_claim_to_have_added_is_shown_as_that(lab: ViewedLab) -> None:
    lab.ask_at_least("experimental")
    lab.add()
    assert [one["same_text"] for one in lab.rows()] == [0]
    raw = TEXT.encode()
    copied = RuleVersion(
        NO_ENTRY, "sigma", hashlib.sha256(raw).digest(), len(raw), "Mine", "Eve", "mine", "", (), ""
    )
    lab.meet()
    lab.say(lab.bravo, "rule", copied)
    lab.meet()
    assert sorted((one["author_name"], one["same_text"]) for one in lab.rows()) == [("Ada", 1), ("Eve", 1)]


def test_a_text_that_is_not_here_or_another_s_or_redacted_is_null(lab: ViewedLab) -> None:
    lab.ask_at_least("experimental")
    lab.add(is_told=False)
    digest = hashlib.sha256(TEXT.encode()).digest()
    lab.meet()
    lab.say(lab.bravo, "part", ContentPart(digest, 1, 1, b"something else").encode())
    lab.meet()
    assert [one["text"] for one in lab.rows()] == [None]
    part = lab.say(lab.charlie, "part", split(TEXT.encode())[0].encode())
    lab.meet()
    assert [one["text"] for one in lab.rows()] == [TEXT]
    spaces_of(lab.alpha).redact(EntryId.parse(lab.id), part, NOW)  # by the lead
    path = lab.alpha.store.database.path
    gone = named_rows(path, "SELECT text FROM v1_rules WHERE lab = ?", lab.id)
    assert gone == [{"text": None}], "at once, and not when it is folded next"
    assert [one["text"] for one in lab.rows()] == [None]


def test_parts_that_give_no_text_are_not_read_again_for_each_entry(
    lab: ViewedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.ask_at_least("experimental")
    raw = b"\xff no UTF-8"
    lab.say(lab.alpha, "part", split(raw)[0].encode())
    body = RuleVersion(
        NO_ENTRY, "yara", hashlib.sha256(raw).digest(), len(raw), "Loader", "Ada", "MIT", "", (), ""
    )
    lab.say(lab.alpha, "rule", body)
    lab.add(is_told=False)
    digest = hashlib.sha256(TEXT.encode()).digest()
    lab.say(lab.alpha, "part", ContentPart(digest, 1, 1, b"something else").encode())
    assert [one["text"] for one in lab.rows()] == [None, None]
    read: list[bytes] = []
    text_of = LabViews._text

    def noting(views: LabViews, digest: bytes, parts: Any) -> Any:
        read.append(digest)
        return text_of(views, digest, parts)

    monkeypatch.setattr(LabViews, "_text", noting)
    lab.say(lab.alpha, "note", b"one more")
    lab.rows()
    assert read == []
    lab.meet()
    lab.say(lab.charlie, "part", split(TEXT.encode())[0].encode())
    lab.meet()
    assert TEXT in [one["text"] for one in lab.rows()] and read == [digest, digest], (
        "of alpha, then of charlie"
    )


def test_a_text_in_parts_is_whole_and_a_longer_one_is_not_in_the_view(lab: ViewedLab) -> None:
    lab.ask_at_least("experimental")
    whole = "x" * (RULE_BYTES_MAX - 1)
    lab.add(whole)
    assert [one["text"] for one in lab.rows()] == [whole]
    lab.add("y" * (RULE_BYTES_MAX + 1))
    assert sorted(str(one["text"])[:1] for one in lab.rows()) == ["N", "x"]


def test_a_text_that_is_marked_too_strictly_is_null_and_others_are_marked_as_it_is(lab: ViewedLab) -> None:
    lab.ask_at_least("experimental")
    lab.add(tlp=4, audience=tuple(sorted(id_of(node) for node in lab.nodes)))
    (row,) = lab.rows()
    assert row["text"] is None
    lab.add("amber", tlp=2)
    assert {one["text"]: one["tlp"] for one in lab.rows()}["amber"] == "TLP:AMBER"


def test_a_rule_of_a_member_that_is_no_partner_is_in_no_view(lab: ViewedLab) -> None:
    lab.ask_at_least("experimental")
    lab.add()
    assert len(lab.rows()) == 1
    database = lab.alpha.store.database
    with database.transaction() as writer:
        stranger = database.organisation(PartnerId(b"s" * 32))
        writer.execute("UPDATE lab_rule SET author = ?", (stranger,))
    assert lab.rows() == []


def test_what_is_purged_leaves_the_rows(lab: ViewedLab) -> None:
    lab.ask_at_least("experimental")
    lab.add()
    assert len(lab.rows()) == 1
    while run(lab.alpha, PurgeSpace(lab.id)).left:
        pass
    assert lab.rows() == []
    for table in ("lab_view", "lab_rule", "lab_text"):
        kept = f"SELECT count(*) FROM {table} t LEFT JOIN space s ON s.id = t.space WHERE s.id IS NULL"
        assert lab.alpha.store.database.fetch(kept) == [(0,)]
