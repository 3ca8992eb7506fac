"""Every fault that docs/operations/doctor.md lists, planted in a real home or between real daemons; and what is said to mend it, done.

A planter plants one fault of `queries.doctor_words.FAULTS` and returns what mends it: a function that follows the words, MENDED_ELSEWHERE
where the words lead out of this machine, or to a page with a test of its own.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import apsw
import pytest
from command_line import run_here
from copies import copy_of
from doctor_faults import BETWEEN_NODES, DIALLED_BACK, read_findings, said
from free_port import free_port
from whole_nodes import World, befriend, raw_draft, seal_unchecked, take_in

from p2pshare.cli import card as cli_card
from p2pshare.cli.doctor import examine
from p2pshare.database import connection as database_connection
from p2pshare.envelope.keys import Secret, create_identity
from p2pshare.limits import MIB
from p2pshare.node.keyfile import PASSPHRASE_FILE_VARIABLE, read_identity, write_key_file
from p2pshare.queries import doctor as queries_doctor
from p2pshare.queries import own_door
from p2pshare.queries.doctor_words import FAULTS, Finding
from p2pshare.sharing.intake import Arrival

MENDED_ELSEWHERE = None
Mend = Callable[[], object]
DAY = 86_400
HOUR = 3_600


@dataclass
class Lab:
    """A home made for one fault, and what a planter may change about its surroundings."""

    folder: Path
    patch: pytest.MonkeyPatch
    home: Path
    port: int
    ending: list[Callable[[], object]] = field(default_factory=list)
    daemon: Callable[[], object] | None = None
    """Ends the daemon that runs."""

    def p2pshare(self, *arguments: str, code: int = 0, home: Path | None = None) -> str:
        said = run_here(["--home", str(home or self.home), *arguments])
        assert said.code == code, said
        return said.out

    def findings(self) -> list[Finding]:
        """What the command says, in its words for monitors."""
        answer = run_here(["--home", str(self.home), "doctor", "--json"])
        findings = read_findings(answer.out)
        assert answer.code == (1 if any(one.level == "fail" for one in findings) else 0)
        return findings

    def path(self, name: str) -> Path:
        return self.home / name

    def at(self, seconds: float) -> None:
        """Have this process live so many seconds later."""
        true = time.time
        self.patch.setattr(time, "time", lambda: true() + seconds)
        self.patch.setattr(cli_card, "now_seconds", lambda: int(time.time()))

    def config(self, key: str, value: str) -> None:
        path = self.path("config.toml")
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", path.read_text())
        assert count == 1
        path.write_text(text)

    def store(self, sql: str, *bindings: object) -> None:
        with closing(apsw.Connection(str(self.path("store.sqlite")))) as opened:
            opened.execute(sql, bindings).fetchall()

    def obey(self, finding: Finding) -> None:
        """Run the command between backticks with which the mend begins."""
        command = re.match(r"`([^`]+)`", finding.mend)
        assert command, finding
        words = shlex.split(command[1])
        if words[0] == "p2pshare":
            self.p2pshare(*words[1:])
        else:
            subprocess.run(words, check=True, capture_output=True)


PLANTS: dict[str, Callable[[Lab], Mend | None]] = {}


def plants(name: str) -> Callable[[Callable[[Lab], Mend | None]], Callable[[Lab], Mend | None]]:
    def note(planter: Callable[[Lab], Mend | None]) -> Callable[[Lab], Mend | None]:
        assert name not in PLANTS
        PLANTS[name] = planter
        return planter

    return note


def the(lab: Lab, name: str) -> Finding:
    (found, *_) = said(lab.findings(), name)
    return found


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A home of its own, copied; its port is its own as well."""

    def make(home: Path) -> None:
        made = run_here(["--home", str(home), "init", "--name", "Alpha", "--url", "https://127.0.0.1:1"], b"")
        assert made.code == 0

    monkeypatch.delenv(PASSPHRASE_FILE_VARIABLE, raising=False)
    home = copy_of("home of doctor faults", make, tmp_path / "home")
    for file in home.iterdir():  # as `init` left them
        shutil.copymode(file, file)
    made = Lab(tmp_path, monkeypatch, home, free_port())
    made.config("listen", f'"127.0.0.1:{made.port}"')
    yield made
    stop(made)
    for end in made.ending:
        end()


