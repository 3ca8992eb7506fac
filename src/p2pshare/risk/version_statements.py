"""What an advisory says of versions, held against a device's version, in three values.

CSAF's last leaf is written by people: bounds, lists, `vers:` of every kind, half sentences, dates, serial numbers, models.
Rules, in this order:

1. A statement is a list of alternatives (`|`, commas, "and"): one that includes the version makes it affected.
2. A lower bound that an upper one follows is one interval with it, whatever stands between them: `>= 4.4 | <= 4.12`.
3. `.x` stands for any number at its place. A list names versions, and says nothing of others.
4. A part with a condition, a date, a serial number, a model or anything else that is not understood may include the
   version. Nothing is dropped, so nothing behind such a part can make the version not affected.
5. Versions that do not compare (device_versions has the order), ours where it says less than the statement, and none at
   all: may be included.
6. Only what is understood in every part, and leaves the version out in every part, is not affected.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple
from urllib.parse import unquote

from p2pshare.risk.device_versions import (
    DASHES,
    FORERUNNERS,
    INCREMENTS,
    MODEL_NUMBER_MIN,
    Piece,
    Pieces,
    hyphened,
    is_prefix,
    order,
    pieces_of,
    plain,
    read_version,
    same_decimal,
    same_release_letter,
    without_introductions,
)
from p2pshare.risk.ecosystem_versions import ECOSYSTEMS, NotUnderstood, contains

STATEMENT_CHARACTERS_MAX = 2_000  # CISA's longest has 160; a text beyond this is none, and costs nothing
STATEMENTS_KEPT = (
    2_048  # read ones, of KEPT_CHARACTERS_MAX each: 1 KB, at worst 30 KB (a list of single digits)
)
KEPT_CHARACTERS_MAX = 100
ALTERNATIVES_MAX = 400  # a list of every release of fifteen years has some 200
VERSION_WORDS_MAX = 6  # V7.5 SP2 Update 17 HF 3; more words are a sentence

AffectedState = Literal["affected", "possible", "not_affected"]


class Judged(NamedTuple):
    """Whether a version is affected, and the sentence that says why."""

    state: AffectedState
    because: str


NO_VERSION = "our version is not known"
DATE = "the statement has a date in place of a version"
SERIAL = "the statement has serial numbers or lots in place of a version"
MODEL = "the statement has a model's name in place of a version"
CONDITION = "the statement has a condition"
NOT_UNDERSTOOD = "the statement is not understood"
NO_STATEMENT = "the advisory says nothing of versions"
NOT_COMPARABLE = "our version and the statement's do not compare"
LESS_PRECISE = "our version says less than the statement's"
MORE_PRECISE = "the statement's version says less than ours"
TOO_LONG = "the statement is too long"
SAME_DECIMAL = "authors write this version in two ways (2.2 and 2.20)"
EXCEPTED = "the statement makes an exception of our version"
AT_THE_END = "the statement leaves open whether its last version is meant"

Doubt = str  # a sentence; a clause that is in doubt answers with it, others with True or False


class Limit(NamedTuple):
    """A version with what may follow it: `is_family`: it ended in `.x`; `highest`: of its last number, where a digit was left
    open (C.0x: 9). `text`: as written."""

    pieces: Pieces
    text: str
    is_family: bool = False
    highest: int | None = None


class Clause(NamedTuple):
    """One part of a statement. kind: all, exact, bound, between (either a version with a hyphen or two), or doubt."""

    kind: Literal["all", "exact", "bound", "between", "except", "doubt"]
    operator: str = ""
    limit: Limit = Limit((), "")
    other: Limit = Limit((), "")
    doubt: Doubt = ""
    is_loose: bool = False  # `A10 < A11`: written for "A10 to A11" as often as for "from A10 to before A11"
    joined: bool = False  # to the clause before it within one part


_OPERATOR = re.compile(r"<=|>=|!=|<|>|=")
_SIGNS = (("=<", "<="), ("=>", ">="), ("==", "="), ("≤", "<="), ("≥", ">="), ("⩽", "<="), ("⩾", ">="))
_MONTHS = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
_DATE = re.compile(
    rf"\b(?:{_MONTHS})\b[ ,.]*\d|\d\s*(?:{_MONTHS})\b|\b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b|\b(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?:-\d\d)?(?![\d.-])|\b\d{{1,2}}/(?:19|20)\d\d\b|\b\d{{1,2}}\.\d{{1,2}}\.(?:19|20)\d\d\b"
)
_SERIAL = re.compile(
    r"\bserials?\b|\bs/ns?\b|\bsns?\b|\blots?\b|\bbatch(?:es)?\b|\budi\b|\bmanufactur(?:ed|ing)\b|\bdistributed\b|\bshipped\b"
)
_CONDITION = re.compile(
    r"\b(?:windows|linux|unix|android|ios|operating|running|runs?|when|where|if|only|unless|using|uses?|installed|integrated|enabled|"
    r"configured|config|without|with|in|on|for|except|excluding|excludes?|global|regions?|countries|outside|end-of-life|eol|unsupported|"
    r"unpatched|not|certain|some|selected|including|includes?|bundled|option|optional|based)\b|\bu\.s\."
)
_SMALL_WORDS = frozenset(
    {"all", "any", "of", "the", "and", "or", "to", "for", "in", "on", "at", "by", "is", "no", "up", "w"}
)
_SAYS_NOTHING = frozenset(
    {"no version", "none", "n/a", "-", "unknown", "unspecified", "not specified", "undefined", "multiple", "various", "tbd"}
)  # fmt: skip
_HARMLESS_NOTE = re.compile(r"(?:both |all )?(?:inclusive|included|incl\.?|inkl\.?|(?:all )?versions?|all)")
_HARMLESS_AT_END = re.compile(r" \(?(?:both |all )?inclusive\)?$")
_QUALIFIER_NOTE = re.compile(r"(?:build|sp|update|hf|patch|rev|r)\.? ?\d[\w.]*")
_WORDS_FOR_SIGNS = (
    (re.compile(r"\bbetween (.{1,80}?) and\b"), r" \1 through "),
    (re.compile(r"\b(?:up to|prior to|prior|before|earlier|through|until|to),?(?: and|,)? including\b,?"), " @UPTO "),
    (re.compile(r"\b(?:less|lower|earlier|older|smaller) than or equal to\b|\b(?:no|not) (?:later|newer|higher) than\b"), " <= "),
    (re.compile(r"\b(?:greater|higher|later|newer|more) than or equal to\b|\bat least\b"), " >= "),
    (re.compile(r"\b(?:up to|upto)\b"), " @UPTO "),
    (re.compile(r"\b(?:prior|previous)(?: versions?)? to\b|\b(?:earlier|older|lower|less|smaller) than\b|\bbefore\b|\bbelow(?= ?v?\d)"), " < "),
    (re.compile(r"\b(?:later|newer|higher|greater|more) than\b|\bafter\b|\babove(?= ?v?\d)"), " > "),
    (re.compile(r"\b(?:starting|beginning) (?:with|from|at)\b|\bsince\b|\bfrom(?= [^|]{1,80}?(?:onwards?|upwards?)\b)"), " >= "),
    (
        re.compile(
            r"(?:,? ?(?:\band\b|\bor\b|&))? ?(?:\b(?:all|any|the)\b )?\b(?:prior|previous|earlier|older|below|lower|under)\b(?: (?:versions?|releases?|ones))?"
        ),
        " @DOWN ",
    ),
    (
        re.compile(
            r"(?:,? ?(?:\band\b|\bor\b|&))? ?(?:\b(?:all|any|the)\b )?\b(?:later|newer|above|higher|greater|subsequent|onwards?|upwards?)\b(?: (?:versions?|releases?|ones))?"
        ),
        " @UP ",
    ),
    (re.compile(r"(?:,? ?(?:\band\b|\bor\b|&))? ?\bup\b|(?<=\d)\+(?=$|[ ,])"), " @UP "),
    (re.compile(r"\b(?:through|thru|till?|until|to)\b(?: to\b)?"), " @THROUGH "),
    (re.compile(r" - "), " @THROUGH "),
    (re.compile(r"\bfrom\b(?= ?v?\d[^|,<>@]{0,40}<)"), " >= "),
    (re.compile(r"\bfrom\b|\bonly$|\b(?:both )?inclusive$"), " "),
)  # fmt: skip
_ALL = re.compile(r"(?:all|any|every|\*|all affected|all supported|all current|all known)")
_ALL_BEFORE = re.compile(r"(?:(?<=^)|(?<=\band )|(?<=\bor )|(?<=, ))(?:all|any)\b (?=[<>@=]|v?\d)")
_TOKEN = re.compile(r"(<=|>=|!=|<|>|=|@UPTO|@DOWN|@UP|@THROUGH|,| / |\band\b|\bor\b|&)")
_SEPARATORS = frozenset({",", " / ", "and", "or", "&"})
_BOUND = re.compile(r"[<>]|@(?:UPTO|DOWN|THROUGH)")
_OPEN_END = re.compile(r"(?:[. ][x*])+$")
_OPEN_DIGIT = re.compile(r"(?:(?<=[. ])|^)(\d+)x$")
_WORD_WITH_DIGIT = re.compile(r"[a-z]{0,16}[.]?[a-z]{0,6}\d[a-z\d]*(?:[.+-][a-z\d]+)*")
_LETTERS_DOTTED = re.compile(r"[a-z](?:\.[a-z\d]{1,6})*")
_DOTTED = re.compile(r"\d+(?:\.\d+)+")
_MODEL = re.compile(r"\b[a-z]{2,6}-(?:[a-z]{1,4} ?)?\d{2,}[a-z]*\b|\b[a-z]{2,4}-?\d{4,}\b(?![.])")
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])\d+,\d+(?![\d.,])")
_LETTER_RANGE = re.compile(r"([a-z])-([a-z])")
_LONG_WORD = re.compile(r"[a-z]{4,}")
_VERS = re.compile(r"vers:([A-Za-z0-9.+-]{1,40})/", re.IGNORECASE)


def decide(statement: str, version: str) -> Judged:
    """Returns whether a device of this version is affected by what an advisory says of versions. Never raises."""
    vers = _VERS.match(statement.strip())
    if vers and vers[1].lower() in ECOSYSTEMS and statement.strip()[vers.end() :].strip() != "*":
        try:
            inside = contains(statement.strip(), version)
        except NotUnderstood as error:
            return Judged("possible", str(error))
        return Judged("affected" if inside else "not_affected", _says(statement, version, inside))
    clauses = read_statement(statement)
    pieces = read_version(version)
    answers = [_answer(clause, pieces) for clause in _intervals(clauses)]
    if pieces is not None and any(
        one.kind == "except" and order(pieces, one.limit.pieces) == 0 for one in clauses
    ):
        return Judged("possible", EXCEPTED)
    if any(answer is True for answer in answers):
        return Judged("affected", _says(statement, version, True))
    doubts = [answer for answer in answers if isinstance(answer, str)]
    if doubts:
        return Judged("possible", doubts[0])
    return Judged("not_affected", _says(statement, version, False))


def decide_named(product: str, statement: str, version: str) -> Judged:
    """As `decide`, for a product whose own name has a version in it (IntelliSpace Portal 8.0.x): where ours is another one,
    the statement does not speak of it as it stands, and a person must look."""
    judged = decide(statement, version)
    if judged.state == "affected" and name_version_differs(product, version):
        return Judged(
            "possible", f"the product's name has another version than ours ({version.strip()[:40]})"
        )
    return judged


def is_below(statement: str, version: str) -> bool:
    """Returns whether a version comes before all that a statement includes: before `>= 3.2`, before both of `3.2 | 4.1`."""
    pieces = read_version(version)
    vers = _VERS.match(statement.strip())
    if pieces is None or (vers and vers[1].lower() in ECOSYSTEMS):
        return False
    for part in _intervals(read_statement(statement)):
        lower = part.lower if isinstance(part, _Interval) else part
        has_lower = lower.kind in {"exact", "between"} or (lower.kind == "bound" and lower.operator[0] == ">")
        if not has_lower or order(pieces, lower.limit.pieces) != -1 or is_prefix(pieces, lower.limit.pieces):
            return False
    return True


_NAME_VERSION = re.compile(
    r"(?<![\w./-])v?(\d+(?:\.(?:\d+|x))+|\d+\.x)(?![\w/-])|(?<![\w./-])v(\d{1,2})(?![\w./-])", re.IGNORECASE
)


def name_versions(product: str) -> tuple[str, ...]:
    """Returns the versions that a product's name holds: `Xeleris 3.1`, `SIMATIC WinCC V7.5`, `IntelliSpace Portal 8.0.x`."""
    return tuple(found[1] or found[2] for found in _NAME_VERSION.finditer(product[:STATEMENT_CHARACTERS_MAX]))


