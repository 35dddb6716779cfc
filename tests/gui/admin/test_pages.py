"""Every page of the admin window on a real daemon over a real socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyotp
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QWidget

from gui.admin_session import SessionState
from gui.views.admin import service
from gui.views.admin.accounts import LoginDialog
from gui.views.admin.alerts import TargetDialog
from gui.views.admin.audit import first_break
from gui.views.admin.dialogs import Ask
from gui.views.admin.holiday_dialog import HolidayDialog
from gui.views.admin.review import ReviewDialog
from tests.gui.admin.stage import Stage, stage

EMPTY: dict[str, Any] = {"rules": {"daily_realized_loss": {"limit": -500}}}


def texts(table: Any) -> list[list[str]]:
    """All cells of a table as texts."""
    return [[column.text(row) for column in table.source.columns] for row in table.source.rows]


def edit(form: Any, key: str, value: Any) -> None:
    """Put a value in a form's control as a person does."""
    control = form.rows[key].control
    control.set_value(value)
    control.edited.emit()


async def apply(here: Stage, page: Any) -> list[list[str]]:
    """Press review and apply; what the review said."""
    page.review.click()
    dialog = await here.dialog(ReviewDialog)
    said = texts(dialog.table)
    dialog.confirm.click()
    await here.settled()
    return said


async def test_rules_when_edited_are_reviewed_applied_taken_back_and_read_as_text(
    look: QApplication, tmp_path: Path
) -> None:
    async with stage(tmp_path, look) as here:
        engine = here.world.service.engine
        page = await here.go("rules")
        page.choose("daily_realized_loss")
        edit(page.form, "limit", 800)
        assert page.form.rows["limit"].error.text() == "Must be less than 0."
        assert not page.review.isEnabled()
        edit(page.form, "limit", -800)
        page.choose("max_contracts")
        edit(page.form, "limit", 3)
        said = await apply(here, page)
        assert sorted(said) == [
            ["Contracts in the account: Limit", "Tightens, now"],
            ["Daily realized loss: Loss limit", "Loosens, at 17:00 New York"],
        ]
        rules = engine.config.rules
        assert rules.max_contracts is not None and rules.max_contracts.limit == 3
        assert rules.daily_realized_loss is not None and rules.daily_realized_loss.limit == -500
        assert "Applied" in here.said() and page.tabs.tabText(2) == "Waiting (1)"
        assert "limit: -800" in page.yaml.text

        # What waits already is no change again.
        page.tabs.setCurrentIndex(0)
        page.choose("max_contracts")
        edit(page.form, "limit", 2)
        page.review.click()
        dialog = await here.dialog(ReviewDialog)
        assert texts(dialog.table) == [
            ["Contracts in the account: Limit", "Tightens, now"],
            ["Daily realized loss: Loss limit", "Waits already, at 17:00 New York"],
        ]
        assert dialog.words.text() == "1 change. 1 that already waits stays as it is."
        assert dialog.confirm.text() == "Apply 1 now"
        dialog.confirm.click()
        await here.settled()
        assert here.said() == "Applied 1 in force now."

        # Taken back before its time.
        page.tabs.setCurrentIndex(2)
        page.pending_table.selectRow(0)
        page.take_back.click()
        await here.settled()
        assert page.pending.rowCount() == 0 and page.tabs.tabText(2) == "Waiting"
        assert "-800" not in page.yaml.text

        # What an account has of its own, beside what it inherits.
        page.tabs.setCurrentIndex(0)
        page.scope.setCurrentIndex(page.scope.findData(101))
        page.choose("daily_realized_loss")
        row = page.form.rows["limit"]
        assert row.control.value() == -250 and row.origin.text() == "Own value; default −$500"
        row.inherit.click()
        assert row.control.value() == -500 and row.origin.text().startswith("Inherited")
        page.choose("max_contracts")
        edit(page.form, "limit", 1)
        said = await apply(here, page)
        assert ["50K-101: Contracts in the account: Limit", "Tightens, now"] in said
        of_account = engine.config.rules_for(101)
        assert of_account.max_contracts is not None and of_account.max_contracts.limit == 1

        # The text: errors with their line while typing, presets only after a review.
        page.scope.setCurrentIndex(0)
        page.take_text("version: 1\nrules:\n  daily_realized_loss: {limit: 500}\n")
        await here.settled()
        assert "line 3" in page.yaml.notes.words.text()
        page.discard.click()
        page.preset_menu.actions()[0].trigger()
        await here.settled()
        assert page.yaml.text == page._presets[0]["yaml"]
        assert engine.config.rules.max_contracts is not None and engine.config.rules.max_contracts.limit == 2
        page.discard.click()

        # A rule that was never named is turned on with valid values; What if takes the edits over.
        page.tabs.setCurrentIndex(0)
        page.choose("weekly_loss")
        page.editor.switch.click()
        assert page.draft.enabled("weekly_loss") and not page.draft.errors()
        page.try_out.click()
        what_if = here.window.what_if
        assert here.window.current is what_if and "edit" in what_if.what.text()
        await here.settled()
        if what_if.day.count() == 0:
            await here.until(lambda: list(here.world.home.journal.glob("*.gz")), "the day is recorded")
            await here.go("what_if")
            what_if.refresh_all()
            await here.settled()
        what_if.start.click()
        await here.until(what_if.stop.isVisible, "it can be cancelled")
        await here.until(lambda: not what_if.busy, "the replay ends", 60)
        assert "events" in what_if.summary.text(), here.said()


