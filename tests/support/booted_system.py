"""A booted systemd for a test: this machine's own root below a layer in memory, in a container without network.

Needs root, `systemd-nspawn` (Debian's systemd-container) and a kernel that lets overlays be mounted. Nothing on the machine changes: what is
written goes into the layer, which ends with the container. The program stands in /opt/p2pshare/venv with all that its wheel brings, as
after `pip install`; nothing else is installed yet.

Where `BOOTED_REQUIRED` is set (`.ci/run`, on a machine with root and systemd-container) a boot that cannot be had is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

REPOSITORY = Path(__file__).parents[2]
BOOT_SECONDS_MAX = 240
BOOTED_REQUIRED = "P2PSHARE_BOOTED_REQUIRED"
NO_OVERLAY = 77  # what the script ends with where the machine lets nothing be mounted

# $1: a folder for the layer, $2: where packages are, $3: what the wheel brings, $4: what the test put beside, $5: where the answers go.
_SCRIPT = f"""
set -eu
umask 022
mkdir "$1/layer" "$1/root"
{{ mount -t tmpfs tmpfs "$1/layer" && mkdir "$1/layer/up" "$1/layer/work" &&
  mount -t overlay overlay -o lowerdir=/,upperdir="$1/layer/up",workdir="$1/layer/work" "$1/root" &&
  mount -t cgroup2 none /sys/fs/cgroup; }} 2>"$5/why" || exit {NO_OVERLAY}
root=$1/root
: >"$root/etc/machine-id"
mkdir -p "$root/opt/p2pshare/site" "$root/opt/given" "$root/opt/answers" "$root/etc/systemd/system/multi-user.target.wants"
mount --bind "$2" "$root/opt/p2pshare/site"
mount -o remount,bind,ro "$root/opt/p2pshare/site"
mount --bind "$4" "$root/opt/given"
mount --bind "$5" "$root/opt/answers"
"$6" -m venv --without-pip "$root/opt/p2pshare/venv"
cp -r --preserve=timestamps "$3/." "$root/opt/p2pshare/venv/"
printf '#!/opt/p2pshare/venv/bin/python\\nfrom p2pshare.__main__ import main\\nmain()\\n' >"$root/opt/p2pshare/venv/bin/p2pshare"
chmod 755 "$root/opt/p2pshare/venv/bin/p2pshare"
cat >"$root/etc/systemd/system/test.service" <<UNIT
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/bin/sh -x /opt/given/script >/opt/answers/output 2>&1; echo \\$\\$? >/opt/answers/code; systemctl --no-block poweroff'
UNIT
ln -s ../test.service "$root/etc/systemd/system/multi-user.target.wants/test.service"
exec systemd-nspawn --quiet --directory "$root" --boot --private-network --register=no --keep-unit --link-journal=no </dev/null >"$5/console" 2>&1
"""


def _system_python() -> str:
    """Returns Debian's own interpreter: the sandbox of the unit hides /root and /home, where others are built."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(version, path="/usr/bin")
    if found is None:
        _skip("skipped: this Python is not Debian's")
    return found


def _unpacked_wheel(folder: Path) -> Path:
    """Returns a folder with what the wheel would put into an environment, by pyproject.toml."""
    wheel = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    shutil.copytree(REPOSITORY / "src" / "p2pshare", packages / "p2pshare")
    (packages / "site.pth").write_text("/opt/p2pshare/site\n")
    for source, target in wheel["force-include"].items():
        shutil.copytree(REPOSITORY / source, packages / target)
    for source, target in wheel["shared-data"].items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / source, folder / target)
    return folder


def _skip(reason: str) -> NoReturn:
    if os.environ.get(BOOTED_REQUIRED):
        pytest.fail(f"{reason}, and {BOOTED_REQUIRED} is set: on this machine it must boot")
    pytest.skip(reason)


def run_booted(folder: Path, script: str, given: Mapping[str, str] = {}) -> dict[str, str]:
    """Boot, run `script` as root with the files of `given` in /opt/given, shut down, and return what it left in /opt/answers, by name:
    `output` is what it said (with each command), `code` its exit code.

    Skips the test where systemd cannot be booted; fails it where the boot did not come to the script's end.
    """
    if os.geteuid() != 0:
        _skip("skipped: only root boots a container")
    if shutil.which("systemd-nspawn") is None:
        _skip("skipped: systemd-container not installed")
    python = _system_python()
    beside, answers, layer = folder / "given", folder / "answers", folder / "boot"
    for made in (beside, answers, layer):
        made.mkdir(mode=0o755)
    unpacked = _unpacked_wheel(folder / "wheel")
    for name, content in {**given, "script": script}.items():
        (beside / name).write_text(content)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _SCRIPT, "boot", layer, sysconfig.get_path("purelib"), unpacked, beside, answers,
         python],
        timeout=BOOT_SECONDS_MAX,
        check=False,
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode == NO_OVERLAY:
        _skip("skipped: no overlay can be mounted here")
    told = {one.name: one.read_text(errors="replace") for one in answers.iterdir() if one.is_file()}
    assert "code" in told, (
        f"it did not boot ({done.returncode}): {done.stderr[-2_000:]}{told.get('console', '')[-4_000:]}"
    )
    return told