def name_version_differs(product: str, version: str) -> bool:
    """Returns whether the name holds versions, and a version of ours that can be compared belongs to none of them."""
    pieces = read_version(version)
    named = name_versions(product)
    if pieces is None or not named:
        return False
    return all(_is_of_family(pieces, pieces_of(_OPEN_END.sub("", one.lower()))) is False for one in named)


def names_a_variant(statement: str) -> bool:
    """Returns whether a statement holds the name of a model or a product where versions are expected (`882410 Gemini GXL 16
    Slice`, `MMT-1711 | MMT-1712`, `7100 | 7900`): it belongs to the product's name then, and says nothing of versions."""
    text = plain(html.unescape(statement))[:STATEMENT_CHARACTERS_MAX]
    if _VERS.match(text) or _OPERATOR.search(text) or _DATE.search(text) or _SERIAL.search(text):
        return False
    parts = [part.strip() for part in re.split(r"[|;]", text) if part.strip()]
    return any(_is_name(part) for part in parts)


def _is_name(part: str) -> bool:
    part = _HARMLESS_AT_END.sub("", part)
    if part in _SAYS_NOTHING or (
        _CONDITION.search(part) and not _MODEL.search(part) and " with " not in part
    ):
        return False
    bare = without_introductions(part)
    for pattern, sign in _WORDS_FOR_SIGNS:
        bare = pattern.sub(sign, bare)
    if _BOUND.search(bare):
        return False
    words = [word for word in re.split(r"[^a-z\d.+-]+", _TOKEN.sub(" ", bare)) if word]
    if _MODEL.search(bare):
        return True
    if any(
        _LONG_WORD.fullmatch(word)
        and word not in INCREMENTS
        and word not in FORERUNNERS
        and not _ALL.fullmatch(word)
        for word in words
    ):
        return True
    return (
        len(words) == 1
        and re.fullmatch(r"\d{3,}[a-z]?", words[0]) is not None
        and int(re.sub(r"\D", "", words[0])) >= MODEL_NUMBER_MIN
    )


