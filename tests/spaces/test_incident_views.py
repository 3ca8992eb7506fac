"""The SQL views of incidents: what they say is what the fold says, however it came there; what leaves the node leaves them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from shared_spaces import hand_over, id_of, partners, run
from store_rows import named_rows
from whole_nodes import NOW, World, seen_by_daemon

from p2pshare.errors import RefusedError
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.node.duty_files import duty_templates_of
from p2pshare.node.node import Node
from p2pshare.operations.incidents import OpenIncident, SayInIncident
from p2pshare.operations.space_entries import RedactEntry
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.operations.spaces import ListSpaces, PurgeSpace
from p2pshare.operations.status import ShowStatus
from p2pshare.spaces.incident_entries import (
    DutyStatement,
    IncidentBody,
    IncidentClosing,
    IncidentEvent,
    IncidentTask,
    OwnStatus,
    TaskClaim,
    encode_incident,
)
from p2pshare.spaces.incident_views import IncidentViews
from p2pshare.spaces.space_exchange import spaces_of

LONG_AGO = 1_700_000_000
SECRET = "the name of the patient"


class Viewed:
    """An incident of two, and the views of bravo, who follows."""

    def __init__(self, alpha: Node, bravo: Node) -> None:
        self.alpha, self.bravo = alpha, bravo
        self.id = run(alpha, OpenIncident("Ransomware", ("ransomware",), Tlp.GREEN, ("bravo",))).incident
        self.views = self.views_of(bravo)
        self.meet()
        run(bravo, JoinSpace(self.id))
        self.meet()

    def views_of(self, node: Node) -> IncidentViews:
        return IncidentViews(
            node.store.database, spaces_of(node), lambda: duty_templates_of(node.home).templates
        )

    def meet(self) -> None:
        for giver, taker in ((self.alpha, self.bravo), (self.bravo, self.alpha)):
            hand_over(self.id, giver, taker)

    def say(self, node: Node, kind: str, body: IncidentBody | bytes, now: int = NOW) -> str:
        content = body if isinstance(body, bytes) else encode_incident(body)
        return run(node, SayInIncident(self.id, kind, content), now).entry  # type: ignore[arg-type]

    def refresh(self, now: int = NOW) -> int:
        """Let the views go on as the daemon does; returns the steps that took."""
        self.meet()
        steps = 0
        for second in (now, now + 1):  # what is due is looked for once a second
            while spaces_of(self.bravo).go_on(second) | self.views.go_on(second):
                steps += 1
        return steps

    def rows(self, view: str) -> list[dict[str, Any]]:
        where = "id" if view == "v1_incidents" else "incident"
        path = self.bravo.store.database.path
        return named_rows(path, f"SELECT * FROM {view} WHERE {where} = ?", self.id)

    def the(self, view: str) -> dict[str, Any]:
        (row,) = self.rows(view)
        return row


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    world = World(tmp_path_factory.mktemp("views"))
    yield partners(world, "alpha", "bravo")
    world.close()


@pytest.fixture
def viewed(two: list[Node]) -> Viewed:
    return Viewed(*two)


def test_the_views_say_what_the_fold_says(viewed: Viewed) -> None:
    assert viewed.the("v1_incidents")["is_current"] == 0, "held, and not looked at yet"
    alpha, bravo = viewed.alpha, viewed.bravo
    viewed.say(alpha, "event", IncidentEvent("occurred", LONG_AGO, "day", 0, "", (), "it began"))
    task = viewed.say(alpha, "task", IncidentTask("block it", "all of it", LONG_AGO, ()))
    viewed.meet()
    for node in (alpha, bravo):
        viewed.say(node, "claim", TaskClaim(EntryId.parse(task)))
    viewed.refresh(NOW + 60)
    alphas, bravos = id_of(alpha).text, id_of(bravo).text
    row = viewed.the("v1_incidents")
    assert (row["title"], row["type"], row["status"], row["determination"], row["tlp"]) == (
        "Ransomware", "ransomware", "open", "suspected", "TLP:GREEN",
    )  # fmt: skip
    assert (row["lead"], row["lead_name"], row["closed"], row["late"]) == (alphas, "alpha", None, 0)
    assert (row["archived"], row["is_current"], row["opened"]) == (0, 1, "2027-01-15T08:00:00Z")
    assert {one["partner_id"]: one["status"] for one in json.loads(row["members"])} == {
        alphas: "joined",
        bravos: "joined",
    }
    (told,) = [one for one in viewed.rows("v1_incident_timeline") if one["kind"] == "event"]
    assert (told["at"], told["author"], told["author_name"]) == ("2023-11-14T22:13:20Z", alphas, "alpha")
    assert told["text"] == "occurred; it began" and told["badges"] == "[]"
    row = viewed.the("v1_tasks")
    assert (row["task"], row["title"], row["due"], row["overdue"]) == (
        task, "block it", "2023-11-14T22:13:20Z", 1,
    )  # fmt: skip
    assert sorted(json.loads(row["claim"])) == sorted([alphas, bravos]) and row["conflict"] == 1
    assert row["owner"] in (alphas, bravos) and row["outcome"] == "ongoing"


def test_a_close_and_what_stands_beside_it_change_rows_that_were_there(viewed: Viewed) -> None:
    early = viewed.say(viewed.bravo, "note", b"early")
    viewed.refresh(NOW + 60)
    viewed.say(viewed.alpha, "close", IncidentClosing("done"))  # which hears of the next only later
    late = viewed.say(viewed.bravo, "note", b"late")
    viewed.refresh(NOW + 120)
    row = viewed.the("v1_incidents")
    assert (row["status"], row["late"], row["closed"]) == ("closed", 1, "2027-01-15T08:00:00Z")
    badges = {one["entry"]: one["badges"] for one in viewed.rows("v1_incident_timeline")}
    assert badges[late] == '["late"]' and badges[early] == "[]"
    viewed.say(viewed.bravo, "own-status", OwnStatus("engaged", ""))
    assert viewed.the("v1_incidents")["is_current"] == 0
    viewed.refresh(NOW + 180)
    assert viewed.the("v1_incidents")["is_current"] == 1


def test_the_state_of_a_duty_follows_the_clock_of_who_reads(viewed: Viewed) -> None:
    viewed.say(viewed.bravo, "duty", DutyStatement("aware", "", "nis2", LONG_AGO, "Europe/Berlin", ""))
    viewed.say(
        viewed.bravo, "duty", DutyStatement("submitted", "early", "nis2", LONG_AGO + 60, "Europe/Berlin", "")
    )
    viewed.say(viewed.alpha, "duty", DutyStatement("aware", "", "gdpr", 9_000_000_000, "Europe/Berlin", ""))
    viewed.refresh(NOW + 60)
    found = {(one["organisation"], one["template"], one["stage"]): one for one in viewed.rows("v1_duties")}
    bravos = id_of(viewed.bravo).text
    assert (found[bravos, "nis2", "early"]["state"], found[bravos, "nis2", "early"]["submitted_at"]) == (
        "done", "2023-11-14T22:14:20Z",
    )  # fmt: skip
    late = found[bravos, "nis2", "72h"]
    assert (late["state"], late["due"], late["from_event"]) == ("overdue", "2023-11-17T22:13:20Z", "aware")
    assert found[bravos, "nis2", "final"]["state"] == "not-running"
    assert found[id_of(viewed.alpha).text, "gdpr", "72h"]["state"] == "running"


def test_what_time_has_not_changed_is_not_written_again(viewed: Viewed) -> None:
    for number in range(140):
        viewed.say(viewed.alpha, "note", f"{number}".encode())
    assert viewed.refresh(NOW + 60) > 3, "in steps"
    database = viewed.bravo.store.database
    with database.transaction() as writer:  # as if written by somebody who must not be undone
        writer.execute("UPDATE incident_timeline SET text = 'untouched' WHERE kind = 'note'")
    viewed.say(viewed.alpha, "note", b"one more")
    viewed.refresh(NOW + 120)
    texts = [one["text"] for one in viewed.rows("v1_incident_timeline") if one["kind"] == "note"]
    assert len(texts) == 141 and texts.count("untouched") == 140


def test_another_life_of_the_views_goes_on_where_the_first_ended(viewed: Viewed) -> None:
    viewed.say(viewed.alpha, "note", b"one")
    viewed.refresh(NOW + 60)
    viewed.say(viewed.bravo, "note", b"written while no daemon ran")
    spaces_of(viewed.bravo).forget()
    viewed.views = viewed.views_of(viewed.bravo)
    viewed.refresh(NOW + 120)
    assert len([1 for one in viewed.rows("v1_incident_timeline") if one["kind"] == "note"]) == 2


def test_red_is_in_no_view(viewed: Viewed) -> None:
    red = SayInIncident(viewed.id, "note", SECRET.encode(), Tlp.RED, ("alpha",))
    run(viewed.bravo, red)
    sealed = SayInIncident(viewed.id, "note", b"for two", Tlp.AMBER_STRICT, ("alpha",))
    run(viewed.bravo, sealed)
    viewed.refresh(NOW + 60)
    texts = [one["text"] for one in viewed.rows("v1_incident_timeline")]
    assert "for two" in texts and SECRET not in texts
    secret = run(viewed.bravo, OpenIncident("Secret", ("ransomware",), Tlp.RED, ())).incident
    viewed.refresh(NOW + 120)
    assert (
        named_rows(viewed.bravo.store.database.path, "SELECT * FROM v1_incidents WHERE id = ?", secret) == []
    )


def test_what_is_redacted_or_purged_leaves_the_rows(viewed: Viewed) -> None:
    entry = viewed.say(viewed.bravo, "note", SECRET.encode())
    viewed.say(viewed.bravo, "task", IncidentTask("a task", "", 0, ()))
    viewed.refresh(NOW + 60)

    def the_text() -> Any:
        return next(one["text"] for one in viewed.rows("v1_incident_timeline") if one["entry"] == entry)

    assert the_text() == SECRET
    run(viewed.bravo, RedactEntry(viewed.id, entry, "incident"))
    assert the_text() is None, "at once, and not when it is folded next"
    viewed.refresh(NOW + 120)
    assert the_text() is None
    while run(viewed.bravo, PurgeSpace(viewed.id)).left:
        pass
    for view in ("v1_incidents", "v1_incident_timeline", "v1_tasks", "v1_duties", "v1_watch"):
        assert viewed.rows(view) == []
    database = viewed.bravo.store.database
    for table in ("incident_view", "incident_timeline", "incident_part", "incident_watch"):
        kept = f"SELECT count(*) FROM {table} t LEFT JOIN space s ON s.id = t.space WHERE s.id IS NULL"
        assert database.fetch(kept) == [(0,)]


def test_an_entry_that_was_changed_on_the_disk_is_named_and_the_rest_goes_on(viewed: Viewed) -> None:
    bravo, database = viewed.bravo, viewed.bravo.store.database
    bad = viewed.say(bravo, "note", b"what the disk spoils")
    viewed.say(bravo, "note", b"good")
    viewed.refresh(NOW + 60)
    entry_id = bytes(EntryId.parse(bad))
    ((body,),) = database.fetch("SELECT body FROM space_entry WHERE entry_id = ?", (entry_id,))
    with database.transaction() as writer:
        writer.execute(
            "UPDATE space_entry SET body = ? WHERE entry_id = ?",
            (body[:-1] + bytes([body[-1] ^ 1]), entry_id),
        )
    spaces_of(bravo).forget()  # as after a restart
    while not spaces_of(bravo).ready(EntryId.parse(viewed.id), NOW + 120):
        pass
    state = json.loads(spaces_of(bravo).canonical(EntryId.parse(viewed.id)))["state"]
    assert {one["id"]: one["text"] for one in state["notes"]}[bad] is None
    assert "good" in [one["text"] for one in state["notes"]]
    for steps in range(1_000):
        if (
            not spaces_of(bravo).go_on(NOW + 130 + steps) | viewed.views.go_on(NOW + 130 + steps)
            and steps > 3
        ):
            break
    told = {one["entry"]: (one["text"], one["badges"]) for one in viewed.rows("v1_incident_timeline")}
    assert told[bad] == (None, '["content-missing"]')
    alarms = run(seen_by_daemon(bravo), ShowStatus(), NOW + 200).alarms
    [alarm] = [one for one in alarms if one.word == "space-damaged"]
    assert bad in alarm.message and alarm.space == viewed.id
    viewed.say(bravo, "note", b"and goes on")
    hand_over(viewed.id, viewed.alpha, bravo)  # who has it whole
    texts = [
        one["text"]
        for one in json.loads(spaces_of(bravo).canonical(EntryId.parse(viewed.id)))["state"]["notes"]
    ]
    assert {"what the disk spoils", "and goes on"} <= set(texts), "another copy mends it"
    words = [one.word for one in run(seen_by_daemon(bravo), ShowStatus(), NOW + 300).alarms]
    assert "space-damaged" not in words


def spoil_header(node: Node, entry: str, place: int) -> None:
    entry_id, database = bytes(EntryId.parse(entry)), node.store.database
    ((header,),) = database.fetch("SELECT header FROM space_entry WHERE entry_id = ?", (entry_id,))
    spoilt = bytearray(header)
    spoilt[place] ^= 1
    with database.transaction() as writer:
        writer.execute("UPDATE space_entry SET header = ? WHERE entry_id = ?", (bytes(spoilt), entry_id))
    spaces_of(node).forget()  # as after a restart


@pytest.mark.parametrize("place", [0, 40, 90, -1])
def test_a_changed_header_takes_what_follows_it_out_until_a_good_copy_comes(
    viewed: Viewed, place: int
) -> None:
    alpha, bravo = viewed.alpha, viewed.bravo
    viewed.say(alpha, "note", b"before")
    viewed.meet()
    bad = viewed.say(bravo, "note", b"spoilt")
    viewed.meet()
    viewed.say(alpha, "note", b"behind it")
    viewed.meet()

    def texts() -> list[str]:
        output = json.loads(spaces_of(bravo).canonical(EntryId.parse(viewed.id)))
        return [one["text"] for one in output["state"]["notes"]]

    assert texts() == ["before", "spoilt", "behind it"]
    spoil_header(bravo, bad, place)
    other = run(bravo, OpenIncident("Another", ("phishing",), Tlp.GREEN)).incident
    run(bravo, SayInIncident(other, "note", b"the rest goes on"))
    while not spaces_of(bravo).ready(EntryId.parse(viewed.id), NOW + 120):
        pass
    spaces_of(bravo).state(EntryId.parse(viewed.id))
    assert texts() == ["before"], "nothing is folded over it"
    with pytest.raises(RefusedError) as refused:
        viewed.say(bravo, "note", b"under a number that is taken")
    assert refused.value.reason == "damaged"
    alarms = run(seen_by_daemon(bravo), ShowStatus(), NOW + 200).alarms
    [alarm] = [one for one in alarms if one.word == "space-damaged"]
    assert bad in alarm.message and alarm.space == viewed.id
    hand_over(viewed.id, alpha, bravo)
    assert texts() == ["before", "spoilt", "behind it"]
    viewed.say(bravo, "note", b"and on")
    words = [one.word for one in run(seen_by_daemon(bravo), ShowStatus(), NOW + 300).alarms]
    assert "space-damaged" not in words


def test_a_changed_opening_stops_no_other_space(viewed: Viewed) -> None:
    bravo = viewed.bravo
    viewed.say(bravo, "note", b"here")
    viewed.meet()
    spoil_header(bravo, viewed.id, 60)
    other = run(bravo, OpenIncident("Another", ("phishing",), Tlp.GREEN)).incident
    run(bravo, SayInIncident(other, "note", b"the rest goes on"))
    while spaces_of(bravo).go_on(NOW + 60) | viewed.views.go_on(NOW + 60):
        pass
    with pytest.raises(RefusedError) as refused:
        viewed.say(bravo, "note", b"nothing holds it")
    assert refused.value.reason == "damaged"
    assert viewed.id in [one.space for one in run(seen_by_daemon(bravo), ListSpaces()).each]
    alarms = run(seen_by_daemon(bravo), ShowStatus(), NOW + 200).alarms
    assert viewed.id in [one.space for one in alarms if one.word == "space-damaged"]
    hand_over(viewed.id, viewed.alpha, bravo)
    viewed.say(bravo, "note", b"and on")


def test_a_value_is_watched_until_its_day(viewed: Viewed) -> None:
    database = viewed.bravo.store.database
    ((row,),) = database.fetch("SELECT id FROM space WHERE space_id = ?", (bytes(EntryId.parse(viewed.id)),))
    with database.transaction() as writer:
        for value, until in (("evil.example", 9_000_000_000), ("old.example", LONG_AGO)):
            writer.execute("INSERT INTO incident_watch VALUES (?, 'domain', ?, 1, ?)", (row, value, until))
    assert {one["value"]: one["active"] for one in viewed.rows("v1_watch")} == {
        "evil.example": 1,
        "old.example": 0,
    }
    assert (
        next(one["until"] for one in viewed.rows("v1_watch") if not one["active"]) == "2023-11-14T22:13:20Z"
    )
