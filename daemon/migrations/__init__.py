"""Alembic migrations of `state.db`.

`env.py` and `versions/` are read from disk: a packed program must ship them as files.
"""