def _says(statement: str, version: str, inside: bool) -> str:
    shown = " ".join(statement.split())[:80]
    if not version.strip():
        return f"'{shown}' has every version in it"
    return f"'{shown}' {'includes' if inside else 'leaves out'} {' '.join(version.split())[:40]}"


def read_statement(statement: str) -> tuple[Clause, ...]:
    """Returns the parts of a statement, in order; at least one. Short ones are kept, for advisories repeat them."""
    return _read_short(statement) if len(statement) <= KEPT_CHARACTERS_MAX else _read_statement(statement)


@lru_cache(maxsize=STATEMENTS_KEPT)
def _read_short(statement: str) -> tuple[Clause, ...]:
    return _read_statement(statement)


def _read_statement(statement: str) -> tuple[Clause, ...]:
    if len(statement) > STATEMENT_CHARACTERS_MAX:
        return (Clause("doubt", doubt=TOO_LONG),)
    text = html.unescape(statement)
    vers = _VERS.match(text.strip())
    if vers:
        text = unquote(text.strip()[vers.end() :])
    text = DASHES.sub("-", plain(text)).strip(" \"'`.:")
    for sign, one in _SIGNS:
        text = text.replace(sign, one)
    text = _unwrapped(text)
    if not text:
        return (Clause("doubt", doubt=NO_STATEMENT),)
    found: list[Clause] = []
    is_variant = names_a_variant(statement)
    for part in _parts(text):
        clauses = _read_part(part)
        # 620 | 650 | 650c: models, whatever some of them look like
        found.extend(
            Clause("doubt", doubt=MODEL) if is_variant and one.kind == "exact" else one for one in clauses
        )
        if len(found) > ALTERNATIVES_MAX:
            return (Clause("doubt", doubt=TOO_LONG),)
    return tuple(found) or (Clause("doubt", doubt=NO_STATEMENT),)


