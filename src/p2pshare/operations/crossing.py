"""Requests and answers on their way over the control socket: maps of plain values, read strictly on the other side.

Reading gives the Struct that its type promises, or one error that says which field and what was expected.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast, get_args

from msgspec import Struct, ValidationError, convert, to_builtins

from p2pshare.errors import AuthorError, OperatorError
from p2pshare.intel.display import clip
from p2pshare.operations.interface import A, Request

R = TypeVar("R", bound=Request[Any])
S = TypeVar("S", bound=Struct)

DIFFERENT_VERSIONS = "command and daemon are of different versions; restart the daemon after an update"
_WORDS = {"str": "text", "int": "a number", "bool": "yes or no", "array": "a list", "object": "a map"}


class Progressed(Struct, frozen=True, forbid_unknown_fields=True):
    """Progress of an operation; `of` is 0 where the end is not known."""

    what: str
    done: int
    of: int


def name_of(request: Request[Any] | type[Request[Any]]) -> str:
    """Returns the name of the operation."""
    return cast(str, request.__struct_config__.tag)


def answer_of(request: type[Request[Any]]) -> type[Struct]:
    """Returns the type of the answer, as the request's class names it: `Query[Answer]`."""
    answer: type[Struct] = get_args(vars(request)["__orig_bases__"][0])[0]
    return answer


def fields_of(struct: Struct) -> dict[str, Any]:
    """Returns the fields of a request, `operation` among them, or of an answer; bytes stay bytes."""
    fields: dict[str, Any] = to_builtins(struct, builtin_types=(bytes,))
    return fields


def read(fields: object, kind: type[S], what: str, reason: str) -> S:
    """Returns the Struct of that kind. Raises OperatorError of that reason, which says `what` cannot be read and why."""
    try:
        return convert(fields, kind, builtin_types=(bytes,))
    except ValidationError as error:
        raise OperatorError(f"{what}: {_plainly(error)}", hint=DIFFERENT_VERSIONS, reason=reason) from None


def read_answer(request: Request[A], fields: object) -> A:
    """Returns the daemon's answer to our `request`. Raises OperatorError control-malformed."""
    kind = answer_of(type(request))
    return cast(A, read(fields, kind, f"answer to {name_of(request)}", "control-malformed"))


def read_progress(fields: object) -> Progressed:
    """Returns the progress that the daemon sent. Raises OperatorError control-malformed."""
    return read(fields, Progressed, "progress", "control-malformed")


def checked(request: R) -> R:
    """Returns our own request, once its fields are within their bounds. Raises AuthorError bad-argument."""
    try:
        return cast(R, convert(fields_of(request), type(request), builtin_types=(bytes,)))
    except ValidationError as error:
        raise AuthorError(
            f"{name_of(request)}: {_plainly(error)}",
            hint="give less of it, or another value",
            reason="bad-argument",
        ) from None


def _plainly(error: ValidationError) -> str:
    """Returns `note: expected text of at most 40 characters`, for "Expected `str` of length <= 40 - at `$.note`"."""
    what, _, where = str(error).partition(" - at `$")
    if what.startswith("Expected"):
        what = re.sub(r"`(\w+)`", lambda match: _WORDS.get(match[1], match[0]), what)
        what = re.sub(r"of length <= (\d+)", r"of at most \1 characters", what)
    what = what.removeprefix("Object ")
    where = where.strip(".`")
    return clip(f"{where}: " * bool(where) + what[:1].lower() + what[1:])
