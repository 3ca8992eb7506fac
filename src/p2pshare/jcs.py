"""The JSON Canonicalization Scheme (RFC 8785): the one way to write a JSON value, for digests and signatures.

It is what the library rfc8785 of the extra `framework` writes; without it the rest of the program runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from p2pshare.errors import AuthorError, OperatorError


def jcs_bytes(value: Any) -> bytes:
    """Returns the canonical form of a shallow JSON value, in UTF-8. Raises AuthorError `number-not-jcs` for a number that is no
    IEEE 754 double or an integer beyond 2^53, `not-json` for half a surrogate pair; OperatorError `extra-missing`."""
    library = framework_module("rfc8785")
    try:
        written: bytes = library.dumps(value)
    except (library.IntegerDomainError, library.FloatDomainError) as error:
        raise AuthorError("a number has no canonical form", reason="number-not-jcs") from error
    except (library.CanonicalizationError, UnicodeError) as error:
        raise AuthorError("a value has no canonical form", reason="not-json") from error
    return written


def framework_module(name: str) -> Any:
    """Returns a library of the extra `framework`. Raises OperatorError `extra-missing` where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise OperatorError(
            "the libraries that read playbooks are not installed",
            hint="pip install 'p2pshare[framework]'",
            reason="extra-missing",
        ) from None
