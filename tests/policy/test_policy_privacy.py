"""The privacy lint: what tells of ourselves is found wherever it hides, and what does not is let through."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.intel.observable import detect
from p2pshare.policy.privacy import PrivacyRules, find_in_object, find_in_value, has_marks

RULES = PrivacyRules(frozenset({"local", "int.cert.example"}), frozenset({"staff.example"}))


def reason_of_value(text: str) -> str | None:
    one = detect(text)
    found = find_in_value(one.type, one.value, RULES)
    return found and found.reason


def reason_of(stix: dict[str, Any]) -> str | None:
    found = find_in_object(stix, RULES)
    return found and found.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10.1.2.3", "private-address"),
        ("172.16.0.1", "private-address"),
        ("172.32.0.1", None),
        ("192.168.0.0/16", "private-address"),
        ("100.64.1.1", "private-address"),
        ("127.0.0.1", "private-address"),
        ("169.254.169.254", "private-address"),
        ("fd00::1", "private-address"),
        ("fe80::/64", "private-address"),
        ("::ffff:10.0.0.1", "private-address"),
        ("http://10.0.0.1:8080/x", "private-address"),
        ("http://[fd00::1]/", "private-address"),
        ("0.0.0.0/0", None),
        ("8.8.8.8", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("printer.local", "internal-name"),
        ("HOST.int.CERT.example", "internal-name"),
        ("int.cert.example", "internal-name"),
        ("cert.example", None),
        ("paint.cert.example", None),
        ("https://wiki.int.cert.example/page", "internal-name"),
        ("anna@staff.example", "internal-mail"),
        ("anna@mx.staff.example", "internal-mail"),
        ("anna@int.cert.example", "internal-mail"),
        ("anna@elsewhere.example", None),
        ("staff.example", None),
    ],
)
def test_values_that_tell_of_ourselves(text: str, reason: str | None) -> None:
    assert reason_of_value(text) == reason


@given(st.ip_addresses(v=4))
def test_every_rfc_1918_address_is_private_under_any_spelling(address: ipaddress.IPv4Address) -> None:
    inside = any(
        address in ipaddress.ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    )
    if inside:
        for text in (str(address), f"::ffff:{address}", f"http://{address}/", f"{address}:80"):
            assert reason_of_value(text) == "private-address"


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\anna.k\AppData\evil.exe",
        r"c:\\users\\anna\\x",
        "C:/Users/anna/x",
        r"D:\Documents and Settings\anna\x",
        r"\\fileserver\Users\anna\x",
        r"%SystemDrive%\Users\anna\x",
        "/home/anna/.ssh/id_ed25519",
        "see /home/anna",
        "/Users/anna/Library",
        "file:///home/anna/x",
        "PATH=/home/anna/bin",
    ],
)
def test_a_user_name_in_a_path_is_found_wherever_it_stands(path: str) -> None:
    for stix in (
        {"type": "note", "content": f"seen: {path}"},
        {"type": "process", "command_line": path},
        {"type": "x-own", "a": [{"b": {"c": path}}]},
        {"type": "x-own", path: 1},
    ):
        assert reason_of(stix) == "user-name-in-path"
        assert has_marks(json.dumps(stix).encode(), RULES)


@pytest.mark.parametrize(
    "text",
    [
        r"C:\Users\Public\x.exe",
        r"C:\Users\%USERNAME%\x",
        r"C:\Users\<user>\x",
        r"C:\Users\*\AppData",
        r"%USERPROFILE%\AppData",
        "/home/user/x",
        "/home/.config",
        r"C:\Users\&lt;name&gt;\x",
        "http://evil.example/home/index.php",
        "https://evil.example/Users/list",
        "the users and their home",
        "rc.local",
        "~/.local/share",
        "version 10.0.0.1",
    ],
)
def test_what_names_nobody_is_let_through(text: str) -> None:
    assert reason_of({"type": "note", "content": text}) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mail to anna@staff.example.", "internal-mail"),
        ("(Anna@Staff.Example)", "internal-mail"),
        ("on wiki.int.cert.example today", "internal-name"),
        ("INT.CERT.EXAMPLE", "internal-name"),
        ("print.cert.example", None),
        ("int.cert.example.org", None),
        ("xint.cert.example", None),
        ("anna@staff.example.org", None),
    ],
)
def test_own_names_are_found_in_prose(text: str, reason: str | None) -> None:
    stix = {"type": "report", "description": text}
    assert reason_of(stix) == reason
    if reason:
        assert has_marks(json.dumps(stix).encode(), RULES)


@pytest.mark.parametrize(
    ("stix", "reason"),
    [
        ({"type": "user-account", "account_login": "anna"}, "user-account"),
        (
            {"type": "observed-data", "objects": {"0": {"type": "user-account", "user_id": "1001"}}},
            "user-account",
        ),
        ({"type": "ipv4-addr", "value": "10.0.0.1"}, "private-address"),
        (
            {"type": "observed-data", "objects": {"0": {"type": "ipv6-addr", "value": "fd00::1"}}},
            "private-address",
        ),
        ({"type": "domain-name", "value": "DC01.local"}, "internal-name"),
        ({"type": "url", "value": "http://dc01.local/x"}, "internal-name"),
        ({"type": "indicator", "pattern": "[ipv4-addr:value = '10.0.0.9' AND x:y = 'z']"}, "private-address"),
        ({"type": "indicator", "pattern": "[ipv4-addr:value = '1.2.3.4' AND x:y = 'z']"}, None),
        ({"type": "ipv4-addr", "value": "not an address"}, None),
        ({"type": "ipv4-addr", "value": 7}, None),
        ({"type": ["x"], "value": "10.0.0.1"}, None),
        ({"type": "identity", "contact_information": "anna@staff.example"}, None),
        ({"type": "marking-definition", "definition": {"statement": "anna@staff.example"}}, None),
    ],
)
def test_objects_that_tell_of_ourselves(stix: dict[str, Any], reason: str | None) -> None:
    assert reason_of(stix) == reason


def test_a_mark_written_in_json_escapes_is_not_passed_over() -> None:
    assert has_marks(rb'{"a": "C:\\\u0055sers\\anna"}', RULES)
    assert not has_marks(b'{"type": "indicator", "pattern": "[url:value = \'http://evil.example/\']"}', RULES)


def test_a_text_made_to_be_slow_is_read_in_linear_time() -> None:
    for piece in ("\\", "C:\\", "a@", "a.", "/home", "int.cert.example-", "\\users"):
        reason_of({"type": "note", "content": piece * (200_000 // len(piece))})
