"""Two users of one machine ask the daemon of the shipped unit: the audit log names each of them, as the kernel does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from booted_system import run_booted

SCRIPT = """
set -eu
ip link set lo up 2>/dev/null || true
cp /opt/p2pshare/venv/lib/systemd/system/*.service /etc/systemd/system/ && systemctl daemon-reload
useradd --system --home-dir /var/lib/p2pshare --shell /usr/sbin/nologin p2pshare
for user in anna bert; do useradd --no-create-home --groups p2pshare --shell /bin/sh $user; done
useradd --no-create-home --shell /bin/sh stranger
install -d -o p2pshare -g p2pshare -m 0750 /var/lib/p2pshare
as() { user=$1; shift; USER=root SUDO_USER=root runuser -u $user -- /opt/p2pshare/venv/bin/p2pshare --home /var/lib/p2pshare "$@"; }
as p2pshare init --name "Hospital A" --url https://127.0.0.1:8443
sed -i 's/^group = .*/group = "p2pshare"/' /var/lib/p2pshare/config.toml
systemctl start p2pshare
as anna allow annas.example
as bert allow berts.example
as stranger allow strangers.example && exit 1 || true
/opt/p2pshare/venv/bin/p2pshare --home /var/lib/p2pshare allow roots.example
as bert audit list --json >/opt/answers/listed
as p2pshare audit check
/opt/p2pshare/venv/bin/p2pshare --home /var/lib/p2pshare export --format stix >/dev/null
as anna allow again.example
systemctl stop p2pshare
/opt/p2pshare/venv/bin/p2pshare --home /var/lib/p2pshare audit list --json >/opt/answers/afterwards
stat --format=%U:%a /var/lib/p2pshare/audit /var/lib/p2pshare/audit/*.log >/opt/answers/owners
journalctl -u p2pshare --no-pager --output=cat | grep ' audit ' >/opt/answers/journal
journalctl -t p2pshare --no-pager --output=cat >/opt/answers/syslog
"""


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return run_booted(Path(tmp_path_factory.mktemp("booted-audit")), SCRIPT)


def test_two_users_two_names_and_root_by_its_own_under_the_shipped_unit(booted: Mapping[str, str]) -> None:
    assert booted["code"].strip() == "0", booted["output"][-4_000:]
    asked = [one for one in json.loads(booted["listed"]) if one["action"] == "allow-add"]
    assert [(one["user"], one["result"]) for one in asked] == [
        ("anna", "done"),
        ("bert", "done"),
        ("root", "done"),
    ]
    assert len({one["uid"] for one in asked}) == 3 and 65534 not in {one["uid"] for one in asked}
    assert "annas.example" not in booted["listed"]


def test_what_root_wrote_beside_the_daemon_does_not_keep_it_from_going_on(booted: Mapping[str, str]) -> None:
    acts = [(one["user"], one["action"], one["result"]) for one in json.loads(booted["afterwards"])]
    assert acts[-2:] == [("root", "export", "done"), ("anna", "allow-add", "done")]
    assert set(booted["owners"].split()) == {"p2pshare:700", "p2pshare:600"}


def test_each_record_has_its_line_in_the_journal(booted: Mapping[str, str]) -> None:
    for number, one in enumerate(json.loads(booted["afterwards"]), start=1):
        told = booted["journal"] + booted["syslog"]
        assert f"audit {number}:" in told, one