def test_the_page_and_the_program_have_one_list_of_faults(repository: Path) -> None:
    text = (repository / "docs" / "operations" / "doctor.md").read_text()
    table = text.partition("## Faults")[2].partition("\n## ")[0]
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in table.splitlines()
        if line.startswith("| ")
    ][1:]
    upper = re.compile(r"\{(\w+)\}")

    def shown(text: str) -> str:
        return upper.sub(lambda found: found[1].upper(), text)

    expected = [
        (f"`{one.check}`" if one.check != "any" else "any", one.level, shown(one.says), shown(one.mend))
        for one in FAULTS.values()
    ]
    assert [row for row in rows if row[0] != "check"] == expected


def test_the_page_lists_each_check_once_and_in_the_order_of_the_command(repository: Path, lab: Lab) -> None:
    text = (repository / "docs" / "operations" / "doctor.md").read_text()
    table = text.partition("## Checks")[2].partition("\n## ")[0]
    listed = re.findall(r"(?m)^\| `([a-z-]+)` \|", table)
    assert listed == [one.check for one in lab.findings()]
    assert set(listed) == queries_doctor.CHECKS


def test_a_new_node_has_nothing_to_mend_but_what_it_lacks(lab: Lab) -> None:
    found = {(one.check, one.level) for one in lab.findings() if one.level in ("warn", "fail")}
    assert found == {("warning-lists", "warn"), ("daemon", "warn")}


def test_every_fault_of_the_page_is_planted() -> None:
    assert set(PLANTS) | BETWEEN_NODES | DIALLED_BACK == set(FAULTS)


# --- files ------------------------------------------------------------------------------------------


@plants("config")
def _(lab: Lab) -> Mend:
    kept = lab.path("config.toml").read_text()
    lab.path("config.toml").write_text(kept + "\nlissten = 1\n")
    return lambda: lab.path("config.toml").write_text(kept)


@plants("changeable")
def _(lab: Lab) -> Mend:
    lab.path("store.sqlite").chmod(0o664)
    return lambda: lab.obey(the(lab, "changeable"))


@plants("open-home")
def _(lab: Lab) -> Mend:
    lab.home.chmod(0o755)
    return lambda: lab.obey(the(lab, "open-home"))


@plants("network-file-system")
def _(lab: Lab) -> Mend:
    """A line of the kernel's table of mounts, as it is where the home lies on NFS."""
    mounts = lab.folder / "mountinfo"
    mounts.write_text(f"1 1 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {lab.home} rw - nfs4 server:/home rw\n")
    true = database_connection.network_kind
    lab.patch.setattr(queries_doctor, "network_kind", lambda path: true(path, mounts))

    def mend() -> None:
        moved = lab.folder / "moved"
        shutil.copytree(lab.home, moved)
        lab.home = moved

    return mend


@plants("read-only-file-system")
def _(lab: Lab) -> Mend:
    class ReadOnly:
        f_flag, f_bavail, f_frsize = os.ST_RDONLY, 1_000, MIB

    lab.patch.setattr(queries_doctor.os, "statvfs", lambda _: ReadOnly)
    return lambda: lab.patch.undo()


@plants("key-file-missing")
def _(lab: Lab) -> Mend:
    lab.path("identity.p2pkey").rename(lab.folder / "backup")
    return lambda: (lab.folder / "backup").rename(lab.path("identity.p2pkey"))


@plants("key-file-permissions")
def _(lab: Lab) -> Mend:
    lab.path("identity.p2pkey").chmod(0o644)
    return lambda: lab.obey(the(lab, "key-file-permissions"))


@plants("key-file-owner")
def _(lab: Lab) -> Mend:
    if os.geteuid() != 0:
        pytest.skip("skipped: only root gives files away")
    os.chown(lab.path("identity.p2pkey"), 12_345, -1)
    return lambda: lab.obey(the(lab, "key-file-owner"))


