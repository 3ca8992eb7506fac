"""lookup, search and show as a person meets them: what they print, their exit codes, bytes as they were sealed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, found_pair
from msgspec.structs import replace

from p2pshare.cli.explain import has_and_reads
from p2pshare.cli.lookup import seen_as
from p2pshare.cli.options import UsageProblem
from p2pshare.cli.search import instant_of
from p2pshare.queries.lookup import SeenBy

GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
FAMILY: dict[str, Any] = {
    "type": "malware",
    "spec_version": "2.1",
    "id": "malware--00000000-0000-4000-8000-000000000001",
    "created": "2026-01-01T00:00:00.000Z",
    "modified": "2026-01-01T00:00:00.000Z",
    "is_family": True,
    "name": "Emotet",
    "x_odd": {"kept": [1, 2.50]},
    "object_marking_refs": [GREEN],
}


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    home = found_pair(tmp_path, capsys, monkeypatch)["alpha"]
    raw = json.dumps({"type": "bundle", "id": f"bundle--{FAMILY['id'][9:]}", "objects": [FAMILY]}, indent=1)
    assert home("publish", "-", "--format", "stix", stdin=raw.encode()).code == 0
    values = b"198.51.100.0/24\nevil.example\n"
    assert home("publish", "-", "--tlp", "green", "--format", "list", stdin=values).code == 0
    return home


def test_lookup_says_how_what_is_listed_covers_the_value(alpha: Home) -> None:
    said = alpha("lookup", "hxxp://www.evil[.]example/x", "198.51.100.9")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "http://www.evil.example/x  url  active  by alpha"
    assert lines[1] == "  by its domain evil.example: active"
    assert "  by its network 198.51.100.0/24: active" in lines
    [answer] = alpha("lookup", "198.51.100.9", "--json").json
    assert {"status", "reason", "matches", "score"} <= set(answer)
    assert {"match", "type", "value", "status", "reason", "quarantine", "sightings"} <= set(
        answer["matches"][0]
    )
    assert {"match", "listed", "status", "reason", "pap"} <= set(answer["claims"][0])


def test_search_has_its_promised_keys_and_exit_codes(alpha: Home) -> None:
    [found] = alpha("search", "--text", "EMOTET", "--json").json
    promised = "id type title labels pattern_type author author_id tlp pap modified is_current is_revoked"
    assert {*promised.split(), "envelope_id", "received_at"} <= set(found)
    assert (found["id"], found["title"], found["author"]) == (FAMILY["id"], "Emotet", "alpha")
    assert "Emotet" in alpha("search", "--type", "malware", "--since", "1h").out
    for narrowed in (["--tlp", "red"], ["--label", "x"], ["--text", "nowhere"], ["--since", "2999-01-01"]):
        assert alpha("search", *narrowed) == (3, "", "nothing held here fits\n")
    limited = alpha("search", "--limit", "1")
    assert (len(limited.out.splitlines()), "--limit" in limited.err) == (1, True)
    assert alpha("search", "--author", "nobody").code == 3
    assert alpha("search", "--since", "yesterday").code == 2
    assert alpha("search", "--tlp", "pink").code == 1


def test_show_has_every_version_and_raw_is_what_was_sealed(alpha: Home) -> None:
    newer = FAMILY | {"modified": "2026-02-01T00:00:00.000Z", "name": "Emotet 2"}
    assert alpha("publish", "-", "--format", "stix", stdin=json.dumps(newer).encode()).code == 0
    shown = alpha("show", FAMILY["id"], "--json").json
    assert [(one["number"], one["is_current"]) for one in shown["versions"]] == [(1, False), (2, True)]
    assert shown["versions"][0]["object"] == FAMILY
    assert alpha("show", FAMILY["id"], "--raw").out == json.dumps(newer)
    assert json.loads(alpha("show", FAMILY["id"], "--raw", "--version", "1").out) == FAMILY
    assert alpha("show", FAMILY["id"], "--raw", "--json").code == 2
    text = alpha("show", FAMILY["id"]).out
    assert "version 2  TLP:GREEN  current  by alpha" in text and '"x_odd": {' in text
    assert alpha("show", "malware--00000000-0000-4000-8000-00000000000f").code == 3


def test_a_version_that_is_not_held_is_not_found(alpha: Home) -> None:
    """It was shown as nothing at all, with exit code 0."""
    for more in ([], ["--json"], ["--raw"]):
        said = alpha("show", FAMILY["id"], "--version", "3", *more)
        assert (said.code, said.out) == (3, ""), more


def test_words_that_a_list_would_ignore_are_refused(alpha: Home) -> None:
    for ignored in (["allow", "--list", "evil.example"], ["allow", "--list", "--remove"]):
        assert alpha(*ignored).code == 2
    for ignored in (["propose", "--list", FAMILY["id"]], ["propose", "--list", "--note", "x"]):
        assert alpha(*ignored).code == 2


def test_what_somebody_saw_is_told_in_words() -> None:
    nothing = SeenBy("x", 0, None, None, False, True)
    assert seen_as(replace(nothing, count=1, last_seen="T")) == "seen 1 time, last T"
    assert (
        seen_as(replace(nothing, not_seen_at="T", trusted=False))
        == "looked for in vain T; no partner: not counted"
    )
    assert seen_as(replace(nothing, false_positive=True)) == "calls it harmless"


def test_no_answer_is_in_a_programming_language(alpha: Home) -> None:
    envelope = alpha("search", "--json", "--limit", "1").json[0]["envelope_id"]
    for arguments in (["show", envelope], ["partner", "preview", "bravo"]):
        said = alpha(*arguments).out
        assert not {"True", "False", "None", "[]", "{}"} & set(said.split()), said
        assert all(len(line.split()) > 1 for line in said.splitlines()), said


def test_what_is_no_value_is_told_with_a_way_out(alpha: Home) -> None:
    for arguments in (["allow", "*.example"], ["sight", "x y"], ["withdraw", "<x>", "--reason", "mistake"]):
        said = alpha(*arguments)
        assert said.code == 1 and "hint: " in said.err, said


def test_a_fork_is_told_and_raw_asks_which(alpha: Home) -> None:
    other = FAMILY | {"name": "Emotet, said otherwise"}
    assert alpha("publish", "-", "--format", "stix", stdin=json.dumps(other).encode()).code == 0
    said = alpha("show", FAMILY["id"])
    assert said.out.count("forked") == 2
    assert said.err.startswith("warning: fork: alpha wrote 2 different contents")
    assert len(alpha("show", FAMILY["id"], "--json").json["forks"]) == 1
    assert alpha("show", FAMILY["id"], "--raw").code == 2
    assert json.loads(alpha("show", FAMILY["id"], "--raw", "--version", "2").out) == other


def test_an_envelope_is_shown_with_what_is_in_it(alpha: Home) -> None:
    [found] = alpha("search", "--text", "emotet", "--json").json
    shown = alpha("show", found["envelope_id"], "--json").json
    assert (shown["author"], shown["circle"], shown["mode"], shown["from"]) == (
        "alpha",
        "main",
        "relay",
        None,
    )
    assert [one["id"] for one in shown["objects"]] == [FAMILY["id"]]
    assert "Emotet" in alpha("show", found["envelope_id"]).out
    assert alpha("show", found["envelope_id"], "--raw").code == 2
    assert alpha("show", "0" * 64).code == 3


def test_an_age_a_day_and_an_instant_are_times() -> None:
    assert instant_of("12h", 1_000_000) == 1_000_000 - 12 * 3_600
    assert instant_of("2w", 2_000_000) == 2_000_000 - 14 * 86_400
    assert instant_of("2026-11-24", 0) == instant_of("2026-11-24T00:00:00Z", 0)
    for wrong in ("-1d", "12", "12x", "2026-13-01", ""):
        with pytest.raises(UsageProblem):
            instant_of(wrong, 0)


def test_explain_and_preview_say_who_gets_it(alpha: Home) -> None:
    answer = alpha("explain", "www.evil[.]example", "--partner", "bravo")
    assert answer.code == 3  # nothing claims that value itself
    told = alpha("explain", "evil[.]example", "--partner", "bravo", "--json").json
    assert list(told) == ["asked", "partner", "partner_id", "envelopes", "addressing", "introduced_by"]
    assert told["envelopes"][0]["leaves"] is True and told["addressing"]["allowed"] is True
    said = alpha("explain", FAMILY["id"], "--partner", "bravo").out
    assert (
        "  goes to bravo (circle-on-link): " in said
        and "bravo may have it: nobody tells; can read it" in said
    )
    assert "TLP:GREEN could be addressed to bravo now: by name, relay" in said
    shown = alpha("partner", "preview", "bravo", "--json").json
    promised = "partner has_link circles envelopes bytes own by_circle by_mode by_marking can_read handed_on kept list"
    assert list(shown) == promised.split()
    assert (shown["envelopes"], len(shown["list"]), shown["by_marking"]) == (2, 2, {"TLP:GREEN": 2})
    assert "by marking    TLP:GREEN: 2" in alpha("partner", "preview", "bravo").out
    assert alpha("partner", "preview", "nobody").code == 3


def test_unmarked_input_is_refused_by_policy_also_when_a_definition_is_left_over(alpha: Home) -> None:
    """ATT&CK's own statement beside 803 objects without a level made exit code 1 of it."""
    unmarked = {key: value for key, value in FAMILY.items() if key != "object_marking_refs"}
    statement = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": "marking-definition--00000000-0000-4000-8000-000000000009",
        "created": "2026-01-01T00:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": "Copyright"},
    }
    bundle = {"type": "bundle", "objects": [unmarked, statement]}
    assert alpha("publish", "-", stdin=json.dumps(bundle).encode()).code == 5


