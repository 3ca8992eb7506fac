"""What comes with the program beside its code, as files: in the wheel, or in a checkout."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def shipped_folder(name: str) -> Path:
    """Returns the folder of that name: `playbooks`, `duties`, ..."""
    shipped = Path(str(resources.files("p2pshare"))) / name
    if not shipped.is_dir():  # run from a checkout, where the wheel's copy is not made
        shipped = Path(__file__).resolve().parents[3] / "config" / name
    return shipped


def shipped_folders(name: str) -> dict[str, Path]:
    """Returns the folders in the folder of that name, each by its own name."""
    return {folder.name: folder for folder in sorted(shipped_folder(name).iterdir()) if folder.is_dir()}


def shipped_playbooks() -> dict[str, bytes]:
    """Returns our playbooks by name (`phishing`), each as its file has it."""
    return _documents("playbooks")


def shipped_frameworks() -> dict[str, bytes]:
    """Returns our frameworks by name, each as its file has it."""
    return _documents("frameworks")


def _documents(name: str) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in sorted(shipped_folder(name).glob("*.json"))}