@plants("key-file-damaged")
def _(lab: Lab) -> Mend:
    kept = lab.path("identity.p2pkey").read_bytes()
    lab.path("identity.p2pkey").write_bytes(kept[:-1])
    return lambda: lab.path("identity.p2pkey").write_bytes(kept)


@plants("key-and-card-differ")
def _(lab: Lab) -> Mend:
    kept = lab.path("identity.p2pkey").read_bytes()
    other = create_identity("Other", [], int(time.time()))
    write_key_file(lab.path("identity.p2pkey"), other)
    return lambda: lab.path("identity.p2pkey").write_bytes(kept)


@plants("key-file-other")
def _(lab: Lab) -> Mend:
    """A link in the place of the key file."""
    path = lab.path("identity.p2pkey")
    path.rename(lab.folder / "elsewhere")
    path.symlink_to(lab.folder / "elsewhere")

    def mend() -> None:
        path.unlink()
        (lab.folder / "elsewhere").rename(path)

    return mend


@plants("certificate-other")
def _(lab: Lab) -> Mend:
    """The keys of this card, but for the TLS key, which is another node's."""
    path = lab.path("identity.p2pkey")
    kept = path.read_bytes()
    identity = read_identity(path, lab.path("card.p2pcard"))
    other = create_identity("Other", [], int(time.time()))
    operational = replace(identity.operational, tls=other.operational.tls)
    write_key_file(path, replace(identity, operational=operational))
    return lambda: path.write_bytes(kept)


def given(lab: Lab, text: str, mode: int = 0o600) -> Path:
    path = lab.folder / "passphrase"
    path.write_text(text)
    path.chmod(mode)
    lab.patch.setenv(PASSPHRASE_FILE_VARIABLE, str(path))
    return path


@plants("passphrase-other")
def _(lab: Lab) -> Mend:
    path = given(lab, "correct horse battery", 0o644)
    write_key_file(
        lab.path("identity.p2pkey"),
        read_identity(lab.path("identity.p2pkey"), lab.path("card.p2pcard")),
        Secret(b"correct horse battery"),
        scrypt_log_n=10,
    )
    finding = the(lab, "passphrase-other")
    assert finding.mend == f"chmod 600 {path}"
    return lambda: subprocess.run(shlex.split(finding.mend), check=True)


@plants("passphrase-unused")
def _(lab: Lab) -> Mend:
    given(lab, "correct horse battery")
    return lambda: lab.patch.delenv(PASSPHRASE_FILE_VARIABLE)


@plants("passphrase-weak")
def _(lab: Lab) -> Mend:
    given(lab, "short")
    identity = read_identity(lab.path("identity.p2pkey"), lab.path("card.p2pcard"))
    write_key_file(lab.path("identity.p2pkey"), identity, Secret(b"short"), scrypt_log_n=10)

    def mend() -> None:
        better = lab.folder / "better"
        better.write_text("five random words are better")
        better.chmod(0o600)
        lab.p2pshare("passphrase", "set", "--new-file", str(better))
        lab.patch.setenv(PASSPHRASE_FILE_VARIABLE, str(better))

    return mend


@plants("card-damaged")
def _(lab: Lab) -> Mend:
    kept = lab.path("card.p2pcard").read_bytes()
    lab.path("card.p2pcard").write_bytes(kept[:-1])
    return lambda: lab.path("card.p2pcard").write_bytes(kept)


@plants("card-ended")
def _(lab: Lab) -> Mend:
    lab.at(91 * DAY)
    return lambda: lab.obey(the(lab, "card-ended"))


@plants("card-ends")
def _(lab: Lab) -> Mend:
    lab.at(80 * DAY + 60)
    assert "9 days more" in the(lab, "card-ends").message
    return lambda: lab.obey(the(lab, "card-ends"))


