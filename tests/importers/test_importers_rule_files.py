"""Rule files of labs: author, licence and the rest come from where each language has them, and nothing is made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.importers.rule_files import LANGUAGES, RuleFile, read_rule_file
from p2pshare.limits import RULE_BYTES_MAX

SIGMA = """title: First
id: E011A729-98A6-4139-B5C4-BF6F6DD8239A
author: Alice
license: DRL-1.1
logsource: {category: process_creation}
detection: {selection: {a: b}, condition: selection}
level: HIGH
tags: [attack.T1105, attack.execution, tlp.green]
"""
CORRELATION = """title: Many
author: Bob
license: DRL-1.1
correlation: {type: event_count, rules: [First], group-by: [User], timespan: 1h, condition: {gte: 3}}
level: critical
"""
YARA = """/* License: MIT */
rule Evil : t1027 { meta: author = "Carol" mitre = "T1059.001" strings: $a = "evil" condition: $a }
"""
SURICATA = """# licence: GPL-2.0
alert http any any -> any any (msg:"ET  evil"; content:"evil"; metadata:author Dan, mitre_technique_id T1071.001; sid:7; rev:1;)
"""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "rule.yml",
            SIGMA,
            RuleFile(
                "sigma",
                "First",
                "Alice",
                "DRL-1.1",
                "high",
                ("t1105",),
                "e011a729-98a6-4139-b5c4-bf6f6dd8239a",
            ),
        ),
        (
            "many.yaml",
            f"{SIGMA}---\n{CORRELATION}",
            RuleFile("sigma", "Many", "Alice, Bob", "DRL-1.1", "critical", ("t1105",), ""),
        ),
        ("evil.yar", YARA, RuleFile("yara", "Evil", "Carol", "MIT", "", ("t1027", "t1059.001"), "Evil")),
        ("et.rules", SURICATA, RuleFile("suricata", "ET evil", "Dan", "GPL-2.0", "", ("t1071.001",), "7")),
    ],
)
def test_what_a_file_says_is_found(name: str, text: str, expected: RuleFile) -> None:
    assert read_rule_file(text.encode(), name) == expected
    assert read_rule_file(text.encode(), "stdin", expected.language) == expected, "by its language alone"


def test_what_a_file_does_not_say_is_empty() -> None:
    bare = (
        SIGMA.replace("author: Alice\n", "")
        .replace("license: DRL-1.1\n", "")
        .replace("level: HIGH\n", "level: huge\n")
    )
    found = read_rule_file(bare.encode(), "rule.yml")
    assert (found.author, found.licence, found.level) == ("", "", "")


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        ("rule.yml", b"", "bad-rule"),
        ("rule.yml", b"title: x\n", "bad-rule"),
        ("rule.yml", SIGMA.replace("condition: selection", "condition: nobody").encode(), "bad-rule"),
        ("rule.yml", SIGMA.encode("utf-16"), "encoding"),
        ("rule.yml", b"\xff\xfe\xfd", "encoding"),
        ("evil.yar", b'include "/etc/passwd"\n' + YARA.encode(), "includes"),
        ("evil.yar", b"rule Evil { condition: ", "bad-rule"),
        ("et.rules", b"alert http any any -> any any (sid:7;)", "bad-rule"),
        ("words.txt", b"evil.example", "unknown-language"),
        ("rule.yml", b"x" * (RULE_BYTES_MAX + 1), "rule-too-large"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_reason(name: str, raw: bytes, reason: str) -> None:
    with pytest.raises(AuthorError) as refused:
        read_rule_file(raw, name)
    assert refused.value.reason == reason


@given(st.binary(max_size=300), st.sampled_from(LANGUAGES))
def test_any_bytes_are_a_rule_or_refused(raw: bytes, language: str) -> None:
    try:
        found = read_rule_file(raw, "x", language)
    except AuthorError as refused:
        assert refused.reason
    else:
        assert found.title and "\n" not in found.title + found.author + found.licence
