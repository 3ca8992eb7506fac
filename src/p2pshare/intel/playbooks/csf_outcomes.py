"""The outcomes of NIST's Cybersecurity Framework 2.0 (NIST CSWP 29, 26 February 2024, Appendix A): 106 subcategories in 22 categories."""

from __future__ import annotations

CATEGORIES = {
    "GV.OC": "01 02 03 04 05",
    "GV.RM": "01 02 03 04 05 06 07",
    "GV.RR": "01 02 03 04",
    "GV.PO": "01 02",
    "GV.OV": "01 02 03",
    "GV.SC": "01 02 03 04 05 06 07 08 09 10",
    "ID.AM": "01 02 03 04 05 07 08",
    "ID.RA": "01 02 03 04 05 06 07 08 09 10",
    "ID.IM": "01 02 03 04",
    "PR.AA": "01 02 03 04 05 06",
    "PR.AT": "01 02",
    "PR.DS": "01 02 10 11",
    "PR.PS": "01 02 03 04 05 06",
    "PR.IR": "01 02 03 04",
    "DE.CM": "01 02 03 06 09",
    "DE.AE": "02 03 04 06 07 08",
    "RS.MA": "01 02 03 04 05",
    "RS.AN": "03 06 07 08",
    "RS.CO": "02 03",
    "RS.MI": "01 02",
    "RC.RP": "01 02 03 04 05 06",
    "RC.CO": "03 04",
}
"""Category to the numbers of its subcategories: the gaps are those of version 1.1 that NIST withdrew."""

CSF_OUTCOMES = frozenset(
    f"{category}-{number}" for category, numbers in CATEGORIES.items() for number in numbers.split()
)
