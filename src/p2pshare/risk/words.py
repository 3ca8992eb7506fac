"""The words of this room, with the numbers under which `risk.sqlite` keeps them: the worst and the surest are the highest."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import TypeVar

from p2pshare.errors import AuthorError

W = TypeVar("W", bound="ScaleWord")


class ScaleWord(IntEnum):
    """A value of a small scale; written as its name in lower case, with blanks or hyphens."""

    @property
    def word(self) -> str:
        """Returns the value as it is written in answers."""
        return self.name.lower()


class RiskState(ScaleWord):
    """Whether a component has a vulnerability. What is not understood is POSSIBLE: a person must look."""

    NOT_AFFECTED = 1
    FIXED = 2
    UNDER_INVESTIGATION = 3
    POSSIBLE = 4
    AFFECTED = 5


class FoundBy(ScaleWord):
    """How a component was found to be what a document speaks of. CANDIDATE_NAME: proposed, and not confirmed."""

    CANDIDATE_NAME = 0
    CONFIRMED_NAME = 1
    VERSION_RANGE = 2
    MODEL_NUMBER = 3
    CPE = 4
    EXACT_PURL = 5

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", "-")


class Exposure(ScaleWord):
    """SSVC System Exposure 1.0.1. Never assumed: an asset of which nothing is said is UNKNOWN."""

    SMALL = 0
    CONTROLLED = 1
    OPEN = 2
    UNKNOWN = 3


class HumanImpact(ScaleWord):
    """SSVC Human Impact 2.0.2."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    VERY_HIGH = 3
    UNKNOWN = 4

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", " ")


class Safety(ScaleWord):
    """SSVC Safety Impact 2.0.1."""

    NEGLIGIBLE = 0
    MARGINAL = 1
    CRITICAL = 2
    CATASTROPHIC = 3


class Mission(ScaleWord):
    """SSVC Mission Impact 2.0.0: degraded, MEF support crippled, MEF failure, mission failure."""

    DEGRADED = 0
    CRIPPLED = 1
    MEF_FAILURE = 2
    MISSION_FAILURE = 3

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", " ")


class Exploitation(ScaleWord):
    """SSVC Exploitation 1.1.0. NOT_ACTIVE: none or PoC, which `kev_absence_means` assumes of what KEV does not list."""

    NONE = 0
    POC = 1
    ACTIVE = 2
    UNKNOWN = 3
    NOT_ACTIVE = 4

    @property
    def word(self) -> str:
        return "none or poc" if self is Exploitation.NOT_ACTIVE else self.name.lower()


class YesNo(ScaleWord):
    """KEV, publicly exposed and automatable."""

    NO = 0
    YES = 1
    UNKNOWN = 2


class TechnicalImpact(ScaleWord):
    """SSVC Technical Impact 1.0.0."""

    PARTIAL = 0
    TOTAL = 1
    UNKNOWN = 2


def word_of(kind: type[W], text: str) -> W:
    """Returns the value that a person means by `text`: case, blanks, hyphens and underscores do not matter.

    Raises AuthorError `unknown-word` with the words there are.
    """
    return kind(_number_of(kind, text))


@lru_cache(maxsize=1024)
def _number_of(kind: type[ScaleWord], text: str) -> int:
    wanted = text.strip().lower().replace("-", " ").replace("_", " ")
    for value in kind:
        if value.word.replace("-", " ").replace("_", " ") == wanted:
            return int(value)
    known = ", ".join(value.word for value in kind)
    raise AuthorError(
        f"'{text[:40]}' is none of: {known}", hint=f"write one of: {known}", reason="unknown-word"
    )
