"""holidays.yaml as an immutable Pydantic model: days without trading or with an early close."""

import datetime as dt
from typing import Annotated, Self

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shared.config_fields import Flag, Settings, TimeOfDay, TimeZone, setting


class Holiday(Settings):
    """One day of the calendar: closed, or closing early."""

    closed: Annotated[Flag, setting("Closed", "No trading on this day.", looser="structure")] = False
    early_close: Annotated[
        TimeOfDay | None, setting("Early close", "Time of day at which trading ends.", looser="structure")
    ] = None
    name: Annotated[str, setting("Name", "What the day is called.", looser="neutral"), Field(max_length=200)] = ""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"closed": True} if value == "closed" else value

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.closed == (self.early_close is not None):
            raise PydanticCustomError("holiday", 'must say either closed: true or early_close: "HH:MM"')
        return self


def _date(value: object) -> object:
    if isinstance(value, dt.date):
        return value
    try:
        if isinstance(value, str) and len(value) == len("2026-01-31"):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    raise PydanticCustomError("date", "is not a date; write it as year-month-day, such as 2026-12-25")


class HolidayCalendar(Settings):
    """holidays.yaml: days of the exchange's calendar, times of early closes in ``timezone``."""

    timezone: Annotated[TimeZone, setting("Time zone", "Zone of the early closes.", looser="any")] = "America/Chicago"
    dates: Annotated[
        dict[Annotated[dt.date, BeforeValidator(_date)], Holiday],
        setting("Days", "Days without trading or with an early close.", looser="structure"),
    ] = Field(default_factory=dict)
