"""`/api/analytics`: figures about one's rooms and clips, for tiers that include them."""

import csv
import io
from typing import Annotated, TypeVar

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from api.deps import Deps
from api.http.request import ApiRequest
from api.schemas.analytics import AnalyticsView, ClipFigures, DayView, HourView
from api.schemas.answers import Answer
from db import analytics as rows
from db.connection import SERVICE
from services.billing import tier as tiers

V = TypeVar("V", bound=Struct)
MAX_CLIPS = 20
BUSY_HOURS = 24
DEFAULT_DAYS = 30
Days = Annotated[int, QueryParameter(ge=1, le=365, description="How many days back.")]


@get("", sync_to_thread=True)
def get_analytics(request: ApiRequest, deps: NamedDependency[Deps], days: Days = DEFAULT_DAYS) -> Answer[AnalyticsView]:
    """Show sessions by day, busy hours of the week, and the most viewed clips."""
    return Answer(data=_look(request, deps, days))


@get("/sessions.csv", sync_to_thread=True, media_type="text/csv")
def get_sessions_csv(request: ApiRequest, deps: NamedDependency[Deps], days: Days = DEFAULT_DAYS) -> Response[str]:
    """Show sessions by day as a table."""
    table = io.StringIO()
    writer = csv.writer(table)
    names = DayView.__struct_fields__
    writer.writerow(names)
    for day in _look(request, deps, days).days:
        writer.writerow([getattr(day, name) for name in names])
    headers = {"Content-Disposition": 'attachment; filename="sessions.csv"'}
    return Response(table.getvalue(), media_type="text/csv", headers=headers)


def _look(request: ApiRequest, deps: Deps, days: int) -> AnalyticsView:
    tiers.require(request.user.tier, "analytics")
    user_id = request.user.user_id
    with deps.database.transaction(SERVICE) as tx:
        return AnalyticsView(
            days=[_view(row, DayView) for row in rows.list_days(tx, user_id=user_id, days=days)],
            busy_hours=[_view(row, HourView) for row in rows.list_hours(tx, user_id=user_id, days=days)][:BUSY_HOURS],
            clips=[_view(row, ClipFigures) for row in rows.list_clips(tx, user_id=user_id, limit=MAX_CLIPS)],
        )


def _view(row: Struct, kind: type[V]) -> V:
    return msgspec.convert(row, type=kind, from_attributes=True)


analytics_router = Router("/api/analytics", route_handlers=[get_analytics, get_sessions_csv], tags=["Analytics"])
