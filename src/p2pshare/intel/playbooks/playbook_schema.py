"""A playbook against the JSON schemas of CACAO 2.0 (`cacao/`): each place that breaks one, once.

1. The schemas are those of the authors' draft for the standard, Draft 7, found by their `$id`; nothing is fetched.
2. A text that is exactly a variable reference (`__x__:value`) breaks no schema: its value comes when the playbook runs.
3. Patterns are matched by RE2, in linear time: those for addresses cost a backtracking engine the length times 256.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any
from urllib.parse import urljoin

import re2

from p2pshare.intel.playbooks.playbook_problems import PlaybookProblem, inside, problem
from p2pshare.intel.playbooks.variables import is_reference
from p2pshare.jcs import framework_module

SCHEMA_ERRORS_MAX = 1_000  # nobody mends more at once, and each costs fifty microseconds
_EXPECTED_CHARACTERS_MAX = 200  # of what a schema asks for, in a message
_TEXT_OF_A_PATTERN = {"type", "pattern"}
_ANNOTATIONS = (
    "$id",
    "$schema",
    "title",
    "description",
)  # each is a text; a property of such a name is an object


def schema_problems(document: dict[str, Any]) -> Iterator[PlaybookProblem]:
    """Yields one problem for each place of the document that breaks its schema. Raises OperatorError `extra-missing`."""
    said: dict[str, list[str]] = {}
    for error in islice(_validator().iter_errors(document), SCHEMA_ERRORS_MAX):
        if isinstance(error.instance, str) and is_reference(error.instance):
            continue
        pointer = ""
        for key in error.absolute_path:
            pointer = inside(pointer, key)
        words = said.setdefault(pointer, [])
        sentence = _sentence(error.validator, error.validator_value, error.instance)
        if sentence not in words:
            words.append(sentence)
    for pointer, words in said.items():
        yield problem("schema", pointer, "; ".join(words))


def _sentence(keyword: str, wanted: Any, found: Any) -> str:
    """Returns what a schema asks for. The value that it met is not repeated: it may be long, and is an author's text."""
    if keyword == "required":
        lacking = ", ".join(key for key in wanted if key not in found)
        return f"lacks {lacking}"
    if keyword == "type":
        return f"must be {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
    if keyword == "enum":
        return f"must be one of: {', '.join(map(str, wanted))}"[:_EXPECTED_CHARACTERS_MAX]
    if keyword == "pattern":
        return f"must match {wanted}"[:_EXPECTED_CHARACTERS_MAX]
    if keyword == "not":
        return "has what this kind of step must not have"
    if keyword in ("minItems", "minProperties", "minimum", "maximum"):
        return f"breaks {keyword} {wanted}"
    return f"breaks the schema's {keyword}"


@cache
def _validator() -> Any:
    """Returns the validator of a playbook. Made when the first one is checked: the schemas are 51 files."""
    jsonschema = framework_module("jsonschema")
    kind = jsonschema.validators.extend(
        jsonschema.Draft7Validator,
        {"pattern": _pattern, "patternProperties": _pattern_properties, "oneOf": _one_of},
    )
    return kind(_linked_schema())


def _linked_schema() -> dict[str, Any]:
    """Returns the schema of a playbook, each `$ref` in it replaced by the schema it names: looked up again for each value they
    are a third of the time. In Draft 7 what stands beside a `$ref` does not count. Signatures refer to themselves: so does this."""
    by_id = {schema["$id"]: schema for schema in _schemas()}
    waiting: list[tuple[Any, str]] = [(schema, base) for base, schema in by_id.items()]
    while waiting:
        part, base = waiting.pop()
        for key, member in list(part.items() if isinstance(part, dict) else enumerate(part)):
            if isinstance(member, dict) and isinstance(member.get("$ref"), str):
                part[key] = _named(by_id, base, member["$ref"])
            elif isinstance(member, dict | list):
                waiting.append((member, base))
            elif key in _ANNOTATIONS:
                del part[key]
    return next(schema for base, schema in by_id.items() if base.endswith("/schemas/playbook.json"))


def _named(by_id: dict[str, dict[str, Any]], base: str, reference: str) -> dict[str, Any]:
    address, _, fragment = urljoin(base, reference).partition("#")
    found: Any = by_id[address]
    for key in fragment.split("/")[1:]:
        found = found[key]
    assert "$ref" not in found, reference
    named: dict[str, Any] = found
    return named


def _schemas() -> Iterator[dict[str, Any]]:
    folder = resources.files("p2pshare.intel.playbooks") / "cacao"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        files = entry.iterdir() if entry.is_dir() else (entry,)
        for file in sorted(files, key=lambda file: file.name):
            if file.name.endswith(".json"):
                schema: dict[str, Any] = json.loads(file.read_bytes())
                yield schema


@cache
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and _compiled(pattern).search(instance) is None:
        yield framework_module("jsonschema").ValidationError("does not match")


def _pattern_properties(
    validator: Any, patterns: dict[str, Any], instance: Any, _schema: Any
) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, schema in patterns.items():
        matches = _compiled(pattern).search
        for key, member in instance.items():
            if matches(key) is not None:
                yield from validator.descend(member, schema, path=key, schema_path=pattern)


def _one_of(validator: Any, schemas: list[Any], instance: Any, schema: Any) -> Iterator[Any]:
    """Check a text against patterns alone without a validator for each: a switch may have 60,000 cases, and each has eight."""
    jsonschema = framework_module("jsonschema")
    if isinstance(instance, str) and all(one.keys() == _TEXT_OF_A_PATTERN for one in schemas):
        if sum(_compiled(one["pattern"]).search(instance) is not None for one in schemas) != 1:
            yield jsonschema.ValidationError("is not exactly one of them")
    else:
        yield from jsonschema.Draft7Validator.VALIDATORS["oneOf"](validator, schemas, instance, schema)
