"""The table of operations: each has one typed request and one typed answer, and what only reads can only read."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from every_operation import OWN, every_malformed, ground_of, requests, told_node
from msgspec import Struct, structs
from whole_nodes import NOW, World, draft, quiet, raw_draft

from p2pshare.cli import console
from p2pshare.daemon.control_protocol import HEADER, decode_frame, encode_frame
from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import AuthorError, OperatorError, StoreError
from p2pshare.intel.marking import Tlp
from p2pshare.limits import ASSESSMENT_TEXT_CHARACTERS_MAX, SIGHTING_COUNT_MAX
from p2pshare.node.beside import NodeBeside
from p2pshare.node.home import STORE_NAME
from p2pshare.node.node import Door, Live, Node, NodeReading, Progress
from p2pshare.node.store import reading_store
from p2pshare.operations.assessing import Opine, Propose, Sight
from p2pshare.operations.crossing import checked, fields_of, name_of, read_answer, read_progress
from p2pshare.operations.interface import AsideWork, LongRequest, Query, Request
from p2pshare.operations.looking import LookUp
from p2pshare.operations.partners import AddPartner, RemovePartner
from p2pshare.operations.publishing import Part, Prepare, Seal
from p2pshare.operations.searching import Search, ShowEnvelope, ShowObject
from p2pshare.operations.table import OPERATIONS, read_request
from p2pshare.queries.status import NodeStatus


@pytest.fixture
def alpha(world: World) -> Node:
    return told_node(world)


def structs_in(annotation: Any) -> Iterator[type[Struct]]:
    """Every Struct that a type is made of."""
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, Struct):
        yield origin
        for inner in get_type_hints(origin).values():
            yield from structs_in(inner)
    for inner in get_args(annotation):
        yield from structs_in(inner)


@pytest.mark.parametrize("name", OPERATIONS)
def test_request_and_answer_are_structs_that_take_no_other_field(name: str) -> None:
    operation = OPERATIONS[name]
    assert name_of(operation.request) == name
    parts = [*structs_in(operation.request), *structs_in(operation.answer)]
    assert operation.request in parts and (get_origin(operation.answer) or operation.answer) in parts
    for part in parts:
        assert part.__struct_config__.forbid_unknown_fields, part
        assert part.__struct_config__.frozen, part


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_runs_an_operation_is_handed_no_more_than_it_declares(name: str) -> None:
    """A Query whose `run` asks for a whole Node is refused by mypy; this is for whoever says `# type: ignore`."""
    operation = OPERATIONS[name]
    assert not hasattr(operation.request.run, "__isabstractmethod__")  # msgspec makes one all the same
    handed = {"Node": Node, "NodeReading": NodeReading, "Progress": Progress, "Iterator": Iterator}
    # imported for types only
    answers, works = operation.answer, operation.request.run
    if issubclass(operation.request, LongRequest):
        answers, works = Iterator[operation.answer | None], operation.request.steps  # type: ignore[misc,assignment,name-defined]
    hints = get_type_hints(works, localns=handed)
    told = hints["return"]
    # a step may hand back work that is done beside the writer
    assert told == answers or told == Iterator[operation.answer | AsideWork[Any] | None]
    assert hints["node"] is (NodeReading if operation.reads_only else Node)
    effects = (operation.changes_roster, operation.changes_lists, operation.publishes)
    assert not (operation.reads_only and any(effects))


BREACHES = """
from p2pshare.node.node import Node, NodeReading
from p2pshare.operations.interface import Query, Several
from p2pshare.sharing.drafting import Progress


class WantsTheWholeNode(Query[Several[str]], frozen=True):
    def run(self, node: Node, now: int, progress: Progress) -> Several[str]: ...


class AnswersOtherwise(Query[Several[str]], frozen=True):
    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[int]: ...


class Writes(Query[Several[str]], frozen=True):
    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[str]:
        node.store.put_setting("x", 1)
        node.identity.sign
        return Several([])
