"""Stories of exercises, one for each rule of docs/exercises.md, each with what every node must say of it.

What is expected is written by hand, never computed: `expect` names places in the canonical `state` ("players.0.score") and their values.
`scripts/make-vectors` writes them to exercise.json, which other implementations run.

Players come by place and id: 0 is A in the clinic, 1 and 2 are B and C on the wards. Times are seconds after the start; 60 exercise seconds pass in one.
"""

from __future__ import annotations

from typing import Any

from exercise_histories import BEGUN, ExerciseTeller, expecting, inject_of, salt_of
from kind_stories import Expecting, KindStory, telling
from space_histories import partner

from p2pshare.spaces.exercise_entries import encode_exercise, released_inject

A, B, C = (partner(name).text for name in "ABC")


EXERCISE_STORIES: list[KindStory] = []


class TellingExercise(Expecting, ExerciseTeller):
    """A teller of exercises."""


story = telling(TellingExercise, EXERCISE_STORIES, "LWABCO")

SIGHT = expecting("seen", "sight", {"values": ("a.example",)}, by=("clinic",))


def result(word: str, after: int | None = None, *, player: int = 0, of: int = 0) -> dict[str, Any]:
    place = f"players.{player}.expectations.{of}"
    return {f"{place}.result": word, f"{place}.after_seconds": after}


@story("an exercise is made, started and ended; who has which place follows from the invitations")
def _(s: TellingExercise) -> None:
    s.expect({"pack": None, "phase": "made", "clock": 0, "time_factor": 0, "real_event": None})
    s.start()
    s.expect({"phase": "made", "turns": []})
    s.commit()
    s.expect({"pack.id": "drill", "pack.places.2.many": True, "places.1.role": "white", "phase": "made"})
    s.start(at=10)
    s.expect({"phase": "running", "time_factor": 60, "turns.0.at": BEGUN + 10, "turns.0.what": "started"})
    s.start(factor=1, at=20)
    s.expect({"time_factor": 60, "clock": 600, "turns.1": None})
    s.end(at=70)
    s.expect({"phase": "ended", "clock": 3_600, "turns.1.what": "ended"})
    s.resume(at=80)
    s.release(1, at=90)
    s.expect({"phase": "ended", "clock": 3_600, "injects.0.fault": "after-end"})


@story(
    "of two packs the first one counts, and a member that does not lead commits to nothing and releases nothing"
)
def _(s: TellingExercise) -> None:
    s.plan(inject_of(1))
    taken = s.commit("A")
    s.expect({"pack": None}, {taken: "not-lead"})
    s.commit()
    s.plan(inject_of(1, text="something else"), inject_of(2))
    s.commit()
    s.expect({"pack.leaves.1": None}, {taken: "not-lead"})
    s.start()
    s.release(1, at=1)
    forged = [s.release(1, "A", at=2), s.stamp("A", s.ack_inject("A", 1, at=3), at=3)]
    s.expect(
        {"injects.0.fault": "not-in-commitment", "unstamped.1": None, "phase": "running"},
        {taken: "not-lead", **dict.fromkeys(forged, "not-lead")},
    )


@story(
    "an inject is what its leaf says, or has no effect and is shown; of one number the first that fits counts"
)
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT), inject_of(2))
    s.release(1, inject=s.injects[0]._replace(text="another text"), at=10)
    s.release(1, inject=s.injects[1], at=11)
    s.release(3, inject=inject_of(3), at=12)
    wrong = released_inject(s.injects[0], salt_of(2), b"")
    s.write("L", "inject", encode_exercise(wrong), created=BEGUN + 13)
    s.expect({f"injects.{place}.fault": "not-in-commitment" for place in range(4)})
    s.release(1, at=20)
    s.release(1, at=30)
    s.expect({"injects.4.fault": None, "injects.4.at": 1_200, "injects.5.fault": "number-taken"})
    s.stamp("L", s.sight("A", "a.example", at=31), at=32)
    s.expect(result("success", 660))


