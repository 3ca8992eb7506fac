"""The look at a frame's bytes: it overlooks no marking word that a look at each object would find, and no ordinary text of
another script costs more than a look."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from p2pshare.intel.extraction import extract
from p2pshare.intel.json_text import _SMALL_BYTES, is_shallow
from p2pshare.intel.marking import TLP2_IDS, Marking, MarkingProblem, Tlp, effective
from p2pshare.intel.marking_words import (
    HARMLESS,
    LOOKALIKES,
    NO_WORDS,
    may_hold_words,
    words_in_text,
    words_of_object,
)
from p2pshare.limits import JSON_DEPTH_MAX

GREEN, RED = TLP2_IDS[Tlp.GREEN], TLP2_IDS[Tlp.RED]
INSTANT = "2026-01-01T00:00:00Z"
PROSE = [
    "Замечено в активности; впервые сообщила сенсорная сеть, подтверждено анализом. Торговля и туризм, Турция, террор, "
    "территория, терминал, троян, которые туры, тираж, тор. Работает через прокси; который работал, параллель, аппарат.",
    "Помічено в активності; вперше повідомила сенсорна мережа, підтверджено аналізом. Торгівля, територія, тиражування.",
    "Εντοπίστηκε σε δραστηριότητα· αναφέρθηκε πρώτα από το δίκτυο αισθητήρων, τηλεπικοινωνίες, παρατήρηση.",
    "Забелязано в дейност; първо съобщено от мрежата, потвърдено с анализ. Търговия, търсене, търпение.",
    "活動中に確認、センサー網から最初に報告され、分析で確認された。容量は少ない。",
    "활동 중 확인됨; 센서 네트워크에서 처음 보고되었으며 분석으로 확인되었습니다.",
    "شوهد في النشاط؛ أبلغت عنه شبكة الاستشعار أولاً",
    "נצפה בפעילות; דווח לראשונה על ידי רשת החיישנים",
    "गतिविधि में देखा गया; पहले सेंसर नेटवर्क द्वारा रिपोर्ट किया गया",
    "Observé à l’époque; signalé d’abord par le réseau, confirmé par l’analyse – très tôt. Łódź, Ţară, Đorđe, tělo, tłum.",
    "seen 😀😀😀 at the desk \\ C:\\users\\public & <b>",
]


def indicator(number: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{number:08x}-0000-4000-8000-000000000000",
        "created": INSTANT,
        "modified": INSTANT,
        "object_marking_refs": [GREEN],
        "pattern": "[domain-name:value = 'x.example']",
        "pattern_type": "stix",
        "valid_from": INSTANT,
    } | more


def one_by_one(objects: list[dict[str, Any]]) -> list[tuple[Tlp, Any]]:
    """The levels by the words of each object, looked at whole."""
    found = []
    for stix in objects:
        granular = [one["marking_ref"] for one in stix.get("granular_markings", []) if "marking_ref" in one]
        marking = effective(stix.get("object_marking_refs", []), granular, words=words_of_object(stix))
        level = marking.at_least if isinstance(marking, MarkingProblem) else marking
        assert isinstance(level, Marking)
        found.append((level.tlp, level.pap))
    return found


def escaped_needlessly(text: str) -> str:
    return text.replace("tlp", "\\u0074lp").replace("marking-d", "marking-\\u0064")


# --- frames ---

LETTERS = {letter: [letter, letter.upper(), *signs] for letter, signs in LOOKALIKES.items()}
LETTERS |= {
    "t": [*LETTERS["t"], "ｔ", "Ｔ", "𝐓"],
    "l": [*LETTERS["l"], "ｌ", "Ⓛ"],
    "p": [*LETTERS["p"], "ｐ", "🅟", "㎩"],
}


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """A scheme and a level, or something of the kind, in letters that look like theirs."""
    text = draw(st.sampled_from(["tlp", "pap", "tlpap", "t", "lp"])) + draw(
        st.sampled_from([":", " ", "-", ": \\"])
    )
    text += draw(st.sampled_from(["red", "amber", "green", "mauve", "amber+strict", ""]))
    spelling = draw(st.sampled_from(["plain", "upper", "mixed", "wide"]))
    if spelling == "upper":
        return text.upper()
    if spelling == "wide":
        return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)
    if spelling == "plain":
        return text
    between = st.sampled_from(["", "", "", "", "\u200b", "\u0301", "\u00ad"])
    return "".join(draw(st.sampled_from(LETTERS.get(one, [one, "о", "й"]))) + draw(between) for one in text)


TEXTS = (
    spelled()
    | st.sampled_from([*PROSE, RED, GREEN, "tlp:green", "tlp:white", "TLP:RED", "é", "x"])
    | st.text(
        st.sampled_from([*"tlpared :-", *"ТЛРтлраһѕо", "\u200b", "한", "가", "㎩", "ŀ", "½", "\ud83d"]),
        max_size=8,
    )
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.lists(TEXTS | st.just("tlp:green"), max_size=3),
        "indicator_types": st.lists(TEXTS, max_size=2),
        "name": TEXTS,
        "description": TEXTS,
        "object_marking_refs": st.lists(
            st.sampled_from([GREEN, RED, "x", "identity--x"]), min_size=1, max_size=2
        ),
        "granular_markings": st.lists(
            st.sampled_from(
                [{"lang": "en", "selectors": ["name"]}, {"marking_ref": GREEN, "selectors": ["name"]}]
            ),
            max_size=2,
        ),
        "x_tlp": st.sampled_from(["red", "green", "mauve", 3]),
        "x_more": st.lists(TEXTS, max_size=2) | st.dictionaries(TEXTS, TEXTS, max_size=2),
        "type": st.sampled_from(["indicator", "tool"]),
    },
)


@settings(max_examples=300)
@given(st.lists(PROPERTIES, min_size=1, max_size=5), st.booleans(), st.booleans())
@example(
    [{"object_marking_refs": ["x"]}, {"x_more": [RED]}], True, False
)  # one id too few hides one too many
@example([{"granular_markings": [{"lang": "en"}], "x_more": [RED]}], True, False)
@example([{"labels": ["tlp:green"]}, {"labels": ["tlp:red"]}, {"description": "TLP:RED"}], True, False)
@example([{"labels": ["tlp:green"]}, {"labels": ["pap:red"]}], True, False)
@example([{"labels": ["tlp:green"], "name": "ТLР:RЕD"}], False, False)
@example([{"x_more": [RED]}], True, True)
@example([{"labels": ["tlp:red"]}, {}], True, True)
def test_a_look_at_the_frame_finds_what_a_look_at_each_object_finds(
    properties: list[dict[str, Any]], escaped: bool, needlessly: bool
) -> None:
    objects = []
    for number, more in enumerate(properties):
        stix = indicator(number) | more
        if stix["type"] == "tool":
            stix |= {"id": stix["id"].replace("indicator", "tool"), "name": stix.get("name", "x")}
        objects.append(stix)
    text = json.dumps(objects, ensure_ascii=escaped)
    frame = (escaped_needlessly(text) if needlessly else text).encode("utf-8", "replace")
    objects = json.loads(frame)
    found = extract(frame, floor=Tlp.CLEAR)
    expected = one_by_one(objects)
    if not found.refusals:
        assert [(one.tlp, expected[one.position][1]) for one in found.objects] == expected
    for one in found.objects:
        tlp, pap = expected[one.position]
        assert (one.tlp, {claim.pap for claim in one.claims} <= {pap}) == (tlp, True)


@given(st.text(st.sampled_from([*"tlpaTPred :-_\"\\/\n", *"ТЛРтлраһѕођ", *"éäÄ", "\u200b", "\u0301", "한", "가", "㎩", "ŀ", "ŉ", "½", "𝐭", "ﾠ"])) | spelled())  # fmt: skip
@example("тур r\u200bed")
@example("тур “r한”")
@example("tŀ: red")
@example("㎩p:red")
@example("t\ud800p: red")
@example("\nt한p: red")
@example("⊤日p ϲᏞεꓮʀ")  # a sign that NFKD makes another letter of than it looks like
@example("тlϺ wʐıŧꓰ:")  # a letter whose other case looks Latin
@example("ΤLՈ= rɛк·")
@example("pa㎀:red")
def test_a_look_at_the_bytes_overlooks_no_text(text: str) -> None:
    if words_in_text(text):
        for escaped in (True, False):
            raw = json.dumps(text, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
            assert may_hold_words(raw) or b"\xed\xa0" in raw  # which is no UTF-8, and nobody reads
            assert may_hold_words(raw + b" " * 10_000) or b"\xed\xa0" in raw


# --- what it leaves alone ---


@pytest.mark.parametrize("text", PROSE)
def test_ordinary_text_of_any_script_is_no_disguise(text: str) -> None:
    for escaped in (True, False):
        assert not may_hold_words(json.dumps([text] * 100, ensure_ascii=escaped).encode())
    assert words_in_text(text) == NO_WORDS


@pytest.mark.parametrize("text", PROSE)
def test_a_long_report_in_any_script_is_understood(text: str) -> None:
    """Each Russian word with т before р was a place, and more than 128 places are not understood."""
    assert words_in_text(f"{text}\n" * 300) == NO_WORDS


def test_harmless_letters_are_no_disguise_in_escapes() -> None:
    text = json.dumps("".join(sorted(HARMLESS)) + " & < > ' \t \n").encode()
    assert not may_hold_words(text.replace(b"&", b"\\u0026").replace(b"<", b"\\u003c"))


# --- depth ---

STRUCTURES = st.recursive(
    st.sampled_from([0, "", "[", "]]", '"', "{", "\\"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=40,
)


@given(STRUCTURES, st.integers(0, JSON_DEPTH_MAX + 2), st.sampled_from([b"", b"]", b"[", b'"', b"}"]))
def test_the_fast_look_at_depth_says_what_counting_says(inside: Any, depth: int, odd: bytes) -> None:
    text = b"[" * depth + json.dumps(inside).encode() + b"]" * depth
    many = b"[" + b",".join([text] * (_SMALL_BYTES * 2 // (2 * depth + 1))) + b",0" + odd + b"]"
    for depth_max in (JSON_DEPTH_MAX, 9, 8, 3):
        deepest = now = 0
        is_inside = False
        position = 0
        while position < len(many):
            sign = many[position : position + 1]
            if sign == b"\\":
                position += 1
            elif sign == b'"':
                is_inside = not is_inside
            elif not is_inside and sign in b"[{":
                now += 1
                deepest = max(deepest, now)
            elif not is_inside and sign in b"]}":
                now -= 1
            position += 1
        assert is_shallow(many, depth_max) == (deepest <= depth_max)