def test_lines_that_were_taken_for_prose_are_not_passed_over_unsaid(alpha: Home) -> None:
    """A list with a blank in each line is read as a report without values: 'the input holds no objects', exit code 0."""
    said = alpha("publish", "-", "--tlp", "green", stdin=b"evil one example\n" * 30)
    assert (said.code, said.out) == (0, "")
    assert "read as a report" in said.err and "--format list" in said.err
    assert "report" not in alpha("publish", "-", "--tlp", "green", stdin=b"# empty\n").err


def test_show_says_why_an_object_was_taken_back_and_what_replaces_it(alpha: Home) -> None:
    """`lookup` told it for values; for a malware or a rule nothing did."""
    assert alpha("show", FAMILY["id"], "--json").json["versions"][0]["withdrawal"] is None
    [value] = alpha("lookup", "evil.example", "--json").json[0]["claims"]
    reason = ["--reason", "superseded", "--replaced-by", value["object_id"], "--yes"]
    assert alpha("withdraw", FAMILY["id"], *reason).code == 0
    assert f"taken back: superseded  replaced by {value['object_id']}" in alpha("show", FAMILY["id"]).out
    [version] = alpha("show", FAMILY["id"], "--json").json["versions"]
    assert version["withdrawal"] == {"reason": "superseded", "replaced_by": value["object_id"]}


