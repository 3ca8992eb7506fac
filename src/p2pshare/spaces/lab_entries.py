"""What the entries of a lab say: the content of each kind (docs/labs.md, "Kinds of entry").

Each is one canonical map with exactly the keys 0, 1, 2 ... in the order of the fields here, but a note, which is its text. All others are
deciding: every member computes the same status from them. The text of a rule or remedy, and the content of a sample, are in none of them;
they travel as `part`, and an entry names them by their SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.identifiers import EntryId
from p2pshare.intel.incident_words import is_word
from p2pshare.limits import MIB
from p2pshare.spaces.entry_fields import (
    DECIDING_TEXT_BYTES_MAX,
    EntryField,
    ascend,
    blob,
    entry,
    entry_or_none,
    map_of,
    one_of,
    stated_time,
    text_of,
    word,
)
from p2pshare.spaces.notebook import read_text

TITLE_BYTES_MAX = 256  # of a rule: what stands in a list
RULE_AUTHOR_BYTES_MAX = 512  # long lists of names: the longest of SigmaHQ has 305
LICENCE_BYTES_MAX = 256  # a name, or a link to the text
TECHNIQUES_MAX = 64  # of MITRE ATT&CK in one rule: the most in SigmaHQ are 18
RULES_NAMED_MAX = 16  # that one sample is for, or one remedy goes with
VULNERABILITIES_MAX = 64  # that one remedy mends: a monthly update of a vendor
VULNERABILITY_BYTES_MAX = 64  # CVE-2026-1234567 and the names of vendors
ENGINE_BYTES_MAX = 512  # its name and version, and which walls of its cage stood
ORIGIN_BYTES_MAX = 256  # where a sample comes from
SAMPLE_CONTENT_BYTES_MAX = 4 * MIB  # of a sample that travels in the lab
BENIGN_PERMILLE_DEFAULT = 100  # one hit in ten
DIGEST_BYTES = 32  # SHA-256

LANGUAGES = ("sigma", "snort", "suricata", "yara")
LEVELS = ("informational", "low", "medium", "high", "critical")
SAMPLE_KINDS = ("event-json", "event-jsonl", "evtx-json", "file", "pcap")
SAMPLE_LABELS = ("negative", "positive", "withdrawn")
VERDICTS = ("agree", "disagree")
REMEDY_KINDS = ("course-of-action", "csaf", "patch-note")
LABEL_BYTES = {"negative": b"\x00", "positive": b"\x01"}

BUCKETS = {0: 0, 1: 4, 5: 9}
"""Counts below 10 are stated by their bucket: the least number in it -> the greatest. 10 and more are stated as they are."""
BUCKETS_END = 10

LabWords = tuple[str, ...]
RuleNames = tuple[EntryId, ...]


class LabQuestion(NamedTuple):
    """`question`: what the lab is to find out, and from which share of benign hits on a rule is too noisy, in thousandths."""

    question: str
    benign_permille: int


class RuleVersion(NamedTuple):
    """`rule`, `revise`, `propose`: a text of a rule, named by its SHA-256. `follows` b"": the first, else the entry whose text it changes."""

    follows: bytes
    language: str
    digest: bytes
    size: int
    title: str
    author: str
    licence: str
    level: str
    techniques: LabWords
    text: str


class RuleAdoption(NamedTuple):
    """`adopt`: a proposal becomes the rule."""

    version: EntryId
    text: str


class LabSample(NamedTuple):
    """`sample`: what a rule must match, or must not. `rules` none: of all rules. `has_content`: it travels in the lab (1), or not (0)."""

    digest: bytes
    kind: str
    label: str
    size: int
    origin: str
    rules: RuleNames
    has_content: int


class LabRun(NamedTuple):
    """`run`: what an engine made of a rule and a set of samples. tp to tn count samples; errors, too: those of which it said nothing."""

    digest: bytes
    samples: bytes
    engine: str
    tp: int
    fn: int
    fp: int
    tn: int
    milliseconds: int
    errors: int
    events: int
    hits: int


class LabReview(NamedTuple):
    """`review`: of exactly this text of a rule or remedy."""

    digest: bytes
    verdict: str
    text: str


class FieldFigure(NamedTuple):
    """`field`: what a rule did in its author's house between two instants (unix seconds). Counts alone, those below 10 by their bucket."""

    digest: bytes
    start: int
    until: int
    hits: int
    confirmed: int
    benign: int


class LabRemedy(NamedTuple):
    """`remedy`: what mends a vulnerability. `follows` b"": a new one, else the entry of the same author that it replaces."""

    follows: bytes
    kind: str
    digest: bytes
    size: int
    title: str
    author: str
    vulnerabilities: LabWords
    rules: RuleNames
    text: str


class RulePromotion(NamedTuple):
    """`promote`: its author asks that this text be stable."""

    digest: bytes
    text: str


class RuleDeprecation(NamedTuple):
    """`deprecate`: a rule is not to be used any more."""

    rule: EntryId
    text: str


class LabClosing(NamedTuple):
    """`close`: with a reason."""

    text: str


LabBody = (
    LabQuestion
    | RuleVersion
    | RuleAdoption
    | LabSample
    | LabRun
    | LabReview
    | FieldFigure
    | LabRemedy
    | RulePromotion
    | RuleDeprecation
    | LabClosing
)


def encode_lab(body: LabBody) -> bytes:
    """Returns the content of an entry that says `body`."""
    return pack(dict(enumerate(body)))