async def test_lockouts_when_set_and_ended_early_show_the_delay(look: QApplication, tmp_path: Path) -> None:
    async with stage(tmp_path, look) as here:
        page = await here.go("lockouts")
        page.account_box.setCurrentIndex(page.account_box.findData(None))
        page.minutes.setValue(90)
        page.reason.setText("enough for today")
        page.lock.click()
        ask = await here.dialog(Ask)
        assert ask.confirm.text() == "Lock all accounts for 1 h 30 min"
        assert "can't be undone" in ask.warning.headline.text()
        ask.cancel.click()
        await here.settled()
        assert not any(account.locks for account in here.world.service.engine.accounts.values())
        page.lock.click()
        (await here.dialog(Ask)).confirm.click()
        await here.settled()
        await here.until(lambda: page.active.rowCount() == 2, "both are locked")
        assert all("MANUAL" in here.world.locks(number) for number in (101, 102))

        page.active_table.selectRow(0)
        page.clear.click()
        ask = await here.dialog(Ask)
        assert not ask.confirm.isEnabled(), "a reason is needed"
        ask.field.setText("the desk agreed")
        assert ask.confirm.text() == "End it in 15 min"
        ask.confirm.click()
        await here.settled()
        assert "delay is running" in here.said()
        ends = next(column for column in page.active.columns if column.heading == "Ends")
        assert any(ends.sub is not None and "Ends early in" in ends.sub(row) for row in page.active.rows)
        await here.world.travel(16 * 60)
        await here.until(lambda: page.active.rowCount() == 1 and page.past.rowCount() == 1, "one has ended")


async def test_accounts_when_logins_change_are_tested_and_stay_protected(look: QApplication, tmp_path: Path) -> None:
    async with stage(tmp_path, look) as here:
        page = await here.go("accounts")
        assert texts(page.table)[0][:3] == ["trader1", "Enabled", "All"]
        page.test.click()
        await here.until(page.stop_test.isVisible, "the test can be cancelled")
        await here.until(lambda: not page.busy, "the test ends", 30)
        assert page.steps.rowCount() >= 4 and all(row["ok"] for row in page.steps.rows), here.said()

        page.add.click()
        dialog = await here.dialog(LoginDialog)
        dialog.confirm.click()
        assert dialog.error.text() == "Give the user name of the login."
        dialog.username.setText("second")
        dialog.api_key.setText("key-of-second")
        dialog.which.setCurrentIndex(1)
        dialog.numbers.setText("900; 901")
        dialog.confirm.click()
        await here.settled()
        assert here.keys.kept["RiskManager", "second"] == "key-of-second"
        row = next(row for row in page.model.rows if row["username"] == "second")
        assert row["accounts"] == [900, 901] and row["key_set"] is True

        # The list is read anew after the change, and forgets what is chosen in it.

        def chosen() -> bool:
            page.table.selectRow(0)
            return page.toggle.isEnabled() and not page.busy

        await here.until(chosen, "a login is chosen")
        page.toggle.click()
        review = await here.dialog(ReviewDialog)
        assert any("Loosens" in cell for line in texts(review.table) for cell in line)
        review.confirm.click()
        await here.settled()
        assert "waits for the reset" in here.said()
        assert set(here.world.service.engine.accounts) == {101, 102}


