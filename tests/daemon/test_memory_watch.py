"""Memory above the limit: caches are emptied each time, people are told once."""

from __future__ import annotations

from daemon.memory_watch import MemoryWatch


def test_memory_above_the_limit_is_alerted_once_and_caches_are_emptied_each_time() -> None:
    alerts: list[str] = []
    trimmed: list[None] = []
    watch = MemoryWatch(lambda: trimmed.append(None), alerts.append, limit_mb=500)
    for megabytes, told, emptied in (
        (499.0, 0, 0),
        (500.0, 0, 0),
        (501.0, 1, 1),
        (600.0, 1, 2),
        (480.0, 1, 2),  # not clearly below: it is still the same trouble
        (501.0, 1, 3),
        (450.0, 1, 3),
        (501.0, 2, 4),
    ):
        watch.look(megabytes)
        assert (len(alerts), len(trimmed)) == (told, emptied), megabytes
    assert "501.0 MB" in alerts[0] and "500 MB" in alerts[0]
