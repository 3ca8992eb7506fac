"""The index of warning lists: the traps that other systems fall into, replacing, and what a person set."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.database.arrays import key_tables
from p2pshare.errors import AuthorError, NotFoundError, StoreError
from p2pshare.intel.observable import InvalidValue, canonical_pair, detect
from p2pshare.limits import ALLOW_ENTRIES_MAX
from p2pshare.warninglists import warning_index
from p2pshare.warninglists.builtin_lists import builtin_lists
from p2pshare.warninglists.warning_index import WarningIndex, open_warning_index
from p2pshare.warninglists.warning_lists import ALLOW_LIST_NAME, ListAction, allowed_of, parse_warning_list

NOW = 1_800_000_000


@pytest.fixture
def index(tmp_path: Path) -> Iterator[WarningIndex]:
    one = open_warning_index(tmp_path / "warninglists.sqlite")
    yield one
    one.close()


def put(index: WarningIndex, kind: str, entries: list[str], *attributes: str, name: str = "ours") -> None:
    document = {"name": name, "version": 1, "description": "", "type": kind, "list": entries}
    raw = json.dumps(document | {"matching_attributes": list(attributes)}).encode()
    index.replace(parse_warning_list(raw), ListAction.BLOCK, NOW)


def lists_of(index: WarningIndex, type_: str, text: str) -> list[str]:
    pair = canonical_pair(type_, text)
    return [hit.list_name for hit in index.hits([pair]).get(pair, [])]


def lists_of_text(index: WarningIndex, text: str) -> list[str]:
    """As a person writes it."""
    one = detect(text)
    return lists_of(index, one.type, one.value)


# --- the traps ---


@pytest.mark.parametrize("text", ["EXAMPLE.ORG", "Example.Org.", "example[.]org", "HXXP://EXAMPLE[.]ORG/x"])
def test_upper_case_and_defanging_hide_nothing(index: WarningIndex, text: str) -> None:
    put(index, "string", ["eXample.org"], "domain")
    assert lists_of_text(index, text) == ["ours"]


def test_an_upper_case_hash_or_file_name_hides_nothing(index: WarningIndex) -> None:
    put(index, "string", ["D41D8CD98F00B204E9800998ECF8427F", "Setup.EXE"], "md5", "filename")
    assert lists_of(index, "md5", "d41d8cd98f00b204e9800998ecf8427f") == ["ours"]
    assert lists_of(index, "file-name", "SETUP.exe") == ["ours"]


def test_host_and_port_hide_nothing(index: WarningIndex) -> None:
    put(index, "string", ["example.org"], "domain")
    assert lists_of_text(index, "example.org:8443") == ["ours"]
    assert lists_of_text(index, "http://example.org:8443/") == ["ours"]
    put(index, "string", ["example.org:443"], "domain")
    assert lists_of_text(index, "example.org") == ["ours"]
    assert "public resolvers" in lists_of_text(index, "8.8.8.8:53")
    assert "public resolvers" in lists_of_text(index, "[2001:4860:4860::8888]:53")


def test_user_at_host_hides_nothing(index: WarningIndex) -> None:
    put(index, "hostname", ["example.org"], "domain")
    assert lists_of_text(index, "http://user:password@example.org/") == ["ours"]
    assert lists_of_text(index, "somebody@mail.example.org") == ["ours"]
    assert lists_of_text(index, "http://example.org@evil.example/") == []


def test_both_spellings_of_an_idn_are_one(index: WarningIndex) -> None:
    put(index, "string", ["BÜCHER.example"], "domain")
    assert lists_of_text(index, "xn--bcher-kva.example") == ["ours"]
    assert lists_of_text(index, "https://Bücher.example/") == ["ours"]
    put(index, "substring", ["bücher"], "domain", name="part")
    assert lists_of_text(index, "bücher.test.example") == ["part"]


def test_a_url_whose_host_is_listed_is_caught_by_a_list_of_hosts(index: WarningIndex) -> None:
    put(index, "hostname", ["example.org"], "hostname")
    assert lists_of_text(index, "https://www.example.org/a?b") == ["ours"]
    assert "public resolvers" in lists_of_text(index, "http://8.8.8.8/dns-query")
    assert "special-purpose addresses" in lists_of_text(index, "http://[::1]:80/")


def test_a_listed_url_is_that_url_and_no_other_of_its_host(index: WarningIndex) -> None:
    put(index, "string", ["hxxp://Example.org:80/Known"], "url")
    assert lists_of_text(index, "http://example.org/known") == ["ours"]
    assert lists_of_text(index, "http://example.org/") == lists_of_text(index, "example.org") == []


@pytest.mark.parametrize(
    "text", ["0.0.0.0/1", "0.0.0.0/0", "8.0.0.0/7", "8.8.8.0/24", "::/0", "2001:4860::/32"]
)
def test_a_wider_network_that_covers_a_listed_one_is_caught(index: WarningIndex, text: str) -> None:
    assert "public resolvers" in lists_of_text(index, text)


def test_a_narrower_network_inside_a_listed_one_is_caught(index: WarningIndex) -> None:
    assert lists_of_text(index, "10.20.0.0/16") == ["special-purpose addresses"]
    assert lists_of_text(index, "fd00:1::/32") == ["special-purpose addresses"]
    assert lists_of_text(index, "::ffff:10.0.0.1") == ["special-purpose addresses"]


def test_a_host_is_below_a_listed_one_only_at_a_dot(index: WarningIndex) -> None:
    put(index, "hostname", [".example.org"], "domain")
    assert lists_of_text(index, "a.b.example.org") == ["ours"]
    assert lists_of_text(index, "notexample.org") == []
    assert lists_of_text(index, "example.org.evil.example") == []


def test_a_domain_of_a_hundred_labels_is_looked_for_by_those_alone_that_a_list_can_name(
    index: WarningIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each parent of each value was a key of its own: 20 KB on the wire took 22 MB."""
    put(index, "hostname", [".deep.listed.example"], "domain")
    deep = ".".join(["a"] * 100)
    asked: list[str] = []

    def counting(keys: Collection[str]) -> Any:
        asked.extend(keys)
        return key_tables(keys)

    monkeypatch.setattr(warning_index, "key_tables", counting)
    assert lists_of(index, "domain", f"{deep}.deep.listed.example") == ["ours"]
    assert len(set(asked)) <= 5
    assert lists_of(index, "domain", f"{deep}.listed.example") == []


