"""Stories of incidents, one for each rule of docs/incidents.md, each with what every node must say of it.

What is expected is written by hand, never computed: `expect` names places in the canonical `state` ("tasks.0.owner") and their values; a value
may be an entry's id or a partner's letter. `scripts/make-vectors` writes them to incident.json, which other implementations run.
"""

from __future__ import annotations

from incident_histories import DAY, START, IncidentTeller
from kind_stories import Expecting, KindStory, telling
from space_histories import partner

from p2pshare.envelope.encoding import pack
from p2pshare.identifiers import EntryId
from p2pshare.spaces.incident_entries import DutyStatement, IncidentEvent, IncidentImpact, encode_incident

INCIDENT_STORIES: list[KindStory] = []


class TellingIncident(Expecting, IncidentTeller):
    """A teller of incidents."""


story = telling(TellingIncident, INCIDENT_STORIES, "LAB")


def ids(*entries: EntryId) -> list[str]:
    return [one.text for one in sorted(entries)]


def s_id(s: TellingIncident, kind: str, place: int) -> EntryId:
    return [one for one, entry in s.entries.items() if entry.header.kind == kind][place]


@story("nothing is said yet: new; a note makes it open")
def _(s: TellingIncident) -> None:
    s.expect({"status": "new", "determination": None, "closed": False, "tasks": []})
    note = s.note("A", "we are encrypted")
    s.expect({"status": "open", "notes.0.id": note.text, "notes.0.text": "we are encrypted"})


@story(
    "ten claim one task: the first by (depth, id) is provisional, and the conflict ends with the releases",
    "LABCDEFGHI",
)
def _(s: TellingIncident) -> None:
    task = s.task("L")
    s.expect({"tasks.0.owner": None, "tasks.0.outcome": "pending", "tasks.0.conflict": False})
    seen = s.heads()
    claims = {name: s.claim(name, task, after=seen) for name in "LABCDEFGHI"}
    first = min(claims, key=lambda name: claims[name])
    s.expect({"tasks.0.owner": partner(first).text, "tasks.0.conflict": True, "tasks.0.outcome": "ongoing"})
    s.merge("A")
    for name in "LABCDEFGHI":
        if name != "D":
            s.release(name, task)
    s.expect({"tasks.0.owner": partner("D").text, "tasks.0.conflict": False})


@story("a release takes back the claims before it, and not one after it")
def _(s: TellingIncident) -> None:
    task = s.task("L")
    first = s.claim("A", task)
    s.release("A", task)
    s.expect({"tasks.0.owner": None, "tasks.0.claims.0.stands": False})
    s.claim("A", task)
    s.expect(
        {
            "tasks.0.owner": partner("A").text,
            "tasks.0.claims.0.id": first.text,
            "tasks.0.claims.1.stands": True,
        }
    )
    s.release("B", task)
    s.expect({"tasks.0.owner": partner("A").text})


@story("an assignment settles the claims it knew; one beside it is a conflict; the next settles that")
def _(s: TellingIncident) -> None:
    task = s.task("L")
    s.claim("A", task)
    seen = s.heads()
    given = s.assign("L", task, "B")
    s.expect(
        {"tasks.0.owner": partner("B").text, "tasks.0.conflict": False, "tasks.0.assignments.0": given.text}
    )
    s.claim("L", task, after=[given])
    s.expect({"tasks.0.owner": partner("B").text, "tasks.0.conflict": True})
    beside = s.claim("A", task, after=seen)
    s.expect({"tasks.0.owner": partner("B").text, "tasks.0.conflict": True})
    last = s.assign("L", task, "A")
    s.expect(
        {"tasks.0.owner": partner("A").text, "tasks.0.conflict": False, "tasks.0.assignments": [last.text]}
    )
    s.release("A", task)
    s.expect({"tasks.0.owner": None, "tasks.0.outcome": "pending"})
    s.assign("L", task)
    s.claim("B", task)
    s.expect({"tasks.0.owner": partner("B").text, "tasks.0.conflict": False})
    assert beside


