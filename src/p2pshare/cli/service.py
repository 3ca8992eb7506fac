"""`p2pshare service`: the daemon as a service of this machine, from its installation to its end."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare import __version__
from p2pshare.cli import console
from p2pshare.cli.command import Group, home_folder
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.errors import NotFoundError, OperatorError
from p2pshare.node.whole_files import put_whole

if TYPE_CHECKING:
    from p2pshare.cli.installation import InstallStep

EXIT_NOT_RUNNING = 1
PRIVILEGED_PORTS = 1_024  # below it the kernel wants a capability that the unit does not have
SOCKET_PORT = 443  # of p2pshare.socket, as it comes
RELEASE = re.compile(r"\d+(?:\.\d+)*")
LOCK = "share/doc/p2pshare/requirements.lock"
GOING_BACK = (
    "going back: the program of before, and the backup from before; docs/operations/installing.md says how"
)

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="say what would be done, and do nothing; it needs no root"
)


@click.group(cls=Group)
def service() -> None:
    """install, upgrade, show and remove the daemon as a service of systemd"""


def _checked_home(home: Path) -> None:
    """Require that no `--home` names another home than the service's; it is left out mostly. Raises UsageProblem."""
    from p2pshare.cli.installation import SERVICE_HOME

    if home not in (SERVICE_HOME, home_folder(None)):
        raise UsageProblem(
            f"the service has its home at {SERVICE_HOME}, and no other",
            hint="leave --home out; a second node on one machine runs in a container of its own",
        )


@service.command("install")
@click.option("--name", default="", help="found the node, too: your organisation's name, as partners see it")
@click.option("--url", default="", metavar="https://HOST:PORT", help="where partners reach it")
@click.option("--dial-only", is_flag=True, help="nobody can reach it: it dials its partners")
@click.option(
    "--listen", default="", metavar="HOST:PORT", help="where to listen; else the host and port of --url"
)
@click.option("--start", is_flag=True, help="start it, and at every boot; --name does so, too")
@dry_run_option
@json_option
@click.pass_obj
def install_service(
    home: Path, name: str, url: str, dial_only: bool, listen: str, start: bool, dry_run: bool, as_json: bool
) -> None:
    """install the service: units, user, home folder, command, man page, completions; what is there already stays as it is

    With --name and --url it makes the node's keys and config, too, and starts it.
    """
    from p2pshare.cli import installation

    _checked_home(home)
    if (url or dial_only or listen) and not name:
        raise UsageProblem("a node needs a name", hint="give --name, too")
    if name and dial_only == bool(url):
        raise UsageProblem("a node has an address, or dials only", hint="give --url or --dial-only")
    if not dry_run:
        installation.require_root()
    steps = _told(installation.install(dry_run=dry_run), as_json=as_json)
    if name:
        steps += _told(_found(name, url, listen, dry_run=dry_run, as_json=as_json), as_json=as_json)
    if name or start:
        steps += _told(_start(dry_run=dry_run), as_json=as_json)
    elif not as_json:
        known = installation.has_home()
        console.say(
            "next: `systemctl enable --now p2pshare`"
            if known
            else "next: `p2pshare service install --name NAME --url https://HOST:PORT`, which founds the node and starts it"
        )
    if as_json:
        console.print_json({"dry_run": dry_run, "steps": steps})


def _told(steps: Iterable[InstallStep], *, as_json: bool) -> list[InstallStep]:
    """Print each step when it was done; returns them all."""
    done = []
    for step in steps:
        if not as_json:
            console.print_result(f"{step.done:<8} {console.shown(step.what)}")
        done.append(step)
    return done


def _found(name: str, url: str, listen: str, *, dry_run: bool, as_json: bool) -> Iterable[InstallStep]:
    """Make the node's keys and config, or see that they are there. Raises OperatorError `home-exists` where they are another node's."""
    from p2pshare.cli import installation
    from p2pshare.config import load_config
    from p2pshare.node.home import CONFIG_NAME

    what = f"the node '{name}' at {url or 'no address'}"
    if not installation.has_home():
        if not dry_run:
            address = ["--url", url] if url else ["--dial-only"]
            where = ["--listen", listen] if listen else []
            installation.as_service("init", "--name", name, *address, *where, "--group", installation.USER)
        yield installation.InstallStep("made", what)
        return
    config = load_config(installation.SERVICE_HOME / CONFIG_NAME)
    if (config.name, config.url) != (name, url):
        raise OperatorError(
            f"{installation.SERVICE_HOME} has a node already: '{config.name}' at {config.url or 'no address'}",
            hint="leave --name out; `p2pshare card set` changes name and address of a node",
            reason="home-exists",
        )
    yield installation.InstallStep("same", what)


