"""STIX 2.1 and 2.0 bundles, read by the same rules as those of partners (`intel.bundle`)."""

from __future__ import annotations

from p2pshare.importers.interface import ObjectFormat
from p2pshare.intel.bundle import read_stix

FORMAT = ObjectFormat(lambda raw, _: read_stix(raw))