@story("only the lead assigns; only the lead, claimants and who was given it say what came of it")
def _(s: TellingIncident) -> None:
    task = s.task("A")
    void = s.assign("A", task, "B")
    s.outcome("A", task, "failed")
    s.expect(
        {"tasks.0.owner": None, "tasks.0.outcome": "pending", "tasks.0.outcomes": []}, {void: "not-lead"}
    )
    s.assign("L", task, "B")
    s.outcome("B", task, "successful")
    s.expect(
        {
            "tasks.0.outcome": "successful",
            "tasks.0.disputed": False,
            "tasks.0.outcomes.0.author": partner("B").text,
        },
        {void: "not-lead"},
    )


@story("outcomes differ: unknown and disputed; the lead resolves; who says otherwise later disputes it again")
def _(s: TellingIncident) -> None:
    task = s.task("L")
    s.claim("A", task)
    s.claim("B", task)
    seen = s.heads()
    s.outcome("A", task, "successful", after=seen)
    s.outcome("B", task, "failed", after=seen)
    s.expect({"tasks.0.outcome": "unknown", "tasks.0.disputed": True})
    s.outcome("L", task, "failed")
    s.expect({"tasks.0.outcome": "failed", "tasks.0.disputed": False})
    s.outcome("A", task, "successful")
    s.expect({"tasks.0.outcome": "failed", "tasks.0.disputed": True})
    s.outcome("A", task, "failed")
    s.expect({"tasks.0.outcome": "failed", "tasks.0.disputed": False})


@story("what names a task counts whichever came first, and nothing while the task is void")
def _(s: TellingIncident) -> None:
    seen = s.heads()
    task = s.task("A", after=seen)
    s.claim("B", task, after=seen)
    s.expect({"tasks.0.owner": partner("B").text})
    spoilt = s.write("A", "task", b"\xc1")
    s.claim("B", spoilt)
    s.expect({"tasks.0.owner": partner("B").text, "tasks.1": None}, {spoilt: "bad-body"})


@story(
    "the determination is the lead's newest, and of two leads beside each other's the last, shown as a conflict"
)
def _(s: TellingIncident) -> None:
    s.determine("L", "suspected", 20)
    s.determine("L", "confirmed", 90)
    void = s.determine("A", "false-positive")
    s.expect(
        {
            "determination": "confirmed",
            "criticality": 90,
            "types": ["ransomware"],
            "determination_conflict": False,
        },
        {void: "not-lead"},
    )
    seen = s.heads()
    s.ack("A", s.take_over("B", 1, 1))
    s.determine("B", "blocked")
    s.expect({"determination": "blocked", "determination_conflict": False}, {void: "not-lead"})
    beside = s.determine("L", "suspected", after=seen)
    s.expect({"determination": "blocked", "determination_conflict": False}, {void: "not-lead", beside: "cut"})


@story("own status: each organisation's newest")
def _(s: TellingIncident) -> None:
    s.own_status("A", "engaged")
    s.own_status("B", "engaged")
    own = s.own_status("A", "recovered")
    row = {"author": partner("A").text, "id": own.text, "status": "recovered", "text": ""}
    s.expect(
        {
            "own_status": sorted(
                [
                    row,
                    {
                        **row,
                        "author": partner("B").text,
                        "id": s_id(s, "own-status", 1).text,
                        "status": "engaged",
                    },
                ],
                key=lambda one: str(one["author"]),
            )
        }
    )


@story("close: what nobody saw is late, what follows comes after; the four of an absent member")
def _(s: TellingIncident) -> None:
    s.own_status("A", "closed")
    before = s.note("B", "before")
    seen = s.heads()
    close = s.close("L", "done")
    s.expect({"closed": True, "status": "closed", "closes": [close.text], "late": [], "after": []})
    one = s.note("B", "1", after=seen)
    two = s.event("B", "2", after=[one])
    three = s.own_status("B", "engaged", after=[two])
    four = s.claim("B", s.task("B", after=[three]), after=[s_id(s, "task", 0)])
    late = [one.text, two.text, three.text, s_id(s, "task", 0).text, four.text]
    s.expect({"closed": True, "late": late, "after": []})
    after = s.note("A", "after", after=[close])
    s.expect({"closed": True, "late": late, "after": [after.text]})
    assert before


@story(
    "a reopening by the lead or an affected organisation wins over a close beside it; one by another opens nothing"
)
def _(s: TellingIncident) -> None:
    s.own_status("A", "engaged")
    seen = s.heads()
    close = s.close("L", after=seen)
    s.reopen("B", after=[close])
    s.expect({"closed": True})
    s.reopen("A", after=seen)
    s.expect({"closed": False, "late": [], "after": []})
    again = s.close("L")
    s.expect({"closed": True, "closes": [again.text]})
    s.reopen("L")
    s.expect({"closed": False, "status": "open"})