def test_who_never_gets_it_is_not_said_to_carry_it() -> None:
    """`never gets it from here; carries it unread` was said of a direct envelope for somebody else."""
    assert has_and_reads("no", "no") == "never gets it from here, and could not read it"
    assert has_and_reads("yes", "no") == "has it; carries it unread"
    assert has_and_reads("no", "unknown").startswith("never gets it from here; only")


def test_unmarked_input_is_refused_with_the_sentence_that_says_how_to_mark_it(alpha: Home) -> None:
    unmarked = {key: value for key, value in FAMILY.items() if key != "object_marking_refs"}
    sentence = "hint: give --tlp LEVEL for what has no marking: clear, green, amber, amber+strict or red\n"
    for format_name, raw in (("stix", json.dumps(unmarked).encode()), ("list", b"new.example\n")):
        said = alpha("publish", "-", "--format", format_name, stdin=raw)
        assert (said.code, said.out) == (5, "")
        assert sentence in said.err
    assert alpha("lookup", "new.example").code == 3


def test_a_note_beyond_its_limit_is_refused_also_where_no_daemon_looks(alpha: Home) -> None:
    said = alpha("opinion", FAMILY["id"], "agree", "--to", "bravo", "--note", "w" * 4_001)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: opinion: note: expected text of at most 4000 characters\nhint: ")
    assert alpha("opinion", FAMILY["id"], "agree", "--to", "bravo", "--note", "w" * 4_000).code == 0
