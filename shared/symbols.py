"""Roots under which one and the same instrument is known: the exchange's (NQ) and that of the gateway's ids (ENQ)."""

ID_ROOTS = {
    # equity indices
    "EP": "ES", "ENQ": "NQ",
    # metals
    "GCE": "GC", "SIE": "SI", "CPE": "HG", "HGE": "HG", "PLE": "PL",
    # energy
    "CLE": "CL", "MCLE": "MCL", "NQM": "QM", "NGE": "NG", "MNGE": "MNG", "NQG": "QG", "HOE": "HO", "RBE": "RB",
    # currencies
    "DA6": "6A", "BP6": "6B", "CA6": "6C", "EU6": "6E", "JY6": "6J", "MX6": "6M", "NE6": "6N", "SF6": "6S",
    "EEU": "E7",
    # treasuries
    "TUA": "ZT", "FVA": "ZF", "TYA": "ZN", "TNA": "TN", "USA": "ZB", "ULA": "UB",
    # grains and livestock
    "ZCE": "ZC", "ZSE": "ZS", "ZWA": "ZW", "ZME": "ZM", "ZLE": "ZL", "GLE": "LE",
}  # fmt: skip
"""The exchange's root by that in the gateway's contract ids, where they differ (from ProjectX contract listings)."""


def exchange_root(root: str) -> str:
    """The exchange's root for either of the two: ENQ -> NQ, NQ -> NQ. A root that is not known is its own."""
    return ID_ROOTS.get(root, root)
