"""A file with one rule as a lab takes it: what it says of itself, beside its text, which stays byte for byte as it was written.

The author and the licence are looked for where each language has them. Neither is made up: what a file does not say is empty, and whoever adds
it says so. A Sigma file may hold a correlation and the rules that it names, a YARA file several rules: the file is the rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from p2pshare.errors import AuthorError
from p2pshare.importers.detection import detect_format
from p2pshare.importers.rules import texts_of
from p2pshare.importers.sigma import documents_of, find_wrong_in
from p2pshare.importers.sigma import rule_of as sigma_rule_of
from p2pshare.importers.yaml_text import load_mapping
from p2pshare.importers.yara import header_licence, rule_of_yara
from p2pshare.importers.yara_text import split_rules
from p2pshare.intel.json_text import without_bom
from p2pshare.limits import RULE_BYTES_MAX

SIGMA_LEVELS = ("informational", "low", "medium", "high", "critical")
RULES_IN_FILE_MAX = 64  # a correlation with the rules it names, a YARA rule with its private ones
NETWORK_ENDINGS = (".rules",)
_TECHNIQUE = re.compile(r"\bt\d{4}(?:\.\d{3})?\b", re.IGNORECASE)
_MESSAGE = re.compile(r'\bmsg\s{0,8}:\s{0,8}"((?:[^"\\\n]|\\.){1,500})"')
_METADATA = re.compile(r"\bmetadata\s{0,8}:\s{0,8}([^;\n]{1,4000});")
_COMMENTED = re.compile(
    r"^#\s{0,8}(author|licen[sc]e)\s{0,8}:\s{0,8}([^\n]{1,500})", re.IGNORECASE | re.MULTILINE
)
_NETWORK_ID = re.compile(r"\bsid\s{0,8}:\s{0,8}(\d{1,12})")


class RuleFile(NamedTuple):
    """What a file says of its rule. `own_id`: what its author calls it through all its versions; empty where nothing stands there. UNTRUSTED text."""

    language: str
    title: str
    author: str
    licence: str
    level: str
    techniques: tuple[str, ...]
    own_id: str


def read_rule_file(raw: bytes, name: str, language: str = "") -> RuleFile:
    """Returns what a file says of its rule. `language` empty: found out by its name and its beginning. Raises AuthorError: bad-rule, rule-too-large,
    unknown-language, encoding, not-utf8."""
    if len(raw) > RULE_BYTES_MAX:
        raise AuthorError(
            f"a rule has at most {RULE_BYTES_MAX} bytes", hint="split the file", reason="rule-too-large"
        )
    found = language or _language_of(raw, name)
    if found not in _READERS:
        raise AuthorError(
            "in which language it is cannot be told", hint="say --language", reason="unknown-language"
        )
    text = without_bom(raw).decode()
    if not text.strip():
        raise AuthorError("it is empty", reason="bad-rule")
    return _READERS[found](text)


def _language_of(raw: bytes, name: str) -> str:
    if name.lower().endswith(NETWORK_ENDINGS):
        return "suricata"
    return detect_format(raw[:8192], name)


def _sigma(text: str) -> RuleFile:
    rules: list[tuple[str, Mapping[Any, Any]]] = []
    for line, document in documents_of(text):
        rule, fault = load_mapping(document)
        fault = fault or (find_wrong_in(rule) if rule is not None else None)
        if rule is None or fault is not None:
            why = "" if fault is None else f": {fault.reason} {fault.path}".rstrip()
            raise AuthorError(f"the rule at line {line} is none{why}", reason="bad-rule")
        rules.append((document, rule))
        if len(rules) > RULES_IN_FILE_MAX:
            raise AuthorError(f"a file has at most {RULES_IN_FILE_MAX} rules", reason="bad-rule")
    if not rules:
        raise AuthorError("it holds no rule", reason="bad-rule")
    told = [sigma_rule_of(rule, document) for document, rule in rules]
    is_main = [("correlation" in rule) for _, rule in rules]
    main = is_main.index(True) if any(is_main) else 0
    level = str(rules[main][1].get("level", "")).lower()
    return RuleFile(
        language="sigma",
        title=_one_line(told[main].name),
        author=_joined(one.author for one in told),
        licence=_joined(one.licence for one in told),
        level=level if level in SIGMA_LEVELS else "",
        techniques=_techniques(tag for _, rule in rules for tag in texts_of(rule.get("tags"))),
        own_id=told[main].own_id.lower(),
    )


def _yara(text: str) -> RuleFile:
    found = split_rules(text)
    if found.has_includes:
        raise AuthorError("it includes another file: its rule means nothing without it", reason="includes")
    if found.broken is not None or not found.rules:
        raise AuthorError(
            f"line {text.count(chr(10), 0, found.broken or 0) + 1}: no rule ends here", reason="bad-rule"
        )
    if len(found.rules) > RULES_IN_FILE_MAX:
        raise AuthorError(f"a file has at most {RULES_IN_FILE_MAX} rules", reason="bad-rule")
    licence = header_licence(text, found.rules[0].start)
    told = [rule_of_yara(rule, "", licence, is_verified=True) for rule in found.rules]
    words = (word for rule in found.rules for word in [*rule.tags, *(value for _, value in rule.meta)])
    return RuleFile(
        language="yara",
        title=found.rules[-1].name,
        author=_joined(one.author for one in told),
        licence=_joined(one.licence for one in told),
        level="",
        techniques=_techniques(words),
        own_id=found.rules[-1].name,
    )


def _network(language: str) -> Callable[[str], RuleFile]:
    def read(text: str) -> RuleFile:
        message = _MESSAGE.search(text)
        if message is None:
            raise AuthorError('it holds no rule: no msg:"..." stands in it', reason="bad-rule")
        said: dict[str, list[str]] = {"author": [], "licence": []}
        words: list[str] = []
        for metadata in _METADATA.findall(text):
            for pair in metadata.split(","):
                key, _, value = pair.strip().partition(" ")
                words.append(value)
                if key.lower() in ("author", "licence", "license"):
                    said["author" if key.lower() == "author" else "licence"].append(value)
        for key, value in _COMMENTED.findall(text):
            said["author" if key.lower() == "author" else "licence"].append(value)
        number = _NETWORK_ID.search(text)
        return RuleFile(
            language=language,
            title=_one_line(message[1]),
            author=_joined(said["author"]),
            licence=_joined(said["licence"]),
            level="",
            techniques=_techniques(words),
            own_id="" if number is None else number[1],
        )

    return read


_READERS: Mapping[str, Callable[[str], RuleFile]] = {
    "sigma": _sigma,
    "yara": _yara,
    "suricata": _network("suricata"),
    "snort": _network("snort"),
}
LANGUAGES = tuple(_READERS)


def _joined(texts: Iterable[str]) -> str:
    """Returns each text once, in their order: several rules of one file may have several authors."""
    return ", ".join(dict.fromkeys(_one_line(one) for one in texts if one.strip()))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _techniques(words: Iterable[str]) -> tuple[str, ...]:
    """Returns the techniques of MITRE ATT&CK among some words (`attack.t1059.001`), ascending."""
    return tuple(sorted({one.lower() for word in words for one in _TECHNIQUE.findall(word)}))
