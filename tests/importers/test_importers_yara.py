"""YARA rules: each is cut out of its file whole, compiles alone, and is never run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.importers import yara
from p2pshare.importers.interface import InputSource
from p2pshare.importers.yara import read_yara
from p2pshare.importers.yara_text import split_rules
from p2pshare.intel.bundle import Reading
from p2pshare.intel.json_text import Fault
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.limits import RULE_BYTES_MAX, RULE_NEEDS_MAX

NOW = 1_790_000_000
AUTHOR = PartnerId(bytes(32))
RULE = r"""rule Odd_File : tag_a tag_b {
    meta:
        author = "Ada"
        description = "A \"quoted\" text"
        license = "DRL-1.1"
        reference = "https://vendor.example/a, https://vendor.example/b"
        date = "2024-05-01"
        id = "221d90c8-e70e-5214-a03b-57ecabcdd480"
        score = 50
    strings:
        $a = "{ not a brace \" } // no comment"
        $b = { 4D 5A [2-4] ( 01 | ?? ) /* } */ }
        $c = /a\/[{}"]b/ nocase // } rule no { condition: true }
    condition:
        any of them /* { */
}"""
needs_yara_x = pytest.mark.skipif(yara.yara_x is None, reason="skipped: yara-x not installed")


def read(text: str | bytes, tlp: Tlp | None = Tlp.GREEN) -> Reading:
    raw = text if isinstance(text, bytes) else text.encode()
    reading = read_yara(raw, InputSource("-", AUTHOR, NOW, tlp))
    assert reading.read == len(reading.objects) + reading.refusals.total
    return reading


def stix_of(reading: Reading) -> list[dict[str, Any]]:
    return [json.loads(one.raw) for one in reading.objects]


def patterns(text: str) -> list[str]:
    return [one["pattern"] for one in stix_of(read(text))]


@needs_yara_x
def test_a_rule_becomes_an_indicator_that_keeps_its_text_author_and_licence() -> None:
    [stix] = stix_of(read(RULE))
    assert stix["pattern"] == RULE
    assert stix["pattern_type"] == "yara"
    assert (stix["name"], stix["description"]) == ("Odd_File", 'A "quoted" text')
    assert (stix["x_rule_author"], stix["x_rule_license"]) == ("Ada", "DRL-1.1")
    assert stix["created"] == "2024-05-01T00:00:00Z"
    assert stix["labels"] == ["tag_a", "tag_b"]
    assert stix["external_references"] == [
        {"source_name": "yara", "external_id": "221d90c8-e70e-5214-a03b-57ecabcdd480"},
        {"source_name": "reference", "url": "https://vendor.example/a"},
        {"source_name": "reference", "url": "https://vendor.example/b"},
    ]
    assert stix["object_marking_refs"] == [TLP2_IDS[Tlp.GREEN]]


def test_a_changed_rule_is_a_new_version_of_the_same_object() -> None:
    ids = {stix_of(read(text))[0]["id"] for text in (RULE, RULE.replace("score = 50", "score = 60"))}
    assert len(ids) == 1


def test_comments_before_a_rule_go_with_it_and_the_licence_of_the_file_counts_for_all() -> None:
    file = "/* License: DRL 1.1 */\n// first\nrule a { condition: true }\n\n// second\nrule b { condition: true }\n// end"
    assert patterns(file) == [
        "/* License: DRL 1.1 */\n// first\nrule a { condition: true }",
        "// second\nrule b { condition: true }",
    ]
    assert [one["x_rule_license"] for one in stix_of(read(file))] == ["DRL 1.1", "DRL 1.1"]


def test_what_a_rule_needs_of_its_file_stands_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yara, "yara_x", None)  # which does not know `any of (px_*)`, as YARA does
    used = "private rule used { condition: filesize > 1 }"
    by_prefix = "rule px_1 { condition: true }"
    everywhere = "global rule everywhere { condition: filesize < 9 }"
    asks = "rule asks { condition: used and pe.is_pe and any of (px_*) }"
    other = 'rule other { strings: $used = "used pe" condition: $used }'
    found = patterns("\n".join(['import "pe"', 'import "math"', used, by_prefix, everywhere, asks, other]))
    assert found == [
        used,
        by_prefix,
        everywhere,
        f'import "pe"\n{used}\n{by_prefix}\n{everywhere}\n{asks}',
        f"{everywhere}\n{other}",
    ]


@needs_yara_x
@pytest.mark.parametrize(
    "rule",
    ['rule a { condition: filename == "x" }', 'import "nobody"\nrule a { condition: nobody.knows }'],
)
def test_a_rule_that_lacks_only_what_its_scanner_knows_is_kept_and_labelled(rule: str) -> None:
    reading = read(rule)
    assert reading.notes.counts == {"not-verified": 1}
    assert stix_of(reading)[0]["labels"] == ["not-verified"]


@needs_yara_x
@pytest.mark.parametrize(
    "rule",
    [
        "rule a { condition: $x }",
        "rule a { condition: }",
        'rule a { strings: $a = "x" condition: true }',
        "rule a { strings: $a = /(?=x)y/ condition: $a and filename }",
    ],
)
def test_a_rule_that_does_not_compile_is_refused_with_the_reason(rule: str) -> None:
    [refusal] = read(rule).refusals.to_json()
    assert refusal["reason"] == "bad-rule"
    assert refusal["examples"][0].startswith("rule a ")


def test_without_a_compiler_every_rule_is_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yara, "yara_x", None)
    reading = read(RULE)
    assert reading.notes.counts == {"not-verified": 1}
    assert "not-verified" in stix_of(reading)[0]["labels"]


def test_a_file_that_includes_another_is_refused_rule_by_rule() -> None:
    assert read(f'include "/etc/passwd"\n{RULE}\nrule b {{ condition: true }}').refusals.counts == {
        "includes": 2
    }


@needs_yara_x
def test_no_file_is_opened_for_a_pattern_that_includes_one(tmp_path: Path) -> None:
    (tmp_path / "other.yar").write_text("rule other { condition: true }")
    problem = yara.compile_problem(f'include "{tmp_path}/other.yar"\nrule a {{ condition: other }}')
    assert isinstance(problem, Fault)


def test_a_file_of_too_many_rules_is_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yara, "OBJECTS_PER_BUNDLE_MAX", 2)
    rules = [f"rule r{number} {{ condition: true }}" for number in range(3)]
    assert len(read("\n".join(rules[:2])).objects) == 2
    with pytest.raises(AuthorError) as caught:
        read("\n".join(rules))
    assert caught.value.reason == "too-many-objects"


def test_the_same_name_twice_is_refused() -> None:
    assert read(f"{RULE}\n{RULE}").refusals.counts == {"duplicate-id": 1}


def test_a_marking_of_the_rule_tightens() -> None:
    def marked(word: str) -> str:
        return RULE.replace("score = 50", f'tlp = "{word}"')

    assert stix_of(read(marked("TLP:RED")))[0]["object_marking_refs"] == [TLP2_IDS[Tlp.RED]]
    assert stix_of(read(marked("white")))[0]["object_marking_refs"] == [TLP2_IDS[Tlp.GREEN]]
    assert read(marked("whatever")).refusals.counts == {"unknown-marking": 1}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("nonsense", 0),
        (f"{RULE} }} rule b {{ condition: true }}", 1),
        (f"{RULE}\nrule b {{ condition: true", 1),
        (f'{RULE}\nrule b {{ strings: $a = "open\n condition: $a }}', 1),
        (f"{RULE}\nrule b {{ /* open", 1),
        (f"{RULE}\nrule", 1),
        (f"{RULE}\nimport pe", 1),
    ],
)
def test_what_is_no_rule_ends_the_file_and_is_told(text: str, rules: int) -> None:
    reading = read(text)
    assert len(reading.objects) == rules
    assert reading.refusals.counts == {"bad-rule": 1}


def test_bytes_that_are_no_text_cost_their_own_rule() -> None:
    raw = b'rule a { strings: $a = "\xff" condition: $a }\n' + RULE.encode()
    reading = read(raw)
    assert reading.refusals.counts == {"not-utf8": 1}
    assert [one["name"] for one in stix_of(reading)] == ["Odd_File"]


def test_a_utf_16_file_is_refused_as_a_whole() -> None:
    with pytest.raises(AuthorError) as caught:
        read(RULE.encode("utf-16"))
    assert caught.value.reason == "encoding"


def test_limits_of_one_rule() -> None:
    def sized(size: int) -> str:
        frame = "rule a {{ /*{}*/ condition: true }}"
        return frame.format("x" * (size - len(frame.format(""))))

    assert read(sized(RULE_BYTES_MAX)).refusals.counts == {}
    assert read(sized(RULE_BYTES_MAX + 1)).refusals.counts == {"rule-too-large": 1}

    def needing(count: int) -> str:
        needed = [f"rule n{number} {{ condition: true }}" for number in range(count)]
        return "\n".join(
            [*needed, f"rule last {{ condition: {' and '.join(f'n{n}' for n in range(count))} }}"]
        )

    assert read(needing(RULE_NEEDS_MAX)).refusals.counts == {}
    assert read(needing(RULE_NEEDS_MAX + 1)).refusals.counts == {"rule-too-large": 1}


@pytest.mark.parametrize(
    "piece",
    ['"', "/", "/*", "*/", "//", "{", "}", '"\\', "/\\", "rule ", "rule a {", "a.", "-1", ":", "a\\", "/a\\"],
)
def test_a_file_of_anything_is_read_to_its_end(piece: str) -> None:
    split_rules(piece * 50_000)
    split_rules(f"rule a {{ {piece * 50_000}")


@given(st.text(alphabet='rule a{}:"/\\*=\n$meta', max_size=120))
def test_any_text_is_split_and_rules_do_not_overlap(text: str) -> None:
    found = split_rules(text)
    behind = 0
    for rule in found.rules:
        assert behind <= rule.begin <= rule.start < rule.end
        assert text[rule.end - 1] == "}"
        behind = rule.end


@needs_yara_x
def test_the_published_rules_are_found_and_compile(shared_data: Path) -> None:
    """Counted by YARA-X itself, which is told of the variables that scanners define."""
    paths = sorted((shared_data / "rules/yara").glob("*.yar"))
    assert len(paths) == 70
    stored = unverified = 0
    for path in paths:
        text = path.read_text()
        compiler = yara.yara_x.Compiler(relaxed_re_syntax=True)
        for name in ("filename", "filepath", "extension", "filetype"):
            compiler.define_global(name, "")
        compiler.add_source(text)
        names = [rule.identifier for rule in compiler.build()]
        reading = read(text)
        assert reading.refusals.counts == {}
        found = stix_of(reading)
        assert sorted(one["name"] for one in found) == sorted(names)
        for one in found:
            own = re.search(
                rf"(?:(?:private|global)\s+)*rule\s+{one['name']}\b.*\}}\Z", one["pattern"], re.DOTALL
            )
            assert own is not None
            assert own[0] in text
        stored += len(found)
        unverified += reading.notes.counts.get("not-verified", 0)
    assert (stored, unverified) == (462, 26)
