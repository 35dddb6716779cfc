"""Draws every page and dialog of the admin window on a real daemon.

`python -m tests.gui.admin.shots FOLDER SCALE THEME`, such as `tests/artifacts/admin 2 light`.

A program of its own because the scale of Qt is fixed when the application starts. Prints one line a picture: file, and
the texts that do not fit (there must be none).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["QT_QPA_PLATFORM"] = "offscreen"


async def draw(folder: Path, scale: str, look: str) -> None:
    """All pictures in one theme; switching it for every picture would take longer than all the rest."""
    from PySide6.QtCore import QSize
    from PySide6.QtWidgets import QDialog, QWidget

    from gui.app import make_application
    from gui.settings import Settings
    from gui.views.theme import ThemeChoice, theme
    from tests.gui.admin.stage import stage
    from tests.gui.scenes import texts_that_do_not_fit

    with tempfile.TemporaryDirectory() as home:
        app = make_application(Settings(Path(home) / "settings.ini"))
        theme().choose(ThemeChoice(look))
        async with stage(Path(home), app) as here:
            window = here.window

            def snap(name: str, shown: QWidget | None = None) -> None:
                for _ in range(4):
                    app.processEvents()
                file = f"admin-{name}-{look}-{round(float(scale) * 100)}.png"
                widget = shown or window
                widget.grab().save(str(folder / file))
                # Recovery codes stand below each other; the measure takes them for one line.
                cut = [text for text in texts_that_do_not_fit(widget) if "\n" not in text]
                print(f"{file}\t{' | '.join(cut)}", flush=True)  # noqa: T201 - its output

            async def ask(name: str, button: Any) -> None:
                button.click()
                dialog = await here.dialog(QDialog)
                snap(name, dialog)
                dialog.reject()
                await here.settled()

            await here.session.call("lock_accounts", {"account_ids": [102], "minutes": 90, "reason": "Overtrading."})
            await here.session.call("backup_now")
            loosening = {"patch": {"rules": {"daily_unrealized_loss": {"limit": -400}}}}
            await here.session.call("set_config", loosening)
            address = "json://127.0.0.1:9/x"
            await here.session.call("set_alert_target", {"name": "Desk", "kinds": ["lockout"], "address": address})
            for page in window.admin_pages:
                await here.go(page.key)
                if page is window.factor:
                    window.factor.enroll.click()
                    await here.settled()
                elif page is window.accounts:
                    window.accounts.test.click()
                    await here.until(lambda: not window.accounts.busy, "the test ends", 40)
                elif page is window.lockouts:
                    window.lockouts.active_table.selectRow(0)
                snap(page.key)
            rules: Any = await here.go("rules")
            for key in ("session_block_outside", "cooldown_after_loss", "max_contracts_per_instrument", "/policy"):
                rules.choose(key)
                snap(f"rules-{key.strip('/')}")
            rules.choose("daily_realized_loss")
            row = rules.form.rows["limit"]
            row.control.set_value(-800)
            row.control.edited.emit()
            await ask("review", rules.review)
            rules.scope.setCurrentIndex(rules.scope.findData(101))
            snap("rules-account")
            rules.discard.click()
            rules.tabs.setCurrentIndex(2)
            snap("rules-waiting")
            rules.take_text("version: 1\nrules:\n  daily_realized_loss: {limit: 500}\n  max_contract: {limit: 3}\n")
            await here.settled()
            snap("rules-yaml")
            rules.discard.click()
            await here.go("lockouts")
            await ask("lock", window.lockouts.lock)
            window.lockouts.active_table.selectRow(0)
            await ask("clear", window.lockouts.clear)
            await here.go("accounts")
            await ask("login", window.accounts.add)
            await here.go("alerts")
            await ask("target", window.alerts.add)
            await here.go("setup")
            window.setup._show(3)
            snap("setup-preset")
            if scale == "1":
                # The smallest window; a scale changes nothing in what fits.
                window.resize(QSize(900, 600))
                for page in window.admin_pages:
                    await here.go(page.key)
                    snap(f"small-{page.key}")
            here.session.lock()
            snap("locked")


def main() -> int:
    folder, scale = Path(sys.argv[1]), sys.argv[2]
    os.environ["QT_SCALE_FACTOR"] = scale
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(folder, scale, sys.argv[3]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