@story("what is released before the pack or the start has no effect")
def _(s: TellingExercise) -> None:
    s.plan(inject_of(1))
    s.release(1)
    s.commit()
    s.release(1)
    s.expect({"injects.0.fault": "no-pack", "injects.1.fault": "not-started"})


@story("an act counts with the inject in its past alone")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT))
    before = s.heads()
    s.release(1, at=10)
    beside = s.sight("A", "a.example", after=before, at=20)
    s.stamp("L", beside, at=21)
    s.expect({**result("pending"), "acts.0.upto": 0})
    later = s.sight("A", "a.example", at=25)
    s.expect({**result("pending"), "unstamped.0": later.text})
    s.stamp("L", later, at=26)
    s.expect({**result("success", 900), "acts.1.upto": 1, "players.0.score": 100})


@story("nobody wins by a wrong clock: never before the release, never after the stamp")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT, expecting("read", "acknowledge", by=("ward",))))
    s.release(1, at=10)
    s.stamp("L", s.sight("A", "a.example", at=-5_000), at=40)
    s.expect(result("success", 0))
    s.stamp("L", s.ack_inject("B", 1, at=9_000), at=50)
    s.expect({**result("failed", player=1), "players.1.acknowledged.0": [1, 2_400]})


@story("within is inclusive, late is a part, and what comes later or never has failed when it is due")
def _(s: TellingExercise) -> None:
    s.begin(
        inject_of(
            1, expecting("read", "acknowledge", by=("clinic", "ward"), within=1_200, late=2_400, weight=3)
        )
    )
    s.release(1, at=10)
    s.stamp("L", s.ack_inject("A", 1, at=30), s.ack_inject("B", 1, at=31), at=49)
    s.expect(
        {
            **result("success", 1_200),
            **result("partial", 1_260, player=1),
            **result("pending", player=2),
            "players.1.half_points": 3,
            "players.1.score": 50,
            "players.2.score": None,
            "objectives.0.half_points": 9,
            "objectives.0.half_of": 12,
            "objectives.0.score": 75,
        }
    )
    s.pause(at=50)
    s.expect(result("pending", player=2))
    s.stamp("L", s.ack_inject("C", 1, at=200), at=201)
    s.expect({**result("partial", 2_400, player=2), "clock": 3_000})


@story("the clock stands still in a pause; after a resume it goes on")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT))
    s.release(1, at=10)
    s.pause(at=15)
    s.pause(at=16)
    s.expect({"phase": "paused", "clock": 900, "turns.2": None})
    s.resume(at=1_000)
    s.resume(at=1_001)
    s.stamp("L", s.sight("A", "a.example", at=1_005), at=1_006)
    s.expect({**result("success", 600), "phase": "running", "turns.3": None})


@story(
    "a real event: any member stops it, at once; the clock stands still from the stamp, and only a resume that knows of it goes on"
)
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT))
    s.release(1, at=10)
    seen = s.heads()
    event = s.pause("B", real=True, at=12)
    s.expect({"phase": "paused", "real_event": event.text, "unstamped.0": event.text, "turns.1": None})
    s.pause(at=13, after=seen)
    s.resume(at=14, after=[*s.heads() - {event}])
    s.expect({"phase": "paused", "real_event": event.text})
    s.stamp("L", event, at=15)
    s.expect({"turns.3.what": "real-event", "turns.3.at": BEGUN + 15, "turns.3.id": event.text})
    s.resume(at=20)
    s.expect({"phase": "running", "real_event": None})
    nothing = s.pause("B", at=21)
    s.stamp("L", nothing, at=22)
    s.expect({"phase": "running"})


