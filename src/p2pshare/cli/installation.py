"""The installation of the service on this machine: which files stand where, whose the home is, and what systemd is asked.

`cli/service.py` asks it; scripts/build-deb stages the files of the Debian package by it, so that both put the same things in place.
The wheel brings the files below its environment (config/README.md, "What the wheel brings"); here they go where systemd, man and the
shells look: below /usr/local, or, where the package manager put them, below /usr, which this program then leaves alone.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

import p2pshare
from p2pshare.errors import OperatorError
from p2pshare.node.whole_files import put_whole

SERVICE_HOME = Path("/var/lib/p2pshare")  # the units' StateDirectory=
SERVICE_HOME_MODE = 0o750
USER = "p2pshare"
UNIT, SOCKET, RISK_UNIT = "p2pshare.service", "p2pshare.socket", "p2pshare-risk.service"
UNITS = (UNIT, SOCKET, RISK_UNIT)
LOCAL_PREFIX, PACKAGE_PREFIX = Path("/usr/local"), Path("/usr")
WHEEL_PLACE = "/opt/p2pshare/venv"  # the environment that the wheel's units name
BY_HAND = Path("/etc/systemd/system")  # a unit here hides ours
PLACE = re.compile(r"(?:/[A-Za-z0-9._+-]+)+")  # what needs no quoting in a unit, in a shell or after #!
HIDDEN = tuple(map(Path, ("/root", "/home", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108  nothing is written there
"""What ProtectHome= and PrivateTmp= of the units hide from the service."""
LISTENED = re.compile(r"Listen=\S*?([0-9]+) \(Stream\)")  # `Listen=[::]:443 (Stream)`, as systemctl shows it
SYSTEM_FILES_MODE, PROGRAM_MODE = 0o644, 0o755
PROGRAM_UMASK = 0o022  # of pip: the service's user reads what it installs, however tight root's umask is
SYSTEMD_BOOTED = Path("/run/systemd/system")  # sd_booted(3)
TOLD_CHARACTERS_MAX = 600  # of what another program said

FILES = {
    **{f"lib/systemd/system/{name}": f"lib/systemd/system/{name}" for name in UNITS},
    "share/doc/p2pshare/example.toml": "share/doc/p2pshare/example.toml",
    "share/man/man1/p2pshare.1": "share/man/man1/p2pshare.1",
    "share/bash-completion/completions/p2pshare": "share/bash-completion/completions/p2pshare",
    "share/zsh/site-functions/_p2pshare": "share/zsh/site-functions/_p2pshare",
    "share/fish/vendor_completions.d/p2pshare.fish": "/etc/fish/completions/p2pshare.fish",
}
"""Below the environment: below the prefix. fish looks below /usr/local only where XDG_DATA_DIRS says so."""
PACKAGED = {
    "share/zsh/site-functions/_p2pshare": "share/zsh/vendor-completions/_p2pshare",
    "share/fish/vendor_completions.d/p2pshare.fish": "share/fish/vendor_completions.d/p2pshare.fish",
}
"""Where Debian has packages put what differs."""
WRAPPER = "bin/p2pshare"
WRAPPER_MARK = "#!/bin/sh\n# The command of the p2pshare service"
WRAPPER_TEXT = (
    WRAPPER_MARK
    + """: on the service's home, unless P2PSHARE_HOME or --home names another one.
export P2PSHARE_HOME="${{P2PSHARE_HOME-{home}}}"
exec {program} "$@"
"""
)


class InstalledFile(Struct, frozen=True):
    """A file of the installation: where it stands, what is in it, and its mode."""

    path: Path
    content: bytes
    mode: int


class InstallStep(Struct, frozen=True, forbid_unknown_fields=True):
    """What was done, or would be: `done` is "made", "changed", "same", "removed", "absent", "started", "stopped" or "kept"."""

    done: str
    what: str


def environment() -> Path:
    """Returns the environment of the program that runs."""
    return Path(sys.prefix)


def is_packaged() -> bool:
    """Returns whether the package manager put this program's files below /usr."""
    wrapper = PACKAGE_PREFIX / WRAPPER
    return wrapper.is_file() and wrapper.read_bytes() == _wrapper(environment())


