"""The audit log knows every operation that changes something, and no row of it can say what a person wrote."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_args

import pytest
from every_operation import OWN, THEIRS, ground_of, requests, told_node
from msgspec import structs
from whole_nodes import NOW, World, quiet

from p2pshare.errors import DaemonUnreachable, ShareError
from p2pshare.operations.audited import AUDITED, NOT_AUDITED, audited, outcome, subject
from p2pshare.operations.crossing import name_of
from p2pshare.operations.table import OPERATIONS
from p2pshare.operations.withdrawing import Withdraw

CHANGING = [name for name, operation in OPERATIONS.items() if not operation.reads_only]
WRITTEN = (
    "new.example",
    OWN,
    THEIRS,
    "seen here",
    "to be redacted",
    "ransomware",
    "proxy.log",
    "evil.test.org",
    "title",
    "which?",
)
"""What people wrote in `every_operation`: values, titles, texts, names of files."""
NEVER = {
    "text",
    "title",
    "value",
    "values",
    "note",
    "name",
    "what",
    "reason_text",
    "content",
    "raw",
    "whole",
    "parts",
    "question",
    "labels",
}


def test_no_operation_that_changes_something_is_forgotten_and_no_row_is_of_one_that_does_not() -> None:
    """A new operation? A row in `operations/audited.py`, or a line in NOT_AUDITED with the reason."""
    assert set(AUDITED) | set(NOT_AUDITED) == set(CHANGING)
    assert not set(AUDITED) & set(NOT_AUDITED)
    assert all(NOT_AUDITED.values())


@pytest.mark.parametrize("name", AUDITED)
def test_a_row_names_fields_that_are_there_and_are_no_text_of_a_person(name: str) -> None:
    row, operation = AUDITED[name], OPERATIONS[name]
    asked = {field.name: field.type for field in structs.fields(operation.request)}
    answered = {field.name: field.type for field in structs.fields(operation.answer)}
    assert set(row.asked) <= set(asked) and set(row.answered) <= set(answered)
    assert set(row.objects) <= set(asked) | set(answered)
    assert not (set(row.asked) | set(row.answered)) & NEVER
    for word in row.words:  # a number, yes or no, or one of a few words
        kind = asked[word]
        plain = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
        assert plain in (int, bool) or all(isinstance(one, str) for one in get_args(plain)), (name, word)
    for given in row.names:
        assert given in answered and (given != "name" or name.startswith(("warninglist-", "consumer-"))), (
            name,
            given,
        )


def test_every_operation_that_is_done_says_to_what_and_never_what_people_wrote(world: World) -> None:
    node = told_node(world)
    newcomer = world.found("newcomer")
    without_subject = set[str]()
    for name, request in requests(node, newcomer).items():
        row = audited(request)
        if row is None:
            with suppress(DaemonUnreachable):  # a query that is the daemon's alone
                request.run(ground_of(node, name), NOW, quiet)
            continue
        answer: Any = request.run(ground_of(node, name), NOW, quiet)
        if not outcome(row, answer):
            continue
        told = subject(row, request, answer, "")
        assert not [one for one in WRITTEN if one in told], (name, told)
        assert "?" not in told.replace("what=?", ""), (name, told)  # a value that was seen, or judged
        without_subject |= set() if told else {name}
    assert without_subject <= {"config-reload", "introduce-accept"}, (
        "nothing was changed, and nobody accepted"
    )


def test_a_value_that_is_withdrawn_in_vain_is_not_in_the_record(world: World) -> None:
    node = told_node(world)
    request = Withdraw("unheard.example", "mistake", None, ())
    with pytest.raises(ShareError):
        request.run(node, NOW, quiet)
    row = audited(request)
    assert row is not None
    assert "unheard" not in subject(row, request, None)


def test_a_dry_run_is_no_act(world: World) -> None:
    assert audited(Withdraw(OWN, "mistake", None, (), dry_run=True)) is None
    assert name_of(Withdraw) in AUDITED
