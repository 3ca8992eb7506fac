"""YARA rules as STIX indicators: one for each rule of a file, whose pattern compiles alone.

A pattern is the rule's text as written, with the comments right before it; where the rule needs them, the imports
and the rules that it names, and the file's global rules, stand before it. Rules are compiled with YARA-X to check
them, where that is installed, and never run. A rule that only lacks what its scanner gives it (external variables,
a module) is kept and labelled `not-verified`, as is every rule where YARA-X is not installed; one that does not
compile is refused. A file that includes another is refused: its rules mean nothing without it.

The id is UUIDv5 over author and the rule's name, which YARA keeps unique: a changed rule is a new version.
"""

from __future__ import annotations

import re
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.importers.interface import InputSource, ObjectFormat
from p2pshare.importers.rules import Rule, indicator_of
from p2pshare.importers.yara_text import YaraFile, YaraRule, split_rules
from p2pshare.intel.bundle import BundleObject, Reading, object_of
from p2pshare.intel.json_text import Fault, without_bom
from p2pshare.limits import OBJECTS_PER_BUNDLE_MAX, RULE_BYTES_MAX, RULE_NEEDS_MAX

yara_x: Any
try:
    import yara_x
except ImportError:  # the optional extra `yara`
    yara_x = None

# What YARA-X says of a rule that is sound where its scanner knows more than the compiler does.
MISSING_ONLY = frozenset({"UnknownIdentifier", "UnknownModule", "UnknownField"})
# Behind blanks and comments, the first thing that only YARA says.
_BEGINNING = re.compile(
    rb"(?:\s++|//[^\n]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*\*/)*"
    rb'(?:(?:import|include)\s+"|(?:(?:private|global)\s+){0,2}rule\s+\w+\s*[:{])'
)
_LICENCE = re.compile(r"licen[sc]e[ \t]{0,8}[:=][ \t]{0,8}([^\n]{1,200})", re.IGNORECASE)
_REFERENCE = re.compile(r"https?://[^\s,;\"']{1,2000}", re.IGNORECASE)


def read_yara(raw: bytes, source: InputSource) -> Reading:
    """Returns the rules in a YARA file. Raises AuthorError: encoding, too-many-objects."""
    text = _decode(raw)
    found = split_rules(text)
    if len(found.rules) > OBJECTS_PER_BUNDLE_MAX:
        raise AuthorError(
            f"more than {OBJECTS_PER_BUNDLE_MAX} rules", hint="split the file", reason="too-many-objects"
        )
    reading = Reading(read=len(found.rules))
    if found.broken is not None:
        reading.read += 1
        reading.refusals.add(
            "bad-rule", f"line {text.count(chr(10), 0, found.broken) + 1}: no rule ends here"
        )
    licence = header_licence(text, found.rules[0].start) if found.rules else ""
    by_name: dict[str, YaraRule] = {}
    for rule in found.rules:
        made = (
            Fault("duplicate-id", "")
            if rule.name in by_name
            else _read_rule(text, rule, found, by_name, licence, source, reading)
        )
        by_name.setdefault(rule.name, rule)
        if isinstance(made, Fault):
            reading.refusals.add(made.reason, f"rule {rule.name} {made.path}".rstrip())
        else:
            reading.objects.append(made)
    return reading


def _decode(raw: bytes) -> str:
    """Returns the text, with bytes that are not UTF-8 as surrogates: they cost the rule they stand in, and no other."""
    try:
        return without_bom(raw).decode()
    except AuthorError as error:
        if error.reason != "not-utf8":
            raise
        return raw.decode("utf-8-sig", "surrogateescape")