def _unwrapped(text: str) -> str:
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1 and "," not in text:
        return text[1:-1].strip()
    return text


def _parts(text: str) -> list[str]:
    """Returns what bars and semicolons outside parentheses divide."""
    parts, depth, begun = [], 0, 0
    for place, sign in enumerate(text):
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth = max(0, depth - 1)
        elif sign in "|;" and depth == 0:
            parts.append(text[begun:place])
            begun = place + 1
    parts.append(text[begun:])
    return [part.strip() for part in parts if part.strip()]


def _read_part(part: str) -> list[Clause]:
    if _DATE.search(part):
        return [Clause("doubt", doubt=DATE)]
    if _SERIAL.search(part):
        return [Clause("doubt", doubt=SERIAL)]
    if _DECIMAL_COMMA.search(part):  # 2,1 is 2.1, or two versions
        return [Clause("doubt", doubt=NOT_UNDERSTOOD)]
    text = part
    while (opened := text.rfind("(")) >= 0:
        closed = text.find(")", opened)
        note = text[opened + 1 : closed if closed >= 0 else len(text)].strip()
        if _QUALIFIER_NOTE.fullmatch(note):
            kept = note
        elif not note or _HARMLESS_NOTE.fullmatch(note):
            kept = ""
        else:
            return [Clause("doubt", doubt=MODEL if _MODEL.search(part) else CONDITION)]
        text = f"{text[:opened]} {kept} {text[closed + 1 if closed >= 0 else len(text) :]}"
    if text.strip() in _SAYS_NOTHING:
        return [Clause("doubt", doubt=NO_STATEMENT)]
    text = without_introductions(text)
    for pattern, sign in _WORDS_FOR_SIGNS:
        text = pattern.sub(sign, text)
    text = _ALL_BEFORE.sub("", without_introductions(text))
    text = re.sub(r"(?<=[a-z\d])/(?=[a-z\d])", " / ", text)
    tokens = [sign if sign in _SEPARATORS else sign.strip(" \"'`:") for sign in _TOKEN.split(text)]
    return _clauses_of([sign for sign in tokens if sign])


