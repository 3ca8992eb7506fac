"""Every format that is not STIX, drafted and taken by the store's own extraction: what was read is there, or told."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from whole_drafts import draft_file
from whole_nodes import NOW, quiet

from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import identity_id
from p2pshare.intel.marking import Tlp
from p2pshare.limits import INFLATED_BYTES_MAX
from p2pshare.sharing.content import Content
from p2pshare.sharing.drafting import Author, Draft, nothing_before

AUTHOR = Author(PartnerId(bytes(32)), "alpha")


def draft(
    raw: bytes, name: str = "-", tlp: Tlp | None = Tlp.GREEN, *, takes_undefanged: bool = False
) -> Draft:
    made = draft_file(
        io.BufferedReader(io.BytesIO(raw)),
        name=name,
        format_name="auto",
        tlp=tlp,
        author=AUTHOR,
        now=NOW,
        first_created=nothing_before,
        progress=quiet,
        takes_undefanged=takes_undefanged,
    )
    kept = sum(part.objects - part.repeats for part in made.parts)
    assert made.read == kept + made.merged + made.refusals.total
    return made


def kept(made: Draft) -> Counter[str]:
    """Types of the objects in the parts, as a receiver takes them; nothing may be refused there."""
    found: Counter[str] = Counter()
    for part in made.parts:
        content = Content(part.frames, part.tlp)
        for frame in content:
            found.update(fact.type for fact in frame.objects)
        assert not content.refused
    return found


def test_a_report_gives_indicators_and_vulnerabilities_and_shows_its_values() -> None:
    made = draft(
        b"# Case\nCVE-2021-44228 was used by evil[.]example, evil[.]example and 192.0.2.7 here\n", "case.md"
    )
    assert made.format == "text"
    assert [(one.type, one.value) for one in made.values] == [
        ("cve", "CVE-2021-44228"),
        ("domain", "evil.example"),
    ]
    assert (made.read, made.merged, dict(made.refusals.counts)) == (4, 1, {"not-defanged": 1})
    assert kept(made) == {"identity": 1, "vulnerability": 1, "indicator": 1}
    more = draft(b"evil[.]example and 192.0.2.7 are here now\n", "case.md", takes_undefanged=True)
    assert [one.value for one in more.values] == ["evil.example", "192.0.2.7"]


def test_a_cve_of_a_list_is_a_vulnerability_whose_id_and_creation_never_change() -> None:
    def vulnerability(now_in_text: bytes) -> dict[str, object]:
        [part] = draft(now_in_text).parts
        objects = json.loads(
            b"".join(inflate_frame(frame, budget_bytes=INFLATED_BYTES_MAX) for frame in part.frames)
        )
        [found] = [one for one in objects if one["type"] == "vulnerability"]
        assert found["created_by_ref"] == identity_id(AUTHOR.partner_id)
        return {name: found[name] for name in ("id", "created", "name")}

    first = vulnerability(b"CVE-2021-44228\n")
    assert first == vulnerability(b"evil.example\ncve-2021-44228\n")
    assert first["created"] == "2021-01-01T00:00:00Z"
    assert vulnerability(b"CVE-9999-0001\n")["created"] != "9999-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("raw", "format_"),
    [
        (b"rule a { condition: true }", "yara"),
        (b"title: x\nlogsource: {product: a}\ndetection:\n  s: {a: b}\n  condition: s\n", "sigma"),
    ],
)
def test_what_has_no_marking_waits_for_a_persons_word(raw: bytes, format_: str) -> None:
    made = draft(raw, tlp=None)
    assert made.format == format_
    assert (made.parts, dict(made.refusals.counts)) == ([], {"no-marking": 1})
    assert "--tlp" in made.hint
    assert kept(draft(raw)) == {"identity": 1, "indicator": 1}


def test_a_report_of_values_that_nobody_defanged_says_what_to_do() -> None:
    made = draft(b"The address 192.0.2.7 was seen here\n", "case.md")
    assert (made.parts, dict(made.refusals.counts)) == ([], {"not-defanged": 1})
    assert "--undefanged" in made.hint


def test_a_report_without_a_marking_is_refused() -> None:
    with pytest.raises(RefusedError):
        draft(b"evil[.]example was seen in the wild\n", "case.md", tlp=None)


@pytest.mark.parametrize(
    ("pattern", "format_", "expected"),
    [
        ("text-reports/unit42-TA551/20*.txt", "text", {"indicator": 1902}),
        ("rules/sigma/**/*.yml", "sigma", {"indicator": 188}),
        ("rules/yara/*.yar", "yara", {"indicator": 462}),
        ("vuln/kev-2025-01/known_exploited_vulnerabilities.json", "kev", {"vulnerability": 1252}),
        (
            "vuln/csaf-cisa/*/white/*/*.json",
            "csaf",
            {"vulnerability": 107, "course-of-action": 53, "relationship": 146},
        ),
    ],
)
def test_real_files_arrive_whole(
    shared_data: Path, pattern: str, format_: str, expected: dict[str, int]
) -> None:
    found: Counter[str] = Counter()
    for path in sorted(shared_data.glob(pattern)):
        made = draft(path.read_bytes(), path.name)
        assert made.format == format_
        found += kept(made)
    del found["identity"]
    assert found == expected
