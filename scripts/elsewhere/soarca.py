"""SOARCA (COSSAS): its model, its checks of a workflow and its decomposer are compiled from its source and read what we export.

Its capabilities are not: actions are written down, not run. Its logger and its ids are stand-ins (`soarca/`), for they need libraries
that are no part of Go; its schemas are checked in Python for the same reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

TAKEN = (
    "pkg/models/cacao",
    "pkg/models/execution",
    "pkg/models/decoder/decoder.go",
    "pkg/models/validator/playbook.go",
    "pkg/core/decomposer/decomposer.go",
    "pkg/core/executors/executors.go",
    "pkg/utils/guid",
    "pkg/utils/time",
)
SCHEMAS = "pkg/models/validator/schemas"
BUILD_SECONDS = 300


def find_go() -> str | None:
    """Returns Go's program, or None where there is none."""
    return shutil.which("go")


def build(go: str, source: Path, folder: Path) -> Path:
    """Compile SOARCA's parts from `source` in `folder`; returns the program."""
    shutil.copytree(Path(__file__).parent / "soarca", folder, dirs_exist_ok=True)
    for name in TAKEN:
        taken = source / name
        for file in sorted(taken.glob("*.go")) if taken.is_dir() else [taken]:
            if not file.name.endswith("_test.go"):
                target = folder / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    quiet = {
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOCACHE": str(folder / "cache"),
    }
    subprocess.run(
        [go, "build", "-o", "reader", "."],
        cwd=folder,
        env={**os.environ, **quiet},
        check=True,
        timeout=BUILD_SECONDS,
    )
    return folder / "reader"


def read(program: Path, files: Iterable[Path]) -> list[dict[str, Any]]:
    """Returns what SOARCA says of each file: `error`, and the actions that it runs."""
    output = subprocess.run([program, *files], check=True, capture_output=True, timeout=BUILD_SECONDS).stdout
    answers: list[dict[str, Any]] = json.loads(output)
    return answers


def schema_faults(source: Path, document: Any) -> list[str]:
    """Returns what SOARCA's own schemas say against a playbook."""
    folder = source / SCHEMAS
    # Its schemas name each other by the place of their files.
    resources = {}
    for file in folder.rglob("*.json"):
        content = json.loads(file.read_bytes())
        content["$id"] = f"file:///{file.relative_to(folder)}"
        resources[content["$id"]] = Resource.from_contents(content)
    registry: Any = Registry().with_resources(resources.items())
    validator = jsonschema.Draft7Validator(resources["file:///playbook.json"].contents, registry=registry)
    return [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}"
        for fault in validator.iter_errors(document)
    ]