def _clauses_of(tokens: list[str]) -> list[Clause]:
    """Returns the clauses of one part; one that is in doubt makes doubtful what stands in the part with it."""
    found: list[Clause] = []
    place = 0
    while place < len(tokens):
        sign = tokens[place]
        behind = tokens[place + 1] if place + 1 < len(tokens) else ""
        third = tokens[place + 2] if place + 2 < len(tokens) else ""
        if sign in _SEPARATORS:
            place += 1
            continue
        if sign == "@UPTO":
            sign = "<="
        if sign in {"<=", ">=", "<", ">", "=", "!="}:
            limit = _read_limit(behind)
            if isinstance(limit, str):
                return [Clause("doubt", doubt=limit)]
            if sign == "=":
                found.append(Clause("exact", limit=limit, joined=bool(found)))
            elif sign == "!=":
                found.append(Clause("except", limit=limit, joined=bool(found)))
            else:
                found.append(Clause("bound", sign, limit, joined=bool(found)))
            place += 2
            if place < len(tokens) and tokens[place] in {"@DOWN", "@UP"}:
                if (tokens[place] == "@DOWN") == (sign in {"<", "<="}):  # "<= 3.0 and earlier" says it twice
                    place += 1
                else:
                    return [Clause("doubt", doubt=NOT_UNDERSTOOD)]
            continue
        if sign.startswith("@"):
            return [Clause("doubt", doubt=NOT_UNDERSTOOD)]
        if _ALL.fullmatch(sign):
            found.append(Clause("all", joined=bool(found)))
            place += 1
            continue
        limits = _read_list(sign)
        if isinstance(limits, str):
            return [Clause("doubt", doubt=limits)]
        *others, limit = limits
        found.extend(_exactly(one, bool(found)) for one in others)
        if behind == "@DOWN":
            found.append(Clause("bound", "<=", limit, joined=bool(found)))
            place += 2
        elif behind == "@UP":
            found.append(Clause("bound", ">=", limit, joined=bool(found)))
            place += 2
        elif behind in {"@THROUGH", "@UPTO", "<", "<="} and third and third not in _SEPARATORS:
            upper = _read_limit(third)
            if isinstance(upper, str):
                return [Clause("doubt", doubt=upper)]
            loose = behind == "<" and any(piece.number or piece.word for piece in limit.pieces)
            found.append(Clause("bound", ">=", limit, joined=bool(found)))
            found.append(Clause("bound", "<" if behind == "<" else "<=", upper, is_loose=loose, joined=True))
            place += 3
        elif behind in {"<", "<=", ">", ">=", "@THROUGH", "@UPTO", "="} and not third:
            return [Clause("doubt", doubt=NOT_UNDERSTOOD)]
        else:
            found.append(_exactly(limit, bool(found)))
            place += 1
    if not found or _is_shortened(found):
        return [Clause("doubt", doubt=NOT_UNDERSTOOD)]
    return found