@plants("roots-elsewhere")
def _(lab: Lab) -> Mend:
    shutil.rmtree(lab.home)
    root = lab.folder / "root.p2pkey"
    lab.p2pshare("init", "--name", "Alpha", "--dial-only", "--roots-to", str(root))
    assert said(lab.findings(), "roots-elsewhere") == [], "a choice, until they are needed"
    lab.at(31 * DAY)

    def mend() -> None:
        unsigned, signed = str(lab.folder / "unsigned"), str(lab.folder / "signed")
        lab.p2pshare("card", "renew", "--unsigned", unsigned, code=6)
        lab.p2pshare("card", "sign", unsigned, "-o", signed, "--roots", str(root), "--yes")
        lab.p2pshare("card", "install", signed)

    return mend


class _Disk:
    """A disk with so much room."""

    f_frsize, f_flag = MIB, 0

    def __init__(self, free_mib: int) -> None:
        self.f_bavail = free_mib


def _disk(lab: Lab, free_mib: int) -> Mend:
    disk = _Disk(free_mib)
    lab.patch.setattr(queries_doctor.os, "statvfs", lambda _: disk)
    return lambda: setattr(disk, "f_bavail", 100_000)


@plants("disk-full")
def _(lab: Lab) -> Mend:
    return _disk(lab, 63)


@plants("disk-low")
def _(lab: Lab) -> Mend:
    return _disk(lab, 255)


@plants("store-missing")
def _(lab: Lab) -> Mend:
    lab.path("store.sqlite").unlink()
    return lambda: daemon_once(lab)


@plants("store-damaged")
def _(lab: Lab) -> Mend:
    path = lab.path("store.sqlite")
    kept = path.read_bytes()
    path.write_bytes(kept[:8_192] + b"\xff" * 4_096 + kept[12_288:])
    return lambda: path.write_bytes(kept)


@plants("store-other")
def _(lab: Lab) -> Mend:
    """A store of a newer version of the program."""
    path = lab.path("store.sqlite")
    kept = path.read_bytes()
    lab.store("PRAGMA user_version = 9999")
    assert "newer version" in the(lab, "store-other").mend
    return lambda: path.write_bytes(kept)


@plants("store-read-only")
def _(lab: Lab) -> Mend:
    lab.path("store.sqlite").chmod(0o400)
    return lambda: lab.obey(the(lab, "store-read-only"))


@plants("feed-late")
def _(lab: Lab) -> Mend:
    lab.store(
        "INSERT OR REPLACE INTO setting (name, value) VALUES ('evaluated_at', ?)",
        int(time.time()) - HOUR - 60,
    )
    assert "1 h behind" in the(lab, "feed-late").message
    return lambda: daemon_once(lab)


@plants("lists-absent")
def _(lab: Lab) -> Mend:
    lists = lab.folder / "lists" / "one"
    lists.mkdir(parents=True)
    (lists / "list.json").write_text(
        json.dumps(
            {
                "name": "Our own servers",
                "version": 1,
                "description": "d",
                "type": "hostname",
                "matching_attributes": ["domain"],
                "list": ["ours.example"],
            }
        )
    )
    return lambda: lab.p2pshare("warninglist", "import", str(lists))


@plants("not-running")
def _(lab: Lab) -> Mend:
    return lambda: start(lab)


@plants("not-looked-at")
def _(lab: Lab) -> Mend:
    if os.geteuid() != 0:
        pytest.skip("skipped: needs root to become another user")
    move_to(lab, pwd.getpwnam("nobody").pw_uid)
    true = lab.findings

    def as_another() -> list[Finding]:
        with becoming(54_321, lab.home.stat().st_gid):
            return examine(lab.home)

    lab.findings = as_another  # type: ignore[method-assign]
    finding = the(lab, "not-looked-at")
    assert finding.mend == "ask as nobody, or as root: `p2pshare doctor`"
    return lambda: setattr(lab, "findings", true)


# --- the clock of this node alone ------------------------------------------------------------------


@plants("clock-went-back")
def _(lab: Lab) -> Mend:
    """Two hours back: the card was made in what is now the future."""
    lab.at(-2 * HOUR)
    return lambda: lab.patch.undo()


