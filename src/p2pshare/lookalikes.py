"""What a name hides from the eye that compares it: characters that do not show, and letters of another script.

A name on a card is what its owner says of itself. A person reads it beside the fingerprint, and would read one partner
for another. Unicode Technical Standard #39 (Unicode Security Mechanisms) names the three ways that are looked for here:

1. **Invisible characters**: Default_Ignorable_Code_Point (DerivedCoreProperties.txt), and those drawn as a blank though
   they are no white space: the Braille blank, the null notehead.
2. **Mixed scripts** in one word (section 5.1), unless they are written together: Latin, Han and either the two Japanese
   syllabaries, Bopomofo or Hangul (section 5.2, "Highly Restrictive"). Words are compared, not names: an organisation may
   well have a Latin word and a Cyrillic one.
3. **Letters that stand for Latin ones** in a whole word (section 4, confusables): by compatibility (UAX #15, NFKC: full-width,
   mathematical) or by shape (Cyrillic and Greek).

The standard library has no Script property; the first word of a letter's Unicode name stands for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# The first word of a letter's name where it is not its script's; None: a letter of every script (Common, Inherited).
_SCRIPTS: dict[str, str | None] = {
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "KANGXI": "Han",
    "KATAKANA-HIRAGANA": None,
    "MATHEMATICAL": None,
    "MICRO": None,
    "MODIFIER": None,
    "FEMININE": None,
    "MASCULINE": None,
    "SUPERSCRIPT": None,
    "": None,
}
_WRITTEN_TOGETHER = (
    frozenset({"Latin", "Han", "Hiragana", "Katakana"}),
    frozenset({"Latin", "Han", "Bopomofo"}),
    frozenset({"Latin", "Han", "Hangul"}),
)

_LOOKALIKE_LETTERS_MIN = 3  # shorter words of Cyrillic and Greek are often of such letters only

# confusables.txt: what a reader takes for the Latin letter beneath, in one common typeface or another.
_CYRILLIC = "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u04ae\u050c\u051a\u051c\u0474\u04c0"
_AS_CYRILLIC = "ABESIJKMHOPCTYXYGQWVI"
_CYRILLIC_SMALL = (
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u04bb\u0501\u051b\u051d\u0475\u04cf"
)
_AS_CYRILLIC_SMALL = "aeopcyxsijhdqwvl"
_GREEK = "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03b1\u03b3\u03b9\u03bd\u03bf\u03c1\u03c5\u03f2\u03f9\u03f3"
_AS_GREEK = "ABEZHIKMNOPTYXayivopucCj"
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_SAME_SHAPES = str.maketrans(
    "015i\u0131", "olsll"
)  # after case folding: capital i, one and small l are one stroke
_SHAPES = str.maketrans(_CYRILLIC + _CYRILLIC_SMALL + _GREEK, _AS_CYRILLIC + _AS_CYRILLIC_SMALL + _AS_GREEK)


def has_visible(text: str) -> bool:
    """Returns whether a character of `text` can be seen: neither invisible nor white space."""
    return bool(INVISIBLE.sub("", text).strip())


def faults_of(name: str) -> tuple[str, ...]:
    """Returns, in words, the invisible characters of `name` and the scripts that a word of it mixes; none: ()."""
    faults = []
    if hidden := sorted(set(INVISIBLE.findall(name))):
        faults.append(f"invisible characters: {', '.join(f'U+{ord(one):04X}' for one in hidden)}")
    if scripts := sorted({script for word in _words(name) for script in _mixed(word)}):
        faults.append(f"mixed scripts: {', '.join(scripts)}")
    return tuple(faults)


def notes_on(name: str) -> tuple[str, ...]:
    """Returns what a reader of `name` should be told: its faults, and the Latin words that others of it look like."""
    latin = [seen for word in _words(name) if (seen := _looks_like(word))]
    return (*faults_of(name), *(f"looks like '{word}'" for word in latin))


def imitates(name: str, others: Mapping[str, str]) -> list[str]:
    """Returns what stands for each of `others` (by name) that a reader may take `name` for, each once: names of one skeleton
    (section 4 of the standard), blanks and signs left out."""
    read = skeleton(name)
    return list(dict.fromkeys(who for other, who in others.items() if read and skeleton(other) == read))


def skeleton(name: str) -> str:
    """Returns what an eye in a hurry keeps of a name: the shapes of its letters and digits. Two names of one skeleton are easily taken
    for each other."""
    seen = unicodedata.normalize("NFKD", INVISIBLE.sub("", name)).translate(_SHAPES).casefold()
    letters = "".join(one for one in seen.translate(_SHAPES) if unicodedata.category(one)[0] in "LN")
    letters = letters.translate(_SAME_SHAPES)  # before the pairs: c1 is cl, which is d
    for pair, letter in _PAIRS:
        letters = letters.replace(pair, letter)
    return letters


def _words(name: str) -> Iterator[str]:
    """Runs of letters, marks and digits; what cannot be seen parts no words."""
    word = ""
    for character in INVISIBLE.sub("", name) + " ":
        if unicodedata.category(character)[0] in "LMN":
            word += character
        elif word:
            yield word
            word = ""


def _mixed(word: str) -> frozenset[str]:
    """The scripts of a word that are not written together; empty where they are."""
    if word.isascii():
        return frozenset()
    scripts = frozenset(script for letter in word if letter.isalpha() and (script := _script_of(letter)))
    is_common = len(scripts) < 2 or any(scripts <= together for together in _WRITTEN_TOGETHER)
    return frozenset() if is_common else scripts


def _script_of(letter: str) -> str | None:
    words = unicodedata.name(letter, "").split()
    if len(words) > 1 and words[0] in ("FULLWIDTH", "HALFWIDTH"):
        del words[0]
    first = words[0] if words else ""
    return _SCRIPTS[first] if first in _SCRIPTS else first.capitalize()


def _looks_like(word: str) -> str:
    """The Latin word that a word which is none is taken for; empty where there is none."""
    seen = "".join(
        unicodedata.normalize("NFKC", one).translate(_SHAPES) if one.isalpha() else one for one in word
    )
    return seen if seen != word and seen.isascii() and len(word) >= _LOOKALIKE_LETTERS_MIN else ""
