"""Who may import whom inside the GUI: views -> models -> app_state; SQL in one file; the daemon never."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "gui"
FILES = sorted(path for path in ROOT.rglob("*.py") if "admin" not in path.name and "admin" not in path.parts)
PLAIN = (
    "records.py",
    "reading.py",
    "log_records.py",
    "account_view.py",
    "wording.py",
    "rule_words.py",
    "app_state.py",
    "state_reader.py",
    "client.py",
    "commands.py",
    "views/tokens.py",
)


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", PLAIN)
def test_plain_files_when_read_know_no_qt(name: str) -> None:
    assert not any(module.startswith(("PySide6", "gui.views.", "gui.models")) for module in _imports(ROOT / name))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_when_read_import_only_downwards(path: Path) -> None:
    modules = _imports(path)
    assert not any(module == "daemon" or module.startswith("daemon.") for module in modules)
    folder = path.relative_to(ROOT).parts[0]
    if folder == "models":
        assert not any(module.startswith(("gui.views", "gui.client", "PySide6.QtWidgets")) for module in modules)
    if "widgets" in path.parts:
        assert not any(module.startswith(("gui.views.trader", "gui.views.page", "gui.client")) for module in modules)
    if path.name != "state_reader.py":
        assert "sqlite3" not in modules
    assert "gui.state_reader" not in modules or path.name in ("client.py", "commands.py")


def test_window_when_imported_does_not_load_what_only_the_connection_needs() -> None:
    code = (
        "import sys, gui.app; print([name for name in ('pydantic', 'pyqtgraph', 'sqlalchemy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


def test_everything_when_sought_is_found() -> None:
    assert len(FILES) > 30
