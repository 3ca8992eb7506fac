"""The service on a systemd that has booted: installed, founded, reloaded, broken, mended, behind a socket, and gone again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from booted_system import run_booted

from p2pshare.engines.walls import TRIED

# Each answer is a file: `said NAME COMMAND` keeps what a command printed, and its exit code in NAME.code.
SCRIPT = r"""
set -u
PS4='+ $(date +%s.%N) '
cd /
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
ip link set lo up 2>/dev/null || true
program=/opt/p2pshare/venv/bin/p2pshare
answers=/opt/answers
said() { name=$1; shift; "$@" >$answers/$name 2>$answers/$name.err; echo $? >$answers/$name.code; }
show() { systemctl show "$1" --property=ActiveState,SubState,NRestarts,StatusText,Result,ExecMainStatus,MainPID >$answers/$2; }

# --- what is refused ---
said none $program service status
useradd --create-home stranger
useradd --create-home member
said no-root runuser -u stranger -- $program service install
cp -a /opt/p2pshare/venv /root/venv
said hidden /root/venv/bin/python -m p2pshare service install
rm -r /root/venv
chmod o+w /opt/p2pshare/venv
said writable $program service install
chmod o-w /opt/p2pshare/venv
echo '[Service]' >/etc/systemd/system/p2pshare.service
said by-hand $program service install
rm /etc/systemd/system/p2pshare.service
echo '#!/bin/sh' >/usr/local/bin/p2pshare
said other-command $program service install
rm /usr/local/bin/p2pshare
said dry-run $program service install --dry-run
ls -d /usr/local/bin/p2pshare /var/lib/p2pshare >$answers/after-dry-run 2>/dev/null
systemctl start p2pshare 2>/dev/null && echo started >>$answers/after-dry-run

# --- installed, founded, started: by a root with a tight umask, as hardened machines have it ---
umask 077
said install $program service install --json
systemctl start p2pshare; show p2pshare homeless
said found p2pshare service install --name "Hospital A" --url https://127.0.0.1:8443
said again p2pshare service install --name "Hospital A" --url https://127.0.0.1:8443 --json
said another p2pshare service install --name "Hospital B" --url https://127.0.0.1:8443
stat -c '%n %U:%G %a' /var/lib/p2pshare /var/lib/p2pshare/config.toml /var/lib/p2pshare/identity.p2pkey /usr/local/bin/p2pshare >$answers/modes
usermod -aG p2pshare member
said as-root p2pshare status --json
said as-member runuser -u member -- /usr/local/bin/p2pshare status --json
said as-stranger runuser -u stranger -- /usr/local/bin/p2pshare status
said service-status p2pshare service status --json
if command -v man >/dev/null; then man -w p2pshare >$answers/man 2>&1; fi
bash -c 'for f in /usr/share/bash-completion/bash_completion; do [ -f $f ] || exit 0; . $f; done; _completion_loader p2pshare; complete -p p2pshare' >$answers/bash 2>&1
if command -v zsh >/dev/null; then zsh -c 'autoload -Uz compinit; compinit -u; print $_comps[p2pshare]' >$answers/zsh 2>&1; fi
if command -v fish >/dev/null; then HOME=/srv fish -c 'complete -C "p2pshare servi"' >$answers/fish 2>&1; fi

umask 022
# --- a partner that does not answer: the journal names it as we do ---
export P2PSHARE_HOME=/srv/bravo
p2pshare init --name "Bravo CERT" --url https://127.0.0.1:9443 >/dev/null 2>&1
p2pshare card export /srv/bravo.p2pcard
print=$(p2pshare card show --json | sed 's/.*"fingerprint": "\([^"]*\)".*/\1/')
unset P2PSHARE_HOME
said partner p2pshare partner add /srv/bravo.p2pcard --fingerprint "$print" --alias bravo --json
for _ in $(seq 100); do journalctl -u p2pshare -o cat | grep -q 'partner bravo: ' && break; sleep 0.1; done

# --- reload ---
config=/var/lib/p2pshare/config.toml
cp $config /srv/good.toml
sed -i 's/^name = .*/name = "Hospital RENAMED"/; s/^listen = .*/listen = "127.0.0.1:8444"/' $config
said reload systemctl reload p2pshare
show p2pshare reloaded
sed -i '1i nmae = 1' $config
said reload-broken systemctl reload p2pshare
show p2pshare reloaded-broken
said config-reload p2pshare config reload --json
said name-after p2pshare status --json
# --- a start with a config that is wrong: once, and not for ever ---
said restart-broken systemctl restart p2pshare
show p2pshare restarted-broken
cp /srv/good.toml $config; chown p2pshare:p2pshare $config
said restart-mended systemctl restart p2pshare
for _ in $(seq 50); do systemctl show p2pshare -p StatusText | grep -q partners && break; sleep 0.1; done
show p2pshare restarted

