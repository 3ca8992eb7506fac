"""The playbooks and frameworks that come with the program, as files: in the wheel, or in a checkout."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def shipped_playbooks() -> dict[str, bytes]:
    """Returns our playbooks by name (`phishing`), each as its file has it."""
    return _files("playbooks")


def shipped_frameworks() -> dict[str, bytes]:
    """Returns our frameworks by name, each as its file has it."""
    return _files("frameworks")


def _files(folder: str) -> dict[str, bytes]:
    shipped = resources.files("p2pshare") / folder
    if not shipped.is_dir():  # run from a checkout, where the wheel's copy is not made
        shipped = Path(__file__).resolve().parents[3] / "config" / folder
    return {
        file.name.removesuffix(".json"): file.read_bytes()
        for file in sorted(shipped.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".json")
    }