# --- the door ---------------------------------------------------------------------------------------


def listening(lab: Lab) -> socket.socket:
    """Another program at the node's address, which says nothing."""
    other = socket.create_server(("127.0.0.1", lab.port))
    lab.ending.append(other.close)
    return other


@plants("port-taken")
def _(lab: Lab) -> Mend:
    other = listening(lab)
    return other.close


@plants("no-such-address")
def _(lab: Lab) -> Mend:
    lab.config("listen", '"192.0.2.7:8443"')
    return lambda: lab.config("listen", '"0.0.0.0:8443"')


@plants("port-forbidden")
def _(lab: Lab) -> Mend:
    if os.geteuid() != 0 or int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 443:
        pytest.skip("skipped: needs root to become another user")
    move_to(lab, pwd.getpwnam("nobody").pw_uid)
    lab.config("listen", '"127.0.0.1:443"')
    return lambda: lab.config("listen", f'"127.0.0.1:{free_port()}"')


@plants("listen-silent")
def _(lab: Lab) -> Mend:
    start(lab)
    lab.config("listen", f'"127.0.0.1:{free_port()}"')
    return lambda: start(lab)


@plants("listen-other")
def _(lab: Lab) -> Mend:
    """The node runs elsewhere than the config says by now, and another program answers where it says."""
    start(lab)
    before, lab.port = lab.port, free_port()
    lab.config("listen", f'"127.0.0.1:{lab.port}"')
    other = listening(lab)
    lab.patch.setattr(own_door, "CONNECT_SECONDS_MAX", 0.5)

    def mend() -> None:
        other.close()
        lab.config("listen", f'"127.0.0.1:{before}"')

    return mend


@plants("loopback-only")
def _(lab: Lab) -> Mend:
    lab.config("url", '"https://192.0.2.7:8443"')
    return lambda: lab.config("listen", f'"0.0.0.0:{lab.port}"')


@plants("url-unresolved")
def _(lab: Lab) -> Mend:
    lab.p2pshare("card", "set", "--url", "https://nowhere.invalid:8443")
    return lambda: lab.p2pshare("card", "set", "--url", "https://127.0.0.1:1")


@plants("url-elsewhere")
def _(lab: Lab) -> Mend:
    lab.patch.setattr(own_door, "CONNECT_SECONDS_MAX", 0.05)
    lab.p2pshare("card", "set", "--url", "https://192.0.2.7:8443")
    return lambda: lab.p2pshare("card", "set", "--url", "https://127.0.0.1:1")


@plants("url-other")
def _(lab: Lab) -> Mend:
    """Somebody else answers where the card leads: an address of this machine that is taken for another's."""
    listening(lab)
    lab.patch.setattr(own_door, "CONNECT_SECONDS_MAX", 0.1)
    lab.p2pshare("card", "set", "--url", f"https://127.0.0.1:{lab.port}")
    lab.config("listen", f'"127.0.0.1:{free_port()}"')
    lab.patch.setattr(own_door, "_is_here", lambda _: False)

    def mend() -> None:
        lab.patch.undo()
        lab.p2pshare("card", "set", "--url", "https://127.0.0.1:1")

    return mend


@plants("url-differs")
def _(lab: Lab) -> Mend:
    lab.config("url", '"https://127.0.0.1:2"')
    return lambda: lab.obey(the(lab, "url-differs"))


# --- alarms and spaces ------------------------------------------------------------------------------


@plants("severe-alarm")
def _(lab: Lab) -> Mend:
    """The home was copied, and both publish: a partner hands back what the other one sealed under our number."""
    now = int(time.time())
    world = World(lab.folder / "world", now)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    twins = [seal_unchecked(alpha, raw_draft([]), bravo, now=now) for _ in range(2)]
    take_in(alpha, [Arrival(wire, bravo.identity.partner_id) for wire in twins], now)
    world.close()
    lab.home = alpha.home
    found = [one.message.partition(":")[0] for one in said(lab.findings(), "severe-alarm")]
    assert found == ["sequence-fork", "identity-used-twice"]
    return MENDED_ELSEWHERE