def pieces(place: Path, prefix: Path) -> list[InstalledFile]:
    """Returns the files for an environment that will stand at `place`, below `prefix`. Raises OperatorError where this program was
    not installed from its wheel."""
    found = []
    for source, target in FILES.items():
        try:
            content = (environment() / source).read_bytes()
        except FileNotFoundError:
            raise OperatorError(
                f"{environment() / source} is missing: this p2pshare was not installed from its wheel",
                hint="scripts/build-wheel makes one, and docs/operations/installing.md says how it is installed",
                reason="not-from-wheel",
            ) from None
        if source.startswith("lib/systemd/"):
            content = content.replace(WHEEL_PLACE.encode(), str(place).encode())
        if prefix == PACKAGE_PREFIX:
            target = PACKAGED.get(source, target)
        found.append(InstalledFile(prefix / target, content, SYSTEM_FILES_MODE))
    return [*found, InstalledFile(prefix / WRAPPER, _wrapper(place), PROGRAM_MODE)]


def _wrapper(place: Path) -> bytes:
    return WRAPPER_TEXT.format(home=SERVICE_HOME, program=place / "bin" / "p2pshare").encode()


def own_pieces() -> list[InstalledFile]:
    """Returns the files of this program where they belong on this machine."""
    return pieces(environment(), PACKAGE_PREFIX if is_packaged() else LOCAL_PREFIX)


def state_of(piece: InstalledFile) -> str:
    """Returns "same", "changed" or "absent": how what stands there compares with the piece."""
    try:
        is_same = (
            piece.path.read_bytes() == piece.content and stat.S_IMODE(piece.path.stat().st_mode) == piece.mode
        )
    except OSError:
        return "absent"
    return "same" if is_same else "changed"


def write_piece(piece: InstalledFile) -> None:
    """Put the piece in place, whole or not at all, in a folder that everybody may read, whatever the umask."""
    for folder in reversed([one for one in piece.path.parents if not one.exists()]):
        folder.mkdir()
        folder.chmod(PROGRAM_MODE)
    put_whole(piece.path, piece.content, mode=piece.mode)


# --- what must hold before anything is written ---


def require_root() -> None:
    """Raises OperatorError `needs-root` for anybody but root."""
    if os.geteuid() != 0:
        raise OperatorError(
            "only root installs, upgrades and removes the service",
            hint="run it with sudo; `--dry-run` shows what it would do",
            reason="needs-root",
        )


def require_reachable() -> None:
    """Require that the service can start this program, and that only root can change it. Raises OperatorError
    (`no-environment`,
    `hidden-from-service`, `odd-place`, `writable-by-others`)."""
    if sys.prefix == sys.base_prefix:
        raise OperatorError(
            "this p2pshare stands among the system's own packages, which an upgrade of those would change",
            hint=f"install it into an environment of its own: python3 -m venv {WHEEL_PLACE}",
            reason="no-environment",
        )
    parts = (environment(), Path(sys.executable).resolve(), Path(p2pshare.__file__).resolve())
    for part in parts:
        if hidden := next((one for one in HIDDEN if part.is_relative_to(one)), None):
            raise OperatorError(
                f"{part} is below {hidden}, which the unit's sandbox hides from the service",
                hint=f"make the environment with Debian's own python3, in {WHEEL_PLACE}",
                reason="hidden-from-service",
            )
    if not PLACE.fullmatch(str(environment())):
        raise OperatorError(
            f"a unit cannot name the path {environment()}",
            hint=f"make the environment in {WHEEL_PLACE}",
            reason="odd-place",
        )
    for part in parts:
        for folder in (part, *part.parents):
            _require_roots(folder, folder.stat())
    require_roots_below(environment())


def require_roots_below(folder: Path) -> None:
    """Require that only root can change what is below `folder`: a file of the environment runs as well as the program does, whoever may
    change it. Raises OperatorError `writable-by-others`."""
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(above) / name
            found = path.lstat()
            if not stat.S_ISLNK(
                found.st_mode
            ):  # a link's mode says nothing, and only who owns the folder can replace it
                _require_roots(path, found)