def _read_rule(
    text: str,
    rule: YaraRule,
    found: YaraFile,
    by_name: dict[str, YaraRule],
    licence: str,
    source: InputSource,
    reading: Reading,
) -> BundleObject | Fault:
    if found.has_includes:
        return Fault("includes", "")
    needed = _needed(rule, found, by_name)
    parts = [text[one.start : one.end] for one in needed] + [text[rule.begin : rule.end].strip("\r\n")]
    if len(needed) > RULE_NEEDS_MAX or sum(map(len, parts)) > RULE_BYTES_MAX:
        return Fault("rule-too-large", "")
    words = {word.split(".")[0] for one in (*needed, rule) for word in one.words}
    imports = [f'import "{module}"\n' for module in dict.fromkeys(found.imports) if module in words]
    pattern = "".join(imports) + "\n".join(parts)
    if not pattern.isascii() and any("\ud800" <= character <= "\udfff" for character in pattern):
        return Fault("not-utf8", "")
    problem = compile_problem(pattern)
    if isinstance(problem, Fault):
        return problem
    if problem:
        reading.notes.add("not-verified", f"rule {rule.name}: {problem}")
    indicator = indicator_of(rule_of_yara(rule, pattern, licence, is_verified=not problem), source)
    return indicator if isinstance(indicator, Fault) else object_of(indicator)


def _needed(rule: YaraRule, found: YaraFile, by_name: dict[str, YaraRule]) -> list[YaraRule]:
    """Returns the rules before this one that it cannot do without, in the order of the file; one more than
    RULE_NEEDS_MAX at most. A rule names only what stands before it."""
    needed: dict[str, YaraRule] = {
        one.name: one for one in found.rules if one.is_global and one.end <= rule.start
    }
    pending = [rule, *needed.values()]
    while pending and len(needed) <= RULE_NEEDS_MAX:
        for word in sorted(pending.pop().words):
            names = [name for name in by_name if name.startswith(word[:-1])] if word.endswith("*") else [word]
            for name in names:
                one = by_name.get(name)
                if one is not None and name not in needed:
                    needed[name] = one
                    pending.append(one)
    return sorted(needed.values(), key=lambda one: one.start)


def compile_problem(pattern: str) -> Fault | str:
    """Returns empty for a pattern that compiles; a text where it could not be verified; a Fault bad-rule
    where it is wrong."""
    if yara_x is None:
        return "YARA-X is not installed"
    compiler = yara_x.Compiler(relaxed_re_syntax=True, includes_enabled=False)
    try:
        compiler.add_source(pattern)
    except yara_x.CompileError:
        errors = compiler.errors()
    else:
        return ""
    title = str(errors[0]["title"])
    return title if all(one["type"] in MISSING_ONLY for one in errors) else Fault("bad-rule", title)


def header_licence(text: str, end: int) -> str:
    """Returns the licence that the head of a file names, before the first rule at `end`; else an empty text."""
    found = _LICENCE.search(text, 0, end)
    return found[1].strip(" */.") if found is not None else ""


def rule_of_yara(rule: YaraRule, pattern: str, licence: str, *, is_verified: bool) -> Rule:
    """Returns a rule as it describes itself; `licence` where it names none."""
    meta: dict[str, list[str]] = {}
    for name, value in rule.meta:
        meta.setdefault(name.lower(), []).append(value)

    def named(*names: str) -> list[str]:
        return [value for name in names for value in meta.get(name, ()) if value.strip()]

    return Rule(
        language="yara",
        text=pattern,
        name=rule.name,
        external_id="".join(named("id", "uuid")[:1]),
        description="\n".join(named("description", "desc")),
        date="".join(named("date")[:1]),
        author=", ".join(named("author")),
        licence=", ".join(named("license", "licence")) or licence,
        references=[url for text in named("reference", "references") for url in _REFERENCE.findall(text)],
        labels=[*rule.tags, *([] if is_verified else ["not-verified"])],
        tlp=named("tlp", "sharing", "rule_sharing_tlp"),
    )


def _is_yara(head: bytes, is_named_so: bool) -> bool:
    """Returns whether the file is named so, or begins as a rule does."""
    return is_named_so or _BEGINNING.match(head) is not None


FORMAT = ObjectFormat(read_yara, _is_yara)
