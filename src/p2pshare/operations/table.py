"""All operations by name. A new one is a class in its concept's file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from p2pshare.errors import OperatorError, RefusedError
from p2pshare.intel.display import clip
from p2pshare.node.node import Node
from p2pshare.operations import (
    already_held,
    assessing,
    auditing,
    cards,
    config_reloading,
    consumers,
    exercise_leading,
    exercise_playing,
    exercise_reporting,
    exercises,
    explaining,
    exposing,
    framework_reacting,
    frameworks,
    history,
    incident_attachments,
    incident_indicators,
    incident_watch,
    incidents,
    introducing,
    inviting,
    labs,
    looking,
    partners,
    pending,
    publishing,
    reachability,
    searching,
    space_entries,
    space_membership,
    space_takeover,
    spaces,
    status,
    training,
    warninglists,
    withdrawing,
)
from p2pshare.operations.crossing import DIFFERENT_VERSIONS, answer_of, name_of, read
from p2pshare.operations.interface import Query, Request
from p2pshare.spaces.exercise_grounds import exercise_named


@dataclass(frozen=True)
class Operation:
    """One operation, and what the daemon has to look at again after it."""

    request: type[Request[Any]]
    changes_roster: bool = False
    changes_card: bool = False
    changes_lists: bool = False
    changes_invitations: bool = False
    """Whether the door has to look which guests it expects, and whether a host that we joined is to be asked."""
    publishes: bool = False
    """Whether it moves our chain: it waits for its turn while a publication in steps is sealed."""
    wakes: bool = False
    """Whether something may leave after it, as after one that publishes."""
    writes_spaces: bool = False
    """Whether it writes entries: it waits until members were asked what they hold, and entries go out after it."""
    in_exercise: bool = False
    """Whether it may be asked of an exercise's node; else it is of what is real alone (`not-in-exercise`)."""
    reloads_config: bool = False
    """Whether the service manager is told of it, and all that the config says is looked at again after it."""
    awaits_cards: bool = False
    """Whether somebody may have been accepted whose card is to be fetched."""
    reports_refusals: bool = False
    """Whether the refusals of the peer listener until now have to be in the store before it reads."""

    @property
    def reads_only(self) -> bool:
        return issubclass(self.request, Query)

    @property
    def answer(self) -> type[Struct]:
        return answer_of(self.request)