def test_a_whole_name_stands_for_itself_alone(index: WarningIndex) -> None:
    put(index, "string", ["example.org"], "domain")
    assert lists_of_text(index, "www.example.org") == []


def test_a_list_applies_to_the_types_it_is_about(index: WarningIndex) -> None:
    put(index, "string", ["0" * 32], "md5")
    assert lists_of(index, "md5", "0" * 32) == ["ours"]
    assert lists_of(index, "imphash", "0" * 32) == []
    put(index, "regex", ["^0+$"], "sha1", name="zeros")
    assert lists_of(index, "sha1", "0" * 40) == ["zeros"]
    assert lists_of(index, "md5", "0" * 32) == ["ours"]


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "0.0.0.0/0",
        "0.0.0.0",
        "::1",
        "::",
        "8.8.8.8",
        "1.1.1.1",
        "2001:4860:4860::8888",
        "255.255.255.255",
        "224.0.0.251",
        "169.254.169.254",
        "192.168.0.1",
        "fe80::1",
        "dns.google",
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ],
)
def test_what_is_no_indicator_anywhere_is_caught_without_any_import(index: WarningIndex, text: str) -> None:
    assert lists_of_text(index, text)


@given(st.ip_addresses())
def test_every_address_that_is_not_global_is_on_the_builtin_list_but_those_for_documents(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None or address.is_global:
        return
    [special] = [one for one in builtin_lists() if one.name == "special-purpose addresses"]
    number = int(address)
    is_listed = any(
        one.family == address.version and one.first <= number <= one.last for one in special.spans
    )
    assert is_listed or any(
        address in ipaddress.ip_network(left)
        for left in LEFT_OUT
        if address.version == ipaddress.ip_network(left).version
    )


LEFT_OUT = (
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "198.18.0.0/15",
    "2001:db8::/32",
    "3fff::/20",
    "::ffff:0:0/96",
)

SPELLINGS = st.sampled_from(
    [
        ("dns.google", ["DNS.GOOGLE", "dns.google.", "dns[.]google", "dns.google:853", "'dns.google',"]),
        ("8.8.8.8", ["8[.]8[.]8[.]8", "8.8.8.8/32", "::ffff:8.8.8.8", "8.8.8.8:53", "[8.8.8.8]:53"]),
        ("::1", ["0:0:0:0:0:0:0:1", "::0001", "[::1]:80", "::1/128"]),
        (
            "https://dns.google/x",
            ["hxxps://DNS.google:443/x", "https://dns[.]google/x", "HTTPS://dns.google/x"],
        ),
    ]
)


@given(SPELLINGS, st.data())
def test_spellings_of_one_value_give_one_verdict(
    spellings: tuple[str, list[str]], data: st.DataObject
) -> None:
    plain, others = spellings
    other = data.draw(st.sampled_from(others))
    try:
        one = detect(other)
    except InvalidValue:
        return  # not a spelling that is read at all: it cannot be stored either
    assert (one.type, one.value) == (detect(plain).type, detect(plain).value)


# --- keeping ---


def test_a_list_of_the_same_name_is_replaced_whole_and_keeps_what_a_person_set(index: WarningIndex) -> None:
    put(index, "string", ["one.example", "two.example"], "domain")
    index.set_list("ours", action=ListAction.INFORM, is_enabled=None)
    raw = json.dumps({"name": "ours", "version": 2, "type": "string", "list": ["three.example"]}).encode()
    row = index.replace(parse_warning_list(raw), None, NOW + 1)
    assert (row.version, row.entries, row.action) == (2, 1, ListAction.INFORM)
    assert lists_of_text(index, "one.example") == []
    assert lists_of_text(index, "three.example") == ["ours"]


def test_a_new_list_informs_unless_told(index: WarningIndex) -> None:
    raw = json.dumps({"name": "ours", "type": "string", "list": ["one.example"]}).encode()
    assert index.replace(parse_warning_list(raw), None, NOW).action is ListAction.INFORM


def test_a_list_that_cannot_be_written_whole_leaves_the_old_one(
    index: WarningIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(index, "string", ["one.example"], "domain")
    monkeypatch.setattr(warning_index, "_packed", _fail)
    with pytest.raises(ZeroDivisionError):
        put(index, "string", ["two.example", "192.0.2.1"])
    assert lists_of_text(index, "one.example") == ["ours"]
    assert lists_of_text(index, "two.example") == []


def _fail(span: object) -> Any:
    raise ZeroDivisionError


def test_a_list_that_is_not_enabled_is_not_asked(index: WarningIndex) -> None:
    put(index, "regex", ["example"], "domain")
    index.set_list("ours", action=None, is_enabled=False)
    index.set_list("public resolvers", action=None, is_enabled=False)
    assert lists_of_text(index, "one.example") == lists_of_text(index, "8.8.8.8") == []


def test_no_import_can_take_the_name_of_a_list_of_our_own(index: WarningIndex) -> None:
    for name in ("public resolvers", ALLOW_LIST_NAME):
        with pytest.raises(AuthorError) as caught:
            put(index, "string", ["x.example"], name=name)
        assert caught.value.reason == "name-taken"


def test_what_a_person_set_for_a_builtin_list_outlives_a_restart_and_a_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.sqlite"
    one = open_warning_index(path)
    one.set_list("public resolvers", action=ListAction.INFORM, is_enabled=None)
    before = one.changes()
    one.close()
    one = open_warning_index(path)
    assert one.changes() == before
    one.close()
    monkeypatch.setattr("p2pshare.warninglists.builtin_lists.BUILTIN_VERSION", 2)
    monkeypatch.setattr(warning_index, "BUILTIN_VERSION", 2)
    one = open_warning_index(path)
    assert one.get("public resolvers").action is ListAction.INFORM
    assert one.get("public resolvers").version == 2
    assert one.changes() > before
    one.close()


def test_every_change_of_lists_is_counted(index: WarningIndex) -> None:
    seen = [index.changes()]
    put(index, "string", ["x.example"])
    seen.append(index.changes())
    index.set_list("ours", action=ListAction.INFORM, is_enabled=None)
    seen.append(index.changes())
    index.allow(allowed_of("x.example"), "ours", NOW)
    seen.append(index.changes())
    index.disallow(allowed_of("x.example"), NOW)
    seen.append(index.changes())
    assert seen == sorted(set(seen))


def test_the_allow_list_covers_a_value_a_network_and_a_domain_with_all_below(index: WarningIndex) -> None:
    for text in ("cert.example", "*.our.example", "203.0.113.0/24"):
        assert index.allow(allowed_of(text), "ours", NOW)
    assert not index.allow(allowed_of("CERT.example"), "ours, again", NOW)
    for text in ("cert.example", "https://cert.example/x", "a.our.example", "203.0.113.9", "203.0.0.0/16"):
        [hit] = [hit for hit in index.hits([_pair(text)])[_pair(text)] if hit.is_own]
        assert hit.action is ListAction.BLOCK
    assert lists_of_text(index, "www.cert.example") == []
    [hit] = index.hits([_pair("cert.example")])[_pair("cert.example")]
    assert hit.words == "ours, again"
    index.disallow(allowed_of("cert.example"), NOW)
    assert lists_of_text(index, "cert.example") == []
    with pytest.raises(NotFoundError):
        index.disallow(allowed_of("cert.example"), NOW)


def _pair(text: str) -> tuple[str, str]:
    one = detect(text)
    return one.type, one.value


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_allow_list_ends_at_its_limit(
    index: WarningIndex, monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    assert ALLOW_ENTRIES_MAX == 100_000
    monkeypatch.setattr(warning_index, "ALLOW_ENTRIES_MAX", 3)
    for number in range(3 + min(over, 0)):
        index.allow(allowed_of(f"a{number}.example"), "", NOW)
    if over == 1:
        with pytest.raises(AuthorError):
            index.allow(allowed_of("last.example"), "", NOW)
        index.allow(allowed_of("a1.example"), "other words", NOW)


def test_the_file_of_another_program_or_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite"
    open_warning_index(path).close()
    other = apsw.Connection(str(path))
    other.pragma("user_version", 99)
    other.close()
    with pytest.raises(StoreError) as caught:
        open_warning_index(path)
    assert caught.value.reason == "schema-newer"


def test_the_real_lists_find_what_is_on_them(index: WarningIndex, shared_data: Path) -> None:
    files = sorted((shared_data / "reference" / "misp-warninglists").glob("*/list.json"))
    for file in files:
        index.replace(parse_warning_list(file.read_bytes()), None, NOW)
    assert len(index.lists()) == 23 + 3
    imported = [row for row in index.lists() if row.origin == "imported"]
    read = sum(len(json.loads(file.read_bytes())["list"]) for file in files)
    assert (read, sum(row.entries for row in imported), sum(row.refused for row in imported)) == (
        124_458,
        121_570,
        2_888,
    )
    for text, name in (
        ("https://BIT.ly/abc", "List of known URL Shorteners domains"),
        ("host.duckdns.org", "List of known dynamic DNS domains"),
        ("0.0.0.0/1", "List of known IPv4 public DNS resolvers"),
        ("google.com:443", "Top 1000 websites from Cisco Umbrella"),
        ("www.google.ad", "List of known google domains"),
        ("104.16.1.1", "List of known Cloudflare IP ranges"),
        ("44D88612FEA8A8F36DE82E1278ABB02F", "List of hashes for EICAR test virus"),
    ):
        assert name in lists_of_text(index, text), text
    assert lists_of_text(index, "nothing.of.this.example") == []
