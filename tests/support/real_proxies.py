"""Proxies as they are installed: Debian's tinyproxy (HTTP CONNECT) and microsocks (SOCKS 5), each a process of the test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from free_port import free_port

LOGIN = ("anna", "secret")
PATIENCE_SECONDS = 20.0


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"skipped: {name} not installed")
    return found


def tinyproxy(folder: Path, port: int, *, ports: Sequence[int] = (), login: bool = False) -> list[str]:
    """`ports`: where CONNECT may go; none: anywhere."""
    lines = [
        f"Port {port}",
        "Listen 127.0.0.1",
        "Timeout 60",
        "Allow 127.0.0.1",
        "MaxClients 50",
        "LogLevel Error",
    ]
    lines += [f"ConnectPort {one}" for one in ports]
    lines += [f"BasicAuth {LOGIN[0]} {LOGIN[1]}"] if login else []
    config = folder / f"tinyproxy-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    return [program("tinyproxy"), "-d", "-c", str(config)]


def microsocks(folder: Path, port: int, *, login: bool = False) -> list[str]:
    return [
        program("microsocks"),
        "-i",
        "127.0.0.1",
        "-p",
        str(port),
        *(["-u", LOGIN[0], "-P", LOGIN[1]] if login else []),
    ]


@contextmanager
def started(command: list[str], port: int) -> Iterator[None]:
    """The proxy listens inside."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert process.poll() is None and time.monotonic() < deadline, command
            with socket.socket() as trying:
                trying.settimeout(1)
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def proxy_running(
    kind: str, folder: Path, *, ports: Sequence[int] = (), login: bool = False, port: int = 0
) -> Iterator[int]:
    """Yields the port of a running proxy of that kind ("http" or "socks5")."""
    port = port or free_port()
    command = (
        tinyproxy(folder, port, ports=ports, login=login)
        if kind == "http"
        else microsocks(folder, port, login=login)
    )
    with started(command, port):
        yield port