def sample_set_hash(samples: Iterable[tuple[str, bytes]]) -> bytes:
    """Returns the hash by which a set of samples is known: SHA-256 over (label byte, SHA-256), each pair once, ascending.

    Raises KeyError for a label that is neither `positive` nor `negative`.
    """
    return hashlib.sha256(
        b"".join(sorted({LABEL_BYTES[label] + digest for label, digest in samples}))
    ).digest()


def bucket(count: int) -> int:
    """Returns the number by which a count leaves the house."""
    return count if count >= BUCKETS_END else max(low for low in BUCKETS if low <= max(count, 0))


def greatest_in_bucket(stated: int) -> int:
    """Returns the greatest count that a stated number may stand for."""
    return BUCKETS.get(stated, stated)


# --- fields --------------------------------------------------------------------------------------------


def _permille(reader: Reader) -> int:
    share = reader.integer(1_000)
    if not share:
        raise refusal("malformed", "no rule is below a share of nothing")
    return share


def _size(reader: Reader) -> int:
    size = reader.integer()
    if not size:
        raise refusal("malformed", "what is empty has no SHA-256 that says anything")
    return size


def _count(reader: Reader) -> int:
    return reader.integer()


def _flag(reader: Reader) -> int:
    return reader.integer(1)


def _bucketed(reader: Reader) -> int:
    stated = reader.integer()
    if stated < BUCKETS_END and stated not in BUCKETS:
        raise refusal("malformed", "a count below 10 is not stated by its bucket")
    return stated


def _techniques(reader: Reader) -> LabWords:
    found = tuple(word(reader) for _ in range(reader.array(0, TECHNIQUES_MAX)))
    ascend(found)
    return found


def _vulnerabilities(reader: Reader) -> LabWords:
    found = tuple(
        reader.text(1, VULNERABILITY_BYTES_MAX) for _ in range(reader.array(0, VULNERABILITIES_MAX))
    )
    ascend(found)
    if not all(is_word(one.lower()) for one in found):
        raise refusal("malformed", "the name of a vulnerability has other characters than such names have")
    return found


def _rules(reader: Reader) -> RuleNames:
    found = tuple(entry(reader) for _ in range(reader.array(0, RULES_NAMED_MAX)))
    ascend(found)
    return found


def _shown(high: int) -> EntryField:
    """Returns a field for a text that must say something: blanks are nothing."""

    def read(reader: Reader) -> str:
        text = reader.text(1, high)
        if not text.strip():
            raise refusal("malformed", "a text that must say something is blank")
        return text

    return read


_digest = blob(DIGEST_BYTES, DIGEST_BYTES)
_why = text_of(0, DECIDING_TEXT_BYTES_MAX)

_plain_version = map_of(
    RuleVersion,
    entry_or_none,
    one_of(LANGUAGES),
    _digest,
    _size,
    _shown(TITLE_BYTES_MAX),
    _shown(RULE_AUTHOR_BYTES_MAX),
    _shown(LICENCE_BYTES_MAX),
    one_of(LEVELS, or_none=True),
    _techniques,
    _why,
)
_plain_sample = map_of(
    LabSample,
    _digest,
    one_of(SAMPLE_KINDS),
    one_of(SAMPLE_LABELS),
    _size,
    text_of(0, ORIGIN_BYTES_MAX),
    _rules,
    _flag,
)
_plain_figure = map_of(FieldFigure, _digest, stated_time, stated_time, _bucketed, _bucketed, _bucketed)


def _first_version(content: bytes) -> RuleVersion:
    version = _plain_version(content)
    if version.follows:
        raise refusal("malformed", "a new rule follows no other")
    return version


def _later_version(content: bytes) -> RuleVersion:
    version = _plain_version(content)
    if not version.follows:
        raise refusal("malformed", "a changed rule names the one that it follows")
    return version


def _sample(content: bytes) -> LabSample:
    sample = _plain_sample(content)
    if sample.has_content and (sample.kind == "file" or sample.size > SAMPLE_CONTENT_BYTES_MAX):
        raise refusal("malformed", "a sample travels that must not")
    return sample


def _figure(content: bytes) -> FieldFigure:
    figure = _plain_figure(content)
    if figure.start >= figure.until:
        raise refusal("malformed", "a window ends after it begins")
    if figure.confirmed + figure.benign > greatest_in_bucket(figure.hits):
        raise refusal("malformed", "more hits were looked at than there were")
    return figure


READERS: Mapping[str, Callable[[bytes], object]] = {
    "note": read_text,
    "question": map_of(LabQuestion, _why, _permille),
    "rule": _first_version,
    "revise": _later_version,
    "propose": _later_version,
    "adopt": map_of(RuleAdoption, entry, _why),
    "sample": _sample,
    "run": map_of(
        LabRun, _digest, _digest, _shown(ENGINE_BYTES_MAX), *[_count] * 4, _count, _count, _count, _count
    ),
    "review": map_of(LabReview, _digest, one_of(VERDICTS), _why),
    "field": _figure,
    "remedy": map_of(
        LabRemedy,
        entry_or_none,
        one_of(REMEDY_KINDS),
        _digest,
        _size,
        _shown(TITLE_BYTES_MAX),
        _shown(RULE_AUTHOR_BYTES_MAX),
        _vulnerabilities,
        _rules,
        _why,
    ),
    "promote": map_of(RulePromotion, _digest, _why),
    "deprecate": map_of(RuleDeprecation, entry, _why),
    "close": map_of(LabClosing, _why),
}
"""Kind of an entry -> reads its content. Raises PeerError `malformed`, `not-canonical`."""