def _is_shortened(clauses: list[Clause]) -> bool:
    """Returns whether a list leaves out what its versions have in common: 4.1 Update 1 and 2; 4.1 R1, R2."""
    for before, one in pairwise(clauses):
        if one.kind == "exact" and one.limit.pieces and before.limit.pieces:
            first, previous = one.limit.pieces[0], before.limit.pieces
            words = {piece.word for piece in previous[1:] if piece.word and not piece.is_free}
            if first.word in words or (
                first.digits and len(one.limit.pieces) == 1 and previous[0].digits and words
            ):
                return True
    return False


def _exactly(limit: Limit, joined: bool) -> Clause:
    letters = _LETTER_RANGE.fullmatch(limit.text)
    if letters and letters[1] < letters[2]:
        first, last = (
            Limit((Piece(0, letter, is_free=True),), letter, is_family=True) for letter in letters.groups()
        )
        return Clause("between", limit=first, other=last, joined=joined)
    if ends := hyphened(limit.text):
        one, other = (Limit(pieces, limit.text, is_family=limit.is_family) for pieces in ends)
        return Clause("between", limit=one, other=other, is_loose=True, joined=joined)
    return Clause("exact", limit=limit, joined=joined)


def _read_list(text: str) -> list[Limit] | Doubt:
    """Returns the versions of a text without signs; several where nothing but blanks divides them (1.3.2 1.4.0)."""
    words = text.split()
    if len(words) > 1 and all(_DOTTED.fullmatch(word) for word in words):
        return [Limit(pieces_of(word), word) for word in words[:ALTERNATIVES_MAX]]
    limit = _read_limit(text)
    return limit if isinstance(limit, str) else [limit]


def _read_limit(text: str) -> Limit | Doubt:
    """Returns the version that a text is, or what it is instead."""
    text = text.strip()
    words = text.split()
    if not words:
        return NOT_UNDERSTOOD
    if _MODEL.search(text):
        return MODEL
    if _CONDITION.search(text):
        return CONDITION
    if len(words) > VERSION_WORDS_MAX:
        return NOT_UNDERSTOOD
    is_family = _OPEN_END.search(text) is not None and len(text) > 1
    rest = _OPEN_END.sub("", text) if is_family else text
    highest = None
    if digit := _OPEN_DIGIT.search(text):
        highest, rest, is_family = int(digit[1] + "9"), text[: digit.start()] + digit[1] + "0", False
    for word in rest.split():
        known = (
            _WORD_WITH_DIGIT.fullmatch(word) is not None
            or _LETTERS_DOTTED.fullmatch(word) is not None
            or _LETTER_RANGE.fullmatch(word) is not None
            or word in INCREMENTS
            or word in FORERUNNERS
            or (re.fullmatch(r"[a-z]{1,3}", word) is not None and word not in _SMALL_WORDS)
        )
        if not known:
            return MODEL if re.search(r"\d", text) and _LONG_WORD.search(word) else NOT_UNDERSTOOD
    pieces = pieces_of(rest)
    if (
        not any(piece.digits or piece.is_free for piece in pieces)
        or "*" in rest
        or any(piece.word == "x" for piece in pieces)
    ):
        return NOT_UNDERSTOOD
    return Limit(pieces, rest, is_family, highest)


