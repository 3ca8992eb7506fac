"""`p2pshare tail`: the change feed as lines, once or for as long as somebody reads them (docs/siem.md, "Following the feed")."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import UsageProblem
from p2pshare.cli.session import ask, open_store_for_reading
from p2pshare.errors import NotFoundError, OperatorError, StoreError
from p2pshare.exporters.changes.change_formats import CHANGE_EXPORTERS, ChangeFormat, load_change_exporter

if TYPE_CHECKING:
    from p2pshare.knowledge.changes import FeedCursor
    from p2pshare.knowledge.knowledge import KnowledgeReading

PAGE_CHANGES = 1_000  # of one read: 10 ms, in which the log cannot shrink
LOOK_SECONDS = 0.05  # between two looks while nothing changes: 0.1 ms each
ADVANCE_SECONDS = 1.0  # between two writes of a consumer's cursor: a sync each


@click.command(cls=Command)
@click.option(
    "--after",
    metavar="CURSOR",
    help="begin behind CURSOR, that of a line before; now: what comes from now on",
)
@click.option(
    "--consumer",
    metavar="NAME",
    help="begin where NAME was told last, and keep how far it is (`p2pshare consumer`)",
)
@click.option("--follow", "-f", is_flag=True, help="go on: wait for what changes")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(CHANGE_EXPORTERS)),
    default="ndjson",
    show_default=True,
    help="how to write it: " + "; ".join(f"{name}, {row.about}" for name, row in CHANGE_EXPORTERS.items()),
)
@click.pass_obj
def tail(home: Path, after: str | None, consumer: str | None, follow: bool, format_name: str) -> None:
    """write what changed, in order: add, update, remove; `reset` where the feed begins again

    From the beginning it is all that is active. A reader that keeps the cursor of its last line misses nothing, however long it was away.
    """
    if after is not None and consumer is not None:
        raise UsageProblem("a consumer has its own cursor", hint="give --after or --consumer")
    teller = _Teller(home, load_change_exporter(format_name), consumer)
    try:
        teller.tell(after, follow=follow)
    finally:
        teller.keep_place()


class _Teller:
    """One run of `tail`: where it stands, and what of that is not kept yet for its consumer."""

    def __init__(self, home: Path, written: ChangeFormat, consumer: str | None) -> None:
        self._home = home
        self._format = written
        self._consumer = consumer
        self._cursor: FeedCursor | None = None
        self._kept: FeedCursor | None = None
        self._kept_at = 0.0
        self._is_late = False

    def tell(self, after: str | None, *, follow: bool) -> None:
        with console.result_bytes() as stream:
            stream.write(self._format.head)
            is_first = True
            while is_first or follow:  # once more where another file has taken the store's place
                with self._opened() as (knowledge, path, inode):
                    if is_first:
                        self._cursor = self._kept = self._beginning(knowledge, after)
                    is_first = False
                    self._tell_file(knowledge, stream, path, inode, follow=follow)

    @contextmanager
    def _opened(self) -> Iterator[tuple[KnowledgeReading, Path, int]]:
        from p2pshare.node.home import STORE_NAME

        path = self._home / STORE_NAME
        inode = _inode(path)  # first: what takes its place while it is opened is another one then
        with open_store_for_reading(self._home) as store:
            yield store.knowledge, path, inode

    def _beginning(self, knowledge: KnowledgeReading, after: str | None) -> FeedCursor | None:
        from p2pshare.knowledge.changes import parse_cursor

        if self._consumer is not None:
            for row in knowledge.consumers():
                if row.name == self._consumer:
                    return row.cursor
            raise NotFoundError(
                f"there is no consumer '{self._consumer}'",
                hint="`p2pshare consumer add NAME` makes one; `p2pshare consumer list` shows them",
                reason="unknown-consumer",
            )
        if after is None:
            return None
        if after == "now":
            return knowledge.feed_position().end
        try:
            return parse_cursor(after)
        except ValueError as error:
            raise UsageProblem(
                str(error), hint="take it from `cursor` of a line; `now` begins at the end"
            ) from None

    def _tell_file(
        self, knowledge: KnowledgeReading, stream: BinaryIO, path: Path, inode: int, *, follow: bool
    ) -> None:
        """Tell what is in the feed of one file, and while `follow`, what comes into it until another file lies there."""
        end = knowledge.feed_position().last_seq
        while True:
            is_at_its_end = self._tell_page(knowledge, stream)
            if not follow and (is_at_its_end or (self._cursor is not None and self._cursor.seq >= end)):
                return
            self._keep_place_at_times()
            if not is_at_its_end:
                continue
            while self._cursor == knowledge.feed_position().end:
                time.sleep(LOOK_SECONDS)
                self._keep_place_at_times()
                if _inode(path) != inode:
                    return

    def _tell_page(self, knowledge: KnowledgeReading, stream: BinaryIO) -> bool:
        """Write the next page; returns whether all was told."""
        from p2pshare.knowledge.changes import FeedCursor

        page = knowledge.changes_after(self._cursor, PAGE_CHANGES)
        feed_id = page.position.feed_id
        if page.is_reset:
            stream.write(self._format.reset(page.position.beginning, page.position.end))
        stream.writelines(
            self._format.line(FeedCursor(feed_id, change.seq), change) for change in page.changes
        )
        stream.flush()
        is_at_its_end = len(page.changes) < PAGE_CHANGES
        self._cursor = page.position.end if is_at_its_end else FeedCursor(feed_id, page.changes[-1].seq)
        return is_at_its_end

    def _keep_place_at_times(self) -> None:
        """Keep it once a second. Where that fails, as while the daemon restarts, what is told goes on, and the place is kept later: a kill
        before tells some of it twice."""
        if self._consumer is None or time.monotonic() - self._kept_at < ADVANCE_SECONDS:
            return
        try:
            self.keep_place()
        except StoreError:
            raise
        except OperatorError as error:
            self._kept_at = time.monotonic()
            if not self._is_late:
                console.warn(f"how far '{self._consumer}' was told is not kept yet: {error.message}")
            self._is_late = True

    def keep_place(self) -> None:
        """Note how far the consumer was told: after what was written, so that a kill tells some of it twice and skips nothing."""
        from p2pshare.operations.consumers import AdvanceConsumer

        if self._consumer is None or self._cursor is None or self._cursor == self._kept:
            return
        ask(self._home, AdvanceConsumer(self._consumer, self._cursor.text))
        self._kept, self._kept_at, self._is_late = self._cursor, time.monotonic(), False


def _inode(path: Path) -> int:
    """Returns which file lies at `path`, 0 for none."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
