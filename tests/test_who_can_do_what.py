"""README.md, "Who can do what": each cell has tests that show it, and a cell without any is not written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SEALING = "tests/envelope/test_sealing.py"
RELAY = "tests/envelope/test_relay_view.py"
SPREADING = "tests/end_to_end/test_spreading.py"
GATE = "tests/peering/test_peering_gate.py"
REVOKING = "tests/sharing/test_sharing_revoking.py"
KEY_FILE = "tests/node/test_node_keyfile.py"

ONLY_LISTED = f"{SEALING}::test_p1_only_listed_recipients_read_whatever_the_audience"
NOT_FORGED = f"{SEALING}::test_p3_the_author_in_the_header_must_have_signed"
STRIPPED = f"{SEALING}::test_p3_stripped_and_signed_again_by_another_nobody_can_open_it"
GAPS = "tests/queries/test_queries_alarms.py::test_a_gap_keeps_its_time_while_it_is_filled_and_ends_with_the_last_number"
ANOTHER_PATH = (
    "tests/gossip/test_gossip_dialogues.py::test_the_author_pushes_what_is_small_and_announces_what_is_large"
)
READ_BY_A_THIEF = f"{REVOKING}::test_a_thief_of_the_disk_reads_the_store_and_with_plain_keys_all_that_was_sealed_for_it_or_by_it"
WALK = "tests/sharing/test_sharing_revocation_walk.py"
WORDS = "tests/sharing/test_sharing_stolen_words.py"
STOLEN_DISK = f"{KEY_FILE}::test_a_stolen_disk_reveals_no_key"

SHOWN: dict[tuple[str, str], tuple[str, ...]] = {
    ("a named recipient", "what is sealed for it"): (ONLY_LISTED,),
    ("a named recipient", "nothing of others"): (NOT_FORGED, STRIPPED),
    ("a named recipient", "its own copies"): (GAPS,),
    ("a relay", "author, sizes, times, circle; not content, not audience"): (
        f"{RELAY}::test_p13_the_header_has_the_listed_fields_and_no_other",
        f"{RELAY}::test_p13_no_content_key_recipient_or_key_stands_in_the_wire",
        f"{RELAY}::test_p13_audiences_of_one_size_class_look_alike",
        f"{SPREADING}::test_a_relay_carries_what_it_cannot_read",
    ),
    ("a relay", "nothing"): (NOT_FORGED, STRIPPED),
    (
        "a relay",
        "yes, until another path or the author's own push; gaps are noticed by the recipient",
    ): (ANOTHER_PATH, GAPS),
    ("somebody on the network", "that two hosts speak TLS 1.3"): (
        f"{GATE}::test_tls_1_2_is_refused",
        f"{GATE}::test_a_stranger_is_not_told_whom_we_know",
    ),
    ("somebody on the network", "nothing"): (
        f"{GATE}::test_unknown_client_is_refused_in_the_handshake",
        f"{GATE}::test_our_certificate_is_sent_to_the_right_server_and_never_to_an_impostor",
    ),
    ("somebody on the network", "yes"): (GAPS,),
    (
        "whoever steals a partner's disk",
        "its plain store; its keys too, unless the key file has a passphrase, and with them all that was sealed for it or by it",
    ): (STOLEN_DISK, READ_BY_A_THIEF),
    ("whoever steals a partner's disk", "as that partner, until its key is revoked"): (
        f"{REVOKING}::test_a_thief_of_the_disk_signs_as_the_partner_until_its_key_is_revoked",
        "tests/sharing/test_sharing_stolen_keys.py::test_a_thief_who_dates_back_gets_nothing_in_after_the_revocation",
        f"{WALK}::test_what_the_thief_sealed_between_since_and_the_arrival_of_the_card_leaves_at_once",
        f"{WORDS}::test_whatever_both_said_a_store_ends_as_one_that_never_met_the_thief",
    ),
    ("whoever steals a partner's disk", "its own copies"): (GAPS,),
    ("who also gets its root key", "the same"): (STOLEN_DISK, READ_BY_A_THIEF),
    (
        "who also gets its root key",
        "as that partner, for good: keep it elsewhere (`init --roots-to FILE`)",
    ): (
        f"{REVOKING}::test_a_thief_of_the_root_key_is_the_partner_for_good",
        "tests/cli/test_cli_own_card.py::test_root_keys_that_are_kept_elsewhere_are_not_in_the_home",
    ),
    ("who also gets its root key", "its own copies"): (GAPS,),
}


WAYS_OF_A_THIEF: dict[str, tuple[str, ...]] = {
    "a home that was copied, whatever its clock": (
        "tests/end_to_end/test_stolen_keys.py::test_a_thief_of_a_home_gets_nothing_into_effect_after_the_revocation",
    ),
    "dated back": (
        "tests/end_to_end/test_stolen_keys.py::test_a_thief_of_a_home_gets_nothing_into_effect_after_the_revocation",
        f"{WALK}::test_nothing_new_of_the_thief_comes_in_whatever_time_it_has",
        f"{WALK}::test_back_dated_and_held_it_leaves_with_the_pages_or_after_a_day_without_them",
    ),
    "between since and the arrival of the card": (
        "tests/end_to_end/test_stolen_keys.py::test_a_thief_of_a_home_gets_nothing_into_effect_after_the_revocation",
        f"{WALK}::test_what_the_thief_sealed_between_since_and_the_arrival_of_the_card_leaves_at_once",
    ),
    "pages that are withheld": (
        "tests/end_to_end/test_stolen_keys.py::test_while_pages_are_withheld_nothing_of_the_thiefs_time_is_in_effect_and_then_what_they_list",
        f"{WALK}::test_back_dated_and_held_it_leaves_with_the_pages_or_after_a_day_without_them",
        f"{WALK}::test_pages_that_do_not_come_are_an_alarm_until_they_do",
    ),
    "a vouch of its own": ("tests/sharing/test_sharing_notices.py::test_a_thief_cannot_vouch_for_itself",),
    "a squatted certificate": (
        "tests/sharing/test_sharing_stolen_keys.py::test_a_squatter_of_the_next_certificate_does_not_keep_a_revocation_away",
    ),
    "what it withdrew, and said of others' objects": (
        "tests/end_to_end/test_stolen_keys.py::test_what_a_thief_withdrew_and_called_false_counts_again_after_the_revocation",
        f"{WORDS}::test_whatever_both_said_a_store_ends_as_one_that_never_met_the_thief",
    ),
}
"""What the thief of a sign key may try after the revocation (docs/card.md, "Revocation"), and what shows that it is in vain."""


def cells(repository: Path) -> set[tuple[str, str]]:
    text = (repository / "README.md").read_text().partition("## Who can do what")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", text, re.M)
    ]
    return {(row[0], cell) for row in rows[2:] for cell in row[1:]}


def test_every_cell_has_its_tests_and_no_test_stands_for_another_one(repository: Path) -> None:
    assert cells(repository) == set(SHOWN)


@pytest.mark.parametrize("cell", SHOWN, ids=" ".join)
def test_the_tests_of_a_cell_exist(cell: tuple[str, str], repository: Path) -> None:
    exist(SHOWN[cell], repository)


@pytest.mark.parametrize("way", WAYS_OF_A_THIEF)
def test_the_tests_of_a_thiefs_ways_exist(way: str, repository: Path) -> None:
    exist(WAYS_OF_A_THIEF[way], repository)


def exist(tests: tuple[str, ...], repository: Path) -> None:
    for named in tests:
        path, _, function = named.partition("::")
        assert re.search(rf"^(async )?def {function}\(", (repository / path).read_text(), re.M), named
