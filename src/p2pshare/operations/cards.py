"""`card renew`, `rotate`, `revoke`, `set` and `install`: the next version of our own card.

Each is done by a process that reads the root keys and ends (`node.card_issuing`). Where too few roots are at hand the
answer is an unfinished card, and nothing has changed.
"""

from __future__ import annotations

from p2pshare.errors import AuthorError, RefusedError
from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.display import clip
from p2pshare.intel.instants import SECOND_US, parse_instant
from p2pshare.node.card_issuing import CardChange
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Query, Request
from p2pshare.sharing.own_card import (
    IssuedVersion,
    NewerOwnCard,
    describe_card,
    describe_newer,
    install,
    issue,
    needs_renewal,
    newer_card,
    renew,
    renew_over,
    set_roots,
)
from p2pshare.sharing.revoking import RevocationReason, RevokedKey, revoke


class RenewCard(Request[IssuedVersion], frozen=True, tag="card-renew"):
    """Put new operational keys on the card when those in use have served their time; else change nothing."""

    def run(self, node: Node, now: int, progress: Progress) -> IssuedVersion:
        if not needs_renewal(node.card, now):
            return describe_card(node.card, is_new=False)
        return RotateCard().run(node, now, progress)


class RenewOverNewer(Request[IssuedVersion], frozen=True, tag="card-renew-over"):
    """Issue the version that follows a newer card of ours, of which this home was set back, with new operational keys: the one in the file
    `card`, empty: the one that partners have shown. `body` is the digest of the version that a person has looked at."""

    body: bytes
    card: bytes = b""

    def run(self, node: Node, now: int, progress: Progress) -> IssuedVersion:
        newer = newer_card(node, self.card)
        if newer.body_digest != self.body:
            raise RefusedError(
                "another card came meanwhile than the one that was shown",
                hint="try again",
                reason="card-changed",
            )
        return renew_over(node, newer, now)


class NewerCard(Query[NewerOwnCard], frozen=True, tag="card-newer"):
    """Tell what a newer card of ours says that this home lacks: that in the file `card`, empty: the one that partners have shown."""

    card: bytes = b""

    def run(self, node: NodeReading, now: int, progress: Progress) -> NewerOwnCard:
        return describe_newer(node.card, newer_card(node, self.card))


class RotateCard(Request[IssuedVersion], frozen=True, tag="card-rotate"):
    """Put new operational keys on the card now. Earlier ones open and verify what was made with them."""

    def run(self, node: Node, now: int, progress: Progress) -> IssuedVersion:
        return renew(node, now)


class RevokeKey(Request[RevokedKey], frozen=True, tag="card-revoke"):
    """Revoke a sign key of our card, begun by its id's first digits, with its whole set. `since` is an instant, empty: now;
    `vouch` are ids of envelopes that came home and are ours all the same. A dry run tells what would be vouched for."""

    key: str
    reason: RevocationReason
    since: str = ""
    vouch: tuple[str, ...] = ()
    dry_run: bool = False

    def run(self, node: Node, now: int, progress: Progress) -> RevokedKey:
        try:
            since = parse_instant(self.since) // SECOND_US if self.since else now
        except ValueError:
            raise AuthorError(
                f"--since: '{clip(self.since)}' is no time",
                hint="write it as 2026-11-30T12:00:00Z",
                reason="bad-argument",
            ) from None
        if since > now:
            raise AuthorError(
                f"--since: '{clip(self.since)}' is still to come",
                hint="say since when somebody else may have the key",
                reason="bad-argument",
            )
        try:
            confirmed = [EnvelopeId.parse(one) for one in self.vouch]
        except ValueError:
            raise AuthorError(
                "--vouch: an envelope id has 64 hexadecimal digits",
                hint="--dry-run lists those that came home",
                reason="bad-argument",
            ) from None
        return revoke(
            node,
            self.key,
            self.reason,
            since=since,
            confirmed=confirmed,
            is_dry_run=self.dry_run,
            now=now,
        )


class SetRoots(Request[IssuedVersion], frozen=True, tag="card-threshold"):
    """Change how many root keys must sign our card, and which there are: public keys to `add`, and to `drop` those whose id
    begins so."""

    threshold: int
    add: tuple[bytes, ...] = ()
    drop: tuple[str, ...] = ()

    def run(self, node: Node, now: int, progress: Progress) -> IssuedVersion:
        return set_roots(node, self.threshold, add=self.add, drop=self.drop, now=now)


class SetCard(Request[IssuedVersion], frozen=True, tag="card-set"):
    """Change the name or the addresses on the card; None leaves them, no address is a node that dials only."""

    name: str | None = None
    urls: tuple[str, ...] | None = None

    def run(self, node: Node, now: int, progress: Progress) -> IssuedVersion:
        return issue(node, CardChange(now, name=self.name, urls=self.urls))


class InstallCard(Request[IssuedVersion], frozen=True, tag="card-install"):
    """Use the next version of our card, which holders of root keys have signed."""

    card: bytes

    def run(self, node: Node, now: int, progress: Progress) -> IssuedVersion:
        return install(node, self.card, now)