OPERATIONS: dict[str, Operation] = {
    "allow-add": Operation(warninglists.Allow, changes_lists=True),
    "allow-list": Operation(warninglists.ListAllowed),
    "allow-remove": Operation(warninglists.Disallow, changes_lists=True),
    "audit-check": Operation(auditing.CheckAudit),
    "audit-list": Operation(auditing.ListAudit),
    "ask-dial-back": Operation(reachability.AskDialBack),
    "card-install": Operation(cards.InstallCard, changes_card=True),
    "card-newer": Operation(cards.NewerCard),
    "card-renew": Operation(cards.RenewCard, changes_card=True),
    "card-renew-over": Operation(cards.RenewOverNewer, changes_card=True),
    "card-revoke": Operation(cards.RevokeKey, changes_card=True),
    "card-rotate": Operation(cards.RotateCard, changes_card=True),
    "card-set": Operation(cards.SetCard, changes_card=True),
    "card-threshold": Operation(cards.SetRoots, changes_card=True),
    "consumer-add": Operation(consumers.AddConsumer),
    "consumer-advance": Operation(consumers.AdvanceConsumer),
    "consumer-list": Operation(consumers.ListConsumers),
    "consumer-remove": Operation(consumers.RemoveConsumer),
    "consumer-reset": Operation(consumers.ResetConsumer),
    "config-reload": Operation(config_reloading.ReloadConfig, reloads_config=True),
    "discard": Operation(publishing.Discard, in_exercise=True),
    "exercise-ack": Operation(exercise_playing.AckInject, writes_spaces=True, in_exercise=True),
    "exercise-answer": Operation(exercise_playing.AnswerInject, writes_spaces=True, in_exercise=True),
    "exercise-end": Operation(exercise_leading.EndExercise, writes_spaces=True, in_exercise=True),
    "exercise-inbox": Operation(exercises.ReadInbox, in_exercise=True),
    "exercise-invite": Operation(exercises.InviteToExercise, writes_spaces=True, in_exercise=True),
    "exercise-items": Operation(exercises.ListItems, in_exercise=True),
    "exercise-join": Operation(exercises.JoinExercise, writes_spaces=True, in_exercise=True),
    "exercise-list": Operation(exercises.ListExercises),
    "exercise-new": Operation(exercises.NewExercise, writes_spaces=True),
    "exercise-pause": Operation(exercise_leading.PauseExercise, writes_spaces=True, in_exercise=True),
    "exercise-payload": Operation(exercises.FetchPayload, in_exercise=True),
    "exercise-rate": Operation(exercise_playing.RateExercise, writes_spaces=True, in_exercise=True),
    "exercise-release": Operation(exercise_leading.ReleaseInject, writes_spaces=True, in_exercise=True),
    "exercise-remove": Operation(exercises.RemoveExercise),
    "exercise-report": Operation(exercise_reporting.ReportExercise, in_exercise=True),
    "exercise-resume": Operation(exercise_leading.ResumeExercise, writes_spaces=True, in_exercise=True),
    "exercise-score": Operation(exercises.ScoreExercise, in_exercise=True),
    "exercise-show": Operation(exercises.ShowExercise, in_exercise=True),
    "exercise-start": Operation(exercise_leading.StartExercise, writes_spaces=True, in_exercise=True),
    "exercise-stop": Operation(exercise_playing.StopExercise, writes_spaces=True, in_exercise=True),
    "explain": Operation(explaining.Explain),
    "find-own-statements": Operation(already_held.FindOwnStatements),
    "find-shared": Operation(already_held.FindShared),
    "framework-adopt": Operation(frameworks.AdoptFramework, writes_spaces=True),
    "framework-answers": Operation(frameworks.FindAnswers),
    "framework-react": Operation(framework_reacting.React, writes_spaces=True),
    "framework-status": Operation(frameworks.ShowFramework),
    "framework-write": Operation(frameworks.WriteManifest, writes_spaces=True),
    "history-count": Operation(history.CountHistory),
    "history-forward": Operation(history.BeginForwarding, wakes=True),
    "history-forward-on": Operation(history.ForwardOn, publishes=True),
    "incident-add-indicators": Operation(
        incident_indicators.AddIndicators, publishes=True, writes_spaces=True
    ),
    "incident-archive": Operation(incidents.ArchiveIncident, in_exercise=True),
    "incident-attach": Operation(incident_attachments.AttachFile, writes_spaces=True, in_exercise=True),
    "incident-first-word": Operation(incidents.AskFirstWord, in_exercise=True),
    "incident-list": Operation(incidents.ListIncidents, in_exercise=True),
    "incident-open": Operation(incidents.OpenIncident, writes_spaces=True, in_exercise=True),
    "incident-say": Operation(incidents.SayInIncident, writes_spaces=True, in_exercise=True),
    "incident-show": Operation(incidents.ShowIncident, in_exercise=True),
    "incident-watch-list": Operation(incident_watch.ListWatch),
    "incident-watch-tell": Operation(incident_watch.TellRecurrence, writes_spaces=True),
    "introduce-accept": Operation(introducing.AcceptIntroductions, changes_roster=True),
    "introduce-export": Operation(introducing.ExportIntroductions),
    "introduce-fetch": Operation(introducing.FetchIntroductions),
    "introduce-list": Operation(introducing.ListIntroductions),
    "introduce-offer": Operation(introducing.OfferIntroductions, changes_roster=True),
    "invitation-show": Operation(inviting.ShowInvitation),
    "invite": Operation(inviting.Invite, changes_invitations=True),
    "join": Operation(inviting.Join, changes_invitations=True),
    "lab-list": Operation(labs.ListLabs),
    "lab-open": Operation(labs.OpenLab, writes_spaces=True),
    "lab-put": Operation(labs.PutInLab, writes_spaces=True),
    "lab-say": Operation(labs.SayInLab, writes_spaces=True),
    "lab-show": Operation(labs.ShowLab),
    "lookup": Operation(looking.LookUp),
    "note-findings": Operation(already_held.NoteFindings),
    "opinion": Operation(assessing.Opine, publishes=True),
    "partner-accept": Operation(
        pending.AcceptPending, changes_roster=True, awaits_cards=True, changes_invitations=True
    ),
    "partner-add": Operation(partners.AddPartner, changes_roster=True),
    "partner-confirm": Operation(partners.ConfirmPartner, changes_roster=True),
    "partner-link": Operation(partners.LinkPartner, changes_roster=True),
    "partner-distrust": Operation(partners.DistrustPartner),
    "partner-card": Operation(partners.PartnerCard),
    "partner-list": Operation(partners.ListPartners),
    "partner-pending": Operation(pending.ListPending),
    "partner-preview": Operation(partners.PreviewPartner),
    "partner-refuse": Operation(pending.RefusePending, changes_invitations=True),
    "partner-remove": Operation(partners.RemovePartner, changes_roster=True),
    "partner-rename": Operation(partners.RenamePartner, changes_roster=True),
    "partner-trust": Operation(partners.TrustPartner, wakes=True),
    "playbook-approve": Operation(frameworks.ApprovePlaybook, writes_spaces=True),
    "playbook-import": Operation(frameworks.ImportPlaybook, writes_spaces=True),
    "playbook-list": Operation(frameworks.ListPlaybooks),
    "playbook-show": Operation(frameworks.ShowPlaybook),
    "prepare": Operation(publishing.Prepare, in_exercise=True),
    "proposal-list": Operation(assessing.ListProposals),
    "propose": Operation(assessing.Propose, publishes=True),
    "partner-unfreeze": Operation(partners.UnfreezePartner, changes_roster=True),
    "publishing-discard": Operation(publishing.DiscardPublication),
    "publishing-list": Operation(publishing.PublicationsUnderWay),
    "recall-status": Operation(withdrawing.ShowRecall),
    "seal": Operation(publishing.Seal, publishes=True, in_exercise=True),
    "seal-on": Operation(publishing.SealOn, wakes=True),
    "search": Operation(searching.Search),
    "show-envelope": Operation(searching.ShowEnvelope),
    "show-object": Operation(searching.ShowObject),
    "show-publication": Operation(searching.ShowPublication),
    "show-raw": Operation(searching.ShowRaw),
    "sight": Operation(assessing.Sight, publishes=True, in_exercise=True),
    "space-accept": Operation(space_membership.AcceptLead, writes_spaces=True, in_exercise=True),
    "space-ack": Operation(space_takeover.AckTakeover, writes_spaces=True, in_exercise=True),
    "space-close": Operation(spaces.CloseNotebook, writes_spaces=True),
    "space-decline": Operation(space_membership.DeclineSpace, writes_spaces=True, in_exercise=True),
    "space-exposure": Operation(exposing.TellExposure, writes_spaces=True),
    "space-handover": Operation(space_membership.HandOverSpace, writes_spaces=True, in_exercise=True),
    "space-invite": Operation(space_membership.InviteIntoSpace, writes_spaces=True, in_exercise=True),
    "space-invite-preview": Operation(space_membership.PreviewInvitation, in_exercise=True),
    "space-join": Operation(space_membership.JoinSpace, writes_spaces=True, in_exercise=True),
    "space-leave": Operation(space_membership.LeaveSpace, writes_spaces=True, in_exercise=True),
    "space-links": Operation(spaces.PreviewMembers, in_exercise=True),
    "space-links-without": Operation(space_membership.PreviewRemoval, in_exercise=True),
    "space-list": Operation(spaces.ListSpaces, in_exercise=True),
    "space-member-card": Operation(space_membership.ShowMemberCard, in_exercise=True),
    "space-note": Operation(spaces.NoteInSpace, writes_spaces=True),
    "space-open": Operation(spaces.OpenSpace, writes_spaces=True),
    "space-purge": Operation(spaces.PurgeSpace),
    "space-redact": Operation(space_entries.RedactEntry, writes_spaces=True, in_exercise=True),
    "space-rekey": Operation(space_entries.RekeySpace, writes_spaces=True, in_exercise=True),
    "space-remove": Operation(space_membership.RemoveFromSpace, writes_spaces=True, in_exercise=True),
    "space-reopen": Operation(spaces.ReopenNotebook, writes_spaces=True),
    "space-seen": Operation(space_entries.SeenInSpace, in_exercise=True),
    "space-show": Operation(spaces.ShowSpace, in_exercise=True),
    "space-shown": Operation(spaces.MarkShown, in_exercise=True),
    "space-take-again": Operation(spaces.TakeSpaceAgain),
    "space-takeover": Operation(space_takeover.TakeOver, writes_spaces=True, in_exercise=True),
    "space-takeover-preview": Operation(space_takeover.PreviewTakeover, in_exercise=True),
    "space-trust": Operation(space_membership.TrustMember, changes_roster=True, writes_spaces=True),
    "status": Operation(status.ShowStatus, reports_refusals=True),
    "training-attest": Operation(training.AttestCourse),
    "training-find": Operation(training.FindCourseVersion),
    "training-list": Operation(training.ListCourses),
    "training-show": Operation(training.ShowCourse),
    "warninglist-check": Operation(warninglists.CheckValues),
    "warninglist-evaluate": Operation(warninglists.EvaluateAgain),
    "warninglist-import": Operation(warninglists.ImportList, changes_lists=True),
    "warninglist-list": Operation(warninglists.ListLists),
    "warninglist-set": Operation(warninglists.SetList, changes_lists=True),
    "withdraw": Operation(withdrawing.Withdraw, publishes=True, in_exercise=True),
}


