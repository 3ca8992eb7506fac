"""What is logged, as the journal takes it: each line begins with its priority (sd-daemon(3)), and has no time, for the journal has one."""

from __future__ import annotations

import logging

from p2pshare.daemon.service_manager import ERROR_PRIORITY, WARNING_PRIORITY, with_priority

FORMAT = "%(name)s: %(message)s"
INFO_PRIORITY = 6
PRIORITIES = {
    logging.CRITICAL: 2,
    logging.ERROR: ERROR_PRIORITY,
    logging.WARNING: WARNING_PRIORITY,
    logging.INFO: INFO_PRIORITY,
    logging.DEBUG: 7,
}


class JournalFormatter(logging.Formatter):
    """Writes a record of the log for the journal."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        return with_priority(super().format(record), PRIORITIES.get(record.levelno, INFO_PRIORITY))
