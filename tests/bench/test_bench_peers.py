"""`scripts/bench --peers`: who is not installed is named, who fails or loses something is told and stops nobody."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PEERS = ("CrowdSec", "OpenTAXII", "medallion", "IntelMQ")
BENCH = """
import sys
sys.path.insert(0, {folder!r})
sys.argv = ["bench", "--peers", "--objects", "200"]
import beside_peers, run
beside_peers.PEER_SECONDS_MAX = 10
sys.exit(run.main())
"""
# What stands on PATH in place of the peers. Of 200 objects 170 are about different values (three of ten of the second
# author's hundred repeat the first's).
CROWDSEC = "#!/bin/sh\necho 'version: v9.8.7-test'\n"
CSCLI = "#!/bin/sh\nprintf 'the database is on fire \\033[2J\\n'; exit 3\n"
PYTHON = """#!/bin/sh
case "$1" in
  -c) echo 1.2.3 ;;
  *opentaxii_server.py) /bin/sleep 1000 & echo $! > {pids}; wait ;;
  *medallion_server.py) echo '{{"held": 199, "in_cpu_seconds": 0.5, "out_count": 5, "out_cpu_seconds": 0.5}}' ;;
  *intelmq_chain.py) echo a line of its log; echo '{{"held": 170, "in_cpu_seconds": 0.5}}' ;;
esac
"""


@dataclass(frozen=True)
class Run:
    output: str
    exit_code: int
    pids: Path

    def told(self, name: str) -> str:
        """What follows the failure of `name`, indented."""
        found = re.search(rf"^  FAILED: {name}\n((?:    .*\n)+)", self.output, re.MULTILINE)
        assert found, self.output
        return found.group(1)


def bench(repository: Path, path: Path, **environment: str) -> Run:
    """With nothing on PATH but what is in `path`."""
    code = BENCH.format(folder=str(repository / "scripts" / "benchmark"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": str(path), "PYTHONPATH": str(repository / "src"), "LANG": "C.UTF-8", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Run(done.stdout, done.returncode, path / "pids")


@pytest.fixture(scope="module")
def broken(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("path")
    python = PYTHON.format(pids=path / "pids")
    for name, content in (("crowdsec", CROWDSEC), ("cscli", CSCLI), ("python3", python)):
        (path / name).write_text(content)
        (path / name).chmod(0o755)
    return bench(repository, path)


def test_with_nothing_installed_each_peer_is_skipped_by_name_and_nothing_fails(
    repository: Path, tmp_path: Path
) -> None:
    run = bench(repository, tmp_path)
    assert run.exit_code == 0, run.output
    skipped = re.findall(r"^  skipped: (\w+) not installed \((.+)\)$", run.output, re.MULTILINE)
    assert tuple(name for name, _ in skipped) == PEERS
    assert dict(skipped)["CrowdSec"] == "Debian package crowdsec"
    assert dict(skipped)["medallion"].startswith("pip install medallion ")
    assert "FAILED" not in run.output


def test_a_variable_that_names_no_virtual_environment_is_told(repository: Path, tmp_path: Path) -> None:
    run = bench(repository, tmp_path, P2PSHARE_PEERS_VENV=str(tmp_path / "nowhere"))
    assert "P2PSHARE_PEERS_VENV: no bin/python" in run.output
    assert run.output.count("skipped: ") == len(PEERS)


def test_a_peer_that_fails_is_told_with_its_last_lines_and_no_escape_reaches_the_terminal(
    broken: Run,
) -> None:
    assert "the database is on fire \\x1b[2J" in broken.told("CrowdSec")
    assert "\x1b" not in broken.output


def test_a_peer_that_hangs_is_ended_with_what_it_started(broken: Run) -> None:
    assert "took more than 10 s" in broken.told("OpenTAXII")
    stat = Path("/proc") / broken.pids.read_text().strip() / "stat"
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_peer_that_lost_an_object_is_told(broken: Run) -> None:
    assert re.search(r"medallion 1\.2\.3: .* holds 199 objects, DIFFERS: 200 expected", broken.output)


def test_the_others_are_measured_and_the_exit_code_says_that_not_all_was_well(broken: Run) -> None:
    assert re.search(r"IntelMQ 1\.2\.3: .* holds 170 different values, as it should", broken.output)
    assert "p2pshare / IntelMQ" in broken.output
    assert broken.exit_code == 1


def test_the_cpu_time_of_a_peer_is_that_of_all_its_processes(repository: Path) -> None:
    burning = "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ninput()"
    starting = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burning!r}])"
    asking = "import sys; sys.path.insert(0, sys.argv[1]); import serving; print(serving.tree_cpu_seconds(int(sys.argv[2])))"
    with subprocess.Popen(
        [sys.executable, "-c", starting], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "done\n"  # the grandchild lives, and has not been waited for
        folder = repository / "scripts" / "benchmark" / "peers"
        found = subprocess.run(
            [sys.executable, "-c", asking, str(folder), str(process.pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        process.communicate("\n")
    assert float(found.stdout) >= 0.4  # in ticks of a hundredth, each part rounded down


def test_no_peer_is_a_dependency(repository: Path) -> None:
    locks = sorted(repository.glob("requirements*.lock"))
    declared = "".join(path.read_text() for path in [repository / "pyproject.toml", *locks])
    for name in ("medallion", "opentaxii", "intelmq"):
        assert not re.search(rf"(?mi)^[\s\"]*{name}\b", declared), name