# --- upgrade without a file: what is installed already, and files that were changed are put right ---
echo '# of an old version' >>/usr/local/lib/systemd/system/p2pshare.service
said status-stale p2pshare service status --json
said upgrade p2pshare service upgrade --json

# --- the same sandbox around the child of an engine: only what is started differs ---
unit=/usr/local/lib/systemd/system/p2pshare.service
sed -e 's|^Type=.*|Type=oneshot|' -e 's|^ExecReload=.*||' -e 's|^WatchdogSec=.*||' -e 's|^Restart=.*||' \
  -e 's|^ExecStart=.*|ExecStart=/opt/p2pshare/venv/bin/python /opt/given/cage.py|' $unit >/etc/systemd/system/p2pshare-cage.service
echo 'StandardOutput=file:/var/lib/p2pshare/cage' >/tmp/line
sed -i '/^\[Service\]/r /tmp/line' /etc/systemd/system/p2pshare-cage.service
systemctl daemon-reload
said cage-unit systemctl start p2pshare-cage
cp /var/lib/p2pshare/cage $answers/cage

said stop systemctl stop p2pshare
systemctl show p2pshare --property=ActiveState,Result,ExecMainStatus >$answers/stopped
journalctl -u p2pshare -o json --no-pager >$answers/journal

# --- removed: the home stays; purged: nothing does ---
said uninstall p2pshare service uninstall --json
ls -d /var/lib/p2pshare/identity.p2pkey /usr/local/bin/p2pshare /usr/local/lib/systemd/system/p2pshare.service >$answers/after-uninstall 2>/dev/null
said purge-unasked $program service uninstall --purge
said purge $program service uninstall --purge --yes
ls -d /var/lib/p2pshare /usr/local/bin/p2pshare >$answers/after-purge 2>/dev/null
getent passwd p2pshare >>$answers/after-purge
getent group p2pshare >>$answers/after-purge

# --- port 443: systemd listens, and another node dials it ---
said founded-443 $program service install --name "Hospital A" --url https://127.0.0.1 --json
p2pshare card export /srv/alpha.p2pcard
said partner-443 p2pshare partner add /srv/bravo.p2pcard --fingerprint "$print" --alias bravo --json
print=$(p2pshare card show --json | sed 's/.*"fingerprint": "\([^"]*\)".*/\1/')
P2PSHARE_HOME=/srv/bravo p2pshare partner add /srv/alpha.p2pcard --fingerprint "$print" --alias alpha >/dev/null
systemd-run --quiet --unit=bravo $program --home /srv/bravo run
for _ in $(seq 60); do p2pshare partner list --json | grep -q '"state": "connected"' && break; sleep 1; done
said linked p2pshare partner list --json
ss -Hltnp >$answers/listening 2>/dev/null
systemctl stop p2pshare 2>/dev/null
said doctor-stopped p2pshare doctor --json
bash -c 'exec 3<>/dev/tcp/127.0.0.1/443'
for _ in $(seq 300); do systemctl is-active --quiet p2pshare && break; sleep 0.1; done
systemctl is-active p2pshare >$answers/woken
# --- and with a config that is wrong: not for ever, however slow a start is ---
refused_starts() { journalctl -u p2pshare -o cat --no-pager | grep -c "^error: .*unknown key 'nmae'"; }
refused_starts >$answers/refused-before
systemctl stop p2pshare 2>/dev/null
sed -i '1i nmae = 1' $config
systemctl reset-failed p2pshare
bash -c 'exec 3<>/dev/tcp/127.0.0.1/443'
for _ in $(seq 300); do systemctl is-failed --quiet p2pshare.socket && break; sleep 0.1; done
systemctl show p2pshare.socket --property=ActiveState,Result >$answers/given-up
refused_starts >$answers/refused-after
sed -i 1d $config
said back-443 systemctl restart p2pshare.socket p2pshare
systemctl is-active p2pshare.socket p2pshare >$answers/both-active
journalctl -u p2pshare -o cat --no-pager >$answers/journal-443
exit 0
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


