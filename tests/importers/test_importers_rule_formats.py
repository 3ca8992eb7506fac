"""Rule files are told from reports and lists by what they hold; a name decides where that says nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from p2pshare.importers.detection import detect_format

HEAD_BYTES = 4_096


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"rule a { condition: true }", "-", "yara"),
        (b"// c\n/* d */\nprivate global rule a : t {", "-", "yara"),
        (b'import "pe"\nrule', "-", "yara"),
        (b"/* * / ** //*/// c */\n \t/**/rule a{", "-", "yara"),
        (b"/***/" * 500 + b"rule a {", "-", "yara"),
        (b"/*/ rule a {", "-", "list"),
        (b"/* " + b"x" * HEAD_BYTES, "a.yar", "yara"),
        (b"rule of thumb: evil.example is bad", "-", "text"),
        (b"# Report\nrule a { condition: true }", "a.md", "text"),
        (b"title: x\nlogsource:\n  a: b\n", "-", "sigma"),
        (b"---\n# c\ntitle: x\nid: 1\nstatus: test\n", "-", "sigma"),
        (b"anything", "a.yml", "sigma"),
        (b"rule a { condition: true }", "a.yml", "sigma"),
        (b"rule a { condition: true }", "a.csv", "yara"),
        (b"---\ntitle: A page\nstatus: draft\n---\n", "a.md", "text"),
        (b"evil.example\nrule.example\n", "-", "list"),
    ],
)
def test_rules_are_recognised(head: bytes, name: str, expected: str) -> None:
    if head.endswith(b"bad"):
        head += b"\n"
    assert detect_format(head, name) == expected


def test_published_rules_are_recognised_without_their_names(shared_data: Path) -> None:
    found = Counter(
        (path.suffix, detect_format(path.read_bytes()[:HEAD_BYTES]))
        for kind in ("sigma", "yara")
        for path in (shared_data / "rules" / kind).rglob("*.y*")
        if path.is_file()
    )
    assert found == {(".yml", "sigma"): 189, (".yar", "yara"): 70}