class _Interval(NamedTuple):
    """A lower bound and the upper one that follows it."""

    lower: Clause
    upper: Clause


def _intervals(clauses: tuple[Clause, ...]) -> list[Clause | _Interval]:
    """Returns the clauses with each lower bound and the upper one right behind it as one interval. Two bounds the other way
    round are one where a single part has both and they overlap: their union would be everything."""
    found: list[Clause | _Interval] = []
    place = 0
    while place < len(clauses):
        one = clauses[place]
        other = clauses[place + 1] if place + 1 < len(clauses) else None
        if one.kind == "bound" and other is not None and other.kind == "bound":
            if one.operator in {">", ">="} and other.operator in {"<", "<="}:
                found.append(_Interval(one, other))
                place += 2
                continue
            turned = one.operator in {"<", "<="} and other.operator in {">", ">="} and other.joined
            if turned and order(other.limit.pieces, one.limit.pieces) in {-1, 0}:
                found.append(_Interval(other, one))
                place += 2
                continue
        found.append(one)
        place += 1
    if any(isinstance(one, Clause) and one.kind == "except" for one in found) and all(
        isinstance(one, Clause) and one.kind == "except" for one in found
    ):
        found.append(Clause("all"))
    return found


def _answer(part: Clause | _Interval, pieces: Pieces | None) -> bool | Doubt:
    """Returns whether a part includes the version, or the doubt that stands in the way."""
    if isinstance(part, _Interval):
        if part.lower.limit.pieces and _is_empty(part):
            return NOT_UNDERSTOOD
        if pieces is None:
            return NO_VERSION
        lower, upper = _answer(part.lower, pieces), _answer(part.upper, pieces)
        if lower is False or upper is False:
            return False
        return next((side for side in (lower, upper) if isinstance(side, str)), True)
    if part.kind == "all":
        return True
    if part.kind == "doubt":
        return part.doubt
    if pieces is None:
        return NO_VERSION
    if part.kind == "except":
        return NOT_COMPARABLE if order(pieces, part.limit.pieces) is None else False
    if part.kind == "exact":
        return _is_exactly(pieces, part.limit)
    if part.kind == "between":
        return _is_between(pieces, part)
    return _is_within(pieces, part)


def _is_empty(interval: _Interval) -> bool:
    return (
        order(interval.lower.limit.pieces, interval.upper.limit.pieces) == 1
        and not interval.upper.limit.is_family
    )


def _is_of_family(pieces: Pieces, family: Pieces, highest: int | None = None) -> bool | Doubt:
    """Returns whether a version begins as the family does."""
    pieces, family = same_release_letter(pieces, family)
    if highest is not None:
        *head, last = family
        if len(pieces) < len(family):
            return (
                LESS_PRECISE if order(pieces, tuple(head)[: len(pieces)]) == 0 else _differs(pieces, family)
            )
        same = order(pieces[: len(head)], tuple(head)) if head else 0
        if same != 0:
            return NOT_COMPARABLE if same is None else False
        place = pieces[len(head)]
        return last.number <= place.number <= highest if place.digits else NOT_COMPARABLE
    if len(pieces) < len(family):
        return LESS_PRECISE if order(pieces, family[: len(pieces)]) == 0 else _differs(pieces, family)
    same = order(pieces[: len(family)], family)
    return NOT_COMPARABLE if same is None else same == 0


