"""Canonical form of values beside addresses and host names: hashes, fingerprints, and names inside a machine.

Hexadecimal is lower case and of its type's length. Names that a system keeps as written (mutex, file name, user
agent) stay as written; registry keys lose their hive's short form and their case, as Windows compares them.
"""

from __future__ import annotations

import re
import unicodedata

from p2pshare.intel.refusals import InvalidValue

HASH_LENGTHS = {  # type -> hexadecimal digits
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "sha3-256": 64,
    "sha3-512": 128,
    "imphash": 32,
    "ja3": 32,
    "hassh": 32,
}
HASH_TYPE_BY_LENGTH = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}

SSDEEP = re.compile(r"\d{1,12}:[0-9A-Za-z+/]{0,128}:[0-9A-Za-z+/]{0,128}", re.ASCII)
TLSH = re.compile(r"(?:[Tt]1)?([0-9A-Fa-f]{70})")
JA4 = re.compile(r"[a-z][0-9a-z]{9}_[0-9a-f]{12}_[0-9a-f]{12}", re.ASCII)
MAC = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}")
MAC_CISCO = re.compile(r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")
ASN = re.compile(r"(?:as)?(\d{1,10})", re.ASCII | re.IGNORECASE)
ASN_MAX = 2**32 - 1  # RFC 6793
CVE = re.compile(r"cve-(\d{4})-(\d{4,19})", re.ASCII | re.IGNORECASE)

HIVES = {
    "hklm": "hkey_local_machine",
    "hkcu": "hkey_current_user",
    "hkcr": "hkey_classes_root",
    "hku": "hkey_users",
    "hkcc": "hkey_current_config",
}
HIVE_NAMES = frozenset(HIVES.values())


def is_hash(text: str, length: int) -> bool:
    """Returns whether `text` is `length` lower-case hexadecimal digits."""
    if len(text) != length:
        return False
    try:
        digits = bytes.fromhex(
            text
        )  # the fastest check there is; it lets blanks through, which the length shows
    except ValueError:
        return False
    return 2 * len(digits) == length and text == text.lower()


def canonical_hash(type_: str, text: str) -> str:
    """Returns lower-case hexadecimal of the type's length. Raises InvalidValue bad-hash."""
    lowered = text.lower()
    if not is_hash(lowered, HASH_LENGTHS[type_]):
        raise InvalidValue("bad-hash")
    return lowered


def canonical_ssdeep(text: str) -> str:
    """Returns `blocksize:hash:hash`, case kept: it is base64. Raises InvalidValue bad-hash."""
    if SSDEEP.fullmatch(text) is None:
        raise InvalidValue("bad-hash")
    return text


def canonical_tlsh(text: str) -> str:
    """Returns `T1` and 70 upper-case digits, as the reference tool prints. Raises InvalidValue bad-hash."""
    match = TLSH.fullmatch(text)
    if match is None:
        raise InvalidValue("bad-hash")
    return "T1" + match[1].upper()


def canonical_ja4(text: str) -> str:
    """Returns the three parts in lower case. Raises InvalidValue bad-hash."""
    lowered = text.lower()
    if JA4.fullmatch(lowered) is None:
        raise InvalidValue("bad-hash")
    return lowered


def canonical_mac(text: str) -> str:
    """Returns six lower-case pairs with colons (STIX 2.1 section 6.9). Raises InvalidValue bad-mac."""
    lowered = text.lower()
    if MAC.fullmatch(lowered) is None and MAC_CISCO.fullmatch(lowered) is None:
        raise InvalidValue("bad-mac")
    digits = lowered.replace(":", "").replace("-", "").replace(".", "")
    return ":".join(digits[start : start + 2] for start in range(0, 12, 2))


def canonical_asn(text: str) -> str:
    """Returns the number in decimal. Raises InvalidValue bad-asn."""
    match = ASN.fullmatch(text)
    if match is None or int(match[1]) > ASN_MAX:
        raise InvalidValue("bad-asn")
    return str(int(match[1]))


def canonical_cve(text: str) -> str:
    """Returns the id as in `CVE-2021-44228`. Raises InvalidValue bad-cve."""
    match = CVE.fullmatch(text)
    if match is None:
        raise InvalidValue("bad-cve")
    return f"CVE-{match[1]}-{match[2]}"


def canonical_registry_key(text: str) -> str:
    """Returns the key with its long hive name, in lower case (Windows compares keys without case). Raises
    InvalidValue bad-registry-key."""
    text = unicodedata.normalize("NFC", text.lower())
    while text != (bare := text.rstrip("\\").rstrip()):  # neither may end a value, in any mixture
        text = bare
    hive, _, rest = text.partition("\\")
    name = HIVES.get(hive, hive)
    if name not in HIVE_NAMES or not rest:  # a whole hive is in every machine
        raise InvalidValue("bad-registry-key")
    return f"{name}\\{rest}"


def canonical_file_name(text: str) -> str:
    """Returns the name as written; a name holds no path. Raises InvalidValue bad-file-name."""
    if "/" in text or "\\" in text or text in (".", ".."):
        raise InvalidValue("bad-file-name")
    return text


def canonical_name(text: str) -> str:
    """Returns the name as written: mutexes and user agents are compared exactly."""
    return text