def read_request(fields: Mapping[str, Any]) -> Request[Any]:
    """Returns the request in a message of the control socket. Raises OperatorError unknown-operation, bad-argument."""
    name = fields.get("operation")
    if type(name) is not str or name not in OPERATIONS:
        raise OperatorError(
            f"there is no operation '{clip(str(name))}'", hint=DIFFERENT_VERSIONS, reason="unknown-operation"
        )
    return read(fields, OPERATIONS[name].request, name, "bad-argument")


def node_for(node: Node, request: Request[Any], exercise: str) -> Node:
    """Returns the node that a request is for: the real one, or that of the exercise whose id begins so. Raises RefusedError
    `not-in-exercise`, and as `spaces.exercise_grounds.exercise_named`."""
    if not exercise:
        return node
    if not OPERATIONS[name_of(request)].in_exercise:
        raise RefusedError(
            "that is of what is real alone, and nothing of an exercise is in it",
            hint="leave out --exercise",
            reason="not-in-exercise",
        )
    return exercise_named(node, exercise)


def exercise_in(fields: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Returns the exercise for which a message of the control socket is, "" for none, and the message without it. Raises OperatorError."""
    exercise = fields.get("exercise", "")
    if type(exercise) is not str:
        raise OperatorError("exercise: expected text", hint=DIFFERENT_VERSIONS, reason="bad-argument")
    return exercise, {name: value for name, value in fields.items() if name != "exercise"}