async def test_hours_alerts_backups_and_logs_when_used_do_what_they_say(look: QApplication, tmp_path: Path) -> None:
    async with stage(tmp_path, look) as here:
        hours = await here.go("sessions")
        assert "Wed: 09:30 to 16:00" in hours.week.accessibleName()
        assert "Sat: no trading" in hours.week.accessibleName()
        day = hours._monday.isoformat()
        hours.add.click()
        dialog = await here.dialog(HolidayDialog)
        dialog.day.setDate(dialog.day.date().fromString(day, Qt.DateFormat.ISODate))
        dialog.name.setText("Test day")
        dialog.accept()
        await here.settled()
        assert "Mon: no trading, Test day" in hours.week.accessibleName()
        said = await apply(here, hours)
        assert len(said) == 1 and said[0][1] == "Tightens, now"
        assert "Test day" in here.world.home.holidays_file.read_text(encoding="utf-8")

        alerts = await here.go("alerts")
        alerts.add.click()
        target = await here.dialog(TargetDialog)
        target.confirm.click()
        assert target.error.isVisible()
        target.name.setText("Desk")
        target.address.setText("json://127.0.0.1:9/hidden-path")
        target.confirm.click()
        await here.settled()
        assert [row["name"] for row in alerts.model.rows] == ["Desk"]
        alerts.test.click()
        await here.settled()
        assert "not delivered" in here.said()
        alerts.remove.click()
        ask = await here.dialog(Ask)
        assert ask.confirm.text() == "Remove and forget the address"
        ask.confirm.click()
        await here.settled()
        assert alerts.model.rowCount() == 0

        backups = await here.go("backups")
        backups.make.click()
        await here.settled()
        assert {row["what"] for row in backups.model.rows} == {"state", "configuration"}
        await here.session.call("set_config", {"patch": {"rules": {"daily_realized_loss": {"limit": -300}}}})
        number = next(n for n, row in enumerate(backups.model.rows) if row["what"] == "configuration")
        backups.table.selectRow(number)
        backups.restore.click()
        review = await here.dialog(ReviewDialog)
        assert texts(review.table) == [["Daily realized loss: Loss limit", "Loosens, at 17:00 New York"]]
        review.confirm.click()
        await here.settled()
        rules = here.world.service.engine.config.rules
        assert rules.daily_realized_loss is not None and rules.daily_realized_loss.limit == -300

        logs = await here.go("logs")
        logs.file.setCurrentIndex(logs.file.findData("enforcement"))
        await here.settled()
        await here.session.call("lock_accounts", {"minutes": 3, "reason": "seen-in-the-log"})
        await here.until(
            lambda: any("seen-in-the-log" in row["text"] for row in logs.model.rows), "the log is followed"
        )
        logs.search.setText("no such words")
        await here.until(lambda: logs.model.rowCount() == 0, "filtered by text")
        logs.search.setText("seen-in-the-log")
        await here.until(lambda: logs.model.rowCount() > 0, "found")
        logs.copy.click()
        assert "seen-in-the-log" in QApplication.clipboard().text()

        audit = await here.go("audit")
        assert "whole" in here.said()
        rows = [dict(row) for row in audit._rows]
        assert first_break(rows) is None
        assert "hidden-path" not in json.dumps(rows)
        rows[3]["result"] = "done."
        assert first_break(rows) == rows[3]["id"]
        assert first_break([row for row in audit._rows if row["id"] != rows[2]["id"]]) is not None
        # The daemon's own record changes behind its back: the window says so.
        await here.world.service.store.execute(
            lambda connection: connection.execute("UPDATE audit_log SET actor = 'nobody' WHERE id = 2")
        )
        audit.again.click()
        await here.until(lambda: "tampered" in here.said(), "it says so")


