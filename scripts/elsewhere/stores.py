"""Runs in an environment of its own (requirements-readers.lock): PyMISP and misp-stix read the MISP export, stix2-validator the STIX one.

`python stores.py FOLDER`: each NAME.misp.json and NAME.stix.json in it; writes NAME.back.misp.json and NAME.back.stix.json, what those programs write
of it, and prints a JSON object of what they said.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from misp_stix_converter import ExternalSTIX2toMISPParser, MISPtoSTIX21Parser
from pymisp import MISPEvent
from stix2 import parse
from stix2validator import ValidationOptions, validate_file


def main(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for file in sorted(folder.glob("*.misp.json")):
        if ".back." in file.name:
            continue
        event = MISPEvent()
        event.from_json(file.read_text("utf-8"))
        converter = MISPtoSTIX21Parser()
        converter.parse_misp_event(event)
        stem = file.name.removesuffix(".misp.json")
        (folder / f"{stem}.back.misp.json").write_text(event.to_json(), "utf-8")
        (folder / f"{stem}.back.stix.json").write_text(converter.bundle.serialize(), "utf-8")
        told[file.name] = {"errors": _listed(converter.errors)}
    for file in sorted(folder.glob("*.stix.json")):
        if ".back." in file.name:
            continue
        results = validate_file(str(file), ValidationOptions(version="2.1"))
        reader = ExternalSTIX2toMISPParser()
        reader.load_stix_bundle(parse(file.read_text("utf-8"), allow_custom=True))
        reader.parse_stix_bundle()
        event = reader.misp_event
        told[file.name] = {
            "valid": results.is_valid,
            "errors": [str(error) for one in results.object_results for error in one.errors],
            "misp": {
                "errors": _listed(reader.errors),
                "objects": [one.name for one in event.objects],
                "galaxies": [one.name for one in event.galaxies],
            },
        }
    return told


def _listed(errors: dict[str, list[str]]) -> list[str]:
    return [error for several in errors.values() for error in several]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
