"""Symbols: the root by which people name a contract, whatever root the gateway's id uses.

A contract's `name` (NQU5) carries the exchange's root (NQ); its id (CON.F.US.ENQ.U25) may carry another (ENQ).
"""

from __future__ import annotations

import re

from daemon.core.events import Contract
from shared.config import ID_ROOTS

_NAME = re.compile(r"^([A-Z0-9]+?)[FGHJKMNQUVXZ]\d{1,2}$")


def root_of_name(name: str) -> str:
    """NQU5 -> NQ. A name of another form is its own root."""
    match = _NAME.match(name.upper())
    return match.group(1) if match else name.upper()


def root_of_id(contract_id: str) -> str:
    """CON.F.US.ENQ.U25 -> ENQ. An id of another form is its own root."""
    parts = contract_id.upper().split(".")
    return parts[-2] if len(parts) >= 3 else contract_id.upper()


def symbol_of(contract_id: str, contract: Contract | None) -> str:
    """The symbol by which lockouts and people name a contract."""
    if contract is not None and contract.name:
        return root_of_name(contract.name)
    root = root_of_id(contract_id)
    return ID_ROOTS.get(root, root)


def names_of(contract_id: str, contract: Contract | None) -> frozenset[str]:
    """Every root a configuration may use for a contract."""
    root = root_of_id(contract_id)
    return frozenset((symbol_of(contract_id, contract), root, ID_ROOTS.get(root, root)))
