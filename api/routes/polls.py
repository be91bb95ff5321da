"""Polls over HTTP: creating, voting, closing, and results."""

import csv
import io
from collections.abc import Callable
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.deps import Deps
from api.http.request import ApiRequest
from api.schemas.answers import Answer, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit
from api.schemas.polls import BallotView, CreatePollRequest, OptionRequest, VoteRequest, ballot_view
from db.connection import SERVICE, Transaction
from services.errors import NotReadyError
from services.paging import decode_time_cursor
from services.polls import service as polls
from services.polls.shape import Poll, Results
from services.polls.view import PollView
from services.rooms.person import Person

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets treat cells that begin with these as formulas."""


@post("/rooms/{room_id:uuid}/polls/create", sync_to_thread=True, status_code=201)
def create(
    room_id: FromPath[UUID], data: JSONBody[CreatePollRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[Poll]:
    """Create a poll in a room."""
    with deps.database.transaction(SERVICE) as tx:
        made = polls.create(
            tx,
            request.user.person,
            room_id=room_id,
            poll_type=data.poll_type,
            question=data.question,
            options=data.options,
            duration_seconds=data.duration_seconds,
            is_anonymous=data.is_anonymous,
            results_visibility=data.results_visibility,
            highlight_ids=data.highlight_ids,
            makes_clips=data.makes_clips,
        )
    return Answer(data=made.poll)


@get("/rooms/{room_id:uuid}/polls/active", sync_to_thread=True)
def list_active(room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Items[Poll]]:
    """List the active polls of a room, newest first."""
    with deps.database.transaction(SERVICE) as tx:
        found = polls.list_active(tx, request.user.person, room_id)
    return Answer(data=Items(items=[view.poll for view in found]))


@get("/rooms/{room_id:uuid}/polls/history", sync_to_thread=True)
def list_history(
    room_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
) -> Answer[Items[Poll]]:
    """List the ended polls of a room, newest first."""
    position = decode_time_cursor(cursor)
    with deps.database.transaction(SERVICE) as tx:
        page = polls.history(tx, request.user.person, room_id=room_id, limit=limit, cursor=position)
    return Answer(data=Items(items=[view.poll for view in page.items], next_cursor=page.next_cursor))


@get("/polls/{poll_id:uuid}", sync_to_thread=True)
def get_poll(poll_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Poll]:
    """Show a poll."""
    return Answer(data=_act(deps, request, lambda tx, person: polls.get(tx, person, poll_id)).poll)


@post("/polls/{poll_id:uuid}/vote", sync_to_thread=True, status_code=200)
def vote(
    poll_id: FromPath[UUID], data: JSONBody[VoteRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[BallotView]:
    """Vote, or change one's vote until the poll closes."""
    voted = _act(deps, request, lambda tx, person: polls.vote(tx, person, poll_id=poll_id, option_id=data.option_id))
    return Answer(data=ballot_view(voted, option_id=data.option_id))


@post("/polls/{poll_id:uuid}/options", sync_to_thread=True, status_code=201)
def add_option(
    poll_id: FromPath[UUID], data: JSONBody[OptionRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[Poll]:
    """Suggest an answer to an open question."""
    return Answer(
        data=_act(deps, request, lambda tx, person: polls.add_option(tx, person, poll_id=poll_id, text=data.text)).poll
    )


@post("/polls/{poll_id:uuid}/options/{option_id:str}/upvote", sync_to_thread=True, status_code=200)
def upvote(
    poll_id: FromPath[UUID], option_id: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[Poll]:
    """Like a suggestion; each person counts once."""
    return Answer(
        data=_act(deps, request, lambda tx, person: polls.upvote(tx, person, poll_id=poll_id, option_id=option_id)).poll
    )


@post("/polls/{poll_id:uuid}/close", sync_to_thread=True, status_code=200)
def close(poll_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Poll]:
    """End a poll early; its creator, the host and co-hosts may do this."""
    return Answer(data=_act(deps, request, lambda tx, person: polls.close(tx, person, poll_id=poll_id)).poll)


@post("/polls/{poll_id:uuid}/reopen", sync_to_thread=True, status_code=200)
def reopen(poll_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Poll]:
    """Reopen a closed poll for its whole duration."""
    return Answer(data=_act(deps, request, lambda tx, person: polls.reopen(tx, person, poll_id=poll_id)).poll)


@post("/polls/{poll_id:uuid}/reset", sync_to_thread=True, status_code=200)
def reset(poll_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Poll]:
    """Delete the ballots of a poll."""
    return Answer(data=_act(deps, request, lambda tx, person: polls.reset(tx, person, poll_id=poll_id)).poll)


@post("/polls/{poll_id:uuid}/reveal", sync_to_thread=True, status_code=200)
def reveal(poll_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Poll]:
    """Show everybody the results of a poll that hides them until then."""
    return Answer(data=_act(deps, request, lambda tx, person: polls.reveal(tx, person, poll_id=poll_id)).poll)


@get("/polls/{poll_id:uuid}/results", sync_to_thread=True)
def get_results(poll_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Results]:
    """Show the current counts of a poll, as far as the caller may see them."""
    return Answer(data=_act(deps, request, lambda tx, person: polls.get(tx, person, poll_id)).results)


@get("/polls/{poll_id:uuid}/results.csv", sync_to_thread=True, media_type="text/csv")
def get_results_csv(poll_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Response[str]:
    """Show the results as a table; `not_ready` while they are hidden."""
    found = _act(deps, request, lambda tx, person: polls.get(tx, person, poll_id))
    if found.results.options is None:
        raise NotReadyError("The results of this poll are hidden for now.", reason="results_hidden")
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["option_id", "option", "votes", "share"])
    for option in found.results.options:
        writer.writerow([option.id, _plain(option.text), option.votes, option.share])
    return Response(
        table.getvalue(),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="poll-{poll_id}.csv"'},
    )


def _act(deps: Deps, request: ApiRequest, work: Callable[[Transaction, Person], PollView]) -> PollView:
    person = request.user.person
    with deps.database.transaction(SERVICE) as tx:
        return work(tx, person)


def _plain(text: str) -> str:
    """Return a text that a spreadsheet shows as text, not as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


polls_router = Router(
    "/api",
    route_handlers=[
        create,
        list_active,
        list_history,
        get_poll,
        vote,
        add_option,
        upvote,
        close,
        reopen,
        reset,
        reveal,
        get_results,
        get_results_csv,
    ],
    tags=["Polls"],
)
