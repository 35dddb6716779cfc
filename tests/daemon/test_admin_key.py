"""The admin key: made with its permissions, never wider, never written through what waits in its place."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from daemon.admin_key import AdminKeyError, remove_admin_key, write_admin_key

posix = pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX; on Windows the folder's ACL rules")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_key_when_written_is_32_bytes_and_read_back(tmp_path: Path) -> None:
    key = write_admin_key(tmp_path / "run")
    assert (tmp_path / "run" / "admin.key").read_bytes() == key
    assert len(key) == 32
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["admin.key"]


def test_key_when_written_again_is_new(tmp_path: Path) -> None:
    assert write_admin_key(tmp_path / "run") != write_admin_key(tmp_path / "run")


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_key_when_written_has_its_mode_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_admin_key(tmp_path / "run")
    finally:
        os.umask(before)
    assert mode(tmp_path / "run") == 0o700
    assert mode(tmp_path / "run" / "admin.key") == 0o600


@posix
def test_key_when_created_has_its_mode_from_the_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    replace = Path.replace

    def watch(self: Path, target: Path) -> Path:
        seen.append(mode(self))
        return replace(self, target)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("permissions were changed after the file was made")

    monkeypatch.setattr(Path, "replace", watch)
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setattr(os, "fchmod", never)
    monkeypatch.setattr(Path, "chmod", never)
    before = os.umask(0)
    try:
        write_admin_key(tmp_path / "run")
    finally:
        os.umask(before)
    assert seen == [0o600]


@posix
def test_key_when_an_older_file_is_wider_does_not_inherit_that(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    (run / "admin.key").write_text("old")
    (run / "admin.key").chmod(0o666)
    held = (run / "admin.key").open()
    key = write_admin_key(run)
    assert mode(run / "admin.key") == 0o600
    assert held.read() == "old"  # who held the old file open does not see the new key
    held.close()
    assert (run / "admin.key").read_bytes() == key


@posix
def test_key_when_a_link_waits_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    run, target = tmp_path / "run", tmp_path / "target"
    run.mkdir(mode=0o700)
    target.write_text("untouched")
    (run / "admin.key").symlink_to(target)
    write_admin_key(run)
    assert target.read_text() == "untouched"
    assert not (run / "admin.key").is_symlink()


@posix
def test_folder_when_it_is_wide_is_narrowed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    write_admin_key(tmp_path / "run")
    assert mode(tmp_path / "run") == 0o700


@posix
def test_folder_when_it_is_a_link_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("")
    for name in ("link", "file"):
        with pytest.raises(AdminKeyError, match=name):
            write_admin_key(tmp_path / name)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@posix
def test_folder_when_it_is_somebody_elses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(AdminKeyError, match="another user"):
        write_admin_key(tmp_path / "run")


def test_key_when_it_cannot_be_put_in_place_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(AdminKeyError, match=r"admin\.key can't be written \(No space left"):
        write_admin_key(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_key_when_removed_is_gone_and_may_be_gone_already(tmp_path: Path) -> None:
    write_admin_key(tmp_path / "run")
    remove_admin_key(tmp_path / "run")
    assert not (tmp_path / "run" / "admin.key").exists()
    remove_admin_key(tmp_path / "run")
