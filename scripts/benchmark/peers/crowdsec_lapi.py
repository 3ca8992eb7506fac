"""CrowdSec: `cscli decisions import` into a local API on SQLite, look-ups as a bouncer makes them.

Run by any Python; `crowdsec` and `cscli` are found on PATH. The agent that reads logs and the central API are off,
everything lies in the working directory, and the API listens on loopback.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from serving import children_cpu_seconds, free_port, read_objects, serving, told, value_of

KEY = "benchmark"
PROFILE = """\
name: default_ip_remediation
filters:
 - Alert.Remediation == true && Alert.GetScope() == "Ip"
decisions:
 - type: ban
   duration: 4h
on_success: break
"""


def configuration(folder: Path, port: int) -> dict[str, object]:
    return {
        "common": {"daemonize": False, "log_media": "stdout", "log_level": "warning"},
        "config_paths": {
            "config_dir": str(folder),
            "data_dir": str(folder),
            "simulation_path": str(folder / "simulation.yaml"),
            "hub_dir": str(folder),
            "index_path": str(folder / "index.json"),
            "notification_dir": str(folder / "notifications"),
            "plugin_dir": str(folder / "plugins"),
        },
        "crowdsec_service": {"acquisition_path": str(folder / "acquisition.yaml"), "parser_routines": 1},
        "db_config": {
            "type": "sqlite",
            "db_path": str(folder / "crowdsec.db"),
            "use_wal": True,
            "log_level": "warning",
        },
        "api": {
            "client": {"credentials_path": str(folder / "credentials.yaml")},
            "server": {
                "listen_uri": f"127.0.0.1:{port}",
                "profiles_path": str(folder / "profiles.yaml"),
                "log_level": "warning",
            },
        },
        "prometheus": {"enabled": False},
    }


def cscli(*words: str) -> str:
    done = subprocess.run(
        ["cscli", "-c", "config.yaml", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"cscli {words[0]} {words[1]}: {done.stdout.strip()}")
    return done.stdout


def prepare(folder: Path, port: int) -> None:
    for name in ("notifications", "plugins"):
        (folder / name).mkdir()
    (folder / "simulation.yaml").write_text("simulation: false\n")
    (folder / "index.json").write_text("{}")
    (folder / "acquisition.yaml").touch()
    (folder / "profiles.yaml").write_text(PROFILE)
    (folder / "credentials.yaml").write_text(f"url: http://127.0.0.1:{port}/\n")
    (folder / "config.yaml").write_text(json.dumps(configuration(folder, port)))  # JSON is YAML
    cscli("machines", "add", "benchmark", "--password", "benchmark", "-f", "credentials.yaml", "--force")
    cscli("bouncers", "add", "benchmark", "-k", KEY)


def main() -> None:
    port = free_port()
    prepare(Path.cwd(), port)
    decisions = [
        {"duration": "24h", "scope": "ip", "type": "ban", "value": value_of(one)[1]}
        for one in read_objects("objects.json")
    ]
    Path("decisions.json").write_text(json.dumps(decisions))
    headers = {"X-Api-Key": KEY}
    with serving(["crowdsec", "-c", "config.yaml", "-no-cs", "-no-capi"], port) as server:
        start = server.cpu_seconds() + children_cpu_seconds()
        cscli("decisions", "import", "-i", "decisions.json")
        taken = server.cpu_seconds() + children_cpu_seconds() - start
        held = server.ask("GET", "/v1/decisions", headers)
        asked: list[list[object]] = json.loads(Path("questions.json").read_text())
        start = server.cpu_seconds()
        for value, is_known in asked:
            found = server.ask("GET", f"/v1/decisions?ip={value}", headers)
            assert bool(found) == is_known, (value, found)
        told(
            held=len(held),  # type: ignore[arg-type]
            in_cpu_seconds=taken,
            out_count=len(asked),
            out_cpu_seconds=server.cpu_seconds() - start,
        )


if __name__ == "__main__":
    main()
