"""Persistence: data/state.db (SQLite, WAL)."""

from daemon.store.database import StoreError, TroubleOver
from daemon.store.state import SavedAccount, SavedPnl, SavedReset, SavedState
from daemon.store.store import Store
from daemon.store.writer import Mirror

__all__ = ["Mirror", "SavedAccount", "SavedPnl", "SavedReset", "SavedState", "Store", "StoreError", "TroubleOver"]
