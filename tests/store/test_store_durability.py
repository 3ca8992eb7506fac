"""Durability: what was answered is there after SIGKILL, a full disk leaves nothing half, a bad disk stops us."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest
from stored_envelopes import store_envelopes

from p2pshare.database.connection import StoreFailed
from p2pshare.errors import DiskFull
from p2pshare.intel.observable import Observable
from p2pshare.node.store import Store, open_store


def _big(make, sequence, objects=400):
    """An envelope that needs many pages."""
    values = (f"10.{sequence}.{n >> 8}.{n & 255}" for n in range(objects))
    return make.envelope(
        *(make.indicator(value, description="x" * 200) for value in values), sequence=sequence
    )


def _assert_whole(store: Store, stored, missing) -> None:
    """Each of `stored` is there with all of its claims, nothing of `missing` is."""
    for envelope in stored:
        values = [Observable(c.type, c.value) for f in envelope.frames for o in f.objects for c in o.claims]
        assert store.log.wire(envelope.envelope_id) == envelope.wire
        assert set(store.knowledge.lookup(values)) == set(values)
    for envelope in missing:
        values = [Observable(c.type, c.value) for f in envelope.frames for o in f.objects for c in o.claims]
        assert store.log.entry(envelope.envelope_id) is None
        assert store.knowledge.lookup(values) == {}
    held = len(stored)
    assert (store.log.counts().held, store.log.last_lsn()) == (held, held)
    checked = apsw.Connection(str(store.database.path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        assert checked.pragma("integrity_check") == "ok"
        (orphans,) = checked.execute("SELECT count(*) FROM claim WHERE frame NOT IN (SELECT id FROM frame)")
        assert orphans == (0,)
    finally:
        checked.close()


# --- disk full ---------------------------------------------------------------------------------------


def test_below_the_floor_nothing_begins_but_what_frees_space(open_at, make):
    envelope = make.envelope(make.indicator(), ttl_class=1)
    store_envelopes(open_at(), [envelope])
    store = open_at(free_space_bytes_min=1 << 62)
    with pytest.raises(DiskFull) as refusal:
        store_envelopes(store, [make.envelope(sequence=2)])
    assert refusal.value.reason == "disk-full"
    assert "store.free_space_mib_min" in refusal.value.hint
    assert store.log.expire(make.now + 90_000).dropped == 1


@pytest.mark.parametrize("room_pages", [1, 3, 10, 40])
def test_a_file_that_may_not_grow_keeps_nothing_half(open_at, make, room_pages):
    store = open_at()
    store_envelopes(store, [_big(make, 1)])
    pages = store.database._writer.pragma("page_count")
    store.database._writer.pragma("max_page_count", pages + room_pages)
    with pytest.raises(DiskFull):
        store_envelopes(store, [_big(make, 2)])
    with pytest.raises(DiskFull), store.transaction():
        store.partners.add_accounting([(make.alpha, "held", "")])
        store_envelopes(store, [_big(make, 2)])
    assert store.partners.accounts() == []
    _assert_whole(store, [_big(make, 1)], [_big(make, 2)])
    store.database._writer.pragma("max_page_count", 1 << 30)
    store_envelopes(store, [_big(make, 2)])
    _assert_whole(store, [_big(make, 1), _big(make, 2)], [])


LIMITED = """
import importlib.util, resource, sys
from pathlib import Path
from p2pshare.errors import DiskFull
from p2pshare.node.store import open_store
sys.path.insert(0, str(Path(sys.argv[2]).parent.parent / "support"))
from stored_envelopes import store_envelopes

