"""Figures about rooms and clips over time."""

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct


class DayView(Struct, kw_only=True):
    """One day of the rooms that one hosts."""

    day: date
    sessions: Annotated[int, Meta(description="Rooms that were opened.")]
    minutes: Annotated[float, Meta(description="How long they lasted, together.")]
    people: int
    messages: int
    polls: int
    votes: int


class HourView(Struct, kw_only=True):
    """Messages in one hour of the week (UTC); Monday is 1."""

    weekday: int
    hour: int
    messages: int


class ClipFigures(Struct, kw_only=True):
    """Views and shares of a clip."""

    id: UUID
    title: str
    view_count: int
    share_count: int


class AnalyticsView(Struct, kw_only=True):
    """Sessions by day, busy hours, and the most viewed clips."""

    days: list[DayView]
    busy_hours: list[HourView]
    clips: list[ClipFigures]
