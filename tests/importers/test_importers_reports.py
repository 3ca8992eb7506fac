"""Reports: what a person marked as a value is found, what only looks like one is not taken."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.importers.interface import ListValue, TextMarking
from p2pshare.importers.reports import TAKEN_TYPES, read_report
from p2pshare.intel.observable import canonical
from p2pshare.intel.refusals import Refusal
from p2pshare.limits import LIST_LINE_BYTES_MAX

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SHA1 = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def read(text: str | bytes, *, takes_undefanged: bool = False) -> list[str]:
    """Each value as `type value note`, each refusal as `- reason example`."""
    raw = text if isinstance(text, bytes) else text.encode()
    return [
        f"{one.observable.type} {one.observable.value} {one.note}".rstrip()
        if isinstance(one, ListValue)
        else f"- {one.reason} {one.example}".rstrip()
        for one in read_report(io.BytesIO(raw), takes_undefanged=takes_undefanged)
        if not isinstance(one, TextMarking)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Nothing is here, e.g. no value: 12:30:45, 3.14, v1.2, i.e. none.", []),
        # defanged in every spelling
        ("- 50pm4[.]com - 82.146.46[.]29", ["domain 50pm4.com", "ipv4 82.146.46.29"]),
        ("evil(.)example evil{.}example evil[dot]example evil(dot)example", ["domain evil.example"] * 4),
        ("evil[ . ]example", ["domain evil.example"]),
        ("hxxp://evil.example/a.php", ["url http://evil.example/a.php"]),
        ("hXXps[:]//evil[.]example:8443/a", ["url https://evil.example:8443/a"]),
        ("http[://]evil.example/ h**p://evil.example/", ["url http://evil.example/"] * 2),
        ("https://gitlab[.]com/x/README.md", ["url https://gitlab.com/x/README.md"]),
        ("mail bad[@]evil.example or bad@evil[.]example", ["email bad@evil.example"] * 2),
        ("bad (at) home, bad[at]evil[dot]example", ["email bad@evil.example"]),
        ("ask intel[at]vendor.com (at) once", ["- not-defanged intel@vendor.com"]),
        ("evil\\[.\\]example evil\\[\\.\\]example", ["domain evil.example"] * 2),
        ("2001[:]db8[:]0:0::1", ["ipv6 2001:db8::1"]),
        ("192.0.2[.]0/24 and 192.0.2[.]9/32", ["ipv4-net 192.0.2.0/24", "ipv4 192.0.2.9"]),
        ("evil[.]example/gate.php?a=1,2", ["url http://evil.example/gate.php?a=1,2 scheme-assumed"]),
        ("evil[.]example:8080, 192.0.2[.]1:443.", ["domain evil.example port-dropped", "ipv4 192.0.2.1 port-dropped"]),
        ("*.evil[.]example", ["domain evil.example wildcard-dropped"]),
        ("IP:192.0.2[.]1;C2=evil[.]example", ["ipv4 192.0.2.1", "domain evil.example"]),
        ("b\u00fccher[.]example", ["domain xn--bcher-kva.example"]),
        ("hxxp://[2001:db8::1]/x", ["url http://[2001:db8::1]/x"]),
        ("hxxp://a.example/,hxxp://b.example/", ["url http://a.example/", "url http://b.example/"]),
        ("hxxp://a.example/?u=http://b.example/", ["url http://a.example/?u=http://b.example/"]),
        # ranges, masks and typography make no name that nobody wrote
        ("used 192[.]0[.]2[.]30-39 and 192[.]0[.]2[.]0-255/24", ["- address-range 192.0.2.30-39", "- address-range 192.0.2.0-255/24"]),
        ("Some Lab:198.51.100.4-198.51.100.7, nginx 1.2.3.4-5", ["- address-range 198.51.100.4-198.51.100.7"]),
        ("a mask 192[.]0[.]2[.]0/255.255.255.0 and 203[.]0[.]113[.]200/30:443", ["- bad-network 192.0.2.0/255.255.255.0", "- bad-network 203.0.113.200/30:443"]),
        ("also ranges=203[.]0[.]113[.]0/25,x", ["ipv4-net 203.0.113.0/25"]),
        ("evil[.]example\u00b9 evil\u2212host[.]example", ["- typography evil.example\u00b9", "- typography evil\u2212host.example"]),
        # around a value: sentence, Markdown, AsciiDoc, HTML
        ("(see evil[.]example).", ["domain evil.example"]),
        ("**evil[.]example**, _evil[.]example_ 'evil[.]example'", ["domain evil.example"] * 3),
        ("|`45.63.89[.]238` |`a.evil[.]example` |2020", ["ipv4 45.63.89.238", "domain a.evil.example"]),
        ("|hxxp://evil.example/a|b|", ["url http://evil.example/a"]),
        ("| hxxp://evil.example/a+ |", ["url http://evil.example/a"]),
        ("[evil[.]example](https://evil.example/)", ["domain evil.example", "- reference-link https://evil.example/"]),
        ("(hxxp://evil.example/a_(b)).", ["url http://evil.example/a_(b)"]),
        ("hxxp://evil.example/a<br>next", ["url http://evil.example/a"]),
        ("evil[.]example\u2014a dropper", ["domain evil.example"]),
        # hashes
        (f"{MD5} {SHA1.lower()} {SHA256}", [f"md5 {MD5}", f"sha1 {SHA1.lower()}", f"sha256 {SHA256}"]),
        (f"|`{SHA1}` |`org.telegram.FlyGram` |Android/Spy.A", [f"sha1 {SHA1.lower()}"]),
        (f"SHA256:{SHA256}, md5={MD5}; ({MD5})", [f"sha256 {SHA256}", f"md5 {MD5}", f"md5 {MD5}"]),
        (f"{SHA1} \u2013 Policy.exe", [f"sha1 {SHA1.lower()}"]),
        ("|3072:abcDEF/+123:xyzXYZ |", ["ssdeep 3072:abcDEF/+123:xyzXYZ"]),
        (f"{SHA256}l", [f"- bad-hash {SHA256}l"]),
        (SHA256[:-1], [f"- bad-hash {SHA256[:-1]}"]),
        ("0" * 32 + " " + "1234567890" * 4, ["- unlikely-hash " + "0" * 32, "- unlikely-hash " + "1234567890" * 4]),
        (f"Thumbprint: {SHA1}", [f"- not-a-file-hash {SHA1}"]),
        (f"Serial number: {MD5}, SHA-1: {SHA1}", [f"- not-a-file-hash {MD5}", f"sha1 {SHA1.lower()}"]),
        (f"=== Certificate SHA-1 thumbprint\n\n{SHA1}\n=== Files\n{SHA1}", [f"- not-a-file-hash {SHA1}", f"sha1 {SHA1.lower()}"]),
        (f"{SHA256}  certificate 07.20.doc", [f"sha256 {SHA256}"]),
        (f"{MD5}[.]evil[.]example", [f"domain {MD5}.evil.example"]),
        (f"https://virustotal.com/gui/file/{SHA256}", [f"- not-defanged https://virustotal.com/gui/file/{SHA256}"]),
        (f"/files/{MD5} C:\\x\\{MD5} {MD5}.exe", []),
        (f"{MD5[:8]}-{MD5[8:12]}-{MD5[12:16]}-{MD5[16:20]}-{MD5[20:]}", []),
        # CVE ids
        ("CVE-2021-44228 (cve-2017-11882), CVE\u20112021\u201144228", ["cve CVE-2021-44228", "cve CVE-2017-11882", "cve CVE-2021-44228"]),
        ("Win32/Exploit.CVE-2017-11882.H", ["cve CVE-2017-11882"]),
        ("https://nvd.nist.gov/vuln/detail/CVE-2021-44228", ["- not-defanged https://nvd.nist.gov/vuln/detail/CVE-2021-44228"]),
        # not defanged
        ("port 443 - www.tumblr.com", ["- not-defanged www.tumblr.com"]),
        ("217.12.204.135 or 2001:db8:1:2::3", ["- not-defanged 217.12.204.135", "- not-defanged 2001:db8:1:2::3"]),
        ("write to a.b@vendor.com", ["- not-defanged a.b@vendor.com"]),
        ("at https://vendor.com/blog/", ["- not-defanged https://vendor.com/blog/"]),
        ("[here](https://vendor.com/blog)", ["- reference-link https://vendor.com/blog"]),
        ("https://vendor.com/blog[blog post]", ["- reference-link https://vendor.com/blog"]),
        ("<https://vendor.com/blog> [1]: https://vendor.com/b", ["- reference-link https://vendor.com/blog", "- reference-link https://vendor.com/b"]),
        ('<a href="https://vendor.com/b">', ["- reference-link https://vendor.com/b"]),
        # passed over: files, names, paths
        ("evil.exe readme.md run.sh a.py update.zip x.cab 07.20.doc adjure-07.07.2020.doc", []),
        ("System.Net ASP.NET Node.js com.example.online org.thoughtcrime.securesmsplus", []),
        ("C:\\Users\\x\\evil.com /usr/lib/evil.com GET /a/b.php?x=evil.com Win32/Agent.ABOZ", []),
        ("Perl::Module a::b std::vector 00:11:22:33:44:55 1.2.3 1.2.3.4.5 07.07.20.20", []),
        # values in part
        ("evil[.]exam\u2026 and hxxp://evil.example/abc...", ["- cut-off evil.exam", "- cut-off http://evil.example/abc".replace("http", "hxxp")]),
        (f"{MD5}\u2026", [f"- cut-off {MD5}"]),
        ("hxxp://evil.example/<id>/x", ["- placeholder hxxp://evil.example/"]),
        ("hxxp://evil.example/[user]/x hxxp://e.example/%s", ["- placeholder hxxp://evil.example/", "- placeholder hxxp://e.example/%s"]),
        ("server-{1,30}[.]evil[.]example", ["- placeholder .evil.example"]),
        ("plumbum44[.] cyou", ["- loose-mark plumbum44. cyou"]),
        ("we write [.] for a dot", ["- loose-mark we write . for a dot"]),
        ("evil[.example", ["- loose-mark evil[.example"]),
        ("evil[.]exe", ["- file-name evil.exe"]),
        ("/gate[.]php", ["- file-name gate.php"]),
        ("300.1.2[.]3 a..b[.]c", ["- bad-address 300.1.2.3", "- bad-domain a..b.c"]),
    ],
)  # fmt: skip
def test_texts_as_people_write_them(text: str, expected: list[str]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("| 217.12.204.135 | contirecovery.ws |", ["ipv4 217.12.204.135", "domain contirecovery.ws"]),
        ("http://evil.example/a a@evil.com", ["url http://evil.example/a", "email a@evil.com"]),
        ("evil.com/gate.php", ["url http://evil.com/gate.php scheme-assumed"]),
        ("[here](https://vendor.com/blog)", ["- reference-link https://vendor.com/blog"]),
        ("Chrome version 91.0.4472.1, v5.1.2.3", []),
        ("version 10.2.30.4", ["- version-number 10.2.30.4"]),
        ("evil.exe System.Net /usr/lib/evil.com", []),
    ],
)
def test_what_is_not_defanged_is_taken_when_a_person_says_so(text: str, expected: list[str]) -> None:
    assert read(text, takes_undefanged=True) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x1b[31mevil[.]example", ["unsafe-characters"]),
        ("evil\u202e[.]example".encode(), ["unsafe-characters"]),
        ("evil\u200b[.]example".encode(), ["unsafe-characters"]),
        (b"evil\x00[.]example", ["unsafe-characters"]),
        (b"\xff\xfeevil[.]example"[2:] + b"\xff", ["not-utf8"]),
        (b"x" * (LIST_LINE_BYTES_MAX + 1) + b"\nevil[.]example \xff\n", ["line-too-long", "evil.example"]),
    ],
)
def test_bytes_that_could_hide_something_are_refused(raw: bytes, expected: list[str]) -> None:
    found = [
        one.reason if isinstance(one, Refusal) else one.observable.value
        for one in read_report(io.BytesIO(raw))
    ]
    assert found == expected


def test_a_utf_16_text_is_refused_as_a_whole() -> None:
    with pytest.raises(AuthorError) as caught:
        read("evil[.]example".encode("utf-16"))
    assert caught.value.reason == "encoding"


HOSTILE = [
    "a.", "[.]", "a[.]", "[", "(((", "http://", "hxxp://", ",hxxp://", "CVE-2021-", "CVE-2021-44228", ":", "1:", "@", "a@", ".", "..",
    "/", "a/", "a.b/", "%s", "\\", "*", "_", "a*.", "{", "}", "a" * 33, "0x", MD5, MD5 + " ", "thumbprint " + MD5 + " ", "sha1 ", "=", "# ",
    "\u2026", "\u00fc.", "\udcff", "\x1b[31m", "v", "version ", "<br", "](", "1.1.1.1/", "abcdef:",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_full_line_of_anything_is_read_to_its_end(piece: str) -> None:
    line = (piece * LIST_LINE_BYTES_MAX).encode("utf-8", "surrogateescape")[: LIST_LINE_BYTES_MAX - 32]
    for takes_undefanged in (False, True):
        read(line + b" hxxp://evil.example/a", takes_undefanged=takes_undefanged)


WORDS = st.text(alphabet="abcdefghij0123456789", min_size=1, max_size=10)
DOMAINS = st.builds("{}.{}.example".format, WORDS, WORDS)
VALUES = st.one_of(
    DOMAINS,
    st.ip_addresses(v=4).map(str),
    DOMAINS.map("https://{}/a/b?c=d".format),
    DOMAINS.map("user@{}".format),
)
AROUND = st.sampled_from(
    [
        "{}",
        "See {}.",
        "`{}`",
        "| {} | x |",
        "({})",
        "- {}",
        "**{}**",
        '"{}"',
        "a, {}; b",
        "{} port 443",
        "\t{}\r",
    ]
)


@given(VALUES, AROUND)
def test_a_defanged_value_is_found_wherever_it_stands(value: str, around: str) -> None:
    marked = value.replace(".", "[.]").replace("http", "hxxp").replace("@", "[@]")
    type_, found = read(around.format(marked))[0].split(" ", 1)
    assert canonical(type_, value).value == found


@given(st.text(max_size=200) | st.text(alphabet="ab.[]()@:/\\ hxtp-09…|`<>", max_size=200))
def test_any_text_is_read_and_what_is_taken_is_canonical(text: str) -> None:
    for one in read_report(io.BytesIO(text.encode("utf-8", "surrogateescape")), takes_undefanged=True):
        if isinstance(one, ListValue):
            assert one.observable.type in TAKEN_TYPES
            assert canonical(one.observable.type, one.observable.value) == one.observable


@given(
    st.text(alphabet="ab1.,;:/@ ()[]{}`|*_\\-…", max_size=60),
    st.text(alphabet="ab1.,;:/@ ()`|*_\\-…", max_size=60),
)
def test_a_mark_is_never_passed_over_in_silence(before: str, after: str) -> None:
    assert read(f"{before}[.]{after}") != []


def test_a_url_with_a_line_of_parentheses_behind_it_is_read() -> None:
    assert read("hxxp://evil.example/(a)" + ").),." * 10_000) == ["url http://evil.example/(a)"]


# --- real data: a second, simpler extraction says what must be found ----------------------------------------

HOST = r"[A-Za-z0-9-]+(?:(?:\.|\[\.\])[A-Za-z0-9-]+)*"
MARKED_HOST = re.compile(rf"{HOST}\[\.\]{HOST}|(?<=hxxp://){HOST}|(?<=hxxps://){HOST}")
HASHES = {"md5": r"\b[0-9A-Fa-f]{32}\b", "sha1": r"\b[0-9A-Fa-f]{40}\b", "sha256": r"\b[0-9A-Fa-f]{64}\b"}


class Outcome:
    """What a set of reports gave: distinct values, and refusals with their examples."""

    def __init__(self, paths: list[Path]) -> None:
        self.values: set[tuple[str, str]] = set()
        self.refused: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        for path in paths:
            with path.open("rb") as stream:
                for one in read_report(stream):
                    if isinstance(one, ListValue):
                        self.values.add((one.observable.type, one.observable.value))
                    elif isinstance(one, Refusal):
                        self.refused[one.reason] += 1
                        self.examples.setdefault(one.reason, []).append(one.example)

    def of(self, type_: str) -> set[str]:
        return {value for kind, value in self.values if kind == type_}

    @property
    def hosts(self) -> set[str]:
        return {
            value.split("/")[2].partition(":")[0] if type_ == "url" else value.rpartition("@")[2]
            for type_, value in self.values
            if type_ in ("url", "domain", "ipv4", "email")
        }

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(type_ for type_, _ in self.values))


def marked_hosts(text: str) -> set[str]:
    """Every host with a defanged dot or behind hxxp, alone or in a URL, by one pattern."""
    return {match.replace("[.]", ".").lower() for match in MARKED_HOST.findall(text)}


def digits(text: str, type_: str) -> set[str]:
    return {found.lower() for found in re.findall(HASHES[type_], text)}


def test_unit42_case_notes(shared_data: Path) -> None:
    paths = sorted((shared_data / "text-reports/unit42-TA551").glob("20*.txt"))
    assert len(paths) == 30
    found = Outcome(paths)
    text = "\n".join(path.read_text() for path in paths)
    assert found.of("sha256") == digits(text, "sha256")
    assert found.hosts == marked_hosts(text)
    assert found.counts == {"domain": 406, "ipv4": 293, "url": 5, "sha256": 1155}
    assert found.refused == {"not-defanged": 112, "loose-mark": 1, "bad-hash": 1}


def test_eset_reports(shared_data: Path) -> None:
    paths = sorted((shared_data / "misp-events/eset").rglob("*.adoc"))
    assert len(paths) == 34
    found = Outcome(paths)
    text = "\n".join(path.read_text() for path in paths)
    of_certificates = set(re.findall(r"(?:Serial number|Thumbprint): ([0-9a-f]+)", text))
    of_certificates.add("90c22db300f44ec79beab4662bb77ed1e81843bc")  # beneath a heading that says so
    assert {one.lower() for one in found.examples["not-a-file-hash"]} <= of_certificates
    assert digits(text, "md5") - found.of("md5") - of_certificates == {
        "fc7fbe66c820f17c30147235e95d31b8"  # the last part of a URL's path
    }
    assert digits(text, "sha1") - found.of("sha1") == of_certificates & digits(text, "sha1")
    assert digits(text, "sha256") - found.of("sha256") == {  # names of files that the page links to
        "45cbc80fe0cac8004f862b9eb90b53b57b06299f98e20923185eb08c363d1ec4",
        "358bb04f6a0bf8ce88d23b2e620ac01b28d307ab80286f6ee2dcc484a6b1a5d0",
    }
    missing = (
        marked_hosts(text) - found.hosts - {"www.mit.gov.it", "upscript.mse"}
    )  # inside the paths of URLs
    in_part = " ".join(found.examples["placeholder"])
    assert {host for host in missing if host not in in_part} == set()
    assert found.hosts - marked_hosts(text) == set()
    assert found.counts == {
        "domain": 257, "ipv4": 248, "url": 209, "email": 9, "sha1": 918, "sha256": 2, "ssdeep": 3, "cve": 1,
    }  # fmt: skip
    assert found.refused == {
        "not-defanged": 310,
        "reference-link": 34,
        "placeholder": 45,
        "not-a-file-hash": 23,
    }


def test_prodaft_reports_are_hashes_unless_a_person_says_more(shared_data: Path) -> None:
    paths = sorted(
        path for path in (shared_data / "text-reports/prodaft").rglob("*.md") if path.name != "SOURCE.md"
    )
    assert len(paths) == 12
    found = Outcome(paths)
    text = "\n".join(path.read_text() for path in paths)
    for type_ in HASHES:
        assert found.of(type_) == digits(text, type_)
    assert found.counts == {"md5": 669, "sha1": 669, "sha256": 1300}
    assert found.refused == {"not-defanged": 469, "reference-link": 8, "bad-hash": 1}


def event_values(folder: Path) -> set[str]:
    """Every value in the MISP events of a folder, by the standard library's JSON, lower case."""
    found: set[str] = set()
    for path in folder.glob("*.json"):
        pending = [json.loads(path.read_bytes())]
        while pending:
            node = pending.pop()
            if isinstance(node, dict):
                found.update(str(node.get("value", "")).lower().split("|"))
                pending += node.values()
            elif isinstance(node, list):
                pending += node
    return found - {""}


def test_what_is_found_in_a_report_stands_in_the_event_its_author_published(shared_data: Path) -> None:
    """Precision against the authors themselves: twelve folders hold the report and the MISP event of one case. Only
    one report names eleven hashes and a CVE id that its event does not; every link to the vendor's own pages is left alone."""
    beside: dict[str, int] = {}
    found = 0
    for path in sorted((shared_data / "misp-events/eset").glob("*/README.adoc")):
        told = event_values(path.parent)
        if len(told) < 2:
            continue
        values = {value.lower() for _, value in Outcome([path]).values}
        found += len(values)
        others = {
            value
            for value in values - told
            if value.rstrip("/") not in told and value.split("://")[-1] not in told
        }
        if others:
            beside[path.parent.name] = len(others)
            assert {value for value in others if re.fullmatch(r"[0-9a-f]{32,64}", value) is None} == {
                "cve-2017-11882"
            }
    assert (found, beside) == (557, {"oceanlotus": 12})