@plants("alarm")
def _(lab: Lab) -> Mend | None:
    lab.at(61 * DAY)
    assert the(lab, "alarm").message.startswith("keys-not-renewed: ")
    return lambda: lab.obey(the(lab, "alarm"))


ALWAYS = {"not-running", "lists-absent"}
"""What is said of each new home."""


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_fault_that_is_planted_is_said_and_its_mend_is_true(lab: Lab, name: str) -> None:
    assert name in ALWAYS or not said(lab.findings(), name)
    mend = PLANTS[name](lab)
    found = said(lab.findings(), name)
    assert found, lab.findings()
    assert all(one.mend for one in found)
    if mend is not MENDED_ELSEWHERE:
        mend()
        assert not said(lab.findings(), name), lab.findings()


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root gives files away")
def test_root_sees_what_the_daemons_user_sees_and_leaves_no_file_of_its_own(lab: Lab) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    expected = [(one.check, one.level) for one in lab.findings()]
    move_to(lab, nobody)
    assert [(one.check, one.level) for one in lab.findings()] == expected
    assert {path.stat().st_uid for path in (lab.home, *lab.home.rglob("*"))} == {nobody}
    assert os.geteuid() == 0
    os.chown(lab.path("identity.p2pkey"), 0, 0)  # a backup was put back by root: the daemon cannot read it
    assert said(lab.findings(), "key-file-owner")


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root gives files away")
def test_a_member_of_the_group_hears_of_no_fault_and_of_what_only_others_may_look_at(lab: Lab) -> None:
    group = grp.getgrnam("games")
    move_to(lab, 0, group.gr_gid)
    lab.config("group", f'"{group.gr_name}"')
    lab.findings()  # all that is imported is in memory: this user may not read where it lies
    for is_running in (False, True):
        if is_running:
            start(lab)
        with becoming(54_321, group.gr_gid):
            found = {one.check: one for one in examine(lab.home)}
        assert [one for one in found.values() if one.level == "fail"] == []
        closed = {check for check, one in found.items() if one.level == "skipped"} - {"reachable"}
        files = {"keys", "certificate", "roots", "store", "feed", "warning-lists"}
        assert closed == files | (set() if is_running else {"partners", "spaces", "alarm"})
        assert {one.mend for one in found.values() if one.check in files} == {
            "ask as root, or as root: `p2pshare doctor`"
        }
        assert (found["daemon"].level, found["listen"].level) == ("ok" if is_running else "warn", "ok")


# --- daemons and users --------------------------------------------------------------------------------


def start(lab: Lab) -> None:
    """A daemon of the home, until the test ends; one that runs is ended first."""
    stop(lab)
    log = (lab.folder / "log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "p2pshare", "--home", str(lab.home), "run"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )

    def end() -> None:
        process.terminate()
        process.wait(20)
        log.close()

    lab.daemon = end
    deadline = time.monotonic() + 20
    while "daemon running" not in run_here(["--home", str(lab.home), "status"]).out:
        assert time.monotonic() < deadline and process.poll() is None, (lab.folder / "log").read_text()
        time.sleep(0.05)


def stop(lab: Lab) -> None:
    if lab.daemon is not None:
        lab.daemon()
        lab.daemon = None


def daemon_once(lab: Lab) -> None:
    start(lab)
    stop(lab)


def move_to(lab: Lab, uid: int, gid: int | None = None) -> None:
    """Have the home be another user's, in a folder that is open to all."""
    folder = Path(tempfile.mkdtemp(prefix="p2pshare-doctor-"))
    lab.ending.append(lambda: shutil.rmtree(folder))
    folder.chmod(0o755)
    moved = folder / "home"
    shutil.copytree(lab.home, moved)
    for path in (moved, *moved.rglob("*")):
        os.chown(path, uid, uid if gid is None else gid)
    lab.home = moved


@contextmanager
def becoming(uid: int, gid: int) -> Iterator[None]:
    """This process as another user, without root's powers."""
    groups = os.getgroups()
    os.setgroups([gid])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