@story("the lead itself says that there is a real event; after the end there is nothing to stop")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1))
    event = s.pause(real=True, at=5)
    s.expect({"phase": "paused", "real_event": event.text, "turns.1.what": "real-event"})
    s.resume(at=6)
    s.expect({"phase": "running", "real_event": None})
    s.end(at=7)
    s.pause("A", real=True, at=8)
    s.expect({"phase": "ended", "real_event": None})


@story(
    "it ends by itself after its duration: what comes later counts for nothing, what is stamped later was in time"
)
def _(s: TellingExercise) -> None:
    s.begin(
        inject_of(1, SIGHT, expecting("read", "acknowledge", by=("clinic",))), inject_of(2), duration=1_200
    )
    s.release(1, at=10)
    in_time, late = s.sight("A", "a.example", at=20), s.ack_inject("A", 1, at=21)
    s.stamp("L", in_time, late, at=25)
    s.release(2, at=26)
    s.expect(
        {
            **result("success", 600),
            **result("pending", of=1),
            "phase": "ended",
            "clock": 1_200,
            "injects.1.fault": "after-end",
        }
    )


@story("what no stamp names counts for nothing, nor does a stamp behind the end")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, expecting("seen", "sight", {"values": ("a.example",)}, by=("clinic",), within=600)))
    s.release(1, at=10)
    act = s.sight("A", "a.example", at=12)
    s.end(at=21)
    s.stamp("L", act, at=22)
    s.expect({**result("failed"), "unstamped.0": act.text})


@story("what was not due at the end stands outside the score")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, expecting("seen", "sight", {"values": ("a.example",)}, by=("clinic",), within=600)))
    s.release(1, at=10)
    s.end(at=19)
    s.expect({**result("pending"), "players.0.score": None, "players.0.half_of": 0})


@story(
    "values: all of them, in one entry or in several; some are a part; counts and false positives are asked for"
)
def _(s: TellingExercise) -> None:
    both = {"values": ("a.example", "B.example")}
    s.begin(
        inject_of(
            1,
            expecting("both", "sight", both, by=("clinic",)),
            expecting("often", "sight", {"values": ("c.example",), "count_min": 3}, by=("clinic",)),
            expecting("good", "sight", {"values": ("d.example",), "false_positive": True}, by=("clinic",)),
            expecting("gone", "withdraw", both, by=("clinic",)),
        )
    )
    s.release(1, at=10)
    first = s.sight("A", "A.example", at=11)
    less = s.sight("A", "c.example", 2, at=12)
    bad = s.sight("A", "d.example", at=12)
    s.stamp("L", first, less, bad, s.withdraw("A", "a.example", "b.example", at=13), at=14)
    s.expect(
        {
            **result("partial", 60),
            **result("pending", of=1),
            **result("pending", of=2),
            **result("success", 180, of=3),
        }
    )
    s.stamp(
        "L",
        s.sight("A", "b.example", at=15),
        s.sight("A", "c.example", 3, at=16),
        s.sight("A", "d.example", false=True, at=17),
        at=18,
    )
    s.expect({**result("success", 300), **result("success", 360, of=1), **result("success", 420, of=2)})


@story("sharing: to whom and how strictly; too few or too strict is a part, others do not count")
def _(s: TellingExercise) -> None:
    match = {"values": ("a.example",), "to": ("ward",), "tlp_max": "amber"}
    s.begin(inject_of(1, expecting("shared", "publish", match, by=("clinic", "ward"))))
    s.release(1, at=10)
    s.stamp("L", s.publish("A", "a.example", to="O", at=11), at=12)
    s.expect(result("pending"))
    s.stamp("L", s.publish("A", "a.example", to="BO", at=13), at=14)
    s.expect(result("partial", 180))
    s.stamp("L", s.publish("A", "a.example", tlp=3, at=15), at=16)
    s.expect(result("partial", 180))
    s.stamp("L", s.publish("A", "a.example", "z.example", to="BC", tlp=2, at=17), at=18)
    s.expect(result("success", 420))
    s.stamp("L", s.publish("B", "a.example", to="C", at=18), at=19)
    s.expect({**result("success", 480, player=1), **result("pending", player=2)})


