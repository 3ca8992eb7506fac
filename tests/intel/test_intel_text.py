"""Instants, display and refusals: the small rules everything else leans on."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.intel import instants
from p2pshare.intel.display import clip, is_safe, safe
from p2pshare.intel.instants import format_instant, parse_instant
from p2pshare.intel.refusals import Refusal, Refusals
from p2pshare.limits import EXAMPLE_CHARACTERS_MAX, REFUSAL_EXAMPLES_MAX

YEARS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001


@given(YEARS)
def test_an_instant_survives_the_way_out_and_back(moment: datetime) -> None:
    instant_us = (moment.replace(tzinfo=UTC) - instants.EPOCH) // timedelta(microseconds=1)
    text = format_instant(instant_us)
    assert text is not None
    assert parse_instant(text) == instant_us


@given(
    st.text("0123456789-:TZtz.+, W", min_size=18, max_size=30)
    | YEARS.map(lambda moment: moment.isoformat() + "Z")
)
@example("2021-05-28T24:00:00Z")
@example("2021-05-28T20:34:55,123Z")
@example("2021-W01-1T20:34:55Z")
@example("2021-05-28T20:34:55.1234567890Z")
def test_fast_instants_equal_slow_ones(text: str) -> None:
    def read(parse: object) -> object:
        try:
            return parse(text)  # type: ignore[operator]
        except ValueError:
            return None

    def slowly(text: str) -> int:
        return (instants._parse_slowly(text) - instants.EPOCH) // timedelta(microseconds=1)

    assert read(parse_instant) == read(slowly)


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("2021-05-28T20:34:55.1948Z", "2021-05-28T20:34:55.194800Z"),
        ("2021-05-28t20:34:55z", "2021-05-28T20:34:55Z"),
        ("2021-05-28T22:34:55+02:00", "2021-05-28T20:34:55Z"),
        ("2021-05-28T20:34:55.1234569Z", "2021-05-28T20:34:55.123456Z"),
    ],
)
def test_spellings_of_one_instant(text: str, same_as: str) -> None:
    assert parse_instant(text) == parse_instant(same_as)


@pytest.mark.parametrize(
    "text",
    ["", "2021-05-28", "2021-05-28T20:34:55", "20210528T203455Z", "2021-13-01T00:00:00Z", "2021-05-28T20:34:60Z",
     "0001-01-01T00:00:00+23:59", "٢٠٢١-05-28T20:34:55Z", "2021-05-28T20:34:55Z\n"],
)  # fmt: skip
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_instant(text)


@given(st.text())
def test_shown_text_cannot_command_a_terminal(text: str) -> None:
    shown = safe(text)
    assert shown.isprintable()
    assert safe(shown) == shown
    assert len(clip(text)) <= EXAMPLE_CHARACTERS_MAX


def test_escapes_bidirectional_marks_and_ansi() -> None:
    assert safe("\x1b[31mred\u202egpj.exe\U000e0001\n") == "\\x1b[31mred\\u202egpj.exe\\U000e0001\\x0a"
    assert safe("pay\u3164pal \u2800 \ufe0f") == "pay\\u3164pal \\u2800 \\ufe0f", (
        "printable, and not to be seen"
    )
    assert not is_safe("a\u200fb")
    assert is_safe("naïve ❤ \U0010ffff".replace("\U0010ffff", ""))


@given(st.characters())
def test_safety_of_a_character_is_its_category(character: str) -> None:
    assert is_safe(character) == (unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"})


def test_refusals_add_up_and_examples_stay_few() -> None:
    refusals, other = Refusals(), Refusals()
    for number in range(100):
        refusals.add("bad-hash", f"hash {number}\x1b")
    other.add("bad-domain", "x", count=3)
    other.add_refusal(Refusal("bad-domain", "line 7", "y" * 500))
    refusals.merge(other)
    assert refusals.counts == {"bad-hash": 100, "bad-domain": 4}
    assert refusals.total == 104
    first, second = refusals.to_json()
    assert (first["reason"], first["count"], len(first["examples"])) == (
        "bad-hash",
        100,
        REFUSAL_EXAMPLES_MAX,
    )
    assert first["examples"][0] == "hash 0\\x1b"
    assert max(len(text) for text in second["examples"]) == EXAMPLE_CHARACTERS_MAX
