"""Arguments of operations: they come over a local socket, so each is checked for its type before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from p2pshare.errors import AuthorError

Arguments = Mapping[str, Any]
Progress = Callable[[Mapping[str, Any]], None]
T = TypeVar("T")


def argument(arguments: Arguments, name: str, kind: type[T], default: T | None = None) -> T:
    """The argument called `name`. Raises AuthorError when it is missing or of another type."""
    value = arguments.get(name, default)
    if type(value) is not kind:
        raise AuthorError(f"argument '{name}' is not a {kind.__name__}", reason="bad-argument")
    return value


def names(arguments: Arguments, name: str) -> list[str]:
    """The list of text called `name`, empty when it is missing. Raises AuthorError."""
    values = argument(arguments, name, list, [])
    if not all(type(value) is str for value in values):
        raise AuthorError(f"argument '{name}' is not a list of text", reason="bad-argument")
    return values
