"""Names that a person would read as another one: what does not show, and letters of another script."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.lookalikes import INVISIBLE, faults_of, has_visible, imitates, notes_on


@pytest.mark.parametrize(
    "name",
    [
        "Example CERT",
        "Zürich Ämter — l'École №7 (β)",
        "CERT Россия",
        "CERT-РФ",
        "NTT東日本ネット",
        "日本々 CERT (テスト)",
        "대한민국 KISA팀A",
        "हिन्दी",
        "ราชการ",
        "АО Лаборатория",
        "Ελλάδα",
        "µSec²",
        "Acme™ ❤",
        "e\u0301cole",
        "مركز",
    ],
)
def test_honest_names_of_many_languages_have_nothing_to_be_told(name: str) -> None:
    assert notes_on(name) == ()
    assert has_visible(name)


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("\u0410CME CERT", ("mixed scripts: Cyrillic, Latin", "looks like 'ACME'")),
        ("ACME C\u0395RT", ("mixed scripts: Greek, Latin", "looks like 'CERT'")),
        ("\u13aaCME", ("mixed scripts: Cherokee, Latin",)),
        ("\u03a9mega", ("mixed scripts: Greek, Latin",)),
        ("\u30c6\u30b9\u30c8\u0430", ("mixed scripts: Cyrillic, Katakana",)),
        ("\u0410\u0421\u041c\u0415 CERT", ("looks like 'ACME'",)),  # each letter is Cyrillic
        ("\uff2a\uff30\uff23\uff25\uff32\uff34", ("looks like 'JPCERT'",)),  # full-width
        ("\U0001d5a0\U0001d5a2\U0001d5ac\U0001d5a4", ("looks like 'ACME'",)),  # mathematical
        ("AC\u3164ME", ("invisible characters: U+3164",)),
        ("AC\u2800ME\ufe0f", ("invisible characters: U+2800, U+FE0F",)),
        ("A\u3164\u0421", ("invisible characters: U+3164", "mixed scripts: Cyrillic, Latin")),
        ("C\u0301\u0435", ("mixed scripts: Cyrillic, Latin",)),  # an accent parts no word
    ],
)
def test_what_the_eye_misses_is_told(name: str, notes: tuple[str, ...]) -> None:
    assert notes_on(name) == notes
    assert faults_of(name) == tuple(note for note in notes if not note.startswith("looks"))


@pytest.mark.parametrize(
    "name", ["", "\u3164", "\u2800\u2800", "\u115f \u1160", "\ufe0f", "\u200b\u00ad", "\u3000"]
)
def test_a_name_of_blanks_has_nothing_to_see(name: str) -> None:
    assert not has_visible(name)


@given(st.characters(categories=["Cf"]))
def test_format_characters_that_show_nothing_are_invisible(character: str) -> None:
    """All but those that are drawn: prepended and interlinear marks, shorthand, hieroglyphs' joiners."""
    drawn = unicodedata.name(character, "").startswith(
        ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN", "INTERLINEAR")
    )
    assert drawn or INVISIBLE.match(character)


@given(st.text())
def test_any_text_is_answered_for(text: str) -> None:
    assert all(note.isprintable() for note in notes_on(text))
    assert bool(faults_of(text)) <= bool(notes_on(text))


@given(st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20)))
def test_plain_ascii_is_never_noted(text: str) -> None:
    assert notes_on(text) == ()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Example CERT", "example-cert"),
        ("EXAMPLE  C.E.R.T", "Example CERT"),
        ("Ex\u0430mple CERT", "Example CERT"),
        ("\uff25xample CERT", "Example CERT"),
        ("Example\u200b CERT", "Example CERT"),
        ("Ex\u00e1mple CERT", "Example CERT"),
        ("Examp1e CERT", "Example CERT"),
        ("ExampIe CERT", "Example CERT"),
        ("Exarnple CERT", "Example CERT"),
        ("C0nvoy", "Convoy"),
        ("Clinic 1", "Clinic l"),
        ("Clinic I", "clinic-l"),
        ("ALPHA", "a1pha"),
        ("\u0410\u041e \u041b\u0430\u0431", "ao \u041b\u0430\u0431"),
    ],
)
def test_a_name_that_reads_like_another_is_seen_in_both_directions(name: str, other: str) -> None:
    assert imitates(name, {other: "them"}) == ["them"]
    assert imitates(other, {name: "them"}) == ["them"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Hospital A", "Hospital B"),
        ("alpha", "bravo"),
        ("CERT", "CERT-EU"),
        ("", ""),
        ("\u3164", "\u200b"),
        ("--", ".."),
    ],
)
def test_names_that_differ_for_the_eye_or_have_nothing_to_read_are_not_told(name: str, other: str) -> None:
    assert imitates(name, {other: "them"}) == []


@given(st.text(max_size=64), st.text(max_size=64))
def test_any_two_names_are_compared_alike_in_both_directions(name: str, other: str) -> None:
    assert imitates(name, {other: "x"}) == imitates(other, {name: "x"})
    assert len(imitates(name, {other: "x", name: "x"})) <= 1
