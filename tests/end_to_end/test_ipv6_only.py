"""Nodes without IPv4: in a network namespace whose loopback has ::1 alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end
MAKE = "ip link set lo up && ip -4 address flush dev lo && echo made && exec sleep 600"


@pytest.fixture
def namespace() -> Iterator[list[str]]:
    """Yields the words before a command that has it run where there is no IPv4."""
    if os.geteuid() != 0:
        pytest.skip("skipped: only root makes a network namespace")
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        pytest.skip("skipped: iproute2 not installed")
    keeper = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", MAKE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "made\n":
            pytest.skip("skipped: no network namespace can be made here")
        yield ["nsenter", f"--net=/proc/{keeper.pid}/ns/net"]
    finally:
        keeper.kill()
        keeper.communicate()


def moved(partner: Partner, namespace: list[str], listen: str) -> Partner:
    """The partner, whose daemon runs in the namespace, at an address that needs brackets."""
    partner.configure("url", f'"https://[::1]:{partner.port}"')
    partner.configure("listen", f'"{listen}:{partner.port}"')
    partner.cli("card", "set", "--url", f"https://[::1]:{partner.port}")
    plain = partner.command
    partner.command = lambda *arguments, preface="": [*namespace, *plain(*arguments, preface=preface)]  # type: ignore[method-assign]
    return partner


def test_nodes_without_ipv4_exchange_over_addresses_in_brackets(
    company: Company, namespace: list[str]
) -> None:
    alpha = moved(company.found("alpha"), namespace, "[::]")
    bravo = moved(company.found("bravo"), namespace, "[::1]")
    alpha.trust(bravo)
    bravo.trust(alpha)
    alpha.start()
    bravo.start()
    alpha.publish("from-alpha.example\n")
    bravo.wait_for("from-alpha.example")
    bravo.publish("from-bravo.example\n")
    alpha.wait_for("from-bravo.example")
    seen = subprocess.run([*namespace, "ip", "-4", "address"], capture_output=True, text=True, check=True)
    assert seen.stdout == "", "nothing there has IPv4"


def test_one_listener_takes_both_families(company: Company) -> None:
    """`[::]` is both: partners that have IPv4 alone come in."""
    alpha, bravo = company.pair()
    alpha.stop()
    alpha.configure("listen", f'"[::]:{alpha.port}"')
    alpha.start()
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as trying:
            trying.settimeout(5)
            assert (family, trying.connect_ex((host, alpha.port))) == (family, 0)
    bravo.publish("both.example\n")
    alpha.wait_for("both.example")
