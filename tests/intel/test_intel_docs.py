"""docs/intelligence.md cannot drift: reasons, notes, types and properties of the code stand there."""

from __future__ import annotations

import re
from pathlib import Path

from p2pshare.intel.authoring import NAMESPACE
from p2pshare.intel.observable import TYPES
from p2pshare.intel.pattern import PATHS

REASON = re.compile(
    r'(?:InvalidValue|Fault|Refusal|_Refuse|MarkingProblem|refusals\.add|notes\.add|note=|reason=)\(?"([a-z-]+)"'
)


def test_every_reason_in_the_code_is_explained(repository: Path) -> None:
    pages = [
        repository / "docs" / name
        for name in ("intelligence.md", "training.md", "exercise-packs.md", "exercises.md")
    ]
    told = {word for page in pages for word in re.findall(r"`([a-z-]+)`", page.read_text())}
    used = {
        reason
        for path in (repository / "src/p2pshare/intel").glob("*.py")
        for reason in REASON.findall(path.read_text())
    }
    assert len(used) > 40
    assert used - told == set()


def test_every_type_property_and_constant_is_named(repository: Path) -> None:
    page = (repository / "docs/intelligence.md").read_text()
    assert {type_ for type_ in TYPES if f"`{type_}`" not in page} == set()
    assert {path for path in PATHS if ":hashes." not in path and path not in page} == set()
    assert str(NAMESPACE) in page