class Booted:
    """What the script of a boot left."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers = answers

    def __getitem__(self, name: str) -> str:
        return self.answers[name]

    def code(self, name: str) -> int:
        return int(self.answers[f"{name}.code"])

    def error(self, name: str) -> str:
        return self.answers[f"{name}.err"]

    def json(self, name: str) -> Any:
        assert self.code(name) == 0, self.error(name)
        return json.loads(self.answers[name])

    def shown(self, name: str) -> dict[str, str]:
        """What `systemctl show` said."""
        return dict(line.partition("=")[::2] for line in self.answers[name].splitlines())

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.answers["journal"].splitlines()]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Booted:
    """One boot for all tests of the module."""
    answers = run_booted(Path(tmp_path_factory.mktemp("booted")), SCRIPT, {"cage.py": CAGE})
    assert answers["code"].strip() == "0", answers["output"][-4_000:]
    return Booted(answers)


def test_nothing_is_installed_by_who_may_not_or_from_where_the_sandbox_hides_it(booted: Booted) -> None:
    assert booted.code("none") == 3 and "not installed" in booted.error("none")
    for name, word in {
        "no-root": "only root",
        "hidden": "is below /root, which the unit's sandbox hides",
        "writable": "others than root can change /opt/p2pshare/venv",
        "by-hand": "/etc/systemd/system/p2pshare.service hides the unit",
        "other-command": "/usr/local/bin/p2pshare is another program's",
    }.items():
        assert booted.code(name) == 1 and word in booted.error(name), (name, booted.error(name))
        assert "hint: " in booted.error(name)
    assert booted.code("dry-run") == 0 and "made     user p2pshare" in booted["dry-run"]
    assert booted["after-dry-run"] == ""


def test_it_is_installed_founded_and_started_by_one_command_and_a_second_time_changes_nothing(
    booted: Booted,
) -> None:
    made = {step["what"]: step["done"] for step in booted.json("install")["steps"]}
    assert set(made.values()) == {"made"} and {
        "user p2pshare",
        "/usr/local/bin/p2pshare",
        "/var/lib/p2pshare",
    } <= set(made)
    homeless = booted.shown("homeless")  # a start before there is a node: an error of configuration, once
    assert (homeless["SubState"], homeless["ExecMainStatus"], homeless["NRestarts"]) == ("failed", "78", "0")
    assert booted.code("found") == 0, booted.error("found")
    assert "started  p2pshare.service" in booted["found"]
    assert {step["done"] for step in booted.json("again")["steps"]} == {"same"}
    assert booted.code("another") == 1 and "has a node already: 'Hospital A'" in booted.error("another")
    assert booted["modes"].splitlines() == [
        "/var/lib/p2pshare p2pshare:p2pshare 750",
        "/var/lib/p2pshare/config.toml p2pshare:p2pshare 600",
        "/var/lib/p2pshare/identity.p2pkey p2pshare:p2pshare 600",
        "/usr/local/bin/p2pshare root:root 755",
    ]


def test_the_command_finds_the_services_home_as_root_and_as_a_member_of_the_group(booted: Booted) -> None:
    for who in ("as-root", "as-member"):
        told = booted.json(who)
        assert told["running"] and told["name"] == "Hospital A"
    assert booted.code("as-stranger") == 1 and "may not use the daemon" in booted.error("as-stranger")
    assert "adduser NAME p2pshare" in booted.error("as-stranger")
    told = booted.json("service-status")
    assert (told["active"], told["at_boot"], told["initialised"]) == ("active", "enabled", True)
    assert told["version"] == told["running_version"] and set(told["files"].values()) == {"same"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("man", "/man/man1/p2pshare.1"),
        ("bash", "complete"),
        ("zsh", "_p2pshare"),
        ("fish", "service"),
    ],
)
def test_man_and_the_shells_find_what_was_installed(booted: Booted, name: str, expected: str) -> None:
    if name not in booted.answers or (name == "bash" and not booted["bash"]):
        return  # not on this machine: the others of CI have it
    assert expected in booted[name]


def test_a_reload_takes_a_good_config_and_fails_for_a_bad_one_while_the_daemon_goes_on(
    booted: Booted,
) -> None:
    assert booted.code("reload") == 0, booted.error("reload")
    assert booted.shown("reloaded")["SubState"] == "running"
    assert booted.code("reload-broken") == 1
    after = booted.shown("reloaded-broken")
    assert (after["SubState"], after["MainPID"]) == ("running", booted.shown("reloaded")["MainPID"])
    error = json.loads(booted.error("config-reload").splitlines()[-1])["error"]
    assert error["exit_code"] == booted.code("config-reload") == 78
    assert "nmae" in error["message"] and "config.toml" in error["message"]
    assert booted.json("name-after")["name"] == "Hospital RENAMED", "the old one is in force"
    assert any("'listen' was changed" in line["MESSAGE"] for line in booted.journal())


def test_a_start_with_a_bad_config_fails_once_and_is_not_tried_for_ever(booted: Booted) -> None:
    assert booted.code("restart-broken") == 1
    failed = booted.shown("restarted-broken")
    assert (failed["SubState"], failed["ExecMainStatus"], failed["NRestarts"]) == ("failed", "78", "0")
    assert booted.code("restart-mended") == 0


def test_systemctl_status_says_how_the_node_stands(booted: Booted) -> None:
    text = booted.shown("restarted")["StatusText"]
    assert re.fullmatch(
        r"0 of 1 partners linked, 0 observables, (nothing needs a person|\d+ alarms? needs? a person: .+)",
        text,
    ), text


def test_the_journal_has_priorities_no_second_time_and_our_names_for_partners(booted: Booted) -> None:
    lines = booted.journal()
    ours = [line for line in lines if line.get("_COMM") == "p2pshare"]
    messages = [line["MESSAGE"] for line in ours]
    assert not any(re.search(r"^<\d>|\d{4}-\d\d-\d\dT|Z (INFO|ERROR)", text) for text in messages), messages
    by_message = {line["MESSAGE"]: line["PRIORITY"] for line in ours}
    assert by_message["p2pshare.daemon.run: ready"] == "6"
    assert {line["PRIORITY"] for line in ours if "was not reloaded" in line["MESSAGE"]} == {"3"}
    assert {line["PRIORITY"] for line in ours if line["MESSAGE"].startswith(("error: ", "hint: "))} == {"3"}
    assert {line["PRIORITY"] for line in ours if "was changed in the config" in line["MESSAGE"]} == {"4"}
    bravo = booted.json("partner")["partner_id"]
    assert any("partner bravo: " in text for text in messages)
    diary = [text for text in messages if not re.search(r"\baudit \d+:[0-9a-f]{16}: ", text)]
    assert not any(bravo[:8] in text for text in diary), (
        "a record of the audit log has both, for names change"
    )


def test_an_upgrade_puts_files_right_and_restarts_what_runs(booted: Booted) -> None:
    stale = booted.json("status-stale")["files"]
    unit = "/usr/local/lib/systemd/system/p2pshare.service"
    assert [path for path, state in stale.items() if state != "same"] == [unit]
    steps = {step["what"]: step["done"] for step in booted.json("upgrade")["steps"]}
    assert steps[unit] == "changed" and steps["p2pshare.service"] == "started"


def test_each_of_the_fourteen_closed_calls_is_refused_through_the_launcher_under_the_shipped_unit(
    booted: Booted,
) -> None:
    told = json.loads(booted["cage"])
    assert list(told["answers"]) == list(TRIED) and len(TRIED) == 14, "fewer tried is not enough"
    assert {"limits", "seccomp"} <= set(told["walls"])
    wanted = dict.fromkeys(TRIED, "EPERM") | {"clone3": "ENOSYS"}
    assert {name: one for name, one in told["answers"].items() if one != "absent"} == {
        name: one for name, one in wanted.items() if told["answers"][name] != "absent"
    }


def test_it_stops_clean_and_is_removed_with_the_home_left_until_it_is_purged(booted: Booted) -> None:
    assert booted.shown("stopped")["Result"] == "success"
    steps = {step["what"]: step["done"] for step in booted.json("uninstall")["steps"]}
    assert steps["/usr/local/bin/p2pshare"] == "removed" and "kept" in steps.values()
    assert booted["after-uninstall"].split() == ["/var/lib/p2pshare/identity.p2pkey"]
    assert booted.code("purge-unasked") == 2 and "nobody can be asked" in booted.error("purge-unasked")
    assert booted.code("purge") == 0 and booted["after-purge"] == ""


def test_a_node_at_port_443_is_dialled_through_the_socket_that_systemd_hands_over(booted: Booted) -> None:
    steps = {step["what"]: step["done"] for step in booted.json("founded-443")["steps"]}
    assert steps["p2pshare.socket"] == steps["p2pshare.service"] == "started"
    assert [one["state"] for one in booted.json("linked")] == ["connected"]
    assert "port 443, a socket of the service manager" in booted["journal-443"]
    assert booted["woken"].strip() == "active", "a partner that dials starts it"
    [listens] = [one for one in booted.json("doctor-stopped") if one["check"] == "listen"]
    assert listens["level"] == "ok" and "service manager listens" in listens["message"]


def test_a_config_that_is_wrong_behind_the_socket_is_given_up_and_one_command_brings_it_back(
    booted: Booted,
) -> None:
    given_up = booted.shown("given-up")
    assert given_up["ActiveState"] == "failed" and given_up["Result"].endswith("-limit-hit"), given_up
    assert 1 <= int(booted["refused-after"]) - int(booted["refused-before"]) <= 5
    assert booted.code("back-443") == 0 and booted["both-active"].split() == ["active", "active"]
