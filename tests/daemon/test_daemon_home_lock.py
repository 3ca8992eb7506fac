"""One process a home folder, and no stale lock after a death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from p2pshare.daemon.home_lock import HomeBusy, hold_home, wait_for_home
from p2pshare.errors import ConfigError, OperatorError

HOLD = "import sys,pathlib,time\nfrom p2pshare.daemon.home_lock import hold_home\nwith hold_home(pathlib.Path(sys.argv[1])):\n print('held', flush=True)\n time.sleep(60)"


def test_second_process_is_refused_and_told_who_holds_it_until_that_one_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeBusy) as busy, hold_home(tmp_path):
            raise AssertionError("two processes hold one home")
        assert str(holder.pid) in busy.value.message
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with hold_home(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_daemon_that_starts_while_a_command_works_waits_for_it(tmp_path: Path) -> None:
    """It ended with an error, and the home had no daemon any more."""
    asked = []
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        def is_hopeless() -> bool:
            asked.append(holder.kill())
            return False

        with wait_for_home(tmp_path, is_hopeless=is_hopeless):
            assert (tmp_path / "lock").read_text() == str(os.getpid())
    assert asked


def test_nobody_waits_for_a_daemon_to_end(tmp_path: Path) -> None:
    with hold_home(tmp_path), pytest.raises(HomeBusy), wait_for_home(tmp_path, is_hopeless=lambda: True):
        raise AssertionError("two hold one home")


def test_the_lock_is_free_again_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold_home(tmp_path):
        raise RuntimeError
    with hold_home(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as missing, hold_home(tmp_path / "nowhere"):
        pass
    assert "nowhere" in missing.value.message


def test_a_lock_that_is_a_link_elsewhere_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep me")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OperatorError), hold_home(tmp_path):
        pass
    assert victim.read_text() == "keep me"