def _require_roots(path: Path, found: os.stat_result) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != 0 or mode & stat.S_IWOTH or (mode & stat.S_IWGRP and found.st_gid != 0):
        raise OperatorError(
            f"others than root can change {path}, and with it what the service runs",
            hint=f"chown root:root {path}; chmod go-w {path}",
            reason="writable-by-others",
        )


def _is_our_command() -> bool:
    """Returns whether the command below /usr/local is one that `service install` wrote."""
    command = LOCAL_PREFIX / WRAPPER
    return command.is_file() and command.read_bytes().startswith(WRAPPER_MARK.encode())


def require_ours() -> None:
    """Require that no unit by hand hides ours, for systemd takes the one in /etc, and that nobody else's command is overwritten. Raises
    OperatorError (`unit-by-hand`, `other-command`)."""
    command = LOCAL_PREFIX / WRAPPER
    if command.exists() and not _is_our_command():
        raise OperatorError(
            f"{command} is another program's",
            hint=f"where it is a p2pshare that was installed by hand, remove it: this one is {environment() / 'bin' / 'p2pshare'}",
            reason="other-command",
        )
    for name in UNITS:
        path = BY_HAND / name
        if path.is_file() and not path.is_symlink():
            raise OperatorError(
                f"{path} hides the unit of this program",
                hint=f"move what is yours in it to `systemctl edit {name}`, remove the file, and do this again",
                reason="unit-by-hand",
            )


def leftover_links() -> list[Path]:
    """Returns links below /etc to units inside an environment, from an installation by hand: they hide ours as well."""
    links = [BY_HAND / name for name in UNITS if (BY_HAND / name).is_symlink()]
    return [link for link in links if str(link.readlink()).startswith(str(environment()))]


# --- user and home ---


def user_exists() -> bool:
    try:
        return pwd.getpwnam(USER).pw_uid != 0 or _refuse_user()
    except KeyError:
        return False


def _refuse_user() -> bool:
    raise OperatorError(f"the user {USER} is root", hint="give it an id of its own", reason="user-is-root")


def group_exists() -> bool:
    try:
        grp.getgrnam(USER)
    except KeyError:
        return False
    return True


def make_user() -> None:
    """Make the system user, and the group of its name where there is none. Raises OperatorError."""
    group = ["--gid", USER] if group_exists() else ["--user-group"]
    home = ["--home-dir", str(SERVICE_HOME), "--no-create-home", "--shell", "/usr/sbin/nologin"]
    run_program("useradd", "--system", *group, *home, "--comment", "p2pshare daemon", USER)


def home_state() -> str:
    """Returns "absent", "changed" where others may look into the home, or "same". Raises OperatorError where it is another user's."""
    try:
        found = SERVICE_HOME.stat()
    except FileNotFoundError:
        return "absent"
    if user_exists() and found.st_uid != pwd.getpwnam(USER).pw_uid:
        raise OperatorError(
            f"{SERVICE_HOME} belongs to another user",
            hint=f"where it is this node's: chown -R {USER}:{USER} {SERVICE_HOME}",
            reason="home-owner",
        )
    return "changed" if stat.S_IMODE(found.st_mode) & ~SERVICE_HOME_MODE else "same"


def make_home() -> None:
    """Make the home's folder, for the service's user and group alone."""
    SERVICE_HOME.mkdir(mode=SERVICE_HOME_MODE, parents=True, exist_ok=True)
    owner = pwd.getpwnam(USER)
    os.chown(SERVICE_HOME, owner.pw_uid, grp.getgrnam(USER).gr_gid)
    SERVICE_HOME.chmod(SERVICE_HOME_MODE)


