"""Which operations the audit log knows, by which word, and what a record says of each (docs/operations/audit.md).

Every operation that changes something has a row here, or stands in NOT_AUDITED with its reason; a query has none. A row names fields: ids that the
request or the answer has, objects (ids of STIX), and names that this program gave or a partner is called by. What people wrote, values and titles
are in no row; a test holds each field to a type.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from p2pshare.audit_log import DONE, subject_of
from p2pshare.operations.crossing import name_of
from p2pshare.operations.interface import Query, Request


class Audited(Struct, frozen=True):
    """The word for what is done, and the fields that say to what. `asked`: ids in the request; `answered`: ids in the answer; `objects`: ids
    of STIX in either; `words`: numbers and words of this program in the request; `names`: names in the answer."""

    action: str
    asked: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    is_refusal_only: bool = False
    """Whether it is written down only where it was refused: what goes on from it is written down later."""


def _space(action: str, *asked: str, words: tuple[str, ...] = ()) -> Audited:
    """Returns the row of an operation that writes an entry into the space called `id`."""
    return Audited(action, asked=asked, answered=("space", "entry"), words=words)


AUDITED: dict[str, Audited] = {
    "allow-add": Audited("allow-add", names=("type",)),
    "allow-remove": Audited("allow-remove", names=("type",)),
    "card-install": Audited("card-install", answered=("version",)),
    "card-renew": Audited("keys-renew", answered=("version",)),
    "card-renew-over": Audited("keys-renew", answered=("version",)),
    "card-revoke": Audited("keys-revoke", answered=("version", "key_id"), words=("reason",)),
    "card-rotate": Audited("keys-rotate", answered=("version",)),
    "card-set": Audited("card-set", answered=("version",)),
    "card-threshold": Audited("keys-threshold", answered=("version",), words=("threshold",)),
    "config-reload": Audited("config-reload", names=("changed",)),
    "consumer-add": Audited("consumer-add", names=("name",)),
    "consumer-remove": Audited("consumer-remove", names=("name",)),
    "consumer-reset": Audited("consumer-reset", names=("name",)),
    "exercise-ack": _space("exercise-ack", words=("number",)),
    "exercise-answer": _space("exercise-answer", words=("number",)),
    "exercise-end": Audited("exercise-end", answered=("exercise", "entry")),
    "exercise-invite": Audited("exercise-invite", answered=("exercise", "entry")),
    "exercise-join": _space("exercise-join"),
    "exercise-new": Audited("exercise-new", answered=("exercise",)),
    "exercise-pause": Audited("exercise-pause", answered=("exercise", "entry")),
    "exercise-rate": _space("exercise-rate", words=("rating",)),
    "exercise-release": Audited("exercise-release", answered=("exercise", "entry"), words=("number",)),
    "exercise-remove": Audited("exercise-remove", asked=("id",), answered=("exercise",)),
    "exercise-resume": Audited("exercise-resume", answered=("exercise", "entry")),
    "exercise-start": Audited("exercise-start", answered=("exercise", "entry")),
    "exercise-stop": _space("exercise-stop"),
    "framework-adopt": _space("framework-adopt", "id"),
    "framework-react": Audited("framework-react", asked=("id",), answered=("incident", "framework", "hash")),
    "framework-write": _space("framework-write", "id"),
    "history-forward": Audited("history-forward", answered=("partner_id", "envelopes")),
    "incident-add-indicators": Audited(
        "incident-add-indicators", asked=("id",), answered=("incident", "envelopes")
    ),
    "incident-archive": Audited(
        "incident-archive", asked=("id",), answered=("incident",), words=("is_undone",)
    ),
    "incident-attach": _space("incident-attach", "id"),
    "incident-open": Audited("incident-open", answered=("incident", "entry")),
    "incident-say": _space("incident-say", "id", words=("kind",)),
    "incident-watch-tell": _space("incident-watch-tell", "id"),
    "introduce-accept": Audited("introduce-accept", names=("accepted",)),
    "introduce-export": Audited("introduce-export", names=("circle", "number")),
    "invite": Audited("invite", names=("partner",)),
    "join": Audited("join", answered=("partner_id",)),
    "lab-open": Audited("lab-open", answered=("lab", "entry")),
    "lab-put": _space("lab-put", "id", words=("kind",)),
    "lab-say": _space("lab-say", "id", words=("kind",)),
    "opinion": Audited("opinion", answered=("envelopes",), objects=("what",), words=("opinion",)),
    "partner-accept": Audited(
        "partner-accept", asked=("partner",), answered=("partner_id",), names=("alias",)
    ),
    "partner-add": Audited("partner-add", answered=("partner_id",), names=("alias",)),
    "partner-confirm": Audited("partner-confirm", answered=("partner_id",), names=("alias",)),
    "partner-distrust": Audited("partner-distrust", answered=("partner_id",), names=("alias",)),
    "partner-link": Audited("partner-link", answered=("partner_id",), words=("has_link",), names=("alias",)),
    "partner-refuse": Audited("partner-refuse", asked=("partner",), answered=("partner_id",)),
    "partner-rename": Audited("partner-rename", answered=("partner_id",), names=("alias",)),
    "partner-trust": Audited("partner-trust", answered=("partner_id",), names=("alias",)),
    "partner-remove": Audited("partner-remove", answered=("partner_id",), names=("alias",)),
    "partner-unfreeze": Audited("partner-unfreeze", answered=("partner_id",), names=("alias",)),
    "playbook-approve": Audited(
        "playbook-approve", answered=("space", "entry", "hash"), words=("is_revoked",)
    ),
    "playbook-import": Audited("playbook-import", asked=("id",), answered=("space", "entry", "hash")),
    "prepare": Audited("publish", is_refusal_only=True),
    "propose": Audited("propose", answered=("envelopes",), objects=("what",)),
    "publishing-discard": Audited("publish-discard", asked=("publication",)),
    "seal": Audited("publish", answered=("publication", "envelopes")),
    "sight": Audited("sight", answered=("envelopes",), objects=("what",), words=("false_positive",)),
    "space-accept": _space("space-accept", "id"),
    "space-ack": Audited("space-ack", asked=("id",), answered=("space", "entry", "proposal")),
    "space-close": _space("space-close", "id"),
    "space-decline": _space("space-decline", "id"),
    "space-exposure": _space("space-exposure", "id"),
    "space-handover": _space("space-handover", "id"),
    "space-invite": _space("space-invite", "id"),
    "space-join": _space("space-join", "id"),
    "space-leave": _space("space-leave", "id"),
    "space-note": _space("space-note", "id"),
    "space-open": Audited("space-open", answered=("space", "entry")),
    "space-purge": Audited("space-purge", asked=("id",), answered=("space",)),
    "space-redact": _space("space-redact", "id", "entry"),
    "space-rekey": _space("space-rekey", "id"),
    "space-remove": _space("space-remove", "id"),
    "space-reopen": _space("space-reopen", "id"),
    "space-take-again": Audited("space-take-again", asked=("id",), answered=("space",)),
    "space-takeover": Audited("space-takeover", asked=("id",), answered=("space", "entry", "proposal")),
    "space-trust": Audited("partner-add", asked=("id",), answered=("partner_id",), names=("alias",)),
    "training-attest": Audited("training-attest", words=("completed",)),
    "warninglist-import": Audited("warninglist-import", names=("name", "action")),
    "warninglist-set": Audited("warninglist-set", names=("name", "action")),
    "withdraw": Audited("withdraw", answered=("envelopes",), objects=("objects",)),
}

NOT_AUDITED: dict[str, str] = {
    "consumer-advance": "a step of `tail`: what was read, each second",
    "discard": "what was prepared and shown leaves nothing behind",
    "exercise-list": "it lists, and opens the files of exercises to do so",
    "history-count": "it counts, and what is shown and confirmed is sealed",
    "history-forward-on": "a step of what was begun",
    "introduce-offer": "it looks at a list; what is accepted is written down",
    "note-findings": "a part of publishing, which is audited as it is sealed",
    "seal-on": "a step of what was sealed",
    "space-shown": "looking at a space says by itself how far",
    "warninglist-evaluate": "a step of what changed the lists",
}


def audited(request: Request[Any]) -> Audited | None:
    """Returns the row of what a request does; None for a query, a dry run and what is not audited."""
    if isinstance(request, Query) or getattr(request, "dry_run", False):
        return None
    return AUDITED.get(name_of(request))


def outcome(row: Audited, answer: Struct) -> str:
    """Returns `done`, or the reason code with which policy refused it in the answer; "" where nothing is written down."""
    refusal = getattr(answer, "refusal", None)
    if refusal is not None:
        return str(refusal.reason)
    return "" if row.is_refusal_only else DONE


def subject(row: Audited, request: Request[Any], answer: Struct | None, exercise: str = "") -> str:
    """Returns what a record says of the request and its answer, which is None where there was none; `exercise` is the id of the one it was for."""
    ids: list[tuple[str, object]] = [("exercise", exercise)] if exercise else []
    answered = {field for field in row.answered if getattr(answer, field, None) not in (None, "", [])}
    ids += [
        (field, getattr(request, field))
        for field in row.asked
        if not answered & {field, "space", "exercise", "incident"}
    ]
    ids += [(field, _hex(getattr(answer, field))) for field in row.answered if field in answered]
    objects = [
        (field, getattr(request, field, None) or getattr(answer, field, None)) for field in row.objects
    ]
    names = [
        (field, getattr(request, field))
        for field in row.words
        if getattr(request, field) not in (False, None)
    ]
    names += [(field, getattr(answer, field, None)) for field in row.names]
    return subject_of(ids, objects, names)


def _hex(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
