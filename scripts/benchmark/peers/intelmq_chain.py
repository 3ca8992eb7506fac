"""IntelMQ as a library: JSON parser, deduplicator and file output, one after the other in this process.

Run by an interpreter that has IntelMQ. Kinder to it than its daily work: no broker between the bots, and the
deduplicator's memory is a dictionary instead of Redis.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path

from serving import read_objects, told, value_of

os.environ["INTELMQ_ROOT_DIR"] = os.getcwd()  # read when intelmq is imported

from intelmq.bots.experts.deduplicator.expert import DeduplicatorExpertBot
from intelmq.bots.outputs.file.output import FileOutputBot
from intelmq.bots.parsers.json.parser import JSONParserBot
from intelmq.lib.bot import BotLibSettings

FIELDS = {
    "ipv4-addr:value": "source.ip",
    "ipv6-addr:value": "source.ip",
    "domain-name:value": "source.fqdn",
    "url:value": "source.url",
    "file:hashes.'SHA-256'": "malware.hash.sha256",
    "file:hashes.MD5": "malware.hash.md5",
}


class DictionaryDeduplicator(DeduplicatorExpertBot):
    """The bot as it is; only what it has seen stands in this process."""

    def init(self) -> None:
        super().init()
        self._seen: set[str] = set()

    def cache_exists(self, key: str) -> bool:
        return key in self._seen

    def cache_set(self, key: str, value: object, ttl: int | None = None) -> None:
        self._seen.add(key)


def line(indicator: dict[str, object]) -> str:
    path, value = value_of(indicator)
    labels = indicator["labels"]
    assert isinstance(labels, list)
    event = {
        FIELDS[path]: value,
        "classification.type": "c2-server" if "c2" in labels else "malware",
        "malware.name": labels[0],
        "time.source": indicator["created"],
        "event_description.text": indicator["description"],
    }
    return json.dumps(event)


def main() -> None:
    lines = "\n".join(map(line, read_objects("objects.json")))
    report = {"raw": base64.b64encode(lines.encode()).decode(), "feed.name": "benchmark"}
    parser = JSONParserBot("parser", settings={**BotLibSettings, "splitlines": True})
    keys = {"filter_type": "whitelist", "filter_keys": ",".join(sorted(set(FIELDS.values())))}
    deduplicator = DictionaryDeduplicator("deduplicator", settings={**BotLibSettings, **keys})
    output = FileOutputBot("output", settings={**BotLibSettings, "file": "events.json"})
    start = time.process_time()
    events = parser.process_message(report)["output"]
    fresh = deduplicator.process_message(*events)["output"]
    output.process_message(*fresh)
    taken = time.process_time() - start
    told(held=len(Path("events.json").read_text().splitlines()), in_cpu_seconds=taken)
    sys.stdout.flush()
    os._exit(0)  # a bot that is taken down looks half a minute for a Redis to leave its statistics in


if __name__ == "__main__":
    main()
