"""The specifications cannot drift: every refusal, domain and limit of the code stands in them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from p2pshare import limits
from p2pshare.envelope import card, entry, guest, invitation, knock
from p2pshare.log import envelope_log
from p2pshare.policy import vouching


@pytest.fixture(scope="module")
def specification(repository: Path) -> str:
    pages = [
        repository / "docs" / name
        for name in (
            "envelope.md",
            "card.md",
            "introductions.md",
            "invitations.md",
            "spaces.md",
            "training.md",
        )
    ]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


@pytest.fixture(scope="module")
def sources(repository: Path) -> str:
    folder = repository / "src" / "p2pshare" / "envelope"
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))


def test_every_reason_of_a_refusal_is_specified(specification: str, sources: str) -> None:
    reasons = set(re.findall(r'refusal\(\s*"([a-z-]+)"', sources))
    assert {"malformed", "commitment-mismatch", "card-threshold"} <= reasons, "the search itself works"
    assert sorted(reason for reason in reasons if f"`{reason}`" not in specification) == []


def test_every_domain_label_and_magic_is_specified(specification: str, sources: str) -> None:
    names = set(re.findall(r'b"(p2pshare/v1/[a-z-]+)', sources)) | set(re.findall(r'b"(p2p[a-z])"', sources))
    assert len(names) > 12
    assert sorted(name for name in names if f'"{name}' not in specification) == []


def test_the_limits_are_those_of_the_code(specification: str) -> None:
    """Each limit with the words the pages use for it; another implementation reads only the pages."""
    stated = {
        "16,777,216 bytes": limits.ENVELOPE_BYTES_MAX == 16_777_216,
        "| core | 4,096 bytes |": limits.CORE_BYTES_MAX == 4096,
        "| slots | 1,024 |": limits.SLOTS_MAX == 1024,
        "| all frames of an envelope, inflated | 64 MiB |": limits.INFLATED_BYTES_MAX == 64 << 20,
        "| zstd window | 8 MiB |": limits.ZSTD_WINDOW_BYTES_MAX == 8 << 20,
        "| frames | 4,096 |": limits.PAYLOAD_FRAMES_MAX == 4096,
        "| objects in a frame | 1,024 |": limits.FRAME_OBJECTS_MAX == 1024,
        "| objects in an envelope | 200,000 |": limits.OBJECTS_PER_BUNDLE_MAX == 200_000,
        "| envelopes in a publication | 65,535 |": limits.PUBLICATION_PARTS_MAX == 65_535,
        "1 <= number <= of <= 65,535": limits.PUBLICATION_PARTS_MAX == 65_535,
        "| rows marked for one recipient | 4 |": limits.OWN_ROWS_MAX == 4,
        "1: 1 day, 2: 7, 3: 30, 4: 90, 5: 365, 6: 730 days": {
            number: days * 86_400 for number, days in enumerate((1, 7, 30, 90, 365, 730), 1)
        }
        == limits.TTL_SECONDS_BY_CLASS,
        "incarnation > created + 172,800": limits.INCARNATION_REFUSE_SECONDS == 172_800,
        "| incarnation beyond `created`, for a reader | 172,800 s |": limits.INCARNATION_REFUSE_SECONDS
        == 172_800,
        "| incarnation beyond now that an author counts | 86,400 s |": limits.INCARNATION_COUNT_SECONDS
        == 86_400,
        "| incarnation beyond now up to which an author draws, where its clock is behind | 43,200 s |": (
            limits.INCARNATION_DRAW_SECONDS,
            limits.INCARNATION_DRAW_SHARE,
        )
        == (43_200, 8),
        "created more than 86,400 s ahead; more than 600 s ahead": (
            limits.FUTURE_REFUSE_SECONDS,
            limits.FUTURE_DEFER_SECONDS,
        )
        == (86_400, 600),
        "at most 128 KiB": limits.CARD_BYTES_MAX == 128 << 10,
        "at most 4 MiB and 256 versions": (limits.CARD_CHAIN_BYTES_MAX, limits.CARD_CHAIN_LENGTH_MAX)
        == (4 << 20, 256),
        "at most 400 days": limits.CARD_LIFE_SECONDS_MAX == 400 * 86_400,
        "1 to 8 public keys": limits.ROOT_KEYS_MAX == 8,
        "str of 1 to 256 bytes": limits.CARD_NAME_BYTES_MAX == 256,
        "0 to 8 str of at most 512 bytes": (limits.CARD_URLS_MAX, limits.CARD_URL_BYTES_MAX) == (8, 512),
        "0 to 64 of": limits.CARD_REVOCATIONS_MAX == 64,
        "at most 72 in all": card.HINT_KEYS_EVER_MAX == 72,
        "expires of the invitation - 691,200": guest.INVITATION_SECONDS == 691_200,
        "1,576,800,000 s later": guest.KNOCK_SECONDS == 1_576_800_000,
        "at most 4,194,311 bytes": knock.CARD_MESSAGE_BYTES_MAX == 4_194_311,
        "An invitation lives 86,400 s": invitation.INVITED_SECONDS == 86_400,
        "At most 1,024 characters": invitation.LINE_CHARACTERS_MAX == 1_024,
        "address (str of 3 to 300 bytes)": (invitation.ADDRESS_BYTES_MIN, invitation.ADDRESS_BYTES_MAX)
        == (3, 300),
        "at most 147,456 bytes": limits.VOUCH_PAGE_BYTES_MAX == 147_456,
        "at most 147,520 bytes": limits.NOTICE_BYTES_MAX == 147_520,
        "in effect for 24 hours": vouching.PAGES_SECONDS == 24 * 3_600,
        "1,000 envelopes and 64 MiB": (
            envelope_log.EVIDENCE_ENVELOPES_MAX,
            envelope_log.EVIDENCE_BYTES_MAX,
        )
        == (1_000, 64 << 20),
        "at most 98,304 bytes": limits.MEMBER_LIST_BYTES_MAX == 98_304,
        "at most 16 MiB, 0 to 1,024 card files": (limits.INTRODUCTION_BYTES_MAX, limits.MEMBERS_MAX)
        == (16 << 20, 1_024),
        "later than created by at most 90 days": limits.MEMBER_LIST_SECONDS_MAX == 90 * 86_400,
        "n 1 to 2,000, p 1 to 512, s 1 to 2,048": (
            limits.VOUCH_PAGE_IDS_MAX,
            limits.VOUCH_SHELF_PAGES_MAX,
            limits.VOUCH_SHELVES_MAX,
        )
        == (2_000, 512, 2_048),
        "s a multiple of 64": limits.VOUCH_SHELVES_STEP == 64,
        "| an entry on the wire | 280,000 bytes |": limits.ENTRY_BYTES_MAX == 280_000,
        "| header | 12,288 bytes |": limits.ENTRY_HEADER_BYTES_MAX == 12_288,
        "| body | 262,144 bytes, 16 of them random |": (limits.ENTRY_BODY_BYTES_MAX, entry.BODY_SALT_BYTES)
        == (262_144, 16),
        "| parents | 16 |": limits.ENTRY_PARENTS_MAX == 16,
        "| partner ids in an audience | 256 |": limits.ENTRY_AUDIENCE_MAX == 256,
        "in the past of an invitation and by it | 256 |": limits.SPACE_MEMBERS_MAX == 256,
        "| number of an author | 10,000 |": limits.ENTRY_NUMBER_MAX == 10_000,
        "| entries in the past of an entry | fewer than 50,000 |": limits.SPACE_ENTRIES_MAX == 50_000,
        "| their bodies together | less than 268,435,456 bytes |": limits.SPACE_BODIES_BYTES_MAX == 256 << 20,
        "not as lead | fewer than 64 |": limits.AUTHORITY_ENTRIES_MAX == 64,
        "| the same, as lead | fewer than 4,096 |": limits.AUTHORITY_ENTRIES_AS_LEAD_MAX == 4_096,
        "| takeovers of an author in one epoch | 16 |": limits.TAKEOVERS_PER_EPOCH_MAX == 16,
        "| keys in a `rekey` | 8 |": limits.REKEY_KEYS_MAX == 8,
        "nobody else has cited, at one node (`later`) | 100 |": limits.SPACE_UNCITED_MAX == 100,
        "loses the one farthest ahead (`later`) | 1,024 |": limits.SPACE_WAITING_MAX == 1_024,
    }
    assert [words for words in stated if words not in specification] == []
    assert [words for words, holds in stated.items() if not holds] == []


def test_the_payload_that_the_page_writes_out_is_a_vector(repository: Path, specification: str) -> None:
    vectors = json.loads((repository / "tests" / "vectors" / "payload.json").read_text(encoding="ascii"))
    (golden,) = [case for case in vectors["golden"] if case["name"] == "no frame"]
    written = re.findall(r"^92 86 [0-9a-f\s]+$", specification, re.MULTILINE)
    assert [bytes.fromhex(text) for text in written] == [base64.b64decode(golden["payload"])]