def as_service(*words: str) -> tuple[list[str], list[str]]:
    """Run this program as the service's user, on its home; returns the lines of its result, and of its talk. Raises OperatorError with
    what it said."""
    program = str(environment() / "bin" / "p2pshare")
    environ = {"PATH": "/usr/bin:/bin", "P2PSHARE_HOME": str(SERVICE_HOME), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            [program, *words],
            user=USER,
            group=USER,
            extra_groups=[],
            umask=0o077,
            cwd="/",
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise OperatorError(
            f"the user {USER} cannot start {program}: {(error.strerror or 'unknown').lower()}",
            hint=f"chmod -R go+rX {environment()} lets it",
            reason="service-cannot-start",
        ) from None
    if done.returncode != 0:
        raise OperatorError(
            f"`p2pshare {shlex.join(words)}`, as {USER}: {_told(done.stderr)}",
            hint=f"chmod -R go+rX {environment()}, where it could not be read",
            reason="service-cannot-start",
        )
    return done.stdout.splitlines(), done.stderr.splitlines()


def has_home() -> bool | None:
    """Returns whether a node was initialised there; None for a user who may not look."""
    try:
        return "config.toml" in os.listdir(SERVICE_HOME)
    except FileNotFoundError:
        return False
    except PermissionError:
        return None


def require_home_ours() -> None:
    """Require that what a purge removes is the service's: the home, and a user that was made for it. Raises OperatorError (`home-owner`,
    `other-user`)."""
    home_state()
    if user_exists() and Path(pwd.getpwnam(USER).pw_dir) != SERVICE_HOME:
        raise OperatorError(
            f"the user {USER} has its home at {pwd.getpwnam(USER).pw_dir}: it was not made for this service",
            hint=f"`p2pshare service uninstall` without --purge, and `rm -r {SERVICE_HOME}`, keep that user",
            reason="other-user",
        )


def remove_home() -> None:
    """Remove the home with keys and store, and the service's user: behind a link and on a disk of its own, too. Raises OperatorError
    (`home-not-removed`), and leaves the user where something of it is left."""
    try:
        for one in SERVICE_HOME.iterdir() if SERVICE_HOME.exists() else ():
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            else:
                one.unlink()
        if SERVICE_HOME.is_symlink():
            SERVICE_HOME.unlink()
        elif SERVICE_HOME.exists() and not SERVICE_HOME.is_mount():
            SERVICE_HOME.rmdir()
    except OSError as error:
        raise OperatorError(
            f"something is left of {SERVICE_HOME}: {error.filename}: {(error.strerror or 'unknown').lower()}",
            hint=f"what keeps it may be `chattr -R -a -i {SERVICE_HOME}`, or a program that still writes there; then do this again",
            reason="home-not-removed",
        ) from None
    if user_exists():
        run_program("userdel", USER)
    if group_exists():
        run_program("groupdel", USER)


# --- systemd ---


def is_booted() -> bool:
    """Returns whether systemd runs this machine: not in a chroot, nor while an image is made."""
    return SYSTEMD_BOOTED.is_dir()


def reload_units() -> None:
    if is_booted():
        run_program("systemctl", "daemon-reload")


def properties(unit: str, *names: str) -> dict[str, str]:
    """Returns what systemd says of a unit; empty texts where no systemd runs."""
    lines = dict(line.partition("=")[::2] for line in _shown(unit, names))
    return {name: lines.get(name, "") for name in names}


def _shown(unit: str, names: Sequence[str]) -> list[str]:
    if not is_booted():
        return []
    asked = ["systemctl", "show", unit, f"--property={','.join(names)}"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()


def held_ports(home: Path) -> frozenset[int]:
    """Returns the ports at which systemd listens for the daemon of `home`, whether or not that runs; none where it is not the service's."""
    if home != SERVICE_HOME or not is_active(SOCKET):
        return frozenset()
    return frozenset(int(port) for line in _shown(SOCKET, ["Listen"]) for port in LISTENED.findall(line))


def is_active(unit: str) -> bool:
    return properties(unit, "ActiveState")["ActiveState"] in ("active", "activating", "reloading")


def start(units: Sequence[str], verb: str = "start") -> None:
    """Start or restart units, and wait until the daemon is ready. Raises OperatorError with the last error of its journal."""
    try:
        run_program("systemctl", verb, *units)
    except OperatorError as error:
        command = ["journalctl", "-u", UNIT, "-p", "err", "-n", "2", "-o", "cat", "--no-pager"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        raise OperatorError(
            f"the service does not start: {_told(told or error.message)}",
            hint=f"`journalctl -u {UNIT}` has all of it",
            reason="service-not-started",
        ) from None


def active_units() -> list[str]:
    """Returns our units that run, the socket first: what it hands over is there when the daemon starts."""
    return [unit for unit in (SOCKET, UNIT, RISK_UNIT) if is_active(unit)]


def pip_of(place: Path) -> list[str]:
    """Returns the words that run the pip of an environment. Isolated (-I): with `-m` alone Python would take a module of that name from the
    folder in which root happens to stand, whoever wrote it."""
    return [str(place / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check"]


def run_program(*words: str) -> None:
    """Run a program of the system. Raises OperatorError with what it said."""
    output_of(*words)


def holds(*words: str) -> bool:
    """Returns whether a program of the system, which compares something, says yes."""
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def output_of(*words: str) -> str:
    """Returns what a program of the system printed. Raises OperatorError with what it said where it failed."""
    try:
        done = subprocess.run(
            words,
            umask=PROGRAM_UMASK,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise OperatorError(
            f"{words[0]} is not installed", hint="it belongs to systemd, passwd or dpkg", reason="no-program"
        ) from None
    if done.returncode != 0:
        raise OperatorError(
            f"`{shlex.join(words)}`: {_told(done.stderr or done.stdout)}", reason="program-failed"
        )
    return done.stdout


def _told(text: str) -> str:
    return " ".join(text.split())[-TOLD_CHARACTERS_MAX:] or "it said nothing"


# --- the whole of it, in steps ---


def install(*, dry_run: bool) -> Iterator[InstallStep]:
    """Bring files, user and home to what this program wants; yields each with what was done, and does nothing to what is there
    already. Raises OperatorError."""
    require_reachable()
    require_ours()
    wanted, packaged = own_pieces(), is_packaged()
    for link in leftover_links():
        if not dry_run:
            link.unlink()
        yield InstallStep("removed", str(link))
    for piece in wanted:
        state = state_of(piece)
        if packaged:  # the package manager's: it says what it thinks of a change
            yield InstallStep("same" if state == "same" else "kept", str(piece.path))
            continue
        if state != "same" and not dry_run:
            write_piece(piece)
        yield InstallStep(MADE.get(state, state), str(piece.path))
    is_there = user_exists()
    if not is_there and not dry_run:
        make_user()
    yield InstallStep("same" if is_there else "made", f"user {USER}")
    state = home_state()
    if state != "same" and not dry_run:
        make_home()
    yield InstallStep(MADE.get(state, state), str(SERVICE_HOME))
    if not dry_run:
        reload_units()
        as_service("--version")


MADE = {"absent": "made"}
"""What is done with what was found in a state, where that is another word."""


def uninstall(*, dry_run: bool) -> Iterator[InstallStep]:
    """Stop the service and remove its files; home, user and environment stay, and so does another program's command. Raises OperatorError."""
    pieces_here, running = own_pieces(), active_units()
    if not dry_run and is_booted():
        known = [unit for unit in UNITS if properties(unit, "LoadState")["LoadState"] == "loaded"]
        for unit in known:
            run_program("systemctl", "--quiet", "disable", "--now", unit)
    for unit in running:
        yield InstallStep("stopped", unit)
    for piece in pieces_here:
        if not piece.path.exists():
            yield InstallStep("absent", str(piece.path))
            continue
        if piece.path == LOCAL_PREFIX / WRAPPER and not _is_our_command():
            yield InstallStep("kept", f"{piece.path}, which is another program's")
            continue
        if not dry_run:
            piece.path.unlink()
            if piece.path.parent.name == USER:
                with suppress(OSError):  # what an administrator put beside it stays
                    piece.path.parent.rmdir()
        yield InstallStep("removed", str(piece.path))
    if not dry_run:
        reload_units()
