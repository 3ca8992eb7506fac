"""Content that is added after its envelope is stored as it would be with it, in the same transaction or a later one."""

from __future__ import annotations

import pytest
from store_rows import rows
from stored_envelopes import store_envelopes

from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.sharing.storing import ContentWriter

TABLES = ("frame", "claim", "object", "observable", "carried_again", "effective_state", "sequence_gap")


def tables(path):
    return {table: rows(path, f"SELECT * FROM {table}") for table in TABLES}


def arrivals(make):
    """Ours that come home after a restore, one that repeats an object, another author's, and ours as we sealed it."""
    note = {
        "type": "x-note",
        "spec_version": "2.1",
        "id": "x-note--00000000-0000-4000-8000-000000000001",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
    }
    newer = {"modified": "2026-02-01T00:00:00.000Z"}
    return [
        make.envelope(make.indicator(), note, author=make.ourselves),
        make.envelope(make.indicator(), author=make.ourselves, sequence=2, recipient_sequence=3),
        make.envelope(make.indicator(), note, author=make.alpha, recipient_sequence=2),
        make.envelope(make.indicator(**newer), note, author=make.alpha, sequence=2),
        make.envelope(make.indicator("192.0.2.1"), author=make.ourselves, sequence=3, received_from=None),
    ]


def add_content_after(store, envelopes, stored):
    content = ContentWriter(store.knowledge, None)
    with store.transaction():
        content.begin(envelopes[0].received_at)
        for one, envelope in zip(stored, envelopes, strict=True):
            if envelope.recipient_sequence is not None:
                number = RecipientNumber(envelope.recipient_sequence)
                store.log.note_recipient_number(one.source, number)
            for frame in envelope.frames:
                content.add(one.source, frame)
        content.finish()


@pytest.mark.parametrize("is_one_transaction", [True, False])
def test_content_after_its_envelope_is_what_it_is_with_it(
    open_at, make, store_path, tmp_path, is_one_transaction
):
    envelopes = arrivals(make)
    with_it = open_at()
    with_it.partners.put_own(make.ourselves, "Ourselves")
    store_envelopes(with_it, envelopes)
    with_it.close()
    wanted = tables(store_path)
    assert all(wanted[table] for table in TABLES), "each table is compared"
    for path in tmp_path.glob("store.sqlite*"):
        path.unlink()
    after = open_at()
    after.partners.put_own(make.ourselves, "Ourselves")
    if is_one_transaction:
        with after.transaction():
            add_content_after(after, envelopes, after.log.add(envelopes))
    else:
        add_content_after(after, envelopes, after.log.add(envelopes))
    after.close()
    assert tables(store_path) == wanted


def test_content_that_fails_undoes_the_transaction_that_stored_its_envelope(store, make):
    envelope = make.envelope(make.indicator())
    with pytest.raises(ValueError), store.transaction():
        add_content_after(store, [envelope, envelope], store.log.add([envelope]))
    assert store.log.counts().held == 0


def test_a_number_of_what_nobody_can_read_here_has_come(store, make):
    store_envelopes(store, [make.envelope(sequence=1, recipient_sequence=1, opened=False)])
    store_envelopes(store, [make.envelope(sequence=2, recipient_sequence=3)])
    assert store.log.sequence_gaps(make.alpha) == [(1, 2, 2)]
