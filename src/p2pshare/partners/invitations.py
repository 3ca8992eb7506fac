"""The store's part of invitations: those that this node gave out, and those by which it joined others. What they mean is in
`partners.invited`. Errors: see `database.Database`. Every reading method may be called from any thread.
"""

from __future__ import annotations

from dataclasses import replace

import apsw

from p2pshare.database.database import Database
from p2pshare.identifiers import PartnerId
from p2pshare.partners.invited import (
    KEPT_MAX,
    KEPT_SECONDS,
    Invitation,
    InvitationState,
    JoinedGuest,
    Joining,
)

_INVITATION = "name, certificate, created, expires, state, begun, guest, card, words, address, joined_at, later, later_at, later_count"
_JOINING = "host, alias, card, words, address, secret, expires, joined_at, here, there"


class InvitationsReading:
    """Questions that any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fetch = database.fetch

    def given_out(self) -> list[Invitation]:
        """Returns the invitations that we gave out and that are kept, in the order in which they were made."""
        rows = self._fetch(f"SELECT {_INVITATION} FROM invitation ORDER BY id")  # noqa: S608  own text only
        return [_invitation(*row) for row in rows]

    def by_certificate(self, certificate: bytes) -> Invitation | None:
        """Returns the invitation whose guest shows this certificate (DER)."""
        rows = self._fetch(f"SELECT {_INVITATION} FROM invitation WHERE certificate = ?", (certificate,))  # noqa: S608
        return _invitation(*rows[0]) if rows else None

    def joinings(self) -> list[Joining]:
        """Returns the hosts by whose invitation we joined, in the order of time."""
        rows = self._fetch(f"SELECT {_JOINING} FROM joining ORDER BY joined_at, host")  # noqa: S608  own text only
        return [_joining(*row) for row in rows]

    def joining(self, host: PartnerId) -> Joining | None:
        return next((one for one in self.joinings() if one.host == host), None)


class Invitations(InvitationsReading):
    """Invitations with their one writer. Each method is a transaction, or a part of the one that is under way."""

    def put(self, invitation: Invitation) -> None:
        """Add an invitation, or what has become of one."""
        guest = invitation.guest
        fields = (
            invitation.name,
            invitation.certificate,
            invitation.created,
            invitation.expires,
            invitation.state.value,
            invitation.begun,
            *_guest_fields(guest),
            None if invitation.later is None else bytes(invitation.later),
            invitation.later_at,
            invitation.later_count,
        )
        with self._database.transaction() as writer:
            writer.execute(
                f"""INSERT INTO invitation ({_INVITATION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (certificate) DO UPDATE SET state = excluded.state, begun = excluded.begun, guest = excluded.guest,
                card = excluded.card, words = excluded.words, address = excluded.address, joined_at = excluded.joined_at,
                later = excluded.later, later_at = excluded.later_at, later_count = excluded.later_count""",  # noqa: S608
                fields,
            )

    def end_open(self) -> int:
        """End the invitations by which nobody has joined, as far as is known here; returns how many. Raises StoreError."""
        ended = [one for one in self.given_out() if one.state is InvitationState.OPEN]
        for one in ended:
            self.put(replace(one, state=InvitationState.REFUSED))
        return len(ended)

    def drop(self, invitation: Invitation) -> None:
        with self._database.transaction(frees_space=True) as writer:
            writer.execute("DELETE FROM invitation WHERE certificate = ?", (invitation.certificate,))

    def put_joining(self, joining: Joining) -> None:
        """Add a host by whose invitation we joined, or what has become of it."""
        with self._database.transaction() as writer:
            writer.execute(
                f"INSERT OR REPLACE INTO joining ({_JOINING}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (
                    bytes(joining.host),
                    joining.alias,
                    joining.card,
                    joining.words,
                    joining.address,
                    joining.secret,
                    joining.expires,
                    joining.joined_at,
                    joining.here.value,
                    joining.there.value,
                ),
            )
            _keep_newest(writer, "joining", "joined_at", "host")

    def forget_old(self, now: int) -> None:
        """Forget what ended a week before `now` (unix seconds), and the oldest of what is too many."""
        with self._database.transaction(frees_space=True) as writer:
            for table in ("invitation", "joining"):
                writer.execute(f"DELETE FROM {table} WHERE expires < ?", (now - KEPT_SECONDS,))  # noqa: S608
            _keep_newest(writer, "invitation", "id", "id")


def _keep_newest(writer: apsw.Connection, table: str, order: str, key: str) -> None:
    writer.execute(
        f"DELETE FROM {table} WHERE {key} NOT IN (SELECT {key} FROM {table} ORDER BY {order} DESC LIMIT {KEPT_MAX})"  # noqa: S608
    )


def _guest_fields(guest: JoinedGuest | None) -> tuple[object, ...]:
    if guest is None:
        return (None,) * 5
    return bytes(guest.partner_id), guest.card, guest.words, guest.address, guest.joined_at


def _invitation(
    name: str,
    certificate: bytes,
    created: int,
    expires: int,
    state: str,
    begun: int,
    guest: bytes | None,
    card: bytes,
    words: str,
    address: str,
    joined_at: int,
    later: bytes | None,
    later_at: int,
    later_count: int,
) -> Invitation:
    return Invitation(
        name,
        certificate,
        created,
        expires,
        InvitationState(state),
        begun,
        None if guest is None else JoinedGuest(PartnerId(guest), card, words, address, joined_at),
        None if later is None else PartnerId(later),
        later_at,
        later_count,
    )


def _joining(
    host: bytes,
    alias: str,
    card: bytes,
    words: str,
    address: str,
    secret: bytes,
    expires: int,
    joined_at: int,
    here: str,
    there: str,
) -> Joining:
    return Joining(
        PartnerId(host),
        alias,
        card,
        words,
        address,
        secret,
        expires,
        joined_at,
        InvitationState(here),
        InvitationState(there),
    )
