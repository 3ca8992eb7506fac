"""The words of the doctor: each fault that it can find, with its check, its level, what it says and what mends it.

docs/operations/doctor.md has the same table, and a test compares the two. Words in braces stand for what differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

OK, WARN, FAIL, SKIPPED = "ok", "warn", "fail", "skipped"
SEVERE = frozenset({"card-fork", "sequence-fork", "identity-used-twice"})
"""Alarms that fail: keys may be stolen, or in two hands. The others are warnings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. `check` and `level` (ok, warn, fail, skipped) are words that stay; `mend` is empty where all is well.
    `fault` is the key of FAULTS whose words it says, for who may not read the words: they name partners and paths."""

    check: str
    level: str
    message: str
    mend: str = ""
    fault: str = ""

    def told(self) -> dict[str, str]:
        """Returns it as `doctor --json` writes it."""
        return {"check": self.check, "level": self.level, "message": self.message, "mend": self.mend}


class DoctorFault(NamedTuple):
    """A fault: its check, its level, and its words."""

    check: str
    level: str
    says: str
    mend: str


FAULTS: dict[str, DoctorFault] = {
    "config": DoctorFault("config", FAIL, "{message}", "{hint}"),
    "changeable": DoctorFault(
        "permissions", FAIL, "others may {may}: {path} has mode {mode}", "`chmod {wanted} {path}`"
    ),
    "open-home": DoctorFault(
        "permissions", WARN, "others may look into it: {path} has mode {mode}", "`chmod {wanted} {path}`"
    ),
    "network-file-system": DoctorFault(
        "filesystem",
        FAIL,
        "the home lies on a network file system ({kind}): two machines that open the store damage it, and its log needs memory that"
        " they share",
        "stop the daemon, copy the home to a disk of this machine, and name that with --home or P2PSHARE_HOME",
    ),
    "read-only-file-system": DoctorFault(
        "filesystem",
        FAIL,
        "the file system of the home is read-only",
        "find out why (`dmesg`), mend the disk, then `mount -o remount,rw {mount}`",
    ),
    "key-file-missing": DoctorFault(
        "keys",
        FAIL,
        "{path} is not there",
        "put it back from a backup; there is none: the page lost-key.md says what is left",
    ),
    "key-file-permissions": DoctorFault(
        "keys",
        FAIL,
        "others can read or change {path}",
        "`chmod 600 {path}`; if it was open for long, count the keys as stolen",
    ),
    "key-file-owner": DoctorFault(
        "keys", FAIL, "{path} belongs to another user than the home", "`chown {owner} {path}`, as root"
    ),
    "key-file-damaged": DoctorFault(
        "keys",
        FAIL,
        "{path} is not a key file, or a damaged one",
        "put it back from a backup; there is none: the page lost-key.md says what is left",
    ),
    "key-and-card-differ": DoctorFault(
        "keys", FAIL, "{path} and {card} do not belong together", "put both back from the same backup"
    ),
    "key-file-other": DoctorFault("keys", FAIL, "{message}", "{hint}"),
    "passphrase-other": DoctorFault("passphrase", FAIL, "{message}", "{hint}"),
    "passphrase-unused": DoctorFault(
        "passphrase",
        WARN,
        "one is given, and the key file is not encrypted",
        "`p2pshare passphrase set` encrypts it, while no daemon runs; or give none",
    ),
    "passphrase-weak": DoctorFault(
        "passphrase",
        WARN,
        "it is easy to guess: {weakness}",
        "`p2pshare passphrase set` with a better one, while no daemon runs",
    ),
    "card-damaged": DoctorFault(
        "card",
        FAIL,
        "our own card is damaged ({reason})",
        "put {path} back from a backup, or from a partner who exported it",
    ),
    "card-ended": DoctorFault(
        "card", FAIL, "partners believed this node until {until}", "`p2pshare card renew`"
    ),
    "card-ends": DoctorFault(
        "card", WARN, "partners believe this node until {until}, {days} days more", "`p2pshare card renew`"
    ),
    "certificate-other": DoctorFault(
        "certificate",
        FAIL,
        "the TLS certificate of the key file is not on the card: partners refuse its connections",
        "put identity.p2pkey and card.p2pcard back from the same backup",
    ),
    "roots-elsewhere": DoctorFault(
        "roots",
        WARN,
        "too few root keys are in the key file ({here} of {needed}), and the keys end at {until}: the daemon cannot renew them",
        "`p2pshare card renew --unsigned FILE` writes the card for the keepers of root keys to sign, `p2pshare card install FILE`"
        " puts it into force",
    ),
    "disk-full": DoctorFault(
        "disk", FAIL, "{free} MiB free, the floor is {floor} MiB: nothing new is taken", "free some space"
    ),
    "disk-low": DoctorFault(
        "disk",
        WARN,
        "{free} MiB free, the floor is {floor} MiB",
        "free some space before nothing new is taken",
    ),
    "store-missing": DoctorFault(
        "store",
        FAIL,
        "the store is not there",
        "`p2pshare restore` puts a backup back; without one start the daemon and add the partners again: what is relayed comes home"
        " from them",
    ),
    "store-damaged": DoctorFault(
        "store",
        FAIL,
        "the store is damaged: {faults}",
        "stop the daemon and put the store back from a backup; partners send again what is missing",
    ),
    "store-other": DoctorFault("store", FAIL, "{message}", "{hint}"),
    "store-read-only": DoctorFault(
        "store", FAIL, "the store cannot be written: {path} has mode {mode}", "`chmod u+w {path}`"
    ),
    "feed-late": DoctorFault(
        "feed",
        WARN,
        "the views and the change feed are {hours} h behind",
        "`p2pshare run` brings them up to date; where a daemon runs, its log says what it waits for",
    ),
    "lists-absent": DoctorFault(
        "warning-lists",
        WARN,
        "no warning list is imported: only the lists that come with the program keep the well-known out of what is published",
        "`p2pshare warninglist import DIR`",
    ),
    "clock-went-back": DoctorFault(
        "clock",
        FAIL,
        "this clock is behind: it was already {latest} here",
        "set the clock, and keep it by NTP",
    ),
    "clock-wrong": DoctorFault(
        "clock",
        FAIL,
        "this clock is {seconds} s {way} those of {count} partners, which agree",
        "set the clock, and keep it by NTP",
    ),
    "clock-disputed": DoctorFault(
        "clock",
        FAIL,
        "this clock is {seconds} s {way} that of {name}, and one of the two is wrong",
        "compare both with a third (`date -u`), set the wrong one, and keep it by NTP",
    ),
    "clock-drifts": DoctorFault(
        "clock",
        WARN,
        "this clock is {seconds} s {way} those of {count} partners",
        "compare it with a clock that is right, and keep it by NTP",
    ),
    "from-the-future": DoctorFault(
        "clock",
        WARN,
        "envelopes from the future came by {names}",
        "compare clocks: theirs was ahead once, or this one behind",
    ),
    "not-running": DoctorFault(
        "daemon", WARN, "not running: nothing comes and nothing leaves", "start it with `p2pshare run`"
    ),
    "port-taken": DoctorFault(
        "listen",
        FAIL,
        "another program listens at {address}",
        "stop it (`ss -ltnp` names it), or set another port in `listen` and in `url`",
    ),
    "no-such-address": DoctorFault(
        "listen",
        FAIL,
        "{address} is no address of this machine",
        "set `listen` to an address of this machine, or to 0.0.0.0:{port}",
    ),
    "port-forbidden": DoctorFault(
        "listen",
        WARN,
        "the daemon's user may not listen at {address} by itself",
        "take a port above 1023, or have systemd open it",
    ),
    "listen-silent": DoctorFault(
        "listen",
        FAIL,
        "the daemon runs and does not answer at {address}",
        "restart it: `listen` was changed since, or its log says why",
    ),
    "listen-other": DoctorFault(
        "listen",
        FAIL,
        "at {address} another certificate is shown than ours",
        "stop the other program (`ss -ltnp` names it) and restart the daemon",
    ),
    "loopback-only": DoctorFault(
        "listen",
        WARN,
        "it listens at {address} only, and partners are told {url}: nothing outside this machine gets there, but through a forwarder"
        " on it",
        "set `listen` to 0.0.0.0:{port} and restart the daemon",
    ),
    "url-unresolved": DoctorFault(
        "url",
        FAIL,
        "{host} cannot be resolved",
        "mend the name in the DNS, or set another address: `p2pshare card set --url https://HOST:PORT`",
    ),
    "url-elsewhere": DoctorFault(
        "url",
        WARN,
        "{host} is {addresses}, which is no address of this machine, and nobody answers there as seen from here",
        "right behind a router that forwards; else mend the name in the DNS, or `p2pshare card set --url https://HOST:PORT`",
    ),
    "url-other": DoctorFault(
        "url",
        FAIL,
        "{host} is {addresses}, and another certificate is shown there than ours",
        "mend the name in the DNS, or `p2pshare card set --url https://HOST:PORT`",
    ),
    "url-differs": DoctorFault(
        "url",
        WARN,
        "the card tells partners {card}, and the config says {url}",
        "`p2pshare card set --url {url}`",
    ),
    "partner-unreached": DoctorFault(
        "partners",
        WARN,
        "{name} is not reached: {error}",
        "ask it whether its daemon runs and its address is still {url}",
    ),
    "proxy-unreached": DoctorFault(
        "partners",
        WARN,
        "{name} is not reached, because of the proxy: {error}",
        "look at `proxy` and `proxy_login` below [gossip] in config.toml: the page proxy.md says what {error} means",
    ),
    "not-accepted-yet": DoctorFault(
        "partners",
        WARN,
        "{name} does not accept this node, and never did",
        "ask it to accept this node, which `p2pshare partner pending` shows there; or to add it with a link: `p2pshare card export FILE`"
        " writes what it needs",
    ),
    "removed-by-partner": DoctorFault(
        "partners",
        WARN,
        "{name} does not accept this node any more",
        "ask it whether it removed this node, holds it without a link, or lacks its newest card: `p2pshare card export FILE` writes it",
    ),
    "other-certificate": DoctorFault(
        "partners",
        WARN,
        "at the address of {name} another certificate is shown than its card names",
        "ask it for its newest card and address; somebody else may answer there",
    ),
    "partner-card-ended": DoctorFault(
        "partners",
        WARN,
        "the card of {name} has ended",
        "ask it to run `p2pshare card renew`; its card then comes by itself, or as a file for `p2pshare partner add`",
    ),
    "partner-frozen": DoctorFault(
        "partners",
        FAIL,
        "{name} is frozen: two cards of one version were seen",
        "`p2pshare doctor proof {name} FILE`, and call it: its root keys may be stolen",
    ),
    "partner-clock": DoctorFault(
        "partners",
        WARN,
        "the clock of {name} is {seconds} s {way} ours, and ours agrees with the others",
        "tell it to set its clock",
    ),
    "partner-circles": DoctorFault(
        "partners",
        WARN,
        "{name} carries {count} circles that we do not, and lacks one of ours",
        "compare `gossip.circles` with it: both sides name a circle alike; who changes it adds its partners again",
    ),
    "circles-of-before": DoctorFault(
        "partners",
        WARN,
        "the link to {name} carries {circles}, as configured when it was added, and not {configured}",
        "add it again with its card: `p2pshare partner add FILE`",
    ),
    "partners-unknown": DoctorFault(
        "partners", SKIPPED, "no daemon runs: nobody is connected", "start it with `p2pshare run`"
    ),
    "spaces": DoctorFault("spaces", WARN, "{message}", "{hint}"),
    "not-reached": DoctorFault(
        "reachable",
        WARN,
        "{partner} dialled {url} and did not reach this node: {outcome}",
        "open the port or forward it, as the page reaching-a-node.md says; or dial only: then partners must be dialled",
    ),
    "reached-other": DoctorFault(
        "reachable",
        WARN,
        "{partner} dialled {url}, and another certificate than ours was shown there",
        "mend the name in the DNS or where the router forwards to, as the page reaching-a-node.md says",
    ),
    "dialled-before": DoctorFault(
        "reachable",
        SKIPPED,
        "{partner} knows version {version} of our card, and dialled what stands there: {outcomes}",
        "look again when it has fetched version {newest}",
    ),
    "nobody-dialled": DoctorFault("reachable", SKIPPED, "no partner dialled this node: {why}", "{mend}"),
    "severe-alarm": DoctorFault("alarm", FAIL, "{word}: {message}", "{hint}"),
    "alarm": DoctorFault("alarm", WARN, "{word}: {message}", "{hint}"),
    "not-looked-at": DoctorFault(
        "any",
        SKIPPED,
        "not looked at: {path} is of {owner}",
        "ask as {owner}, or as root: `p2pshare doctor`",
    ),
}
"""Every fault, in the order of the page. The check `any` stands for each that looks at a file."""


def fault(name: str, check: str = "", /, **words: object) -> Finding:
    """Returns the finding of a fault of FAULTS with its `words` put in; `check` where the fault may be of any."""
    found = FAULTS[name]
    return Finding(
        check or found.check, found.level, found.says.format(**words), found.mend.format(**words), name
    )
