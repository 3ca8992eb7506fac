"""The wheel alone, as an operator installs it: into a bare environment, by the run-time lock, away from the checkout.

These tests install packages, so they need a package index; without one they are skipped, but never in CI.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from p2pshare.cli import installation

NO_INDEX = "no package index answers, and the wheel's dependencies come from one"
FIRST_WITH_PIP = {"pip", "setuptools"}  # what `python -m venv` puts into an environment
IMPORT_ALL = """
import importlib, json, pkgutil, p2pshare
names = sorted(module.name for module in pkgutil.walk_packages(p2pshare.__path__, "p2pshare."))
for name in names:
    importlib.import_module(name)
print(json.dumps({"file": p2pshare.__file__, "modules": len(names)}))
"""
COMPLETE = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
compopt() { echo "compopt $*"; }
_p2pshare_completion p2pshare
printf '%s\\n' "${COMPREPLY[@]}"
"""

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare(repository: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the run-time lock and the wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    require_index(folder, repository / "requirements.lock")
    pip(
        folder,
        "install",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        "requirements.lock",
        cwd=repository,
    )
    pip(folder, "install", "--no-index", "--no-deps", str(wheel), cwd=repository)
    return folder


def require_index(environment: Path, lock: Path) -> None:
    """Skips where the first package of `lock` is not to be had; in CI that is a failure."""
    first = re.search(r"^[a-z0-9-]+==\S+", lock.read_text(), re.MULTILINE)
    assert first is not None
    asked = ["download", "--quiet", "--retries", "0", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
    command = [*python(environment), "-m", "pip", *asked, "--dest", str(environment / "probe"), first[0]]
    done = subprocess.run(command, capture_output=True, text=True, env=alone(environment), check=False)
    shutil.rmtree(environment / "probe", ignore_errors=True)
    if done.returncode != 0:
        words = f"{NO_INDEX}: {done.stderr.strip().splitlines()[-1]}"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(f"skipped: {words}")


def pip(environment: Path, *arguments: str, cwd: Path) -> str:
    command = [*python(environment), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=alone(environment))
    assert done.returncode == 0, done.stderr
    return done.stdout


def python(environment: Path) -> list[str]:
    return [str(environment / "bin" / "python"), "-I"]


def alone(environment: Path) -> dict[str, str]:
    """The environment's own commands first, and no path of this checkout."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "MANPATH")
    }
    return kept | {"PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def test_the_wheel_has_every_file_of_the_package(wheel: Path, repository: Path) -> None:
    """SQL files and the typing mark are easily left out: the checkout, which the other tests run, always has them."""
    source = repository / "src"
    ours = {
        str(path.relative_to(source))
        for path in (source / "p2pshare").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    data = {
        f"p2pshare/{path.relative_to(repository / 'config')}"
        for folder in ("courses", "duties", "exercises", "frameworks", "playbooks")
        for path in (repository / "config" / folder).rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if name.startswith("p2pshare/")} == ours | data
    assert any(name.endswith(".sql") for name in ours)


def test_the_wheel_brings_what_a_server_wants_to_where_it_is_looked_for(bare: Path, repository: Path) -> None:
    for source, target in {
        "config/p2pshare.service": "lib/systemd/system/p2pshare.service",
        "config/p2pshare-risk.service": "lib/systemd/system/p2pshare-risk.service",
        "config/p2pshare.socket": "lib/systemd/system/p2pshare.socket",
        "requirements.lock": "share/doc/p2pshare/requirements.lock",
        "config/example.toml": "share/doc/p2pshare/example.toml",
        "docs/p2pshare.1": "share/man/man1/p2pshare.1",
        "config/completions/p2pshare.bash": "share/bash-completion/completions/p2pshare",
        "config/completions/_p2pshare": "share/zsh/site-functions/_p2pshare",
        "config/completions/p2pshare.fish": "share/fish/vendor_completions.d/p2pshare.fish",
    }.items():
        assert (bare / target).read_bytes() == (repository / source).read_bytes()
        assert target in (repository / "config" / "README.md").read_text()


def test_the_units_start_commands_that_the_wheel_has(bare: Path) -> None:
    folder = bare / "lib" / "systemd" / "system"
    units = [(folder / name).read_text() for name in ("p2pshare.service", "p2pshare-risk.service")]
    place = Path(installation.WHEEL_PLACE)
    commands = re.findall(r"^Exec(?:Start|Reload)=(\S+) (.+)$", "".join(units), re.MULTILINE)
    assert len(commands) == 3
    for program, words in commands:
        here = bare / Path(program).relative_to(place)
        subprocess.run([str(here), *words.split(), "--help"], check=True, capture_output=True)


def test_a_bare_environment_has_what_is_locked_and_no_developers_tool(bare: Path, repository: Path) -> None:
    listed = json.loads(pip(bare, "list", "--format", "json", cwd=bare))
    lock = (repository / "requirements.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    found = {one["name"].lower().replace("_", "-") for one in listed}
    assert found - FIRST_WITH_PIP - locked == {"p2pshare"}
    assert "No broken requirements found" in pip(bare, "check", cwd=bare)


def test_every_module_is_imported_with_run_time_packages_alone(bare: Path, repository: Path) -> None:
    done = subprocess.run(
        [*python(bare), "-c", IMPORT_ALL], cwd=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert Path(told["file"]).is_relative_to(bare)
    sources = list((repository / "src" / "p2pshare").rglob("*.py"))
    assert told["modules"] == len(sources) - 1  # the package's own __init__.py is imported first


def test_three_partners_of_the_demo_share_with_the_installed_command(
    bare: Path, repository: Path, tmp_path: Path
) -> None:
    """The demo's story, told away from the checkout: it starts the `p2pshare` that stands beside its Python."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(repository / "scripts" / "demo.py", tmp_path / "scripts")
    shutil.copytree(repository / "scripts" / "demos", tmp_path / "scripts" / "demos")
    shutil.copytree(repository / "config" / "demo", tmp_path / "config" / "demo")
    done = subprocess.run(
        [*python(bare), "scripts/demo.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=alone(bare),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "envelopes at bravo: 2 opened, 1 carried unopened" in done.stdout
    assert (tmp_path / "demo-home" / "charlie" / "store.sqlite").is_file()


def test_man_finds_the_page_by_the_commands_place(bare: Path) -> None:
    if shutil.which("man") is None:
        pytest.skip("skipped: man not installed")
    done = subprocess.run(
        ["man", "-w", "p2pshare"], capture_output=True, text=True, env=alone(bare), check=False
    )
    assert done.stdout.strip() == str(bare / "share" / "man" / "man1" / "p2pshare.1"), done.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["p2pshare", "part"], ["partner"]),
        (["p2pshare", "partner", "pre"], ["preview"]),
        (["p2pshare", "publish", "--form"], ["--format"]),
        (["p2pshare", "publish", "--format", "ya"], ["yara"]),
        (["p2pshare", "publish", "ioc"], ["compopt", "-o", "default"]),
        (["p2pshare", "export", "-o", "ioc"], ["compopt", "-o", "default"]),
        (["p2pshare", "verify", "no UTF-8 \udcff"], ["compopt", "-o", "default"]),
    ],
)
def test_bash_completes_commands_options_choices_and_files(
    bare: Path, words: list[str], offered: list[str]
) -> None:
    if shutil.which("bash") is None:
        pytest.skip("skipped: bash not installed")
    script = bare / "share" / "bash-completion" / "completions" / "p2pshare"
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", str(script), *words],
        capture_output=True,
        text=True,
        env=alone(bare),
        check=True,
    )
    assert done.stdout.split() == offered, done.stderr