spec = importlib.util.spec_from_file_location("material", sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
make = module.Material

def big(sequence):
    values = (f"10.{sequence}.{n >> 8}.{n & 255}" for n in range(400))
    return make.envelope(*(make.indicator(value, description="x" * 200) for value in values), sequence=sequence)

store = open_store(Path(sys.argv[1]), free_space_bytes_min=0, cache_bytes=64 * 1024)
store_envelopes(store, [big(1)])
log = Path(sys.argv[1] + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (log + int(sys.argv[3]), -1))
for _ in range(2):
    try:
        store_envelopes(store, [big(2)])
    except DiskFull:
        print("full", store.log.counts().held, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
store_envelopes(store, [big(2)])
print("stored", store.log.counts().held, flush=True)
store.close()
"""


@pytest.mark.parametrize("room_bytes", [0, 5_000, 60_000])
def test_a_write_that_the_system_cuts_off_keeps_nothing_half(store_path, make, room_bytes):
    conftest = Path(__file__).with_name("conftest.py")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(store_path), str(conftest), str(room_bytes)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split("\n")[:3] == ["full 1", "full 1", "stored 2"], done.stderr
    store = open_store(store_path, free_space_bytes_min=0)
    try:
        _assert_whole(store, [_big(make, 1), _big(make, 2)], [])
    finally:
        store.close()


# --- a disk that fails -------------------------------------------------------------------------------


class _FailingFile(apsw.VFSFile):
    def __init__(self, vfs, name, flags):
        self._vfs = vfs
        super().__init__(vfs.base, name, flags)

    def xSync(self, flags):
        if self._vfs.failing == "sync":
            raise apsw.IOError("fsync failed")
        super().xSync(flags)

    def xWrite(self, data, offset):
        if self._vfs.failing == "write":
            raise apsw.IOError("write failed")
        super().xWrite(data, offset)


class _FailingDisk(apsw.VFS):
    """The real disk until it is told to fail."""

    def __init__(self):
        self.failing = ""
        self.base = ""
        super().__init__("failing-disk", self.base)

    def xOpen(self, name, flags):
        return _FailingFile(self, name, flags)


@pytest.fixture
def failing_disk():
    disk = _FailingDisk()
    yield disk
    disk.unregister()


@pytest.mark.parametrize("fault", ["sync", "write"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_failed_sync_or_write_is_fatal_and_never_retried(open_at, make, failing_disk, fault, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    store = open_at(vfs="failing-disk")
    store_envelopes(store, [_big(make, 1)])
    failing_disk.failing = fault
    with pytest.raises(StoreFailed):
        store_envelopes(store, [_big(make, 2)])
    failing_disk.failing = ""
    with pytest.raises(StoreFailed):  # the disk is well again, but what is on it is unknown
        store_envelopes(store, [_big(make, 3)])
    store.close()
    again = open_at()
    assert again.log.wire(_big(make, 1).envelope_id) is not None
    assert again.log.entry(_big(make, 3).envelope_id) is None


# --- SIGKILL -----------------------------------------------------------------------------------------

WRITER = (
    LIMITED[: LIMITED.index("store = open_store")]
    + """
store = open_store(Path(sys.argv[1]), free_space_bytes_min=0)
first = store.log.last_lsn() + 1
for sequence in range(first, first + 10_000):
    value = f"10.250.{sequence >> 8}.{sequence & 255}"
    stored = store_envelopes(store, [make.envelope(make.indicator(value), sequence=sequence)])
    sys.stdout.write(f"{sequence} {stored[0].entry.lsn}\\n")
    sys.stdout.flush()
"""
)


def test_what_was_answered_survives_sigkill(store_path, make):
    """P15: a writer killed at random moments, many times over one file; every acknowledged envelope is whole."""
    random_ = random.Random(15)
    conftest = Path(__file__).with_name("conftest.py")
    acknowledged: dict[int, int] = {}
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store_path), str(conftest)], stdout=subprocess.PIPE, text=True
        ) as writer:
            for line in (writer.stdout.readline() for _ in range(random_.randrange(1, 12))):
                sequence, lsn = map(int, line.split())
                acknowledged[sequence] = lsn
            time.sleep(random_.random() * 0.02)
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):  # a line that the kill cut short told nobody anything
                    sequence, lsn = map(int, line.split())
                    acknowledged[sequence] = lsn
        store = open_store(store_path, free_space_bytes_min=0)
        try:
            for sequence, lsn in acknowledged.items():
                value = f"10.250.{sequence >> 8}.{sequence & 255}"
                envelope = make.envelope(make.indicator(value), sequence=sequence)
                assert store.log.entry(envelope.envelope_id).lsn == lsn
                assert store.log.wire(envelope.envelope_id) == envelope.wire
                assert len(store.knowledge.lookup([Observable("ipv4", value)])) == 1
            assert len(acknowledged) <= store.log.last_lsn()
        finally:
            store.close()
    assert len(acknowledged) > 10
