"""What the lead of an exercise does by itself: never ahead, never twice, at most a stamp in ten seconds, and an end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.exercise_pack import INJECTS_MAX, ExercisePack, PackExpectation, PackInject
from p2pshare.limits import ENTRY_AUDIENCE_MAX, ENTRY_BODY_BYTES_MAX, ENTRY_NUMBER_MAX
from p2pshare.spaces.exercise_entries import (
    ATTESTED_MAX,
    STAMPED_MAX,
    AttestedAct,
    ExerciseStamp,
    encode_exercise,
)
from p2pshare.spaces.exercise_lead import (
    STAMP_SECONDS,
    STAMPS_OVER_MAX,
    STAMPS_PER_PAUSE,
    EndDue,
    InjectDue,
    LedExercise,
    StampDue,
    fastest,
    in_turns,
    next_step,
    stamp_pause,
    too_short,
)

NOW = 1_800_000_000
INJECTS = ((1, 0), (2, 60), (3, 600))
QUIET = LedExercise("running", 0, False, INJECTS, frozenset(), (), (), 0, 0)


def entry(number: int) -> EntryId:
    return EntryId(number.to_bytes(32, "big"))


def act(number: int) -> AttestedAct:
    return AttestedAct(entry(number), PartnerId(bytes(32)), "note", "", (), NOW)


def test_nothing_happens_before_the_start_nor_after_the_end() -> None:
    for phase in ("made", "ended"):
        led = QUIET._replace(phase=phase, clock=9_999, unstamped=(entry(1),))
        assert next_step(led, NOW) is None


def test_injects_come_in_their_order_and_never_ahead() -> None:
    assert next_step(QUIET, NOW) == InjectDue(1)
    assert next_step(QUIET._replace(released=frozenset({1})), NOW) is None
    late = QUIET._replace(clock=700, released=frozenset({1}))
    assert next_step(late, NOW) == InjectDue(2), "what was overdue after a restart comes one after another"
    assert next_step(late._replace(released=frozenset({1, 2})), NOW) == InjectDue(3)


def test_what_was_released_by_hand_is_not_released_again() -> None:
    assert next_step(QUIET._replace(clock=700, released=frozenset({1, 2, 3})), NOW) is None


def test_a_pause_holds_injects_and_the_end_back_and_stamps_go_on() -> None:
    paused = QUIET._replace(phase="paused", clock=1_200)
    assert next_step(paused, NOW) is None
    assert next_step(paused._replace(unstamped=(entry(1),)), NOW) == StampDue((entry(1),), ())


def test_a_stamp_waits_ten_seconds_and_holds_no_inject_up() -> None:
    led = QUIET._replace(unstamped=(entry(1),), stamped_at=NOW)
    assert next_step(led, NOW + STAMP_SECONDS - 1) == InjectDue(1)
    assert next_step(led, NOW + STAMP_SECONDS) == StampDue((entry(1),), ())
    assert next_step(led._replace(stamped_at=NOW + 3_600), NOW) == StampDue((entry(1),), ()), (
        "a clock that was put back stops no stamp"
    )


def test_a_stamp_has_room_for_so_many_and_the_next_for_the_rest() -> None:
    led = QUIET._replace(
        unstamped=tuple(map(entry, range(1, STAMPED_MAX + 9))),
        elsewhere=tuple(map(act, range(1, ATTESTED_MAX + 9))),
    )
    due = next_step(led, NOW)
    assert isinstance(due, StampDue)
    assert (len(due.entries), len(due.attested)) == (STAMPED_MAX, ATTESTED_MAX)


def test_it_ends_once_what_came_until_the_end_is_stamped() -> None:
    over = QUIET._replace(clock=1_200, is_over=True, released=frozenset({1, 2, 3}))
    assert next_step(over, NOW) == EndDue()
    waiting = over._replace(unstamped=(entry(1),), stamped_at=NOW - 5)
    assert next_step(waiting, NOW) is None, "the last stamp was before the end"
    assert next_step(waiting, NOW + 5) == StampDue((entry(1),), ())
    more = waiting._replace(stamps_over=1, stamped_at=NOW)
    assert next_step(more, NOW) == StampDue((entry(1),), ()), "the rest goes at once"
    assert next_step(more._replace(unstamped=()), NOW) == EndDue()
    assert next_step(more._replace(stamps_over=STAMPS_OVER_MAX), NOW) == EndDue(), "nobody holds the end up"


def test_who_writes_more_than_a_stamp_holds_waits_behind_itself() -> None:
    written = [("flood", number) for number in range(3)] + [("clinic", 10), ("flood", 4), ("clinic", 11)]
    turns = in_turns(written, lambda one: PartnerId(one[0].ljust(32).encode()))
    assert turns == (("flood", 0), ("clinic", 10), ("flood", 1), ("clinic", 11), ("flood", 2), ("flood", 4))
    ids = tuple(entry(number) for number in range(2_000, 2_000 - STAMPED_MAX, -1))
    due = next_step(QUIET._replace(unstamped=(*ids, entry(1))), NOW)
    assert due == StampDue(tuple(sorted(ids)), ()), "the first in the order that it is told, not of the ids"


def test_what_one_stamp_attests_fits_into_an_entry() -> None:
    everybody = tuple(PartnerId(number.to_bytes(32, "big")) for number in range(ENTRY_AUDIENCE_MAX))
    acts = tuple(act(number)._replace(to=everybody, detail="x" * 1_024) for number in range(1, 300))
    ids = tuple(map(entry, range(1, STAMPED_MAX + 1)))
    stamped = 0
    while stamped < len(acts):
        due = next_step(QUIET._replace(unstamped=ids, elsewhere=acts[stamped:]), NOW)
        assert isinstance(due, StampDue) and due.attested
        assert len(encode_exercise(ExerciseStamp(due.entries, due.attested))) < ENTRY_BODY_BYTES_MAX - 1_024
        stamped += len(due.attested)


def test_a_drip_of_years_leaves_the_lead_entries_to_end_it() -> None:
    now, stamps = 0, 0
    while now < 2 * 365 * 86_400:
        now += stamp_pause(stamps)
        stamps += 1
    assert stamps < ENTRY_NUMBER_MAX - 2 * INJECTS_MAX - 200
    led = QUIET._replace(
        unstamped=(entry(1),), stamped_at=NOW, stamps=STAMPS_PER_PAUSE, released=frozenset({1})
    )
    assert next_step(led, NOW + STAMP_SECONDS) is None
    assert next_step(led, NOW + 2 * STAMP_SECONDS) == StampDue((entry(1),), ())


def test_what_was_not_released_by_the_end_never_is() -> None:
    assert next_step(QUIET._replace(clock=1_200, is_over=True), NOW) == EndDue()


def test_without_the_pack_a_new_lead_stamps_and_releases_nothing() -> None:
    led = QUIET._replace(injects=(), unstamped=(entry(1),), clock=300)
    assert next_step(led, NOW) == StampDue((entry(1),), ())
    assert next_step(led._replace(stamped_at=NOW), NOW) is None


@given(
    st.lists(st.integers(0, 1_000), min_size=1, max_size=12),
    st.integers(1, 120),
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60),
)
def test_whatever_comes_it_releases_each_once_in_time_and_stamps_at_most_every_ten_seconds(
    times: list[int], factor: int, ticks: list[tuple[int, bool]]
) -> None:
    injects = tuple(enumerate(sorted(times), 1))
    released: list[int] = []
    stamps: list[int] = []
    unstamped: list[EntryId] = []
    now, written, ended = NOW, 0, False
    for seconds, has_written in [*ticks, (5_000, False), (10, False)]:
        now += seconds
        if has_written:
            written += 1
            unstamped.append(entry(written))
        for _ in range(40):
            clock = (now - NOW) * factor
            led = LedExercise(
                "ended" if ended else "running",
                min(clock, 4_000),
                clock >= 4_000,
                injects,
                frozenset(released),
                tuple(unstamped),
                (),
                stamps[-1] if stamps else 0,
                sum((one - NOW) * factor >= 4_000 for one in stamps),
            )
            due = next_step(led, now)
            if due is None:
                break
            assert not ended
            if isinstance(due, InjectDue):
                assert due.number not in released and dict(injects)[due.number] <= clock < 4_000
                released.append(due.number)
            elif isinstance(due, StampDue):
                assert due.entries and (not stamps or now - stamps[-1] >= STAMP_SECONDS)
                stamps.append(now)
                unstamped.clear()
            else:
                ended = True
        else:
            raise AssertionError("it never comes to rest")
    assert ended and released == sorted(released)


def pack_with(*withins: int) -> ExercisePack:
    expect = tuple(
        PackExpectation(f"e{number}", "detect", "acknowledge", {}, ("clinic",), within, None, 1)
        for number, within in enumerate(withins)
    )
    inject = PackInject(1, 0, ("clinic",), "CERT", "message", "", "", "text", "", expect)
    return ExercisePack("p", "1", "P", "drill", "en", 600, 1, "", (), (), (inject,))


def test_a_within_of_less_than_ten_seconds_of_real_time_is_named() -> None:
    pack = pack_with(600, 300)
    assert [(number, one.id) for number, one in too_short(pack, 31)] == [(1, "e1")]
    assert too_short(pack, 30) == [] and fastest(pack) == 30
    assert [one.id for _, one in too_short(pack_with(9), 1)] == ["e0"] and fastest(pack_with(9)) == 0
    assert fastest(pack_with()) == 600
