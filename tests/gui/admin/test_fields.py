"""Forms are read from the models: every rule, also one made later, gets one without code of its own."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest
import yaml
from PySide6.QtWidgets import QApplication

from gui.models.admin_draft import Draft, rule_fields, section_fields
from gui.models.admin_fields import FieldKind, fields_of, starting_value
from gui.views.admin.form import Form
from gui.views.admin.nested_controls import control_for
from shared.config import RULE_MODELS, RiskConfig, RuleConfig
from shared.config_fields import Money, Whole, setting
from tests.shared.config_examples import DOCUMENTED


class Invented(RuleConfig):
    """A rule that nobody knows yet."""

    rule_id = "RULE-099"
    title = "Invented"

    limit: Annotated[Money, setting("Limit", "Some dollars.", unit="dollars", looser="lower", lt=0)]
    times: Annotated[Whole, setting("Times", "How often.", unit="trades", looser="higher", ge=1, le=9)] = 3


def test_fields_when_the_rule_is_new_carry_label_help_unit_and_bounds(look: QApplication) -> None:
    enabled, limit, times = fields_of(Invented)
    assert enabled.kind is FieldKind.FLAG
    assert (limit.label, limit.kind, limit.unit, limit.required) == ("Limit", FieldKind.MONEY, "dollars", True)
    assert limit.high == Decimal("-0.01")
    assert (times.low, times.high, times.default) == (Decimal(1), Decimal(9), 3)
    form = Form([limit, times])
    heard: list[Any] = []
    form.edited.connect(lambda key, value: heard.append((key, value)))
    box = control_for(limit)
    box.set_value(-12.5)
    assert box.value() == -12.5
    form.rows["times"].control.box.setValue(99)  # type: ignore[attr-defined]
    assert heard == [("times", 9)]


@pytest.mark.parametrize("key", RULE_MODELS)
def test_form_when_shown_and_read_gives_the_values_back(look: QApplication, key: str) -> None:
    draft = Draft(yaml.safe_load(DOCUMENTED))
    if draft.rule(key) is None:
        draft.switch(key, True)
    rule = draft.rule(key)
    assert rule is not None
    form = Form(rule_fields(key))
    form.set_values(rule)
    read = {name: row.control.value() for name, row in form.rows.items()}
    again = RULE_MODELS[key].model_validate({name: value for name, value in read.items() if value is not None})
    known = RULE_MODELS[key].model_validate(rule)
    assert again.model_copy(update={"enabled": True}) == known.model_copy(update={"enabled": True})
    for row in form.rows.values():
        assert row.field.label and row.title.text() == row.field.label


@pytest.mark.parametrize("key", RULE_MODELS)
def test_starting_value_when_a_rule_is_turned_on_is_valid(key: str) -> None:
    RULE_MODELS[key].model_validate(starting_value(RULE_MODELS[key]))
    draft = Draft({})
    draft.switch(key, True)
    assert draft.enabled(key) and not draft.errors()


def test_sections_when_read_have_fields() -> None:
    for key in ("reset", "policy", "logging", "ipc"):
        assert section_fields(key)
    assert set(RiskConfig.model_fields) == {"version", "reset", "policy", "ipc", "logging", "rules", "accounts"}
