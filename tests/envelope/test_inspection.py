"""The offline report: every check is named, a check that cannot be made is not called passed."""

from __future__ import annotations

from dataclasses import replace

from envelope_forge import DAY, NOW, body_of, forge, request, sign_parts
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.card_format import sign_card
from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.inspection import Inspection, InspectionVerdict, inspect, kind_of
from p2pshare.envelope.keys import Identity, reissue_card
from p2pshare.envelope.sealing import seal

PASSED, FAILED, NOT_MADE = InspectionVerdict.PASSED, InspectionVerdict.FAILED, InspectionVerdict.NOT_MADE


def verdicts(report: Inspection) -> dict[int, InspectionVerdict]:
    return {check.number: check.verdict for check in report.checks}


def reasons(report: Inspection) -> list[str]:
    return [check.reason for check in report.checks if check.verdict is FAILED]


def test_a_good_card_passes_everything(alpha: Identity) -> None:
    report = inspect(alpha.card.raw, NOW)
    assert (report.kind, report.identifier) == ("card", fingerprint(alpha.partner_id))
    assert report.is_sound
    assert report.is_complete
    assert report.facts["name"] == "Alpha CERT"
    assert report.facts["threshold"] == "1 of 1"
    assert inspect(reissue_card(alpha, NOW, name="Two").card.raw, NOW).facts["version"] == 2


def test_an_expired_a_cut_and_a_forged_card_fail_where_they_should(
    alpha: Identity, mallory: Identity
) -> None:
    expired = inspect(alpha.card.raw, NOW + 400 * DAY)
    assert verdicts(expired) == {1: PASSED, 2: PASSED, 3: FAILED}
    assert reasons(expired) == ["card-expired"]
    cut = inspect(alpha.card.raw[:-1], NOW)
    assert verdicts(cut) == {1: FAILED, 2: NOT_MADE, 3: NOT_MADE}
    forged = inspect(sign_card(replace(body_of(alpha.card), name="Evil"), mallory.roots), NOW)
    assert verdicts(forged) == {1: PASSED, 2: FAILED, 3: PASSED}
    assert reasons(forged) == ["card-signature"]


def test_an_envelope_of_a_known_author(alpha: Identity, bravo: Identity) -> None:
    sealed = seal(alpha, request([bravo.card]))
    report = inspect(sealed.wire, NOW, {alpha.partner_id: alpha.card}.get)
    assert (report.kind, report.identifier) == ("envelope", sealed.envelope_id.text)
    assert report.is_complete
    assert report.facts["author_name"] == "Alpha CERT"
    assert report.facts["created"] == "2030-03-17T17:46:40Z"


def test_an_envelope_of_an_unknown_author_is_sound_but_not_complete(alpha: Identity, bravo: Identity) -> None:
    report = inspect(seal(alpha, request([bravo.card])).wire, NOW)
    assert verdicts(report) == {1: PASSED, 5: NOT_MADE, 7: PASSED, 9: NOT_MADE, 10: NOT_MADE}
    assert report.is_sound
    assert not report.is_complete


def test_forged_expired_and_cut_envelopes_fail_where_they_should(
    alpha: Identity, bravo: Identity, mallory: Identity
) -> None:
    known = {alpha.partner_id: alpha.card}.get
    parts = decode_envelope(seal(alpha, request([bravo.card])).wire)
    forged = inspect(sign_parts(mallory, parts.core_raw, parts.wraps, parts.body), NOW, known)
    assert verdicts(forged) == {1: PASSED, 5: PASSED, 7: PASSED, 9: PASSED, 10: FAILED}
    expired = inspect(parts.wire, NOW + 91 * DAY, known)
    assert reasons(expired) == ["expired"]
    cut = inspect(parts.wire[:-1], NOW, known)
    assert verdicts(cut) == {1: FAILED, 5: NOT_MADE, 7: NOT_MADE, 9: NOT_MADE, 10: NOT_MADE}
    other_key = inspect(forge(alpha, [bravo.card], key_id=mallory.operational.sign.key_id), NOW, known)
    assert verdicts(other_key) == {1: PASSED, 5: PASSED, 7: PASSED, 9: FAILED, 10: NOT_MADE}


def test_an_instant_beyond_the_calendar_is_still_reported(alpha: Identity, bravo: Identity) -> None:
    report = inspect(forge(alpha, [bravo.card], created=(1 << 53) - 1), NOW)
    assert report.facts["created"] == str((1 << 53) - 1)
    assert reasons(report) == ["from-the-future"]


@given(st.binary(max_size=200))
def test_any_file_gets_a_report(raw: bytes) -> None:
    report = inspect(raw, NOW)
    assert report.kind == kind_of(raw)
    assert not report.is_sound
    for magic in (b"\x94\xc4\x04p2pc", b"\x93\xc4\x04p2pv", b"\x96\xc4\x04p2ps", b"\x96\xc4\x04p2pf"):
        assert not inspect(magic + raw, NOW).is_sound