@story("an own status beside its author's reopening makes nobody affected before")
def _(s: TellingIncident) -> None:
    close = s.close("L")
    s.reopen("B", after=[close])
    s.own_status("B", "engaged")
    s.expect({"closed": True})
    s.reopen("B")
    s.expect({"closed": False})


@story(
    "a lesson: changed by its author, its owner and the lead; by nobody else; two beside each other are a conflict"
)
def _(s: TellingIncident) -> None:
    lesson = s.lesson("A", "segment the network", "B")
    s.lesson("B", "segment the network", "B", lesson, "done")
    s.expect(
        {
            "lessons.0.status": "done",
            "lessons.0.id": lesson.text,
            "lessons.0.owner": partner("B").text,
            "lessons.0.conflict": False,
        }
    )
    s.lesson("A", "segment the office network", "B", lesson)
    s.expect({"lessons.0.status": "open", "lessons.0.text": "segment the office network", "lessons.1": None})
    seen = s.heads()
    mine = s.lesson("A", "one", "B", lesson, after=seen)
    other = s.lesson("L", "two", "", lesson, after=seen)
    s.expect({"lessons.0.text": "two" if other > mine else "one", "lessons.0.conflict": True})


@story("a lesson is not changed by a member who neither wrote nor owns it")
def _(s: TellingIncident) -> None:
    lesson = s.lesson("L", "back up", "A")
    s.lesson("B", "do nothing", "B", lesson, "done")
    s.expect({"lessons.0.text": "back up", "lessons.0.status": "open", "lessons.1": None})


@story("duties: of each event the newest statement of each organisation")
def _(s: TellingIncident) -> None:
    s.duty("A", "aware", START)
    corrected = s.duty("A", "aware", START - 600)
    s.duty("A", "submitted", START + DAY, "early")
    s.expect(
        {
            "duties.0.at": START - 600,
            "duties.0.id": corrected.text,
            "duties.0.zone": "Europe/Berlin",
            "duties.1.stage": "early",
            "duties.2": None,
        }
    )
    no_stage = s.say("A", "duty", DutyStatement("submitted", "", "nis2", START, "UTC", ""))
    no_time = s.write("A", "duty", encode_incident(DutyStatement("aware", "", "nis2", 0, "UTC", "")))
    s.expect({"duties.2": None}, {no_stage: "bad-body", no_time: "bad-body"})


@story("a fork of a duty statement: the earlier time counts")
def _(s: TellingIncident) -> None:
    seen = s.heads()
    early = s.duty("A", "aware", START, after=seen)
    s.duty("A", "aware", START + 60, after=seen)
    s.expect({"duties.0.at": START, "duties.0.id": early.text, "duties.1": None})


@story("events: times that run backwards are shown; a word of no list is void, and the rest goes on")
def _(s: TellingIncident) -> None:
    s.event("A", "backwards", START, START - DAY)
    void = s.write("A", "event", encode_incident(IncidentEvent("maybe", 0, "", 0, "", (), "")))
    s.event("B", "no time")
    s.expect(
        {
            "events.0.start": START,
            "events.0.end": START - DAY,
            "events.1.start": None,
            "events.1.text": "no time",
            "events.2": None,
        },
        {void: "bad-body"},
    )


@story("impacts: the property of the category, and no other")
def _(s: TellingIncident) -> None:
    s.impact("A")
    void = [
        s.say("A", "impact", IncidentImpact(category, details, 0, 0, (), "", (), ""))
        for category, details in (
            ("economic", (("variety", "x"),)),
            ("monetary", (("currency", "EUR"),)),
            ("confidentiality", (("loss_type", "gone"),)),
            ("traceability", (("extra", "x"), ("traceability_impact", "x"))),
        )
    ]
    s.expect(
        {
            "impacts.0.details": {"availability_impact": "70"},
            "impacts.0.counts": {"computers-server": 7},
            "impacts.1": None,
        },
        dict.fromkeys(void, "bad-body"),
    )


