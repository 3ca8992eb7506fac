"""A request for each operation, and what each must refuse; a new operation is missed here by the tests that walk the table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import shared_spaces
from courses_made import hash_of, small_course, tell_course
from exercise_games import salted
from inviting_host import host_one_guest
from msgspec import NODEFAULT, Struct, inspect
from players import Players
from whole_nodes import NOW, World, befriend, draft, quiet, send, take_in

from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.keys import create_identity, reissue_card
from p2pshare.envelope.member_list import read_file
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.course import course_bytes
from p2pshare.intel.exercise_pack import archive_pack
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.node.shipped import shipped_frameworks, shipped_playbooks
from p2pshare.operations.already_held import FindOwnStatements, FindShared, NoteFindings
from p2pshare.operations.assessing import ListProposals, Opine, Propose, Sight
from p2pshare.operations.auditing import CheckAudit, ListAudit
from p2pshare.operations.cards import (
    InstallCard,
    NewerCard,
    RenewCard,
    RenewOverNewer,
    RevokeKey,
    RotateCard,
    SetCard,
    SetRoots,
)
from p2pshare.operations.config_reloading import ReloadConfig
from p2pshare.operations.consumers import (
    AddConsumer,
    AdvanceConsumer,
    ListConsumers,
    RemoveConsumer,
    ResetConsumer,
)
from p2pshare.operations.crossing import fields_of, name_of
from p2pshare.operations.exercise_leading import (
    EndExercise,
    PauseExercise,
    ReleaseInject,
    ResumeExercise,
    StartExercise,
)
from p2pshare.operations.exercise_playing import AckInject, AnswerInject, RateExercise, StopExercise
from p2pshare.operations.exercise_reporting import ReportExercise
from p2pshare.operations.exercises import (
    FetchPayload,
    InviteToExercise,
    JoinExercise,
    ListExercises,
    ListItems,
    NewExercise,
    ReadInbox,
    RemoveExercise,
    ScoreExercise,
    ShowExercise,
)
from p2pshare.operations.explaining import Explain
from p2pshare.operations.exposing import TellExposure, ToldExposure
from p2pshare.operations.framework_reacting import React
from p2pshare.operations.frameworks import (
    AdoptFramework,
    ApprovePlaybook,
    FindAnswers,
    ImportPlaybook,
    ListPlaybooks,
    ShowFramework,
    ShowPlaybook,
    WriteManifest,
)
from p2pshare.operations.history import BeginForwarding, CountHistory, ForwardOn
from p2pshare.operations.incident_attachments import AttachFile
from p2pshare.operations.incident_indicators import AddIndicators
from p2pshare.operations.incident_watch import ListWatch, TellRecurrence
from p2pshare.operations.incidents import (
    ArchiveIncident,
    AskFirstWord,
    ListIncidents,
    OpenIncident,
    SayInIncident,
    ShowIncident,
)
from p2pshare.operations.interface import Request
from p2pshare.operations.introducing import (
    AcceptIntroductions,
    ExportIntroductions,
    FetchIntroductions,
    ListIntroductions,
    OfferIntroductions,
)
from p2pshare.operations.inviting import Invite, Join, ShowInvitation
from p2pshare.operations.labs import ListLabs, OpenLab, PutInLab, SayInLab, ShowLab
from p2pshare.operations.looking import LookUp
from p2pshare.operations.partners import (
    AddPartner,
    ConfirmPartner,
    DistrustPartner,
    LinkPartner,
    ListPartners,
    PartnerCard,
    PreviewPartner,
    RemovePartner,
    RenamePartner,
    TrustPartner,
    UnfreezePartner,
)
from p2pshare.operations.pending import AcceptPending, ListPending, RefusePending
from p2pshare.operations.publishing import (
    Discard,
    DiscardPublication,
    Part,
    Prepare,
    PublicationsUnderWay,
    Seal,
    SealOn,
)
from p2pshare.operations.reachability import AskDialBack
from p2pshare.operations.searching import Search, ShowEnvelope, ShowObject, ShowPublication, ShowRaw
from p2pshare.operations.space_entries import RedactEntry, RekeySpace, SeenInSpace
from p2pshare.operations.space_membership import (
    AcceptLead,
    DeclineSpace,
    HandOverSpace,
    InviteIntoSpace,
    JoinSpace,
    LeaveSpace,
    PreviewInvitation,
    PreviewRemoval,
    RemoveFromSpace,
    ShowMemberCard,
    TrustMember,
)
from p2pshare.operations.space_takeover import AckTakeover, PreviewTakeover, TakeOver
from p2pshare.operations.spaces import (
    CloseNotebook,
    ListSpaces,
    MarkShown,
    NoteInSpace,
    OpenSpace,
    PreviewMembers,
    PurgeSpace,
    ReopenNotebook,
    ShowSpace,
    TakeSpaceAgain,
)
from p2pshare.operations.status import ShowStatus
from p2pshare.operations.table import OPERATIONS
from p2pshare.operations.training import AttestCourse, FindCourseVersion, ListCourses, ShowCourse
from p2pshare.operations.warninglists import (
    Allow,
    CheckValues,
    Disallow,
    EvaluateAgain,
    ImportList,
    ListAllowed,
    ListLists,
    SetList,
)
from p2pshare.operations.withdrawing import ShowRecall, Withdraw
from p2pshare.partners.pending import PendingRow
from p2pshare.queries.lookup import look_up
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.publishing import new_publication
from p2pshare.spaces.exercise_grounds import open_exercises
from p2pshare.spaces.incident_entries import IncidentClosing, IncidentObject, encode_incident
from p2pshare.spaces.lab_entries import LabReview, RuleVersion, encode_lab
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceStore
from p2pshare.warninglists.warning_lists import ListAction

OWN, THEIRS = "own.example", "theirs.example"
RULE = b"title: a rule"
LIST = b'{"name": "ours", "version": 1, "description": "", "type": "hostname", "list": ["listed.example", "bad bad"]}'


LIST_NAME = "of-bravo.p2pintro"  # beside the homes: bravo introduces charlie


def told_node(world: World) -> Node:
    """alpha, who has published OWN to bravo, knows a claim of bravo's about THEIRS and has bravo's proposal about OWN."""
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)

    def hand_over(giver: Node, taker: Node) -> None:
        wires = [giver.store.log.wire(entry.envelope_id) for entry in giver.store.log.entries(0, 100)]
        take_in(taker, [Arrival(wire, giver.identity.partner_id) for wire in wires if wire is not None], NOW)

    send(alpha, [OWN], to=["bravo"])
    hand_over(alpha, bravo)
    send(bravo, [THEIRS], to=["alpha"])
    for said in (Propose(OWN, confidence=30, note="why"), Sight(OWN, 2)):
        said.run(bravo, NOW, quiet)
    hand_over(bravo, alpha)
    tell_course(alpha, small_course(), to=["bravo"])
    _spaces_of_two(alpha, bravo)
    _exercises_of_two(alpha, bravo)
    befriend(bravo, world.found("charlie"))
    (alpha.home.parent / LIST_NAME).write_bytes(ExportIntroductions().run(bravo, NOW, quiet).file)
    return alpha


def _spaces_of_two(alpha: Node, bravo: Node) -> None:
    """A space for each verb, by its title, as far as the verb needs another member."""

    def opened(by: Node, title: str, *, is_joined: bool = True) -> str:
        other = alpha if by is bravo else bravo
        space = OpenSpace("note", title, Tlp.GREEN, (other.config.name,)).run(by, NOW, quiet).space
        shared_spaces.hand_over(space, by, other)
        if is_joined:
            JoinSpace(space).run(other, NOW, quiet)
            shared_spaces.hand_over(space, other, by)
        return space

    for title in ("led", "purged"):
        opened(alpha, title)
    OpenIncident("case", (), Tlp.GREEN).run(alpha, NOW, quiet)
    agreed = OpenSpace("framework", "agreed", Tlp.GREEN).run(alpha, NOW, quiet).space
    ImportPlaybook(agreed, shipped_playbooks()["ransomware-in-a-hospital"]).run(alpha, NOW, quiet)
    OpenLab("lab", "which?", 100, Tlp.GREEN).run(alpha, NOW, quiet)
    watched = OpenIncident("watched", (), Tlp.GREEN).run(alpha, NOW, quiet).incident
    seen = encode_incident(IncidentObject("domain", "evil.test.org", "", b""))
    SayInIncident(watched, "object", seen).run(alpha, NOW, quiet)
    SayInIncident(watched, "close", encode_incident(IncidentClosing(""))).run(alpha, NOW, quiet)
    for title in ("asked", "declined"):
        opened(bravo, title, is_joined=False)
    for title in ("left", "silent"):
        opened(bravo, title)
    offered, proposed = opened(bravo, "offered"), opened(alpha, "proposed")
    HandOverSpace(offered, "alpha").run(bravo, NOW, quiet)
    TakeOver(proposed).run(bravo, NOW, quiet)
    for space in (offered, proposed):
        shared_spaces.hand_over(space, bravo, alpha)
    stranger = create_identity("stranger", ("https://stranger.example:8443",), NOW)
    members = [(stranger.partner_id, ""), (bravo.identity.partner_id, "")]
    spaces_of(alpha).open("note", "introduced", 1, members, NOW)
    SpaceStore(alpha.store.database).put_introduced_card(
        stranger.partner_id, 1, stranger.card.raw, bravo.identity.partner_id, NOW
    )


def _exercises_of_two(alpha: Node, bravo: Node) -> None:
    """An exercise that alpha leads, one in which it plays, one into which it is invited, and one to be removed, by their titles."""
    archive = salted()
    raw = archive_pack(archive.pack, archive.payloads, archive.salts)
    for title in ("led", "removed"):
        NewExercise(raw, (), Tlp.GREEN, title).run(alpha, NOW, quiet)
    players = Players.of({"alpha": alpha, "bravo": bravo}, NOW)
    for title in ("played", "offered"):
        NewExercise(raw, (("partner", "alpha"),), Tlp.GREEN, title).run(bravo, NOW, quiet)
    players.run(3)
    JoinExercise().run(exercise_titled(alpha, "played"), NOW, quiet)
    players.run(3)
    led = exercise_titled(bravo, "played")
    StartExercise(60).run(led, NOW, quiet)
    ReleaseInject(1).run(led, NOW, quiet)
    players.run(3)


def exercise_titled(node: Node, title: str) -> Node:
    """The node of the exercise of that title."""
    return next(
        one
        for one in open_exercises(node)
        for row in SpaceReading(one.store.database).all()
        if (row.kind, row.title) == ("exercise", title)
    )


_GROUNDS = {
    "exercise-join": "offered",
    "exercise-ack": "played",
    "exercise-answer": "played",
    "exercise-stop": "played",
}
_HELD_BY_THE_REAL_NODE = ("exercise-new", "exercise-list", "exercise-remove")


def ground_of(node: Node, name: str) -> Node:
    """The node of which an operation is asked: the real one, or that of the exercise on whose ground it is done."""
    if not name.startswith("exercise-") or name in _HELD_BY_THE_REAL_NODE:
        return node
    return exercise_titled(node, _GROUNDS.get(name, "led"))


KNOCKED = PartnerId(bytes([7]) * 32)
"""Somebody who waits to be a partner."""


def requests(node: Node, newcomer: Node) -> dict[str, Request[Any]]:
    """One of each operation by name, for `told_node` and another that it does not know yet, in an order in which all succeed."""
    archive = salted()
    raw = archive_pack(archive.pack, archive.payloads, archive.salts)
    removed = exercise_titled(node, "removed").ground.exercise
    assert removed is not None
    [claim] = look_up(node.store, [OWN], NOW)[0].claims
    part = draft(node, ["new.example"])
    card = newcomer.identity.card
    introductions = (node.home.parent / LIST_NAME).read_bytes()
    prepare = Prepare((Part(part.tlp, part.frames, part.objects, part.repeats),), ("bravo",))
    given_up = new_publication()
    node.store.pending.note(
        PendingRow(KNOCKED, b"certificate", "Knocked", "", "10.0.0.1", "10.0.0.0/24", NOW, NOW),
        lambda rows: rows[0],
    )
    node.store.log.begin_staging(given_up, "0" * 32, 1, NOW)
    node.store.log.give_up_staged(given_up, "so that it can be discarded")
    left = Seal(prepare.run(node, NOW, quiet).token).run(node, NOW, quiet).publication
    space = {row.title: row.space.text for row in SpaceReading(node.store.database).all()}
    note = NoteInSpace(space["led"], "to be redacted").run(node, NOW, quiet).entry
    bravo = next(row.partner_id for row in node.store.partners.all() if row.alias == "bravo")
    members = spaces_of(node).state(EntryId.parse(space["introduced"])).members
    [stranger] = set(members) - {node.identity.partner_id, bravo}
    key = node.card.sign_keys[0].key.key_id.text
    playbook = shipped_playbooks()["ransomware-in-a-hospital"]
    framework = json.loads(shipped_frameworks()["hospitals"])
    framework["entries"] = [framework["entries"][0] | {"quorum": 1}]
    manifest = json.dumps(framework).encode()
    digest = hashlib.sha256(RULE).digest()
    rule = RuleVersion(b"", "sigma", digest, len(RULE), "title", "author", "DRL-1.1", "", (), "")
    newer = reissue_card(node.identity, NOW, name="Alpha").card
    theirs = next(row.card for row in node.store.partners.all() if row.partner_id == bravo)
    every: list[Request[Any]] = [
        UnfreezePartner("bravo", theirs, fingerprint(bravo)),
        OpenSpace("note", "theirs", Tlp.GREEN, ("bravo",)),
        NoteInSpace(space["led"], "seen here"),
        OpenIncident("theirs", ("ransomware",), Tlp.GREEN, ("bravo",)),
        SayInIncident(space["case"], "note", b"seen here"),
        ListIncidents(),
        AskFirstWord(space["case"]),
        ArchiveIncident(space["case"]),
        ShowIncident(space["case"]),
        ImportPlaybook(space["agreed"], playbook),
        WriteManifest(space["agreed"], manifest),
        ApprovePlaybook("221a1897"),
        AdoptFramework(space["agreed"]),
        ShowFramework(space["agreed"]),
        ListPlaybooks(space["agreed"]),
        ShowPlaybook("221a1897"),
        FindAnswers(("ransomware",)),
        React(space["case"], "221a1897"),
        AddIndicators(space["case"], ()),
        AttachFile(space["case"], "proxy.log", b"GET /"),
        ListWatch(space["case"]),
        TellRecurrence(space["watched"], "evil.test.org"),
        OpenLab("theirs", "which?", 100, Tlp.GREEN, ("bravo",)),
        PutInLab(space["lab"], "rule", encode_lab(rule), RULE),
        SayInLab(space["lab"], "review", encode_lab(LabReview(rule.digest, "agree", "seen here"))),
        ListLabs(),
        ShowLab(space["lab"]),
        NewExercise(raw, (), Tlp.GREEN, "another"),
        ListExercises(),
        RemoveExercise(removed.text),
        InviteToExercise((("partner", "bravo"),)),
        StartExercise(60),
        PauseExercise(),
        ResumeExercise(),
        ReleaseInject(2),
        ReadInbox(),
        FetchPayload(2),
        ShowExercise(),
        RateExercise("P"),
        ScoreExercise(),
        ListItems(),
        ReportExercise(),
        EndExercise(),
        JoinExercise(),
        AckInject(1),
        AnswerInject(1, "read"),
        StopExercise(),
        JoinSpace(space["asked"]),
        DeclineSpace(space["declined"]),
        LeaveSpace(space["left"]),
        PreviewMembers(("bravo",)),
        PreviewRemoval(space["led"], ("bravo",)),
        PreviewInvitation(space["led"], ("bravo",)),
        InviteIntoSpace(space["led"], ("bravo",)),
        HandOverSpace(space["led"], "bravo"),
        AcceptLead(space["offered"]),
        PreviewTakeover(space["silent"]),
        TakeOver(space["silent"]),
        AckTakeover(space["proposed"]),
        RedactEntry(space["led"], note),
        CloseNotebook(space["led"]),
        ReopenNotebook(space["led"]),
        SeenInSpace(space["led"]),
        MarkShown(space["led"], {node.identity.partner_id.text: 2}),
        RemoveFromSpace(space["led"], ("bravo",)),
        TellExposure(space["led"], "2026-11-30", (ToldExposure("CVE-2026-12345", "1-9"),)),
        ListSpaces(),
        ShowSpace(space["led"][:10]),
        ShowMemberCard(space["introduced"], stranger.text),
        TrustMember(space["introduced"], stranger.text, fingerprint(stranger), "stranger"),
        PurgeSpace(space["purged"]),
        TakeSpaceAgain(space["purged"]),
        Seal(
            prepare.run(node, NOW, quiet).token
        ),  # before the lists change, for then it would seal something else
        SealOn(left),
        PublicationsUnderWay(),
        DiscardPublication(given_up.text),
        ShowPublication(left),
        LookUp((OWN, THEIRS, "no value", "www." + OWN)),
        Search(50, "indicator", "alpha", Tlp.GREEN, 1, text="own"),
        ShowObject(claim.object_id, 1),
        ShowRaw(claim.object_id),
        ShowEnvelope(node.store.log.entries(0, 1)[0].envelope_id.text),
        Explain(OWN, "bravo"),
        ShowStatus(),
        ListAudit(NOW, "publish"),
        CheckAudit(),
        ReloadConfig(),
        FindShared((claim.object_id, "no id")),
        FindOwnStatements((("domain", OWN),)),
        NoteFindings(((node.identity.partner_id.text, claim.object_id, claim.object_id),)),
        AddPartner(card.raw, fingerprint(card.partner_id), "newcomer", has_link=False),
        ListPartners(),
        PartnerCard("bravo"),
        PreviewPartner("bravo", with_list=True),
        CountHistory("bravo", dry_run=True),
        BeginForwarding("bravo"),
        ForwardOn("bravo"),
        ConfirmPartner("bravo", fingerprint(node.store.partners.all()[0].partner_id)),
        LinkPartner("newcomer", has_link=False),
        ExportIntroductions(),
        FetchIntroductions("bravo"),
        OfferIntroductions(introductions),
        AcceptIntroductions(read_file(introductions).list_raw, read_file(introductions).cards, ()),
        ListIntroductions(),
        RenamePartner("newcomer", "newcomer"),
        Invite("invited"),
        ShowInvitation("invited"),
        Join(host_one_guest(create_identity("Inviter", [], NOW), NOW), "inviter"),
        ListPending(),
        AcceptPending(KNOCKED.text, fingerprint=fingerprint(KNOCKED)),
        RefusePending(KNOCKED.text[:8]),
        AskDialBack(),
        ListProposals(),
        Sight(THEIRS, 3),
        Opine(THEIRS, "agree", "seen here, too"),
        Propose(THEIRS, 80, "2027-01-31T00:00:00Z", ("a",), "so it is"),
        ImportList(LIST, ListAction.BLOCK),
        SetList("ours", ListAction.INFORM, enabled=True),
        ListLists(),
        CheckValues(("listed.example", "no value", "8.8.8.8")),
        AddConsumer("siem"),
        ListConsumers(),
        AdvanceConsumer("siem", node.store.knowledge.feed_position().end.text),
        ResetConsumer("siem"),
        RemoveConsumer("siem"),
        Allow("*.example.org", "ours"),
        ListAllowed(),
        Disallow("*.example.org"),
        EvaluateAgain(),
        prepare,
        Discard("0" * 32),
        ListCourses(),
        ShowCourse("first-aid"),
        FindCourseVersion(node.identity.partner_id.text, "first-aid", hash_of(small_course())),
        AttestCourse(node.identity.partner_id.text, course_bytes(small_course().course), 1, (b"\1" * 16,)),
        Withdraw(OWN, "mistake"),
        ShowRecall(claim.object_id),
        RenewCard(),
        ReloadConfig(),
        InstallCard(node.card.raw),
        NewerCard(newer.raw),
        RenewOverNewer(newer.body_digest, newer.raw),
        RotateCard(),
        RevokeKey(key, "lost"),
        RekeySpace(space["led"], "none", key),
        SetRoots(1),
        SetCard("Alpha Two", ("https://alpha.example:8443",)),
        DistrustPartner("newcomer"),
        TrustPartner("newcomer"),
        RemovePartner("newcomer"),
    ]
    node.store.partners.freeze(bravo, evidence=(theirs, theirs), now=NOW)  # the first of them unfreezes it
    by_name = {name_of(one): one for one in every}
    assert set(by_name) == set(OPERATIONS), "give the new operation a request above"
    return by_name


_NEARLY: dict[type[inspect.Type], Any] = {
    inspect.StrType: b"text",
    inspect.IntType: "1",
    inspect.BoolType: 1,
    inspect.BytesType: "Ynl0ZXM=",
    inspect.VarTupleType: "text",
    inspect.DictType: "text",
    inspect.EnumType: "nonsense",
    inspect.LiteralType: "perhaps",
}
"""For each type of a field something that a forgiving reader would take for it."""


def malformed(request: type[Struct], good: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(the field that must be named, fields that must be refused), each with one thing wrong: a field more, a required
    one less, another type in each field."""
    yield "surplus", good | {"surplus": 1}
    info = inspect.type_info(request)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        if field.default is NODEFAULT:
            yield field.encode_name, {name: good[name] for name in good if name != field.encode_name}
        kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        yield field.encode_name, good | {field.encode_name: 0.5}
        for kind in kinds:
            if not isinstance(kind, inspect.NoneType):
                yield field.encode_name, good | {field.encode_name: _NEARLY[type(kind)]}


def every_malformed(node: Node, newcomer: Node) -> Iterator[tuple[str, dict[str, Any]]]:
    """(the field that must be named, fields) for all operations."""
    for request in requests(node, newcomer).values():
        yield from malformed(type(request), fields_of(request))
