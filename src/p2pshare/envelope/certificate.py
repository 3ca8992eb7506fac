"""TLS certificates: self-signed leaves that can vouch for nobody but themselves, and name the partner they are of.

The exact DER bytes stand in the partner's card and are the only trust anchor for that partner. A pinned
certificate with CA:TRUE could mint a second identity that passes the handshake, so the card refuses it. Everybody who
connects sees a certificate: one that named nobody could be put on another's card, and whoever came first had it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.hybrid import Secret
from p2pshare.identifiers import PartnerId
from p2pshare.limits import TLS_CERTIFICATE_BYTES_MAX

CURVES = ("secp256r1", "secp384r1")
SIGNATURE_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
PARTNER_URI = "p2pshare:"  # followed by the partner id in hexadecimal
CLOCK_TOLERANCE = timedelta(days=1)  # a partner's clock may be behind ours when it first sees the certificate


@dataclass(frozen=True, slots=True)
class TlsKey:
    """A P-384 key and its certificate (DER)."""

    certificate: bytes = field(repr=False)
    _private: Secret = field(compare=False)

    @classmethod
    def generate(cls, partner_id: PartnerId, now: int, days: int) -> TlsKey:
        """Returns a new key and its certificate for `days` days from `now` (unix seconds).

        It shows the partner id to everyone who connects, and no name.
        """
        key = ec.generate_private_key(ec.SECP384R1())
        private = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(_self_signed(key, partner_id, now, days), Secret(private))

    @classmethod
    def from_secret(cls, secret: Secret, certificate: bytes) -> TlsKey:
        """Returns the pair of a PKCS #8 DER key and its certificate. Raises ValueError when they do not belong together."""
        key = serialization.load_der_private_key(secret.reveal(), password=None)
        if x509.load_der_x509_certificate(certificate).public_key() != key.public_key():
            raise ValueError("the TLS certificate is of another key")
        return cls(certificate, secret)

    def secret(self) -> Secret:
        """Returns the private key, PKCS #8 DER."""
        return self._private


def ends_at(der: bytes) -> int:
    """Returns when the certificate, one that was checked, ends: its last second, in unix seconds."""
    return int(x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp())


def check_certificate(der: bytes, partner_id: PartnerId) -> None:
    """Require that `der` is a leaf (`check_leaf`) that names the partner and nobody else, signed with its own key: so it is
    on no other partner's card, and whoever put it there has the key. Raises PeerError `bad-certificate`.
    """
    certificate = check_leaf(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hash_algorithm = certificate.signature_hash_algorithm
    except Exception:  # noqa: BLE001 - as in check_leaf
        raise refusal("bad-certificate", "a TLS certificate does not name its partner") from None
    if list(names) != [x509.UniformResourceIdentifier(PARTNER_URI + partner_id.text)]:
        raise refusal("bad-certificate", "a TLS certificate names somebody else than its partner")
    if not isinstance(hash_algorithm, SIGNATURE_HASHES):
        raise refusal("bad-certificate", "a TLS certificate is not signed with ECDSA and SHA-256, 384 or 512")
    try:
        certificate.verify_directly_issued_by(
            certificate
        )  # the issuer is the subject, and the signature holds
    except Exception:  # noqa: BLE001 - as in check_leaf
        raise refusal("bad-certificate", "a TLS certificate is not signed with its own key") from None


def sign_with(key: TlsKey, message: bytes) -> bytes:
    """Returns the ECDSA signature (SHA-384, DER) of `message` by the key of a certificate of ours."""
    private = serialization.load_der_private_key(key.secret().reveal(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return private.sign(message, ec.ECDSA(hashes.SHA384()))


def verify_with(der: bytes, signature: bytes, message: bytes) -> bool:
    """Returns whether the key of a certificate, one that was checked, has signed `message` (`sign_with`)."""
    public = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    try:
        public.verify(signature, message, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        return False
    return True


def check_leaf(der: bytes) -> x509.Certificate:
    """Require that `der` is a certificate that says CA:FALSE, with a key on P-256 or P-384 and a positive serial number;
    returns it.

    The serial number is of RFC 5280 section 4.1.2.2. Raises PeerError `bad-certificate`.
    """
    if len(der) > TLS_CERTIFICATE_BYTES_MAX:
        raise refusal("bad-certificate", "a TLS certificate is too large")
    try:
        certificate = x509.load_der_x509_certificate(der)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        key = certificate.public_key()
        serial_number = certificate.serial_number
    except Exception:  # noqa: BLE001 - the parser answers hostile bytes with many classes, some of them bare Exceptions
        raise refusal(
            "bad-certificate", "a TLS certificate cannot be read or lacks basic constraints"
        ) from None
    if constraints.ca:
        raise refusal("bad-certificate", "a TLS certificate could sign others (CA:TRUE)")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise refusal("bad-certificate", "a TLS certificate's key is not on P-256 or P-384")
    if serial_number <= 0:  # RFC 5280 section 4.1.2.2; the parser only warns
        raise refusal("bad-certificate", "a TLS certificate's serial number is not positive")
    return certificate


def _self_signed(key: ec.EllipticCurvePrivateKey, partner_id: PartnerId, now: int, days: int) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"p2pshare {partner_id.short}")])
    named = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(PARTNER_URI + partner_id.text)])
    start = datetime.fromtimestamp(now, UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - CLOCK_TOLERANCE)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(both_ends, critical=False)
        .add_extension(named, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    return certificate.public_bytes(serialization.Encoding.DER)