"""


def test_type_checking_refuses_a_query_that_writes_or_answers_otherwise(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "breaches.py").write_text(BREACHES)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(tmp_path / "breaches.py")]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    for told in (
        'breaches.py:8: error: Argument 1 of "run" is incompatible with supertype',
        'breaches.py:12: error: Return type "Several[int]" of "run" incompatible',
        'breaches.py:17: error: "StoreReading" has no attribute "put_setting"',
        'breaches.py:18: error: "NodeReading" has no attribute "identity"',
    ):
        assert told in done.stdout


def test_what_a_query_is_handed_has_neither_key_nor_pen() -> None:
    assert {name for name in vars(NodeReading) if not name.startswith("_")} == {
        "audit",
        "config",
        "card",
        "store",
        "warning_index",
        "live",
    }


FETCHES = Live({}, Door(0, {}), fetch_introductions=lambda *_: b"as it came")
"""What a daemon knows that fetches a list for a person."""


def test_queries_run_on_a_store_opened_read_only_and_every_answer_crosses_the_socket_unchanged(
    world: World, alpha: Node
) -> None:
    newcomer = world.found("newcomer")
    with reading_store(alpha.home / STORE_NAME) as store:
        with pytest.raises(StoreError), store.database.transaction():
            pass
        for name, request in requests(alpha, newcomer).items():
            alpha.live = FETCHES if name == "introduce-fetch" else None
            beside = replace(alpha, store=store)
            ground = ground_of(alpha, name)
            seen = beside if ground is alpha else ground
            expected = request.run(seen, NOW, quiet) if OPERATIONS[name].reads_only else None
            answer = request.run(ground, NOW, quiet)
            if isinstance(expected, NodeStatus) and isinstance(answer, NodeStatus):
                expected = structs.replace(expected, disk=answer.disk)  # others write on this disk, too
            assert expected is None or expected == answer, name
            frame = encode_frame({"result": fields_of(answer)})
            arrived = read_answer(request, decode_frame(frame[HEADER.size :])["result"])
            assert arrived == answer, name
            assert console.json_text(arrived) == console.json_text(answer), name


@pytest.mark.parametrize("query", [LookUp((OWN,)), Search(1), ShowEnvelope(""), ShowObject("")])
def test_what_is_held_is_read_beside_the_daemon_without_key_config_or_lock(
    alpha: Node, query: Query[Any]
) -> None:
    envelope_id = alpha.store.log.entries(0, 1)[0].envelope_id.text
    (alpha.home / "identity.p2pkey").unlink()
    if isinstance(query, ShowEnvelope):  # it names the circle, so the config is read
        query = ShowEnvelope(envelope_id)
    else:
        (alpha.home / "config.toml").unlink()
    if isinstance(query, ShowObject):
        query = ShowObject(LookUp((OWN,)).run(alpha, NOW, quiet).each[0].claims[0].object_id)
    with reading_store(alpha.home / STORE_NAME) as store:
        assert query.run(NodeBeside(alpha.home, store), NOW, quiet) == query.run(alpha, NOW, quiet)


def test_the_moment_is_what_is_handed_in(alpha: Node) -> None:
    day = 86_400
    early, late = (LookUp((OWN,)).run(alpha, now, quiet).each[0] for now in (NOW - day, NOW))
    assert (early.status, late.status) == ("pending", "active")


def test_a_surplus_field_a_missing_one_and_another_type_are_refused_and_named(
    world: World, alpha: Node
) -> None:
    tried = 0
    for field, fields in every_malformed(alpha, world.found("newcomer")):
        with pytest.raises(OperatorError) as refusal:
            read_request(fields)
        assert refusal.value.reason == "bad-argument", fields
        assert refusal.value.message.startswith(f"{fields['operation']}: ") and field in refusal.value.message
        tried += 1
    assert tried > 4 * len(OPERATIONS)


@pytest.mark.parametrize("operation", [None, 7, [], "", "make-coffee"])
def test_an_operation_that_nobody_knows_is_refused(operation: object) -> None:
    with pytest.raises(OperatorError) as refusal:
        read_request({"operation": operation})
    assert refusal.value.reason == "unknown-operation"


def test_a_field_that_is_named_to_harm_a_terminal_is_escaped_and_clipped() -> None:
    with pytest.raises(OperatorError) as refusal:
        read_request({"operation": "status", "\x1b[2J" * 1_000: 1})
    assert refusal.value.message.isprintable() and len(refusal.value.message) < 200
    with pytest.raises(OperatorError) as unknown:
        read_request({"operation": "\x1b[2J" * 1_000})
    assert unknown.value.message.isprintable() and len(unknown.value.message) < 200
    assert unknown.value.reason == "unknown-operation"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Sight("x", -1), "sight: count: expected a number >= 0"),
        (Sight("x", SIGHTING_COUNT_MAX + 1), f"sight: count: expected a number <= {SIGHTING_COUNT_MAX}"),
        (Propose("x", 101), "propose: confidence: expected a number <= 100"),
        (
            Opine("x", "agree", "w" * (ASSESSMENT_TEXT_CHARACTERS_MAX + 1)),
            f"opinion: note: expected text of at most {ASSESSMENT_TEXT_CHARACTERS_MAX} characters",
        ),
        (Search(0), "search: limit: expected a number >= 1"),
        (ShowObject("x", 0), "show-object: number: expected a number >= 1"),
        (Prepare((), ttl_class=7), "prepare: ttl_class: expected a number <= 6"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Struct) else "",
)
def test_a_bound_is_kept_on_either_side_of_the_socket(request_: Request[Any], message: str) -> None:
    with pytest.raises(AuthorError) as ours:
        checked(request_)
    with pytest.raises(OperatorError) as theirs:
        read_request(fields_of(request_))
    assert (ours.value.message, theirs.value.message) == (message, message)
    assert ours.value.reason == theirs.value.reason == "bad-argument"


def test_more_repeats_than_objects_are_refused() -> None:
    part = {"tlp": 1, "frames": [], "objects": 1, "repeats": 2}
    with pytest.raises(OperatorError, match=r"prepare: parts\[0\]: more repeats than objects"):
        read_request({"operation": "prepare", "parts": [part]})
    with pytest.raises(OperatorError, match=r"prepare: parts\[0\]: contains unknown field `more`"):
        read_request({"operation": "prepare", "parts": [part | {"repeats": 0, "more": 1}]})


def test_at_its_bounds_a_request_is_good() -> None:
    for request in (
        Sight("x", 0),
        Sight("x", SIGHTING_COUNT_MAX),
        Propose("x", 100),
        Opine("x", "agree", "w" * ASSESSMENT_TEXT_CHARACTERS_MAX),
        Search(1),
        Prepare((), ttl_class=1),
    ):
        assert checked(request) == request


@pytest.mark.parametrize(
    "fields",
    [{}, {"each": [], "more": 1}, {"each": [{"value": 1}]}, {"each": "text"}, None, {"each": None}],
)
def test_what_is_no_answer_is_refused_by_who_asked(fields: object) -> None:
    with pytest.raises(OperatorError) as refusal:
        read_answer(LookUp(()), fields)
    assert refusal.value.reason == "control-malformed"


@pytest.mark.parametrize("fields", [{"what": "sealed"}, {"what": 1, "done": 1, "of": 2}, [], "x"])
def test_what_is_no_progress_is_refused_by_who_asked(fields: object) -> None:
    with pytest.raises(OperatorError) as refusal:
        read_progress(fields)
    assert refusal.value.reason == "control-malformed"


def test_what_an_author_wrote_in_place_of_a_text_does_not_spoil_the_answer(alpha: Node) -> None:
    """The answer was built of what was sealed; one such object would have cost all others in a search."""
    odd = {
        "type": "x-odd",
        "spec_version": "2.1",
        "id": "x-odd--00000000-0000-4000-8000-000000000001",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "labels": ["kept"],
        "pattern_type": {"not": "text"},
        "object_marking_refs": ["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],
    }
    part = raw_draft([odd])
    done = Prepare((Part(part.tlp, part.frames, 1, 0),), ("bravo",)).run(alpha, NOW, quiet)
    assert done.published == 1, done
    Seal(done.token).run(alpha, NOW, quiet)
    query = Search(10, "x-odd")
    [found] = read_answer(query, fields_of(query.run(alpha, NOW, quiet))).each
    assert (found.id, found.pattern_type, found.labels) == (odd["id"], None, ["kept"])


def test_the_command_line_builds_no_request_by_hand(repository: Path) -> None:
    """What a command asks is a Struct, no name and no map of arguments; only the session speaks to the socket."""
    asked = 0
    for path in sorted((repository / "src" / "p2pshare" / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name):
                assert node.func.id != "send_message" or path.name == "session.py", path.name
                is_asking = node.func.id in ("ask", "read_or_ask", "write")
            else:
                is_asking = (
                    isinstance(node.func, ast.Attribute)
                    and node.func.attr == "run"
                    and ast.unparse(node.func.value) != "subprocess"
                )
            if is_asking:
                asked += 1
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                assert not any(isinstance(one, ast.Dict | ast.Constant) for one in given), path.name
    assert asked >= len(OPERATIONS)


def test_two_previews_that_read_alike_are_told_apart_by_what_they_rest_on(world: World, alpha: Node) -> None:
    """A partner was replaced by another one under its alias while a person was asked: that is to be asked again."""
    part = draft(alpha, ["who.example"])
    asked = Prepare((Part(part.tlp, part.frames, 1, 0),), ("bravo",), dry_run=True)
    shown = asked.run(alpha, NOW, quiet)
    RemovePartner("bravo").run(alpha, NOW, quiet)
    card = world.found("mallory").identity.card
    AddPartner(card.raw, fingerprint(card.partner_id), "bravo").run(alpha, NOW, quiet)
    now_shown = asked.run(alpha, NOW, quiet)
    assert now_shown.basis != shown.basis
    assert fields_of(now_shown) | {"basis": ""} == fields_of(shown) | {"basis": ""}


def test_a_small_request_that_inflates_to_more_than_is_read_at_once_costs_nothing(alpha: Node) -> None:
    frame = compress_frame(b"[" + b" " * (64 << 20) + b"]")
    parts = (Part(Tlp.GREEN, (frame,), 1, 0),) * 17
    with pytest.raises(AuthorError) as caught:
        Prepare(parts, dry_run=True).run(alpha, NOW, quiet)
    assert caught.value.reason == "oversized"
