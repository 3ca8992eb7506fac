"""Sigma rules as STIX indicators: the rule's text is the pattern, kept as it was written.

A file holds one rule or several, parted by lines of `---`. A rule is looked at, never run: its YAML is
bounded (`yaml_text`), it must have what the Sigma specification requires, and each name in a condition must
be a selection of the rule. Kinds: detections, correlations and filters (Sigma specification 2.1).

Kept beside the text: title, description, status, level and tags (as labels), references, author and licence.
The object is ours (`created_by_ref`), for we vouch for having sent it; the rule is its author's. The id is
the rule's own UUID; a rule without one is named by its title. A rule never claims an observable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.importers.interface import InputSource, ObjectFormat
from p2pshare.importers.rules import Rule, indicator_of, texts_of
from p2pshare.importers.yaml_text import load_mapping
from p2pshare.intel.bundle import BundleObject, Reading, object_of, repetition
from p2pshare.intel.json_text import Fault, without_bom
from p2pshare.limits import OBJECTS_PER_BUNDLE_MAX, RULE_BYTES_MAX

_BOUNDARY = re.compile(r"^(?:---|\.\.\.)(?=\s|\Z)[^\n]*\n?", re.MULTILINE)
_TITLE = re.compile(rb"^title:", re.MULTILINE)
_BODY = re.compile(rb"^(?:logsource|detection|correlation|filter|status):", re.MULTILINE)
_TOKEN = re.compile(r"[()]|[^\s()]+")
_QUANTITY = re.compile(r"1|any|all|\d{1,4}", re.IGNORECASE)
_OPERATORS = frozenset({"and", "or"})

# What a rule of each kind must have, and of which type (Sigma specification, sections "Structure").
_REQUIRED: dict[str, dict[str, type]] = {
    "detection": {"title": str, "logsource": dict, "detection": dict},
    "correlation": {"title": str, "correlation": dict},
    "filter": {"title": str, "logsource": dict, "filter": dict},
}
_NOT_SELECTIONS = frozenset({"condition", "timeframe", "rules"})


def read_sigma(raw: bytes, source: InputSource) -> Reading:
    """Returns the rules in a Sigma file. Raises AuthorError: encoding, not-utf8, too-many-objects."""
    reading = Reading()
    seen: dict[str, BundleObject] = {}
    for line, text in documents_of(without_bom(raw).decode()):
        reading.read += 1
        if reading.read > OBJECTS_PER_BUNDLE_MAX:
            raise AuthorError(
                f"more than {OBJECTS_PER_BUNDLE_MAX} rules", hint="split the file", reason="too-many-objects"
            )
        found = _read_rule(text, source, reading)
        where = f"the rule at line {line}"
        if isinstance(found, Fault):
            reading.refusals.add(found.reason, f"{where} {found.path}".rstrip())
            continue
        first = seen.setdefault(found.object_id, found)
        if first is found:
            reading.objects.append(found)
        else:
            reading.refusals.add(repetition(first, found), f"{where} {found.object_id}")
    return reading


def documents_of(text: str) -> Iterator[tuple[int, str]]:
    """Yields (line it begins on, text) of each YAML document that holds something. A line that begins with
    `---` parts documents wherever it stands (YAML 1.2 section 9.1.2: no content may begin with it)."""
    begin = line = 0
    first = 1
    for end in chain(_BOUNDARY.finditer(text), [None]):
        document = text[begin : len(text) if end is None else end.start()]
        if any(one.strip() and not one.lstrip().startswith(("#", "%")) for one in document.splitlines()):
            yield first, document
        if end is not None:
            line += text.count("\n", begin, end.end())
            first = line + 1
            begin = end.end()


def _read_rule(text: str, source: InputSource, reading: Reading) -> BundleObject | Fault:
    if len(text.encode()) > RULE_BYTES_MAX:
        return Fault("rule-too-large", "")
    rule, fault = load_mapping(text)
    if rule is None:
        return fault or Fault("not-yaml", "")
    fault = find_wrong_in(rule)
    if fault is not None:
        return fault
    if "|" in "".join(_conditions_of(rule)):
        reading.notes.add("aggregation", str(rule["title"]))
    indicator = indicator_of(rule_of(rule, text), source)
    return indicator if isinstance(indicator, Fault) else object_of(indicator)


def rule_of(rule: Mapping[Any, Any], text: str) -> Rule:
    """Returns a checked rule as it describes itself."""
    tags = texts_of(rule.get("tags"))
    return Rule(
        language="sigma",
        text=text,
        name=rule["title"],
        own_id="".join(texts_of(rule.get("id"))[:1]),
        description="\n".join(texts_of(rule.get("description"))),
        date=str(rule.get("date", "")),
        author=", ".join(texts_of(rule.get("author"))),
        licence=", ".join(texts_of(rule.get("license"))),
        references=texts_of(rule.get("references")),
        labels=[*tags, *(f"sigma-{name}:{rule[name]}" for name in ("level", "status") if rule.get(name))],
        tlp=[tag[4:] for tag in tags if tag.lower().startswith("tlp.")],
    )


def find_wrong_in(rule: Mapping[Any, Any]) -> Fault | None:
    """Returns the first fault of a rule, or None: missing-property, wrong-type, bad-condition, unknown-selection."""
    kind = next((name for name in ("correlation", "filter") if name in rule), "detection")
    for name, type_ in _REQUIRED[kind].items():
        if rule.get(name) in (None, "", {}):
            return Fault("missing-property", f"/{name}")
        if not isinstance(rule[name], type_):
            return Fault("wrong-type", f"/{name}")
    body = rule[kind]
    if kind == "correlation":
        return None if isinstance(body.get("type"), str) else Fault("missing-property", "/correlation/type")
    if not body.get("condition"):
        return Fault("missing-property", f"/{kind}/condition")
    conditions = _conditions_of(rule)
    if not conditions:
        return Fault("wrong-type", f"/{kind}/condition")
    selections = {str(name) for name in body if name not in _NOT_SELECTIONS}
    for condition in conditions:
        reason = check_condition(condition, selections)
        if reason:
            return Fault(reason, f"/{kind}/condition")
    return None


def _conditions_of(rule: Mapping[Any, Any]) -> list[str]:
    """Returns the conditions of a checked rule; a list of them is as many rules in one."""
    body = rule.get("detection") or rule.get("filter") or {}
    condition = body.get("condition") if isinstance(body, dict) else None
    found = condition if isinstance(condition, list) else [condition]
    return (
        [one for one in found if isinstance(one, str)] if all(isinstance(one, str) for one in found) else []
    )


def check_condition(condition: str, selections: set[str]) -> str:
    """Returns the fault of a condition, or empty: `bad-condition`, `unknown-selection`. Reads and/or/not,
    parentheses, `1 of x*`, `all of them`; what follows `|` (an aggregation, deprecated) is not looked at."""
    tokens = _TOKEN.findall(condition.partition("|")[0])
    depth = position = 0
    wants_operand = is_known = True
    while position < len(tokens):
        token = tokens[position]
        word = token.lower()
        position += 1
        if not wants_operand:
            if word == ")" and depth:
                depth -= 1
            elif word in _OPERATORS:
                wants_operand = True
            else:
                return "bad-condition"
        elif word == "(":
            depth += 1
        elif word != "not":
            if _QUANTITY.fullmatch(word) and tokens[position : position + 1] in (["of"], ["OF"], ["Of"]):
                token = tokens[position + 1] if position + 1 < len(tokens) else ")"
                position += 2
            if token in ("(", ")") or token.lower() in _OPERATORS:
                return "bad-condition"
            is_known = is_known and _is_known(token, selections)
            wants_operand = False
    if wants_operand or depth:
        return "bad-condition"
    return "" if is_known else "unknown-selection"


def _is_known(name: str, selections: set[str]) -> bool:
    if name == "them":
        return bool(selections)
    if "*" not in name:
        return name in selections
    first, *parts = name.split("*")
    return any(_fits(selection, first, parts) for selection in selections)


def _fits(selection: str, first: str, parts: list[str]) -> bool:
    """Returns whether the parts of a name, with anything between them, make up the selection's."""
    if not selection.startswith(first):
        return False
    position = len(first)
    for part in parts[:-1]:
        found = selection.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return len(selection) - len(parts[-1]) >= position and selection.endswith(parts[-1])


def _is_sigma(head: bytes, is_named_so: bool) -> bool:
    """Returns whether the file is named so, or has the keys of a rule."""
    start = head.lstrip()
    return is_named_so or (_TITLE.search(start) is not None and _BODY.search(start) is not None)


FORMAT = ObjectFormat(read_sigma, _is_sigma)