def _start(*, dry_run: bool) -> Iterable[InstallStep]:
    """Start the daemon, now and at every boot; behind the socket unit where its port needs a privilege. Raises OperatorError."""
    from p2pshare.cli import installation

    if dry_run:
        yield installation.InstallStep("started", installation.UNIT)
        return
    units = _units_to_start()
    if not installation.is_booted():
        console.say(f"systemd does not run here: start it with `systemctl enable --now {' '.join(units)}`")
        return
    running = installation.active_units()
    installation.run_program("systemctl", "--quiet", "enable", *units)
    installation.start(units)
    for unit in units:
        yield installation.InstallStep("same" if unit in running else "started", unit)


def _units_to_start() -> list[str]:
    from p2pshare.cli import installation
    from p2pshare.config import load_config
    from p2pshare.node.home import CONFIG_NAME

    address = load_config(installation.SERVICE_HOME / CONFIG_NAME).listen_address
    if address is None or address[1] >= PRIVILEGED_PORTS:
        return [installation.UNIT]
    if address[1] != SOCKET_PORT:
        raise OperatorError(
            f"port {address[1]} needs a privilege, and {installation.SOCKET} has port {SOCKET_PORT}",
            hint=f"`systemctl edit {installation.SOCKET}` (ListenStream= and ListenStream={address[1]}), then `systemctl enable"
            f" --now {installation.SOCKET} {installation.UNIT}`; or a port from {PRIVILEGED_PORTS} on",
            reason="privileged-port",
        )
    return [installation.SOCKET, installation.UNIT]