@story("of answers to an inject the first one counts: choice, number and words")
def _(s: TellingExercise) -> None:
    s.begin(
        inject_of(
            1,
            expecting("choice", "answer", {"choice": "isolate"}),
            expecting("number", "answer", {"number": 2}),
            expecting("words", "answer", {"words": ("patients", "Police")}),
        )
    )
    s.release(1, at=10)
    first = s.answer("A", 1, "We tell the POLICE, (2) patients.", "Isolate", at=11)
    wrong = s.answer("B", 1, "22 patients", "wait", at=12)
    right = s.answer("B", 1, "2 patients, police", "isolate", at=13)
    s.stamp("L", first, right, at=14)
    s.expect(
        {
            **result("success", 60),
            **result("success", 60, of=1),
            **result("success", 60, of=2),
            **result("pending", player=1),
        }
    )
    s.stamp("L", wrong, at=15)
    s.expect({key: "failed" for of in range(3) for key in [f"players.1.expectations.{of}.result"]})


@story("an act elsewhere counts by its stamp: written after the release, and stamped behind it")
def _(s: TellingExercise) -> None:
    s.begin(
        inject_of(
            1, expecting("opened", "incident-open", {"incident_type": "ransomware"}, by=("clinic", "ward"))
        ),
        inject_of(2, expecting("again", "incident-open", by=("clinic",))),
    )
    early = s.elsewhere("A", "incident-open", "ransomware", 9)
    other = s.elsewhere("B", "incident-open", "phishing", 12)
    s.release(1, at=10)
    s.stamp("L", attested=[early, other], at=13)
    s.expect({**result("pending"), **result("pending", player=1)})
    s.stamp("L", attested=[s.elsewhere("A", "incident-open", "malware ransomware", 14)], at=20)
    s.release(2, at=20)
    s.expect({**result("success", 240), **result("pending", of=1)})
    s.stamp("L", attested=[s.elsewhere("A", "incident-open", "", 20)], at=21)
    s.expect(result("success", 0, of=1))


@story("of an act that two stamps name the first one counts, whatever the second says")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, expecting("joined", "incident-join", by=("clinic",))))
    act = s.elsewhere("A", "incident-join", "", 15)
    s.release(1, at=10)
    s.stamp("L", attested=[act], at=16)
    s.stamp("L", attested=[act._replace(created=BEGUN + 11)], at=17)
    s.expect(result("success", 300))


@story("each kind of act elsewhere is what its match says")
def _(s: TellingExercise) -> None:
    s.begin(
        inject_of(
            1,
            expecting("done", "task-done", {"task_type": "containment"}, by=("clinic",)),
            expecting("status", "own-status", {"status": "contained"}, by=("clinic",)),
            expecting("what", "determine", {"determination": "confirmed"}, by=("clinic",)),
            expecting("told", "duty-done", {"duty": "nis2:early"}, by=("clinic",)),
            expecting("any", "duty-done", {"duty": "nis2"}, by=("clinic",)),
            expecting("closed", "incident-close", by=("clinic",)),
            expecting("noted", "note", {"words": ("Lesson",), "to": ("ward",)}, by=("clinic",)),
            expecting("asked", "ask", {"to": ("ward",)}, by=("clinic",)),
        )
    )
    s.release(1, at=10)
    s.stamp(
        "L",
        attested=[
            s.elsewhere("A", "task-done", "recovery containment", 11),
            s.elsewhere("A", "own-status", "contained", 11),
            s.elsewhere("A", "determine", "suspected", 11),
            s.elsewhere("A", "duty-done", "nis2:early", 11),
            s.elsewhere("A", "incident-close", "", 11),
            s.elsewhere("A", "note", "a LESSON learnt", 11, to="B"),
            s.elsewhere("A", "ask", "how many?", 11, to="BC"),
        ],
        at=12,
    )
    words = ["success", "success", "pending", "success", "success", "success", "partial", "success"]
    s.expect({f"players.0.expectations.{of}.result": word for of, word in enumerate(words)})


