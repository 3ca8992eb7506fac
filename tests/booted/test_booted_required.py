"""On a machine that must boot a systemd, a test that would be skipped for want of one fails: `.ci/run` sets what says so."""

from __future__ import annotations

import os
from pathlib import Path

import booted_system
import pytest


@pytest.mark.parametrize(("required", "ends"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_boot_that_cannot_be_had_is_a_failure_where_it_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, ends: type[BaseException]
) -> None:
    monkeypatch.setenv(booted_system.BOOTED_REQUIRED, required)
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    with pytest.raises(ends, match="only root boots a container"):
        booted_system.run_booted(tmp_path, "true")


def test_ci_requires_it_where_root_has_systemd_container(repository: Path) -> None:
    text = (repository / ".ci" / "run").read_text()
    condition, _, rest = text.partition(f"export {booted_system.BOOTED_REQUIRED}=1")
    assert 'if [ "$(id -u)" = 0 ] && command -v systemd-nspawn' in condition.splitlines()[-2]
    assert "./scripts/test" in rest and "./scripts/prove-packages" in rest, "set before what it is for"
