"""Reading warning lists: MISP's format, what is refused and why, and what of an observable is compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ada_url import URL
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.intel.observable import TYPES, InvalidValue, canonical_pair
from p2pshare.intel.spans import SPECIAL_PURPOSE, parts
from p2pshare.limits import (
    WARNING_LIST_BYTES_MAX,
    WARNING_LIST_ENTRIES_MAX,
    WARNING_LIST_NAME_CHARACTERS_MAX,
    WARNING_PATTERN_CHARACTERS_MAX,
    WARNING_PATTERNS_PER_LIST_MAX,
)
from p2pshare.warninglists.builtin_lists import builtin_lists
from p2pshare.warninglists.warning_lists import (
    ATTRIBUTES,
    Allowed,
    WarningList,
    allowed_of,
    parse_warning_list,
)
from p2pshare.warninglists.warning_patterns import PatternSet, texts

# Counted with: python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["list"]))' list.json; what is
# refused was looked at one by one: names without a dot, and two names cut with dots or a missing letter.
REFUSED_IN_REAL_LISTS = {
    "moz-top500": {"bad-domain": 1},
    "second-level-tlds": {"domain-without-dot": 1448},
    "security-provider-blogpost": {"bad-domain": 1},
    "tlds": {"domain-without-dot": 1438},
}


def misp(kind: str, entries: list[Any], *attributes: str, **more: Any) -> bytes:
    document = {"name": "ours", "version": 1, "description": "", "type": kind, "list": entries}
    return json.dumps(document | {"matching_attributes": list(attributes)} | more).encode()


def read(kind: str, entries: list[Any], *attributes: str) -> WarningList:
    found = parse_warning_list(misp(kind, entries, *attributes))
    assert found.read == len(entries) == found.kept + found.merged + found.refusals.total
    return found


def refused(kind: str, entry: Any, *attributes: str) -> str:
    [reason] = read(kind, [entry], *attributes).refusals.counts
    return reason


def whole_refused(raw: bytes) -> str:
    with pytest.raises(AuthorError) as caught:
        parse_warning_list(raw)
    return caught.value.reason


def test_every_entry_of_the_real_lists_is_kept_or_refused_with_its_reason(shared_data: Path) -> None:
    files = sorted((shared_data / "reference" / "misp-warninglists").glob("*/list.json"))
    assert len(files) == 23
    for file in files:
        found = parse_warning_list(file.read_bytes())
        assert found.read == len(json.loads(file.read_bytes())["list"])
        assert found.kept + found.merged + found.refusals.total == found.read
        assert found.refusals.counts == REFUSED_IN_REAL_LISTS.get(file.parent.name, {}), file.parent.name


def test_entries_are_canonical_whatever_their_spelling() -> None:
    found = read(
        "string",
        ["Example.COM", "example.com.", "BÜCHER.example", "example.org:443", "hxxp://x[.]example"],
        "domain",
        "url",
    )
    assert found.names == {"example.com", "xn--bcher-kva.example", "example.org", "http://x.example/"}
    assert found.merged == 1


def test_a_leading_dot_or_star_means_the_host_and_all_below_it_in_any_list_of_names() -> None:
    found = read("string", [".google.ad", "*.google.ae", "google.af"], "domain")
    assert (found.hosts, found.names) == ({"google.ad", "google.ae"}, {"google.af"})
    assert read("hostname", ["bit.ly"], "domain").hosts == {"bit.ly"}


def test_a_top_level_domain_never_stands_for_all_below_it() -> None:
    assert refused("hostname", "com", "domain") == "domain-without-dot"


@pytest.mark.parametrize(
    ("kind", "entry", "reason"),
    [
        ("cidr", "example.com", "bad-address"),
        ("cidr", "300.1.1.1", "bad-address"),
        ("cidr", "10.0.0.0/33", "bad-network"),
        ("string", "", "empty"),
        ("string", "a\u202eb.example", "unsafe-characters"),
        ("string", 7, "wrong-type"),
        ("string", None, "wrong-type"),
        ("substring", " ", "empty"),
        ("regex", "", "empty"),
        ("regex", "//", "empty"),
        ("regex", "/a/e", "bad-regex"),
        ("regex", "(", "bad-regex"),
        ("regex", "x*", "matches-everything"),
        ("substring", "a" * (WARNING_PATTERN_CHARACTERS_MAX + 1), "too-long"),
        ("regex", "a" * (WARNING_PATTERN_CHARACTERS_MAX + 1), "too-long"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_reason(kind: str, entry: Any, reason: str) -> None:
    assert refused(kind, entry, "ip-src", "domain") == reason


def test_a_pattern_that_re2_cannot_compile_is_refused_in_its_words_and_the_rest_is_kept() -> None:
    found = read("regex", [r"/(?=evil)/", r"(a)\1", r"\pL{1000}", "/^good\\.example$/i"])
    assert found.patterns == {"^good\\.example$"}
    [told] = found.refusals.to_json()
    assert (told["reason"], told["count"]) == ("bad-regex", 3)
    assert any("invalid perl operator" in example for example in told["examples"])


def test_a_pattern_that_would_take_a_backtracking_engine_for_ever_answers_at_once() -> None:
    patterns = PatternSet([(r"(a+)+$", 1), (r"(x|xx)*y", 2)])
    assert not list(patterns.matching("a" * 8_000 + "!"))
    assert not list(patterns.matching("x" * 8_000))


def test_patterns_see_both_spellings_of_an_idn_and_no_case() -> None:
    patterns = PatternSet([("BÜCHER", 1), ("^xn--bcher", 2)])
    found = {owner for text in texts("xn--bcher-kva.example") for _, owner in patterns.matching(text)}
    assert found == {1, 2}


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_patterns_of_a_list_end_at_their_limit(over: int) -> None:
    found = read("substring", [f"part{n}" for n in range(WARNING_PATTERNS_PER_LIST_MAX + over)])
    assert found.refusals.counts == ({"too-many-patterns": 1} if over == 1 else {})


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_pattern_and_a_name_may_be_as_long_as_their_limit(over: int) -> None:
    length = WARNING_PATTERN_CHARACTERS_MAX + over
    assert bool(read("regex", ["a" * length]).kept) == (over < 1)
    raw = misp("string", [], name="n" * (WARNING_LIST_NAME_CHARACTERS_MAX + over))
    if over < 1:
        parse_warning_list(raw)
    else:
        assert whole_refused(raw) == "not-a-warning-list"


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_list_may_have_as_many_entries_and_bytes_as_its_limits(over: int) -> None:
    raw = misp("string", ["X"], "md5").replace(b'"X"', b",".join([b"1"] * (WARNING_LIST_ENTRIES_MAX + over)))
    if over < 1:
        assert parse_warning_list(raw).read == WARNING_LIST_ENTRIES_MAX + over
    else:
        assert whole_refused(raw) == "too-many-entries"
    small = misp("string", [])
    padded = small + b" " * (WARNING_LIST_BYTES_MAX + over - len(small))
    if over < 1:
        parse_warning_list(padded)
    else:
        assert whole_refused(padded) == "input-too-large"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[]", "not-a-warning-list"),
        (b"{}", "not-a-warning-list"),
        (misp("prefix", []), "not-a-warning-list"),
        (misp("string", [], name="a\x1b[2Jb"), "not-a-warning-list"),
        (misp("string", [], version="x"), "not-a-warning-list"),
        (misp("string", ["a"], "phone-number"), "no-known-attribute"),
        (b"[" * 100_000, "too-deep"),
    ],
)
def test_what_is_no_list_is_refused_whole(raw: bytes, reason: str) -> None:
    assert whole_refused(raw) == reason


def test_an_attribute_that_is_no_type_here_is_told() -> None:
    assert read("string", ["example.com"], "domain", "phone-number").notes.counts == {"unknown-attribute": 1}


def test_the_table_of_attributes_names_types_that_exist() -> None:
    assert {type_ for types in ATTRIBUTES.values() for type_ in types} <= TYPES


HOSTS = st.sampled_from(
    ["evil.example", "Bücher.example", "192.0.2.7", "[2001:db8::7]", "xn--bcher-kva.example"]
)


@given(
    st.sampled_from(["http", "https", "ftp", "tcp", "ws"]),
    st.sampled_from(["", "user@", "user:pass@", "google.com@", "a:b%40c@"]),
    HOSTS,
    st.sampled_from(["", ":8080", ":443"]),
    st.sampled_from(["", "/", "/a@google.com/", "?q=http://google.com/", "#@google.com", "/a:b"]),
)
def test_the_host_of_a_url_is_the_one_that_a_browser_would_ask(
    scheme: str, user: str, host: str, port: str, rest: str
) -> None:
    try:
        type_, value = canonical_pair("url", f"{scheme}://{user}{host}{port}{rest}")
    except InvalidValue:
        return
    itself, (host_type, found) = parts(type_, value)
    assert itself == (type_, value)
    asked = URL(value).hostname
    assert (f"[{found}]" if host_type == "ipv6" else found) == asked


def test_the_parts_of_what_has_no_host_are_itself() -> None:
    assert parts("md5", "0" * 32) == (("md5", "0" * 32),)
    assert parts("email", "a@b.example") == (("email", "a@b.example"), ("domain", "b.example"))


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Example[.]COM", Allowed("domain", "example.com")),
        ("*.example.com", Allowed("domain", "example.com", True)),
        (".example.com", Allowed("domain", "example.com", True)),
        ("192.0.2.9/24", Allowed("ipv4-net", "192.0.2.0/24")),
        ("192.0.2.9:443", Allowed("ipv4", "192.0.2.9")),
    ],
)
def test_what_a_person_allows_is_read_as_everything_else_is(text: str, allowed: Allowed) -> None:
    assert allowed_of(text) == allowed
    assert allowed_of(allowed.text) == allowed


def test_the_builtin_lists_hold_no_mistake() -> None:
    for one in builtin_lists():
        assert not one.refusals and not one.merged and not one.notes and one.kept
    assert len(set(SPECIAL_PURPOSE)) == len(SPECIAL_PURPOSE)
