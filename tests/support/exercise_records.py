"""Records of exercises for tests: one as it may really be, and one whose every text is hostile."""

from __future__ import annotations

from p2pshare.intel.exercise_record import (
    ExerciseRecord,
    RecordedAct,
    RecordedEvent,
    RecordedExpectation,
    RecordedInject,
    RecordedObjective,
    RecordedObservation,
    RecordedPlayer,
)

HOSTILE = (
    "</td></svg><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt; \"quoted\" 'quoted'",
    "a | b ](javascript:alert(1)) ![x](http://example.com/x.png) `code` # heading",
    "\x1b[2J\x00\u202e\u2028\u200b\ud800",
    "<!--",
    "]]><style>*{display:none}</style>",
)


def played_record() -> ExerciseRecord:
    """Returns an exercise with two players: one fast and one slow, and two evaluators who differ."""
    fast = (
        RecordedExpectation(1, "heard", "detect", "acknowledge", 600, 1_200, "success", 120, 1, 120),
        RecordedExpectation(2, "told", "share", "sight", 1_200, 2_400, "success", 500, 2, 100),
        RecordedExpectation(3, "isolated", "decide", "answer", 900, None, "partial", 700, 3, 60),
        RecordedExpectation(4, "judged", "answer", "rated", 900, None, "spread", None, 1),
    )
    slow = (
        RecordedExpectation(1, "heard", "detect", "acknowledge", 600, 1_200, "partial", 1_100, 1, 1_100),
        RecordedExpectation(2, "told", "share", "sight", 1_200, 2_400, "failed", None, 2, 1_500, 2),
        RecordedExpectation(3, "isolated", "decide", "answer", 900, None, "failed", None, 3),
        RecordedExpectation(4, "judged", "answer", "rated", 900, None, "pending", None, 1),
    )
    return ExerciseRecord(
        "0f" * 32,
        "Ransomware in two hospitals",
        "functional",
        "ransomware-two-hospitals 1.0.0",
        "ended",
        60,
        7_200,
        7_200,
        (
            RecordedObjective("O1", "What was found is told.", "3", "6", 50),
            RecordedObjective("O2", "Each decides in time.", "3", "3", 100),
        ),
        tuple(
            RecordedInject(
                number,
                (number - 1) * 1_500,
                (number - 1) * 1_500,
                ("hospital-a", "hospital-b"),
                "Control",
                "message",
                "O1",
                f"Inject {number} says something.",
                "What a good answer is.",
            )
            for number in range(1, 5)
        ),
        (
            RecordedPlayer("Hospital A", "hospital-a", "blue", "4.5", "6", 75, fast),
            RecordedPlayer("Hospital B", "hospital-b", "blue", "0.5", "6", 8, slow),
        ),
        (
            RecordedAct(120, "Hospital A", "acknowledge", "", 1),
            RecordedAct(2_000, "Hospital A", "sight", "login.example.org", 2),
        ),
        (
            RecordedObservation("Eva", "Hospital A", "O1", "judged", "P", "Called the other house at once."),
            RecordedObservation(
                "Otto", "Hospital A", "O1", "judged", "M", "Nobody wrote down what was decided."
            ),
            RecordedObservation("Eva", "Hospital B", "O2", "", "U", ""),
        ),
        (
            RecordedEvent(1_800_000_000, "started", "Control"),
            RecordedEvent(1_800_000_120, "ended", "Control"),
        ),
    )


def hostile_record() -> ExerciseRecord:
    """Returns the same exercise with what somebody would write who wants to break the page, in every text."""
    record = played_record()
    at = iter(range(10_000))

    def nasty() -> str:
        return HOSTILE[next(at) % len(HOSTILE)]

    return record._replace(
        exercise=nasty(),
        name=" ".join(HOSTILE),
        kind=nasty(),
        pack=nasty(),
        state=nasty(),
        not_here=nasty(),
        objectives=tuple(one._replace(id=nasty(), text=nasty()) for one in record.objectives),
        injects=tuple(
            one._replace(
                to=(nasty(),),
                sender=nasty(),
                channel=nasty(),
                objective=nasty(),
                summary=nasty(),
                expected=nasty(),
            )
            for one in record.injects
        ),
        players=tuple(
            player._replace(
                name=nasty(),
                place=nasty(),
                expectations=tuple(
                    one._replace(id=nasty(), kind=nasty(), action=nasty(), result=nasty())
                    for one in player.expectations
                ),
            )
            for player in record.players
        ),
        acts=tuple(one._replace(name=nasty(), action=nasty(), detail=nasty()) for one in record.acts),
        observations=tuple(
            one._replace(
                evaluator=nasty(), about=nasty(), objective=nasty(), expectation=nasty(), text=nasty()
            )
            for one in record.observations
        ),
        events=tuple(one._replace(what=nasty(), who=nasty(), text=nasty()) for one in record.events),
    )
