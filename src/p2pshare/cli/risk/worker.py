"""`p2pshare risk worker`: what partners send, held against the own inventory within a minute of its arrival.

A process without sockets, beside the daemon or without one: it reads the store as a SIEM does and writes its own file alone
(config/p2pshare-risk.service takes everything else from it). It asks nobody and answers nobody; what it finds stands in the view
`v1_exposure` and in `p2pshare risk rank`.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.risk.opening import TABLES, now_seconds, open_own
from p2pshare.errors import ConfigError, OperatorError

if TYPE_CHECKING:
    from p2pshare.cli.risk.partner_words import PartnerWords

ROUND_SECONDS = (
    20  # between two looks: an arrival is held against the inventory within a minute, on a slow machine too
)
FORGET_ROUNDS = (
    180  # an hour: then the store is read from its beginning, so that links that were withdrawn leave
)


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="look once and end: for a timer, or after an import")
@click.pass_obj
def worker(home: Path, once: bool) -> None:
    """hold what partners send against the own assets, in a process that has no socket, until it is ended"""
    from p2pshare.cli.risk.partner_words import PartnerWords

    ended = threading.Event()
    if not once and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
    words = PartnerWords()
    rounds = 0
    told = ""
    while True:
        if rounds % FORGET_ROUNDS == 0:
            words = PartnerWords()
        try:
            said = look(home, words)
        except (
            OperatorError
        ) as error:  # a store that is being made, a full disk: the next round may find it well
            if once or isinstance(error, ConfigError):
                raise
            said = f"{error.message}; it goes on when that has passed"
        if said != told:
            console.say(said)
            told = said
        rounds += 1
        if once or ended.wait(ROUND_SECONDS):
            return


def look(home: Path, words: PartnerWords) -> str:
    """Look once; returns a sentence about what is there now. Raises OperatorError, StoreError."""
    from p2pshare.cli.risk.partner_words import digest_of, document_read
    from p2pshare.database.settings import OWN_ID
    from p2pshare.node.home import STORE_NAME
    from p2pshare.node.store import reading_store
    from p2pshare.risk.partner_withdrawals import drop_withdrawn
    from p2pshare.risk.responses import DAY_SECONDS, count_day
    from p2pshare.risk.risk_store import PartnerVulnerability

    with reading_store(home / STORE_NAME) as reading:
        said, documents = words.read(reading.knowledge, reading.database.setting(OWN_ID))
    now = now_seconds()
    new = [one for one in documents if one.rows not in words.taken]
    is_changed = frozenset(said) != words.before or bool(new)
    with open_own(home) as store:
        if is_changed:
            store.take_partner_vulnerabilities([PartnerVulnerability(*one) for one in said], now=now)
            for one in new:
                store.take_partner_statements(
                    document_read(one), digest_of(one), partner=one.partner, now=now
                )
            evidence = {(one.vulnerability, one.organisation, one.kind) for one in said}
            drop_withdrawn(store.file, evidence, {one.key for one in documents}, now=now)
        store.refresh(now=now)  # time alone changes who saw it within 30 days
        if is_changed or words.counted_day != now // DAY_SECONDS:
            for table in TABLES:
                count_day(store.file, table, now)
            words.counted_day = now // DAY_SECONDS
    words.before, words.taken = frozenset(said), {one.rows for one in documents}
    spoken_of = len({one.vulnerability for one in said})
    noun = "vulnerability" if spoken_of == 1 else "vulnerabilities"
    advisories = "advisory is" if len(documents) == 1 else "advisories are"
    return f"partners speak of {spoken_of} {noun}; {len(documents)} {advisories} held"