def _differs(pieces: Pieces, other: Pieces) -> bool | Doubt:
    return NOT_COMPARABLE if order(pieces, other) is None else False


def _is_exactly(pieces: Pieces, limit: Limit) -> bool | Doubt:
    if limit.is_family or limit.highest is not None:
        return _is_of_family(pieces, limit.pieces, limit.highest)
    same = order(pieces, limit.pieces)
    if same == 0:
        return True
    if same is None:
        return NOT_COMPARABLE
    if is_prefix(pieces, limit.pieces):
        return LESS_PRECISE
    if is_prefix(limit.pieces, pieces):
        return MORE_PRECISE
    return SAME_DECIMAL if same_decimal(pieces, limit.pieces) else False


def _is_between(pieces: Pieces, part: Clause) -> bool | Doubt:
    if (
        part.is_loose
    ):  # 1.0-1.3: one version with a hyphen, or two; where both readings agree there is no doubt
        if order(pieces, pieces_of(part.limit.text)) == 0 and not part.limit.is_family:
            return True
        below, above = order(pieces, part.limit.pieces), order(pieces, part.other.pieces)
        if part.other.is_family and above and above > 0 and is_prefix(part.other.pieces, pieces):
            return NOT_UNDERSTOOD
        if below is None or above is None:
            return NOT_COMPARABLE
        return (
            False if (below < 0 and not is_prefix(pieces, part.limit.pieces)) or above > 0 else NOT_UNDERSTOOD
        )
    if not pieces[0].is_free:
        return NOT_COMPARABLE
    return part.limit.pieces[0].word <= pieces[0].word <= part.other.pieces[0].word


def _is_within(pieces: Pieces, part: Clause) -> bool | Doubt:
    """Returns whether a version is on the bound's side."""
    limit, operator = part.limit, part.operator
    if limit.is_family or limit.highest is not None:
        return _is_within_family(pieces, limit, operator)
    side = order(pieces, limit.pieces)
    if side is None:
        return NOT_COMPARABLE
    if operator in {">", ">="}:
        if side < 0:
            if is_prefix(
                limit.pieces, pieces
            ):  # 1.0 RC1, where the bound is 1.0: its forerunner may have the fault
                return MORE_PRECISE
            return LESS_PRECISE if is_prefix(pieces, limit.pieces) else False
        return side > 0 or operator == ">="
    if side == 0:
        if operator == "<=":
            return True
        if part.is_loose:
            return AT_THE_END
        # before 1.5, and ours is 1.05: the same number, and a smaller decimal
        return SAME_DECIMAL if _has_another_zero(pieces, limit.pieces) else False
    if side < 0:
        return True
    if operator == "<=" and same_decimal(pieces, limit.pieces):
        return SAME_DECIMAL
    if operator == "<=" and is_prefix(limit.pieces, pieces):
        short, long = same_release_letter(limit.pieces, pieces)
        behind = next(piece for piece in long[len(short) :] if piece.word or piece.number)
        if behind.word:  # 3.0 and ours is 3.0 Build 7: a build of 3.0, or what followed it
            return MORE_PRECISE
    return False


def _has_another_zero(one: Pieces, other: Pieces) -> bool:
    """Returns whether two versions of two numbers differ in a zero before the last alone."""
    return len(one) == len(other) == 2 and one[1].digits != other[1].digits and one[1].number != 0


def _is_within_family(pieces: Pieces, limit: Limit, operator: str) -> bool | Doubt:
    inside = _is_of_family(pieces, limit.pieces, limit.highest)
    if inside is True:
        if operator in {"<=", ">="}:
            return True
        return NOT_UNDERSTOOD  # "< 11.x": before 11, or before what comes after 11
    if isinstance(inside, str) and inside == NOT_COMPARABLE:
        return inside
    if inside == LESS_PRECISE:
        return True if operator == "<=" else LESS_PRECISE
    side = order(pieces, limit.pieces)
    if side is None:
        return NOT_COMPARABLE
    return side < 0 if operator in {"<", "<="} else side > 0
