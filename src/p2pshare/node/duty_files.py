"""The files of duty templates: those that come with the program, and those of this home beside them.

A new template is one file: `NAME.json` in the home's folder `duties`. One of a name that the program has takes its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from p2pshare.errors import AuthorError
from p2pshare.intel.duty_templates import TEMPLATE_BYTES_MAX, DutyTemplate, read_template
from p2pshare.node.shipped import shipped_folder

FOLDER = "duties"
FILES_MAX = 256  # templates of a home: every law of the world would be fewer


def load_duty_templates(home: Path | None = None) -> dict[str, DutyTemplate]:
    """Returns all templates by name. Raises AuthorError `bad-template` for a file of the home that is none."""
    found: dict[str, DutyTemplate] = {}
    for name, raw in _files(home):
        template = read_template(raw, name)
        if f"{template.template}.json" != Path(name).name:
            raise AuthorError(
                f"{name} has the template {template.template}",
                hint=f"call the file {template.template}.json",
                reason="bad-template",
            )
        found[template.template] = template
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class DutyTemplates:
    """The templates that can be used. `problem`: what is wrong with those of the home, which are then left out; else ""."""

    templates: Mapping[str, DutyTemplate]
    problem: str = ""


def duty_templates_of(home: Path) -> DutyTemplates:
    """Returns the templates of the program and of a home, for who goes on without the home's where one of them is none."""
    try:
        return DutyTemplates(load_duty_templates(home))
    except (AuthorError, OSError) as error:
        problem = error.message if isinstance(error, AuthorError) else f"{home / FOLDER} cannot be read"
        return DutyTemplates(load_duty_templates(), problem)


def duty_template_digests(home: Path) -> dict[str, str]:
    """Returns the SHA-256 of the file of each template, in hexadecimal, by its name: members who say one name may mean two texts."""
    return {
        Path(name).name.removesuffix(".json"): hashlib.sha256(raw).hexdigest() for name, raw in _files(home)
    }


def _files(home: Path | None) -> Iterator[tuple[str, bytes]]:
    for file in sorted(shipped_folder(FOLDER).glob("*.json")):
        yield file.name, file.read_bytes()
    own = home / FOLDER if home is not None else None
    if own is None or not own.is_dir():
        return
    for path in sorted(own.glob("*.json"))[:FILES_MAX]:
        with path.open("rb") as stream:
            yield str(path), stream.read(TEMPLATE_BYTES_MAX + 1)
