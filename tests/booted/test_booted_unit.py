"""The shipped unit under a systemd that has booted: the daemon starts, says so, reloads and stops; and the cage of labs stands in its sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from booted_system import run_booted

from p2pshare.engines.walls import TRIED

SCRIPT = """
set -eu
ip link set lo up 2>/dev/null || true
useradd --system --home-dir /var/lib/p2pshare --shell /usr/sbin/nologin p2pshare
install -d -o p2pshare -g p2pshare -m 0750 /var/lib/p2pshare
as_user() { runuser -u p2pshare -- /opt/p2pshare/venv/bin/p2pshare --home /var/lib/p2pshare "$@"; }
as_user init --name "Hospital A" --url https://127.0.0.1:8443
systemctl start p2pshare
as_user status --json >/opt/answers/status || { journalctl -u p2pshare --no-pager | tail -30; false; }
systemctl show p2pshare --property=ActiveState,NRestarts,StatusText,Result >/opt/answers/started
systemctl reload p2pshare
# The job of a reload ends with the signal; the daemon then says RELOADING=1 and READY=1 by itself.
for _ in $(seq 100); do systemctl is-active --quiet p2pshare && break; sleep 0.1; done
systemctl show p2pshare --property=ActiveState >/opt/answers/reloaded
# The same sandbox around the child of an engine: only what is started differs.
sed -e 's|^Type=.*|Type=oneshot|' -e 's|^ExecStartPre=.*||' -e 's|^ExecReload=.*||' -e 's|^WatchdogSec=.*||' -e 's|^Restart=.*||' \\
  -e 's|^ExecStart=.*|ExecStart=/opt/p2pshare/venv/bin/python /opt/given/cage.py|' \\
  /etc/systemd/system/p2pshare.service >/etc/systemd/system/p2pshare-cage.service
echo 'StandardOutput=file:/var/lib/p2pshare/cage' >/tmp/line
sed -i '/^\\[Service\\]/r /tmp/line' /etc/systemd/system/p2pshare-cage.service
systemctl daemon-reload
systemctl start p2pshare-cage || { journalctl -u p2pshare-cage --no-pager; false; }
cp /var/lib/p2pshare/cage /opt/answers/cage
systemctl stop p2pshare
systemctl show p2pshare --property=ActiveState,Result,ExecMainStatus >/opt/answers/stopped
"""
CAGE = """
import json, subprocess, sys
from p2pshare.engines import launch
launch.PROGRAM = (
    "import json, sys\\n"
    "sys.path[:] = sys.argv[2:]\\n"
    "from p2pshare.engines import walls\\n"
    "stand = walls.close_doors()\\n"
    "walls.prove()\\n"
    "sys.stdout.write(json.dumps({'walls': stand, 'answers': walls.try_calls()}))\\n"
    "sys.stdout.flush()\\n"
)
said = []
launch._read = lambda raw, *rest: said.append(raw) or [None]
launch.run_rules("sigma", [b"title: x"], [])
sys.stdout.write(said[0].decode())
"""


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """One boot for all tests of the module: what its script left."""
    return run_booted(Path(tmp_path_factory.mktemp("booted")), SCRIPT, {"cage.py": CAGE})


def test_the_shipped_unit_starts_reloads_and_stops_on_a_booted_systemd(booted: Mapping[str, str]) -> None:
    assert booted["code"].strip() == "0", booted["output"][-4_000:]
    assert "ActiveState=active" in booted["started"] and "NRestarts=0" in booted["started"]
    assert "ActiveState=active" in booted["reloaded"]
    assert "ActiveState=inactive" in booted["stopped"] and "Result=success" in booted["stopped"]
    assert json.loads(booted["status"])["running"]


def test_each_of_the_fourteen_closed_calls_is_refused_through_the_launcher_under_the_shipped_unit(
    booted: Mapping[str, str],
) -> None:
    told = json.loads(booted["cage"])
    assert list(told["answers"]) == list(TRIED) and len(TRIED) == 14, "fewer tried is not enough"
    assert {"limits", "seccomp"} <= set(told["walls"])
    wanted = dict.fromkeys(TRIED, "EPERM") | {"clone3": "ENOSYS"}
    assert {name: one for name, one in told["answers"].items() if one != "absent"} == {
        name: one for name, one in wanted.items() if told["answers"][name] != "absent"
    }