@service.command("uninstall")
@click.option("--purge", is_flag=True, help="remove keys, store and user as well: nothing brings them back")
@click.option("--yes", is_flag=True, help="purge without asking")
@dry_run_option
@json_option
@click.pass_obj
def uninstall_service(home: Path, purge: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    """stop the service and remove what `service install` put in place; the home with its keys stays"""
    from p2pshare.cli import installation
    from p2pshare.cli.space_verbs import confirm

    _checked_home(home)
    if installation.is_packaged():
        raise OperatorError(
            "the package manager installed this p2pshare",
            hint="`apt remove p2pshare` removes it and keeps the home; `apt purge p2pshare` removes the home as well",
            reason="packaged",
        )
    if not dry_run:
        installation.require_root()
        if purge:
            installation.require_home_ours()
            confirm(
                f"remove {installation.SERVICE_HOME} with this node's keys and all that it holds, for good?",
                yes=yes,
            )
    steps = _told(installation.uninstall(dry_run=dry_run), as_json=as_json)
    steps += _told(_end_home(purge=purge, dry_run=dry_run), as_json=as_json)
    if as_json:
        console.print_json({"dry_run": dry_run, "steps": steps})
    else:
        console.say(f"the program itself stands in {installation.environment()}: `rm -r` removes it")


def _end_home(*, purge: bool, dry_run: bool) -> Iterable[InstallStep]:
    from p2pshare.cli import installation

    if not purge:
        if installation.SERVICE_HOME.exists():
            yield installation.InstallStep(
                "kept", f"{installation.SERVICE_HOME}, with user {installation.USER}"
            )
        return
    if not dry_run:
        installation.remove_home()
    yield installation.InstallStep("removed", f"{installation.SERVICE_HOME}, with user {installation.USER}")


@service.command("status")
@json_option
@click.pass_obj
def service_status(home: Path, as_json: bool) -> int:
    """show whether the service is installed, runs, and is of this version; exit code 1 where it does not run"""
    from p2pshare.cli import installation
    from p2pshare.cli.session import running_version

    _checked_home(home)
    names = (
        "LoadState",
        "ActiveState",
        "SubState",
        "UnitFileState",
        "StatusText",
        "MainPID",
        "NRestarts",
        "Result",
    )
    told = installation.properties(installation.UNIT, *names)
    socket = installation.properties(installation.SOCKET, "ActiveState", "UnitFileState")
    files = _installed_files()
    answer = {
        "active": told["ActiveState"],
        "state": told["SubState"],
        "at_boot": told["UnitFileState"],
        "status": told["StatusText"],
        "pid": int(told["MainPID"] or 0),
        "restarts": int(told["NRestarts"] or 0),
        "result": told["Result"],
        "socket": {"active": socket["ActiveState"], "at_boot": socket["UnitFileState"]},
        "version": __version__,
        "running_version": running_version(installation.SERVICE_HOME),
        "packaged": installation.is_packaged(),
        "home": str(installation.SERVICE_HOME),
        "initialised": installation.has_home(),
        "user": installation.USER if installation.user_exists() else None,
        "files": files,
    }
    if as_json:
        console.print_json(answer)
    else:
        _print_status(answer)
    return 0 if answer["active"] in ("active", "reloading") else EXIT_NOT_RUNNING


def _installed_files() -> dict[str, str]:
    """Returns each file of the service with how it compares with this version's. Raises NotFoundError where there is none."""
    from p2pshare.cli import installation

    files = {str(piece.path): installation.state_of(piece) for piece in installation.own_pieces()}
    if set(files.values()) == {"absent"}:
        raise NotFoundError(
            "the service is not installed", hint="`p2pshare service install`, as root", reason="not-installed"
        )
    return files


def _print_status(answer: dict[str, object]) -> None:
    fields = {
        "service": f"{answer['active'] or 'no systemd here'} ({answer['state'] or '-'}), at boot {answer['at_boot'] or '-'}",
        "status": answer["status"],
        "version": answer["version"],
        "running": answer["running_version"],
        "home": answer["home"],
        "restarts": answer["restarts"],
    }
    console.print_fields(fields)
    files = answer["files"]
    assert isinstance(files, dict)
    for path, state in files.items():
        if state != "same":
            console.say(f"{state}: {path}; `p2pshare service upgrade` puts it right")
    if answer["initialised"] is False:
        console.say("no node was founded yet: `p2pshare service install --name NAME --url https://HOST:PORT`")
    if answer["running_version"] not in (None, answer["version"]):
        console.say("another version runs than is installed: `p2pshare service upgrade` restarts it")


@service.command("upgrade")
@click.argument("file", required=False, shell_complete=complete_file)
@click.option(
    "--wheels",
    metavar="DIR",
    shell_complete=complete_file,
    help="take what the new version needs from the wheels in DIR, and from no package index",
)
@dry_run_option
@json_option
@click.pass_obj
def upgrade_service(home: Path, file: str | None, wheels: str | None, dry_run: bool, as_json: bool) -> None:
    """go on with the version in FILE, a wheel or a Debian package; without FILE with the one that is installed already

    The service is stopped only while files are replaced. The store is upgraded by the new daemon when it starts.
    """
    from p2pshare.cli import installation

    _checked_home(home)
    if not dry_run:
        installation.require_root()
    _installed_files()
    if file is None:
        done = _told(_go_on(dry_run=dry_run), as_json=as_json)
    elif file.endswith(".deb"):
        done = _told(_take_package(Path(file).absolute(), dry_run=dry_run), as_json=as_json)
    elif file.endswith(".whl"):
        done = _told(_take_wheel(Path(file).absolute(), wheels, dry_run=dry_run), as_json=as_json)
    else:
        raise UsageProblem(f"{file} is neither a wheel nor a Debian package", hint="give a .whl or .deb file")
    if as_json:
        console.print_json({"dry_run": dry_run, "from_version": __version__, "steps": done})


def _go_on(*, dry_run: bool) -> Iterable[InstallStep]:
    """Bring the files of the service to this version, and restart what runs."""
    from p2pshare.cli import installation

    running = installation.active_units()
    yield from installation.install(dry_run=dry_run)
    if running and not dry_run:
        installation.start(running, "restart")
    for unit in running:
        yield installation.InstallStep("started", unit)


def _take_package(package: Path, *, dry_run: bool) -> Iterable[InstallStep]:
    """Have the package manager install a newer package: its scripts stop and start the service. Raises OperatorError."""
    from p2pshare.cli import installation

    if not installation.is_packaged():
        raise OperatorError(
            "this p2pshare was installed from a wheel",
            hint="give the wheel of the new version",
            reason="not-packaged",
        )
    said = installation.output_of("dpkg-deb", "--showformat=${Package} ${Version}", "--show", str(package))
    name, _, version = said.strip().partition(" ")
    held = installation.output_of("dpkg-query", "--showformat=${Version}", "--show", "p2pshare").strip()
    if name != "p2pshare":
        raise OperatorError(f"{package} is the package {console.shown(name)}", reason="other-package")
    if installation.holds("dpkg", "--compare-versions", version, "lt", held):
        raise OperatorError(
            f"version {version} is older than {held}, which is installed",
            hint=GOING_BACK,
            reason="older-version",
        )
    if not dry_run:
        installation.run_program("apt-get", "--quiet", "--yes", "install", str(package))
    yield installation.InstallStep("changed", f"package p2pshare {held} to {version}")


def _take_wheel(wheel: Path, wheels: str | None, *, dry_run: bool) -> Iterable[InstallStep]:
    """Replace the program in its environment; what was there is kept beside it, and put back where that fails. Raises OperatorError."""
    from p2pshare.cli import installation

    place = installation.environment()
    installation.require_reachable()
    if installation.is_packaged():
        raise OperatorError(
            "the package manager installed this p2pshare",
            hint="give the .deb of the new version",
            reason="packaged",
        )
    version, lock = _read_wheel(wheel)
    if _release(version) < _release(__version__):
        raise OperatorError(
            f"version {version} is older than {__version__}, which is installed",
            hint=GOING_BACK,
            reason="older-version",
        )
    kept = place.with_name(f"{place.name}-before")
    running = installation.active_units()
    if dry_run:
        yield installation.InstallStep("changed", f"{place}: {__version__} to {version}")
        return
    pip = installation.pip_of(place)
    with tempfile.TemporaryDirectory(prefix="p2pshare-upgrade-") as folder:
        locked, fetched = Path(folder) / "requirements.lock", Path(folder) / "wheels"
        put_whole(locked, lock)
        source = ["--no-index", "--find-links", str(Path(wheels).absolute())] if wheels else []
        needed = ["--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(locked)]
        installation.run_program(
            *pip, "download", *source, "--dest", str(fetched), *needed
        )  # nothing changed yet
        _keep(place, kept)
        yield installation.InstallStep("kept", f"{kept}, with version {__version__}")
        if running:
            installation.run_program("systemctl", "stop", *running)
        try:
            local = ["--no-index", "--find-links", str(fetched)]
            installation.run_program(*pip, "install", *local, *needed)
            installation.run_program(
                *pip, "install", "--quiet", "--no-index", "--no-deps", "--force-reinstall", str(wheel)
            )
            installation.run_program(str(place / "bin" / "p2pshare"), "service", "install")
        except OperatorError as error:
            shutil.rmtree(place)
            kept.rename(place)
            installation.run_program(str(place / "bin" / "p2pshare"), "service", "install")
            if running:
                installation.start(running)
            raise OperatorError(
                f"version {version} was not installed, and {__version__} goes on: {error.message}",
                reason="not-upgraded",
            ) from None
    yield installation.InstallStep("changed", f"{place}: {__version__} to {version}")
    if running:
        try:
            installation.start(running)
        except OperatorError as error:  # its store may have been upgraded by now: a person decides
            raise OperatorError(
                error.message, hint=f"{error.hint}; {GOING_BACK}", reason=error.reason
            ) from None
    for unit in running:
        yield installation.InstallStep("started", unit)


def _keep(place: Path, kept: Path) -> None:
    """Copy the environment of now, over one that was kept before. Raises OperatorError, with nothing changed."""
    try:
        if kept.exists():
            shutil.rmtree(kept)
        shutil.copytree(place, kept, symlinks=True)
    except OSError as error:  # of copytree a list of them
        shutil.rmtree(kept, ignore_errors=True)
        raise OperatorError(
            f"{place} cannot be kept as {kept}: {(error.strerror or 'some files were not copied').lower()}",
            hint="it takes as much room again; nothing was changed",
            reason="not-upgraded",
        ) from None


def _read_wheel(wheel: Path) -> tuple[str, bytes]:
    """Returns version and run-time lock of a wheel of ours. Raises OperatorError."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
            [lock] = [name for name in names if name.endswith(f".data/data/{LOCK}")]
            fields = archive.read(metadata).decode().partition("\n\n")[0]
            told = dict(line.split(": ", 1) for line in fields.splitlines() if ": " in line)
            if told["Name"] != "p2pshare":
                raise ValueError
            return told["Version"], archive.read(lock)
    except OSError as error:
        raise OperatorError(f"cannot read {wheel}: {(error.strerror or 'unknown').lower()}") from None
    except (ValueError, KeyError, RuntimeError, zlib.error, zipfile.BadZipFile):
        raise OperatorError(
            f"{wheel} is no wheel of p2pshare with its lock",
            hint="scripts/build-wheel makes one",
            reason="not-a-wheel",
        ) from None


def _release(version: str) -> tuple[int, ...]:
    found = RELEASE.match(version)
    return tuple(map(int, found[0].split("."))) if found else ()
