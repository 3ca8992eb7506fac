"""Every error that p2pshare raises on purpose, ordered by who can mend it.

::

    ShareError                     has a message, a hint, a reason code and an exit code
    ├── OperatorError              the person who runs this machine: config, key file, disk, port, schema
    │   ├── ConfigError            the config file is wrong (file, line, nearest known key)
    │   ├── KeyFileError           the key file is missing, has wrong permissions or a wrong passphrase
    │   ├── StoreError             disk full, newer schema, damaged file
    │   └── DaemonUnreachable      the daemon is needed and does not answer
    ├── AuthorError                the person who wrote the input: not JSON, no marking, no audience
    ├── PeerError                  a partner: malformed, oversized or forged bytes, an unknown sender
    ├── RefusedError               nobody erred: policy refused a person's request
    └── NotFoundError              the thing asked for is not here

Lower rooms raise these, services let them pass, the outermost rooms translate each once (to an exit code, an HTTP
status or a log line). Anything else that escapes is a bug of ours. A reason code is a short kebab-case
word that is counted and shown (`status`); it never contains text from the input.
"""

from __future__ import annotations


class ShareError(Exception):
    """The base of the tree. `message` names fault and place, `hint` the way to mend it, `reason` is a reason code."""

    exit_code = 1
    reason = "error"

    def __init__(self, message: str, *, hint: str = "", reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if reason is not None:
            self.reason = reason


class OperatorError(ShareError):
    """A fault that the person who runs this machine can mend."""

    reason = "operator"


class ConfigError(OperatorError):
    """The config file cannot be used (sysexits EX_CONFIG)."""

    exit_code = 78
    reason = "config"


class KeyFileError(OperatorError):
    """The key file cannot be used (sysexits EX_NOINPUT)."""

    exit_code = 66
    reason = "key-file"


class StoreError(OperatorError):
    """The store cannot be read or written."""

    reason = "store"


class DiskFull(StoreError):
    """The disk is full, or below the free-space floor; nothing of the transaction was kept."""

    reason = "disk-full"


class DaemonUnreachable(OperatorError):
    """The command needs the running daemon and got no answer."""

    exit_code = 4
    reason = "daemon-unreachable"


class AuthorError(ShareError):
    """A fault that the person who wrote the input can mend."""

    reason = "input"


class PeerError(ShareError):
    """A partner sent something that must not be trusted."""

    reason = "peer"


class RefusedError(ShareError):
    """Policy refused something that a person had asked for."""

    exit_code = 5
    reason = "refused"


class NotFoundError(ShareError):
    """The thing asked for is not here."""

    exit_code = 3
    reason = "not-found"
