"""Guest keys: TLS keys that follow from what only two sides know, so that one can pin what the other will show (docs/card.md).

A listener that admits exact certificates can show or take an unknown one from nobody. It need not: who holds an
invitation, or a card, and its host derive the same key, and make the same certificate of a fixed form, to the byte.

Guests who knock are spoken with in `peering.guest_door`, those of an invitation in `peering.invited_guests`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from p2pshare.envelope.card_format import decode_card, signed_message, split_versions
from p2pshare.envelope.certificate import TlsKey
from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.hybrid import SEED_BYTES, Secret
from p2pshare.identifiers import PartnerId

LABEL_INVITATION = b"p2pshare/v1/invite-key"
LABEL_KNOCK = b"p2pshare/v1/knock-key"
INVITATION_SECRET_BYTES = 16
INVITATION_SECONDS = (
    8 * 86_400
)  # its certificate begins so long before the invitation ends, a day more than any lives
KNOCK_SECONDS = 18_250 * 86_400  # 50 years: who holds the first card may knock as long as there is a host
CERTIFICATE_TIME_MAX = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that X.509 can write
GUEST_NAME = "p2pshare guest"
GUEST_SERIAL_NUMBER = 1


def invitation_key(secret: Secret, host: PartnerId, expires: int) -> TlsKey:
    """Returns the key with which the holder of an invitation's `secret` comes to `host`; `expires` in unix seconds is that
    of the invitation. Raises ValueError for a secret of another length, PeerError `malformed` for a time that no
    certificate can have."""
    if len(secret) != INVITATION_SECRET_BYTES:
        raise ValueError("the secret of an invitation has 16 bytes")
    return _guest_key(secret.reveal(), LABEL_INVITATION + host, expires - INVITATION_SECONDS, expires)


def knock_key(host_card: bytes) -> TlsKey:
    """Returns the key with which anybody knocks who has the host's card file. It begins with version 1.

    Raises PeerError (card-gap, those of a file that is none, `malformed` for a time that no certificate can have); no
    signature is verified here.
    """
    first = decode_card(split_versions(host_card)[0])
    if first.body.version != 1:
        raise refusal("card-gap", "knocking needs the first version of the host's card")
    begin = first.body.not_before
    return _guest_key(signed_message(first.body_raw), LABEL_KNOCK, begin, begin + KNOCK_SECONDS)


def _guest_key(known: bytes, label: bytes, not_before: int, not_after: int) -> TlsKey:
    if not 0 <= not_before < not_after <= CERTIFICATE_TIME_MAX:
        raise refusal("malformed", "a guest's certificate would have a time that cannot be written")
    key = Ed25519PrivateKey.from_private_bytes(
        HKDF(hashes.SHA384(), SEED_BYTES, salt=None, info=label).derive(known)
    )
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return TlsKey(_certificate(key, not_before, not_after), Secret(private))


def _certificate(key: Ed25519PrivateKey, not_before: int, not_after: int) -> bytes:
    """Returns the one certificate of these: no random serial number, and Ed25519 signs the same bytes the same way."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, GUEST_NAME)])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    begin, end = (datetime.fromtimestamp(at, UTC) for at in (not_before, not_after))
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), GUEST_SERIAL_NUMBER, begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(both_ends, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, None)
    )
    return certificate.public_bytes(Encoding.DER)