async def test_second_factor_when_enrolled_is_asked_for_and_what_is_secret_is_forgotten(
    look: QApplication, tmp_path: Path
) -> None:
    async with stage(tmp_path, look, EMPTY) as here:
        page = await here.go("factor")
        page.enroll.click()
        await here.settled()
        assert not page.picture.pixmap().isNull() and len(page.codes.text().splitlines()) == 10
        secret = page.secret.text().replace(" ", "")
        page.code.setText("000000")
        page.confirm.click()
        await here.settled()
        assert "does not fit" in here.said()
        page.code.setText(pyotp.TOTP(secret).at(here.world.service.clock.now() // 1_000_000))
        page.confirm.click()
        await here.settled()
        assert "enrolled" in here.said()
        assert page.secret.text() == "" and page.codes.text() == "" and page.picture.pixmap().isNull()

        rules = await here.go("rules")
        rules.choose("daily_realized_loss")
        edit(rules.form, "limit", -900)
        rules.review.click()
        (await here.dialog(ReviewDialog)).confirm.click()
        ask = await here.dialog(Ask)
        ask.cancel.click()
        await here.settled()
        assert "Nothing was changed" in here.said()
        assert not await here.session.call("get_pending_config")
        rules.review.click()
        (await here.dialog(ReviewDialog)).confirm.click()
        ask = await here.dialog(Ask)
        now = here.world.service.clock.now() // 1_000_000
        ask.field.setText(pyotp.TOTP(secret).at(now + 30))
        ask.confirm.click()
        await here.settled()
        assert len(await here.session.call("get_pending_config")) == 1


async def test_second_factor_when_the_key_store_is_still_read_is_not_claimed_and_known_a_moment_later(
    look: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    async def run_service(command: list[str]) -> tuple[int, str]:
        commands.append(command)
        return 1, "as riskd says"

    monkeypatch.setattr(service, "can_control", lambda: True)
    monkeypatch.setattr(service, "run_service", run_service)
    async with stage(tmp_path, look, EMPTY) as here:
        factor = here.world.service.admin.factor
        known, factor._factor = factor._factor, None
        page = await here.go("factor")
        assert "Not known yet" in page.state_words.text()
        assert not page.turn_off.isVisible() and not page.enroll.isEnabled()

        control = await here.go("service")
        here.session.factor_enrolled = True  # as the login said, when nobody knew yet
        control.install.click()
        await here.settled()
        assert [command[-3:-2] for command in commands] == [["install"]]
        assert "as riskd says" in here.said()

        page = await here.go("factor")
        factor._factor = known
        await here.until(lambda: "Not enrolled" in page.state_words.text(), "it looks again by itself")
        assert page.enroll.isEnabled()


async def test_setup_when_the_home_is_new_leads_from_a_login_to_protection(look: QApplication, tmp_path: Path) -> None:
    async with stage(tmp_path, look, EMPTY) as here:
        page = await here.go("setup")
        assert await page.needed() is False
        step = {"path": ["logins", "trader1"], "value": None}
        await here.session.call("set_config", {"patch": [step], "file": "accounts.yaml"})
        assert await page.needed() is True
        page.username.setText("trader1")
        page.api_key.setText("key-of-trader1")
        page.next.click()
        await here.until(lambda: page.step == 1 and not page.busy, "stored and tested", 30)
        assert page.steps.rowCount() >= 4 and all(row["ok"] for row in page.steps.rows), here.said()
        assert page.api_key.text() == ""
        page.next.click()
        await here.until(lambda: page.step == 2 and not page.busy, "accounts")
        assert page.accounts.rowCount() == 2
        page.next.click()
        await here.until(lambda: page.step == 3, "presets")
        button = page.choices.itemAt(page.choices.count() - 1).widget()
        button.click()
        assert "Looked up on" in page.notes.text()
        page.next.click()
        await here.until(lambda: page.step == 4 and not page.busy, "review")
        assert page.changes.rowCount() > 3 and "now" in page.next.text()
        page.next.click()
        await here.until(lambda: page.step == 5, "protected")
        assert "50K-101" in page.done.words.text()
        assert here.world.service.engine.config.rules.daily_total_loss is not None


async def test_window_when_locked_idle_or_without_the_daemon_shows_nothing_to_use(
    look: QApplication, tmp_path: Path
) -> None:
    async with stage(tmp_path, look, EMPTY) as here:
        window = here.window
        await here.until(lambda: here.world.service.status() == "healthy", "healthy")
        service = await here.go("service")
        assert service.figures["status"].text() == "Healthy"
        assert service.runs.rowCount() == 1
        names_missing = [
            type(widget).__name__
            for page in window.admin_pages
            for widget in page.findChildren(QWidget)
            if isinstance(widget, QAbstractButton | QComboBox | QLineEdit)
            and not (widget.accessibleName() or getattr(widget, "text", str)())
            and widget.objectName() not in ("qt_spinbox_lineedit",)
            and not (widget.objectName().startswith(("qt_", "Scroll")))
        ]
        assert names_missing == []
        service.restart.click()
        await here.dialog(Ask)
        window.lock_button.click()
        await here.until(
            lambda: not any(isinstance(top, Ask) and top.isVisible() for top in QApplication.topLevelWidgets()),
            "an open question is closed",
        )
        await here.until(lambda: not here.client.rpc.in_admin_session, "logged out")
        assert here.session.state is SessionState.IDLE
        assert window.curtain.isVisible() and not window.stack.isVisible() and not window.sidebar.isEnabled()
        window.unlock.click()
        await here.until(lambda: here.session.open and window.stack.isVisible(), "open again")
        await here.settled()

        # Keys pressed anywhere in the window keep it open.
        touched: list[bool] = []
        here.session.touched = lambda: touched.append(True)  # type: ignore[method-assign]
        window._activity.used.disconnect()
        window._activity.used.connect(here.session.touched)
        event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Tab, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(window, event)
        assert touched

        # Stopping needs a reason and says what it means; afterwards the window waits.
        service.stop.click()
        ask = await here.dialog(Ask)
        assert ask.confirm.text() == "Stop: nothing is protected" and not ask.confirm.isEnabled()
        ask.field.setText("maintenance")
        ask.confirm.click()
        await here.settled()
        await here.until(lambda: here.world.service.status() == "stopping", "it stops")
        await here.world.stop()
        await here.until(window.curtain.isVisible, "the window waits")
        assert str(here.session.state) == "connecting"
        await here.world.start()
        await here.until(lambda: here.session.open, "it goes on by itself", 20)