@story(
    "evaluators rate; the newest word of each counts, who plays rates nobody, and two that differ are a spread"
)
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, expecting("calm", "rated")))
    s.release(1, at=10)
    s.observe("A", "calm", "P")
    s.expect({**result("pending"), "observations": []})
    s.observe("O", "calm", "M")
    s.expect({**result("partial"), **result("partial", player=1), "observations.0.rating": "M"})
    s.observe("W", "calm", "P", "A")
    s.expect({**result("spread"), **result("partial", player=1), "players.0.half_of": 0})
    s.observe("O", "calm", "P")
    s.expect({**result("success"), **result("success", player=1)})
    s.end(at=11)
    s.observe("W", "calm", "U", "B")
    s.expect({**result("success"), **result("spread", player=1)})


@story(
    "a lead that is lost: the other white member takes over, and is bound to what was committed to", "LWABC"
)
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT), inject_of(2, SIGHT._replace(id="again")))
    s.release(1, at=10)
    player = s.take_over("A", 1, 1)
    s.take_over("W", 1, 1)
    s.plan(inject_of(1), inject_of(2, text="easier"))
    s.commit("W")
    s.release(2, "W", at=20)
    s.plan(inject_of(1, SIGHT), inject_of(2, SIGHT._replace(id="again")))
    s.release(2, "W", at=30)
    s.stamp("W", s.sight("A", "a.example", at=31), at=32)
    s.expect(
        {"injects.1.fault": "not-in-commitment", "injects.2.fault": None, **result("success", 60, of=1)},
        {player: "not-member"},
    )
    late = s.release(2, "L", at=40)
    s.expect({**result("success", 60, of=1)}, {player: "not-member", late: "not-lead"})


@story("with one white member nobody takes over; with three both others must", "LAB")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1))
    votes = [s.take_over("A", 1, 1), s.take_over("B", 1, 1)]
    s.release(1, "L", at=10)
    s.expect({"injects.0.fault": None}, dict.fromkeys(votes, "not-member"))


@story(
    "what two leads released beside each other counts in one order, and an act for an inject with all before it",
    "LWABC",
)
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT), inject_of(2, SIGHT._replace(id="again")))
    seen = s.heads()
    first = s.release(1, at=10, after=seen)
    number = s.last_number("L", seen) + 1
    second = s.release(2, at=11, after=seen, number=number)
    one, other = sorted([first, second])
    act = s.sight("A", "a.example", after=[other], at=12)
    s.stamp("L", act, at=13, after=[*s.heads()])
    s.expect({"injects.0.id": one.text, "injects.1.id": other.text, "acts.0.upto": 0})


@story("of a part of the lead that was cut off by a takeover nothing counts", "LWABC")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT))
    seen = s.heads()
    cut = s.release(1, at=10)
    act = s.sight("A", "a.example", at=12)
    s.take_over("W", 1, 1, after=seen)
    s.expect({"injects": [], "acts.0.upto": 0}, {cut: "cut"})
    s.release(1, "W", at=20)
    s.stamp("W", act, s.sight("A", "a.example", at=25), at=26)
    s.expect({"injects.0.fault": None, **result("success", 300)}, {cut: "cut"})


@story("who is no member any more has no place and no line; notes are shown")
def _(s: TellingExercise) -> None:
    s.begin(inject_of(1, SIGHT))
    s.note("A", "hello")
    s.expect({"places.5.place": "clinic", "players.2.member": C, "notes.0.text": "hello"})
    s.remove("L", "A")
    s.expect({"places.5": None, "players.2": None, "players.0.member": B})
