"""OpenTAXII's TAXII 2.1 on SQLite, served by Flask.

Run by an interpreter that has OpenTAXII.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from serving import free_port, read_objects, serving, told
from taxii_client import MEDIA_TYPE, hand_in, read_back


def configuration(folder: Path, port: int) -> dict[str, object]:
    return {
        "domain": f"127.0.0.1:{port}",
        "auth_api": {
            "class": "opentaxii.auth.sqldb.SQLDatabaseAPI",
            "parameters": {
                "db_connection": f"sqlite:///{folder}/auth.sqlite",
                "create_tables": True,
                "secret": "benchmark",
            },
        },
        "taxii1": None,
        "taxii2": {
            "title": "benchmark",
            "max_content_length": 104_857_600,
            "public_discovery": True,
            "persistence_api": {
                "class": "opentaxii.persistence.sqldb.Taxii2SQLDatabaseAPI",
                "parameters": {"db_connection": f"sqlite:///{folder}/data.sqlite", "create_tables": True},
            },
        },
        "logging": {"opentaxii": "warning", "root": "warning"},
    }


SET_UP = """
from opentaxii.cli import app
api = app.taxii_server.servers.taxii2.persistence.api
root = api.add_api_root(title="benchmark")
api.add_collection(root.id, "benchmark", alias="benchmark", is_public=True, is_public_write=True)
print(root.id)
"""


def set_up() -> str:
    """Tables, one API root and one collection that anybody may write to; the id of the root."""
    done = subprocess.run([sys.executable, "-c", SET_UP], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.split()[-1]


def main() -> None:
    port = free_port()
    Path("config.yaml").write_text(json.dumps(configuration(Path.cwd(), port)))  # JSON is YAML
    os.environ["OPENTAXII_CONFIG"] = str(Path("config.yaml").resolve())
    path = f"/taxii2/{set_up()}/collections/benchmark/objects/"
    headers = {"Accept": MEDIA_TYPE}
    objects = read_objects("objects.json")
    app = f"{Path(__file__).with_name('opentaxii_app.py')}:app"
    command = [sys.executable, "-m", "flask", "--app", app, "run", "--port", str(port)]
    with serving(command, port) as server:
        taken = hand_in(server, path, objects, headers, per_post=1_000)
        held, given = read_back(server, path, headers)
    assert held <= {str(one["id"]) for one in objects}
    told(held=len(held), in_cpu_seconds=taken, out_count=len(held), out_cpu_seconds=given)


if __name__ == "__main__":
    main()
