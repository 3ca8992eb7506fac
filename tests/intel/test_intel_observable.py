"""Canonical values: idempotent, equal things equal, different things different, fast paths equal to slow ones."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.intel import artefacts, names
from p2pshare.intel.addresses import canonical_address, is_ipv4
from p2pshare.intel.display import is_safe
from p2pshare.intel.observable import (
    CANONICAL,
    PLAIN,
    TYPES,
    InvalidValue,
    Observable,
    canonical,
    clean,
    detect,
    recognise,
    refang,
)
from p2pshare.limits import VALUE_BYTES_MAX

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)
NEAR_DOMAIN = st.lists(
    LABEL | st.just("xn--bcher-kva") | st.text("aü.-_X", max_size=3), min_size=1, max_size=5
).map(".".join)
NEAR_URL = st.builds(
    lambda scheme, host, rest: f"{scheme}://{host}{rest}",
    st.sampled_from(["http", "https", "HTTP", "ftp", "tcp"]),
    NEAR_DOMAIN | st.ip_addresses(v=4).map(str),
    st.text("/.?#%2eE@:abcA-_~!$'()*+,;=&\\ ^|{}<>`\"", max_size=24),
)
NEAR_IPV4 = st.lists(
    st.integers(0, 300).map(str) | st.sampled_from(["", "01", "0x1", " 1"]), min_size=3, max_size=5
).map(".".join)
NEAR_REGISTRY_KEY = st.text("\\ \u00a0aΣİ", max_size=8).map(lambda text: f"HKLM\\{text}")
ANY_TEXT = (
    st.text(max_size=60) | NEAR_REGISTRY_KEY | NEAR_DOMAIN | NEAR_URL | NEAR_IPV4 | st.ip_addresses().map(str)
)


def reason(type_: str, text: str) -> str:
    with pytest.raises(InvalidValue) as caught:
        canonical(type_, text)
    return caught.value.reason


@given(st.sampled_from(sorted(TYPES)), ANY_TEXT)
@example("url", "http://a.com/%")
@example("email", "A.B@Bücher.example")
def test_canonicalising_twice_changes_nothing_and_no_value_can_harm_a_terminal(type_: str, text: str) -> None:
    try:
        found = canonical(type_, text)
    except InvalidValue:
        return
    assert canonical(found.type, found.value) == found
    assert is_safe(found.value)
    assert found.value == found.value.strip() != ""
    assert len(found.value.encode()) <= VALUE_BYTES_MAX


@given(ANY_TEXT)
def test_what_is_recognised_is_recognised_again_as_the_same(text: str) -> None:
    try:
        found = detect(text)
    except InvalidValue:
        return
    assert canonical(found.type, found.value) == found
    assert detect(found.value) == found


@given(st.sampled_from(sorted(PLAIN)), ANY_TEXT | st.text("0123456789abcdefA ", min_size=32, max_size=64))
@example("domain", "a.b")
@example("domain", "a.0x1")
@example("url", "http://1.2.3/")
@example("url", "http://a.com/a/..b")
@example("md5", "d41d8cd98f00b204e9800998ecf8427 ")
def test_fast_path_never_takes_what_the_slow_path_would_change(type_: str, text: str) -> None:
    if PLAIN[type_](text) and len(text) <= VALUE_BYTES_MAX:
        assert CANONICAL[type_](clean(text)) == (type_, text)


PLAIN_DOMAIN = st.builds(
    lambda labels, last: ".".join([*labels, last]),
    st.lists(LABEL, min_size=1, max_size=4),
    st.from_regex(r"(0x)?[0-9a-f_-]{0,3}[a-z]", fullmatch=True),
)


@given(PLAIN_DOMAIN)
def test_fast_domains_equal_slow_ones(text: str) -> None:
    if names.is_plain_domain(text):
        assert names._domain_slowly(text) == text


@given(
    st.sampled_from(["http", "https"]),
    PLAIN_DOMAIN | st.ip_addresses(v=4).map(str),
    st.text("/.?#%eE@:abcA-_~!$'()*+,;=&\\ ^|{}", max_size=12),
)
def test_fast_urls_equal_slow_ones(scheme: str, host: str, rest: str) -> None:
    text = f"{scheme}://{host}/{rest}"
    if names.is_plain_url(text):
        assert names._url_slowly(text) == text


@given(NEAR_IPV4)
def test_fast_ipv4_equals_the_standard_library(text: str) -> None:
    try:
        expected = str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        expected = False
    assert is_ipv4(text) == expected


@given(st.ip_addresses(v=6), st.booleans())
def test_every_spelling_of_an_ipv6_address_is_one_value(
    address: ipaddress.IPv6Address, is_upper: bool
) -> None:
    text = address.exploded.upper() if is_upper else address.exploded
    mapped = address.ipv4_mapped
    assert canonical("ipv6", text).value == str(mapped or address.compressed)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_host_bits_of_a_network_do_not_make_another_value(address: ipaddress.IPv4Address, bits: int) -> None:
    network = ipaddress.ip_network((address, bits), strict=False)
    found = canonical("ipv4-net", f"{address}/{bits}")
    assert found == canonical("ipv4-net", str(network))
    assert found == canonical("ipv6-net", f"::ffff:{address}/{bits + 96}")
    assert found.type == ("ipv4" if bits == 32 else "ipv4-net")


@given(st.ip_addresses(), st.ip_addresses())
def test_different_addresses_stay_different(one: object, other: object) -> None:
    fold = [address.ipv4_mapped or address if address.version == 6 else address for address in (one, other)]  # type: ignore[attr-defined]
    assert (canonical("ipv6", str(one)) == canonical("ipv6", str(other))) == (fold[0] == fold[1])


@given(st.from_regex(r"[a-zà-öø-ÿа-я]{1,10}(\.[a-zà-öø-ÿа-я]{2,10}){1,3}", fullmatch=True))
def test_domains_agree_with_the_idna_library(text: str) -> None:
    try:
        expected = idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode()
    except idna.IDNAError:
        return  # it also applies IDNA 2008's registration rules, which live domains break
    assert canonical("domain", text).value == expected


@given(st.sampled_from(sorted(artefacts.HASH_LENGTHS)), st.data())
def test_hashes_lose_only_their_case(type_: str, data: st.DataObject) -> None:
    length = artefacts.HASH_LENGTHS[type_]
    text = data.draw(st.text("0123456789abcdefABCDEF", min_size=length, max_size=length))
    assert canonical(type_, text).value == text.lower()
    assert reason(type_, text[1:]) == "bad-hash"
    assert reason(type_, text[:-1] + "g") == "bad-hash"
    assert reason(type_, text[:5] + "_" + text[6:]) == "bad-hash"


EQUAL = [
    ("domain", "EVIL.Example.COM.", "evil.example.com"),
    ("domain", "Bücher.example", "xn--bcher-kva.example"),
    ("domain", "XN--BCHER-KVA.example", "xn--bcher-kva.example"),
    ("domain", "ｅｖｉｌ。example", "evil.example"),
    ("domain", "i❤.ws", "xn--i-7iq.ws"),
    ("domain", "faß.example", "xn--fa-hia.example"),
    ("domain", "r3---sn-x.example.com", "r3---sn-x.example.com"),
    ("domain", "_dmarc.example.com", "_dmarc.example.com"),
    ("url", "HTTP://EVIL.example:80/A/../B#", "http://evil.example/B"),
    ("url", "http://evil.example", "http://evil.example/"),
    ("url", "http://evil.example./x", "http://evil.example/x"),
    (
        "url",
        "https://user@Bücher.example:443/ü?q=ü#f",
        "https://user@xn--bcher-kva.example/%C3%BC?q=%C3%BC#f",
    ),
    ("url", "tcp://EVIL.example@EVIL.example:80", "tcp://EVIL.example@evil.example:80"),
    ("url", "http://0x7f.1/", "http://127.0.0.1/"),
    ("url", "http://[2001:DB8::1]/", "http://[2001:db8::1]/"),
    ("email", "Ab.C@EVIL.example", "Ab.C@evil.example"),
    ("ipv6", "2001:0DB8:0:0::1", "2001:db8::1"),
    ("ipv6", "::ffff:192.0.2.1", "192.0.2.1"),
    ("ipv4-net", "192.0.2.77/24", "192.0.2.0/24"),
    ("ipv4-net", "192.0.2.77/32", "192.0.2.77"),
    ("ipv6-net", "2001:db8::1/128", "2001:db8::1"),
    ("mac", "00-1B-44-11-3A-B7", "00:1b:44:11:3a:b7"),
    ("mac", "001b.4411.3ab7", "00:1b:44:11:3a:b7"),
    ("asn", "AS64500", "64500"),
    ("cve", "cve-2021-44228", "CVE-2021-44228"),
    ("registry-key", "HKLM\\Software\\Evil", "hkey_local_machine\\software\\evil"),
    ("file-name", "e\u0301vil.exe", "évil.exe"),
    ("mutex", " Global\\Evil ", "Global\\Evil"),
]


@pytest.mark.parametrize(("type_", "text", "value"), EQUAL)
def test_equal_things_are_equal(type_: str, text: str, value: str) -> None:
    assert canonical(type_, text).value == value


REFUSED = [
    ("domain", "localhost", "domain-without-dot"),
    ("domain", "a..example", "bad-domain"),
    ("domain", "evil example.com", "bad-domain"),
    ("domain", "192.0.2.999", "bad-domain"),
    ("domain", "host.0x1f", "bad-domain"),
    ("domain", "xn--a.example", "bad-domain"),
    ("domain", "a" * 64 + ".example", "bad-domain"),
    ("domain", ".".join(["a" * 60] * 5), "bad-domain"),
    ("domain", "evil\u202e.example", "unsafe-characters"),
    ("ipv4", "192.0.2.01", "bad-address"),
    ("ipv4", "2001:db8::1", "bad-address"),
    ("ipv6", "fe80::1%eth0", "zone-id"),
    ("ipv4-net", "192.0.2.0/33", "bad-network"),
    ("ipv4-net", "192.0.2.0/255.255.255.0", "bad-network"),
    ("ipv4-net", "192.0.2.0/٢٤", "bad-network"),
    ("url", "evil.example/path", "bad-url"),
    ("url", "javascript:alert(1)", "bad-url"),
    ("url", "http://intranet/", "bad-host"),
    ("url", "http://evil.example/\x1b[2J", "unsafe-characters"),
    ("url", "http://evil.example/" + "ü" * 4000, "too-long"),
    ("email", "a@b@c.example", "bad-email"),
    ("email", "@evil.example", "bad-email"),
    ("email", "a b@evil.example", "bad-email"),
    ("md5", "d41d8cd98f00b204e9800998ecf8427", "bad-hash"),
    ("sha256", "d41d8cd98f00b204e9800998ecf8427e", "bad-hash"),
    ("asn", "AS4294967296", "bad-asn"),
    ("registry-key", "HKXX\\Software", "bad-registry-key"),
    ("registry-key", "HKLM\\ \\", "bad-registry-key"),
    ("file-name", "invoice\u202excod.exe", "unsafe-characters"),
    ("user-agent", "", "empty"),
    ("user-agent", "a" * (VALUE_BYTES_MAX + 1), "too-long"),
    ("no-such-type", "x", "unknown-type"),
]


@pytest.mark.parametrize(("type_", "text", "expected"), REFUSED)
def test_what_has_no_canonical_form_is_refused_with_its_reason(type_: str, text: str, expected: str) -> None:
    assert reason(type_, text) == expected


def test_a_value_at_the_limit_is_taken_and_one_above_is_not() -> None:
    assert canonical("user-agent", "a" * VALUE_BYTES_MAX).value == "a" * VALUE_BYTES_MAX
    assert reason("user-agent", "ü" * (VALUE_BYTES_MAX // 2 + 1)) == "too-long"


DETECTED = [
    ("hxxps://evil[.]example(.)com/a", "url", "https://evil.example.com/a", ""),
    ("hXXp[://]evil[dot]example", "url", "http://evil.example/", ""),
    ("evil[.]example", "domain", "evil.example", ""),
    ("evil [.] example", "domain", "evil.example", ""),
    ("bad[at]evil[.]example", "email", "bad@evil.example", ""),
    ("192[.]0[.]2[.]1", "ipv4", "192.0.2.1", ""),
    ("192.0.2.1:8080", "ipv4", "192.0.2.1", "port-dropped"),
    ("evil.example:8080", "domain", "evil.example", "port-dropped"),
    ("[2001:db8::1]:443", "ipv6", "2001:db8::1", "port-dropped"),
    ("2001:DB8::1", "ipv6", "2001:db8::1", ""),
    ("192.0.2.0/24", "ipv4-net", "192.0.2.0/24", ""),
    ("192.0.2.1/gate.php", "url", "http://192.0.2.1/gate.php", "scheme-assumed"),
    ("evil.example:81/a", "url", "http://evil.example:81/a", "scheme-assumed"),
    ("*.evil.example", "domain", "evil.example", "wildcard-dropped"),
    ("http://[2001:db8::1]/", "url", "http://[2001:db8::1]/", ""),
    ("D41D8CD98F00B204E9800998ECF8427E", "md5", "d41d8cd98f00b204e9800998ecf8427e", ""),
    ('"evil.example",', "domain", "evil.example", ""),
    ("invoice.exe", "file-name", "invoice.exe", ""),
    ("CVE-2021-44228", "cve", "CVE-2021-44228", ""),
    ("as64500", "asn", "64500", ""),
    ("00:1B:44:11:3A:B7", "mac", "00:1b:44:11:3a:b7", ""),
    ("HKCU\\Software\\Evil", "registry-key", "hkey_current_user\\software\\evil", ""),
    ("3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C", "ssdeep", "3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C", ""),
]


@pytest.mark.parametrize(("text", "type_", "value", "note"), DETECTED)
def test_values_as_people_write_them(text: str, type_: str, value: str, note: str) -> None:
    found = recognise(text)
    assert (found.observable, found.note) == (Observable(type_, value), note)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/gate.php", "path-only"),
        ("evil.example is bad", "not-one-value"),
        ("SHA256", "unknown-type"),
        ("and/or", "unknown-type"),
        ("...", "unknown-type"),
        ("http://evil.example/a...", "cut-off"),
        ("evil.exam\u2026", "cut-off"),
        ("abcdef[...]", "cut-off"),
        ("192.0.2.1:99999", "bad-port"),
        ("\u200b", "unsafe-characters"),
        ("[.]", "unknown-type"),
        ("", "empty"),
    ],
)
def test_what_nobody_can_mean_is_refused(text: str, expected: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        detect(text)
    assert caught.value.reason == expected


@given(st.text("[](){}.:/ @dothxpDOTAT\\", max_size=2000))
def test_refanging_any_text_ends(text: str) -> None:
    assert len(refang(text)) <= len(text) + 1


def test_hostile_lengths_take_no_time() -> None:
    for text in (" " * 60_000, "[" * 60_000, "[ . ]" * 12_000, "a." * 4_000, "1:" * 4_000, "h" * 8_000):
        with pytest.raises(InvalidValue):
            detect(text)
        refang(text)


def test_urls_agree_with_the_whatwg_cases(shared_data: Path) -> None:
    cases = json.loads((shared_data / "formats/url-wpt/urltestdata.json").read_text())
    checked = 0
    for case in cases:
        if not isinstance(case, dict) or case.get("base") not in (None, "about:blank"):
            continue
        try:
            found = canonical("url", case["input"]).value
        except InvalidValue:
            continue
        assert not case.get("failure"), case["input"]
        expected = case["href"].removesuffix("#") if case.get("hash") == "" else case["href"]
        if canonical("url", expected).value == expected:  # hosts that are lowered or lose a dot are ours
            assert found == expected
            checked += 1
    assert checked > 80


def test_addresses_keep_their_family() -> None:
    assert canonical_address("::1") == ("ipv6", "::1")
    assert canonical_address("0.0.0.0/0") == ("ipv4-net", "0.0.0.0/0")
    assert canonical_address("::/0") == ("ipv6-net", "::/0")


DASHES = st.sampled_from(
    ["-", "_", "~", "..", " - ", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212", " \u2013 "]
)
OCTET = st.integers(0, 255).map(str)
ADDRESS = st.ip_addresses(v=4).map(str)
LENGTH = st.integers(0, 32).map(lambda bits: f"/{bits}")
RANGES = st.one_of(
    st.builds(lambda one, dash, other: f"{one}{dash}{other}", ADDRESS, DASHES, ADDRESS | OCTET),
    st.builds(lambda one, dash, other: f"{one}{dash}{other}", ADDRESS, st.sampled_from("-\u2013"), ADDRESS | OCTET).flatmap(
        lambda text: st.sampled_from([f"{text}/24", f"{text}:80", f"http://{text}/", f"http://{text}/a"])
    ),
    st.builds(
        lambda parts, place, wide: ".".join([*parts[:place], wide, *parts[place + 1 :]]),
        st.lists(OCTET, min_size=4, max_size=4), st.integers(0, 3), st.sampled_from(["*", "x", "xxx", "1-5", "[1-5]"]),
    ),
    st.builds(lambda one, dash, other: f"{one}{dash}{other}", st.ip_addresses(v=6).map(str), st.sampled_from(["-", "\u2013", " - "]), st.ip_addresses(v=6).map(str)),
)  # fmt: skip


@given(RANGES)
@example("198.51.100.1-5")
@example("192.0.2.0/24-192.0.3.0/24")
def test_a_range_of_addresses_is_no_name_and_no_url_that_nobody_wrote(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        recognise(text)
    assert caught.value.reason == "address-range"


@given(ADDRESS, st.integers(1, 32))
def test_a_netmask_is_a_length(address: str, bits: int) -> None:
    mask = str(ipaddress.IPv4Network((0, bits)).netmask)
    found = recognise(f"{address}/{mask}")
    assert (found.observable, found.note) == (canonical("ipv4-net", f"{address}/{bits}"), "netmask")


@pytest.mark.parametrize(
    "rest",
    ["0.0.0.0", "0.0.0.255", "255.0.255.0", "255.255.255", "24/", "24//", "24:80", "24-28", "1.2", "33", "192.0.2.5", "24\u201328"],
)  # fmt: skip
def test_a_spoilt_mask_is_no_path(rest: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        recognise(f"192.0.2.1/{rest}")
    assert caught.value.reason in ("bad-network", "address-range")


@pytest.mark.parametrize(
    "text",
    ["192.0.2.1/gate.php", "192.0.2.1/24/gate.php", "192.0.2.1:80/a-5", "192.0.2.1-5.dyn.example", "1.0.0.1.in-addr.arpa", "163.com", "1-2-3-4.example/x", "10.x.example"],
)  # fmt: skip
def test_names_and_paths_that_look_a_little_like_ranges_are_read(text: str) -> None:
    assert recognise(text).observable.type in ("domain", "url")


QUOTES = "\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\u2032\u2033\u300c\u300d\uff02"
SIGNS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2192\u27a1\u2022\u00b7\u2713\u25cf\u2502\u2020\u2021\u00a7\u00b0\u00ae\u2122\u00b9\u00b2\u2074\u2460\u00aa\u1d43"
TYPOGRAPHY = st.sampled_from(QUOTES + SIGNS)


@given(
    st.sampled_from(["evil.example", "http://evil.example", "http://evil.example/", "bad@evil.example", "192.0.2.1", "evil.exe", "evil.example/gate.php"]),
    TYPOGRAPHY,
    st.booleans(),
)  # fmt: skip
def test_a_sign_of_the_text_around_a_value_makes_no_name_of_it(text: str, sign: str, is_before: bool) -> None:
    with pytest.raises(InvalidValue) as caught:
        recognise(f"{sign}{text}" if is_before else f"{text}{sign}")
    assert caught.value.reason in ("typography", "bad-url")  # a sign before the scheme leaves none


@given(
    st.sampled_from(["domain", "url", "email"]),
    st.text("abcxyz", min_size=1, max_size=5),
    TYPOGRAPHY,
    st.text("abcxyz", min_size=1, max_size=5),
)
def test_a_typographic_sign_inside_a_name_is_refused_under_every_type(
    type_: str, before: str, sign: str, after: str
) -> None:
    host = f"{before}{sign}{after}.example"
    text = {"domain": host, "url": f"http://{host}/", "email": f"x@{host}"}[type_]
    assert reason(type_, text) == "typography"


@pytest.mark.parametrize("text", ['"http://evil.example/', 'http://evil.example/"', "http://evil.example/a>", "`evil.example", "<evil.example"])  # fmt: skip
def test_half_a_pair_of_quotes_is_part_of_no_value(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        recognise(text)
    assert caught.value.reason == "typography"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("paral\u00b7lel.example", "xn--parallel-koa.example"),
        ("\U0001f4a9.example", "xn--ls8h.example"),
        ("http://evil.example/a\u2013b", "http://evil.example/a%E2%80%93b"),
        ("xn--evilhost-vn3d.example", "xn--evilhost-vn3d.example"),
    ],
)
def test_what_somebody_did_write_is_read(text: str, value: str) -> None:
    assert detect(text).value == value