@story("values are a union; one is taken back by redacting it; what a few may read is listed without text")
def _(s: TellingIncident) -> None:
    first = s.object_("A", "one.example", b'{"type":"indicator"}')
    s.object_("B", "two.example")
    sealed = s.object_("B", "three.example", audience="LB")
    s.expect(
        {
            "objects.0.has_stix": True,
            "objects.1.value": "two.example",
            "objects.2.id": sealed.text,
            "objects.2.value": None,
            "objects.2.sealed": True,
        }
    )
    s.redact("A", first)
    s.expect({"objects.0.id": first.text, "objects.0.value": None, "objects.0.redacted": True})
    no = s.redact("L", s.task("A"))
    s.expect({"tasks.0.title": "block it"}, {no: "no-entry"})


@story("questions with their answers; opinions; a recurrence; a duplicate")
def _(s: TellingIncident) -> None:
    question = s.ask("L", "A")
    answer = s.answer("A", question)
    s.answer("B", question, audience="L")
    s.opine("B")
    s.recur("B")
    s.duplicate("L", s.opening)
    s.expect(
        {
            "questions.0.answers": [{"id": answer.text, "text": "since Monday"}],
            "questions.0.to": [partner("A").text],
            "opinions.0.determination": "confirmed",
            "opinions.0.about": None,
            "recurrences.0.day": START,
            "duplicates.0.space": s.opening.text,
        }
    )
    late = s.write("B", "recurrence", bytes.fromhex("8400a16101a16102") + b"\x01" + bytes.fromhex("03a0"))
    s.expect({"recurrences.1": None}, {late: "bad-body"})


@story("hostile text in every field comes out as it was written")
def _(s: TellingIncident) -> None:
    hostile = 'a"\\\b\n\x00\x1f\u202e\u2028</script>|`=1+1`\U0001f512'
    s.note("A", hostile)
    s.event("A", hostile)
    s.object_("A", hostile)
    s.task("A", hostile)
    s.lesson("A", hostile)
    s.close("L", hostile)
    s.expect(
        {
            "notes.0.text": hostile,
            "events.0.text": hostile,
            "objects.0.value": hostile,
            "tasks.0.title": hostile,
            "lessons.0.text": hostile,
        }
    )


@story("two react beside each other: a step of the playbook is one task, whoever claims it")
def _(s: TellingIncident) -> None:
    seen = s.heads()
    reaction = s.react("A", after=seen)
    first = s.step("A", after=[reaction])
    s.step("A", "action--2", "call the lead", after=[first])
    s.step("B", "action--2", "call the lead", after=[s.step("B", after=seen)])
    s.expect(
        {
            "reactions.0.id": reaction.text,
            "reactions.0.sha256": bytes(range(32)).hex(),
            "tasks.0.id": s.step_id().text,
            "tasks.0.step.place": 1,
            "tasks.0.differs": False,
            "tasks.1.id": s.step_id("action--2").text,
            "tasks.2": None,
        }
    )
    s.claim("B", s.step_id())
    s.expect({"tasks.0.owner": partner("B").text, "tasks.1.owner": None})


@story("the id of the entry of a step is the id of no task")
def _(s: TellingIncident) -> None:
    entry = s.step("A")
    s.claim("B", entry)
    s.expect({"tasks.0.owner": None, "tasks.0.claims": []})


@story("one step told in two ways: the lead's words stand, and it is said that they differ")
def _(s: TellingIncident) -> None:
    seen = s.heads()
    s.step("B", title="do nothing", after=seen)
    s.expect({"tasks.0.title": "do nothing", "tasks.0.differs": False})
    s.step("L", after=[s.note("L", "I looked it up", after=seen)])
    s.expect({"tasks.0.title": "isolate it", "tasks.0.differs": True, "tasks.1": None})


@story("a step that is none: no digest, no name, the place 0, a key too many; and a reaction to nothing")
def _(s: TellingIncident) -> None:
    digest = bytes(range(32))

    def bad(*fields: object) -> EntryId:
        return s.write("A", "task", pack(dict(enumerate(("isolate it", "", 0, (), *fields)))))

    void = [
        bad((digest[:31], "action--1", 1)),
        bad((digest, "", 1)),
        bad((digest, "action--1", 0)),
        bad((digest, "action--1")),
        bad(()),
        bad((digest, "action--1", 1), 0),
        s.write("A", "react", pack({0: bytes(32), 1: "", 2: "x", 3: digest, 4: ""})),
    ]
    s.expect({"tasks": [], "reactions": []}, dict.fromkeys(void, "bad-body"))
