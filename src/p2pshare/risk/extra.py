"""What the extra `risk` brings, asked for where it is needed: without it the rest of the program runs."""

from __future__ import annotations

from codecs import BOM_UTF8
from importlib import import_module
from typing import Any

from p2pshare.errors import OperatorError


def _module(name: str) -> Any:
    """Returns a library of the extra, None where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


cvss = _module("cvss")
ijson = _module("ijson")
packageurl = _module("packageurl")


def require_extra() -> None:
    """Raises OperatorError `extra-missing` where the libraries of the extra are not installed."""
    if ijson is None or packageurl is None or cvss is None:
        raise OperatorError(
            "the libraries that read inventories are not installed",
            hint="pip install 'p2pshare[risk]'",
            reason="extra-missing",
        )


def json_events(file: Any) -> Any:
    """Returns ijson's (event, value) pairs of a binary file; numbers as float. Holds 64 KiB of the file at a time."""
    require_extra()
    if file.read(len(BOM_UTF8)) != BOM_UTF8:  # Windows writes it, and ijson knows none
        file.seek(0)
    return ijson.basic_parse(file, use_float=True)


def json_errors() -> tuple[type[Exception], ...]:
    """Returns what ijson raises where a file is no JSON."""
    require_extra()
    return (ijson.JSONError, UnicodeDecodeError)


def package_url(text: str) -> Any:
    """Returns what packageurl reads in a purl, None where it is none."""
    require_extra()
    try:
        return packageurl.PackageURL.from_string(text)
    except ValueError:
        return None


def base_score(vector: str) -> float | None:
    """Returns the base score of a CVSS vector (2.0, 3.0, 3.1, 4.0), None where it is none."""
    require_extra()
    try:
        if vector.startswith("CVSS:4"):
            return float(cvss.CVSS4(vector).base_score)
        if vector.startswith("CVSS:3"):
            return float(cvss.CVSS3(vector).base_score)
        return float(cvss.CVSS2(vector).base_score)
    except (cvss.exceptions.CVSSError, ValueError, KeyError, ArithmeticError):
        return None
