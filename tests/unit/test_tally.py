from datetime import UTC, datetime

import pytest

from services.polls import tally

OPTIONS = [("1", "Trains"), ("2", "Ships"), ("3", "Planes")]


def test_shares_add_up_and_foreign_options_do_not_count() -> None:
    counted = tally.count(OPTIONS, {"1": 1, "3": 2, "9": 40})
    assert [(option.id, option.votes, option.share) for option in counted] == [
        ("1", 1, 0.3333),
        ("2", 0, 0.0),
        ("3", 2, 0.6667),
    ]
    assert [option.share for option in tally.count(OPTIONS, {})] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("votes", "winners"), [({}, []), ({"2": 3, "1": 1}, ["2"]), ({"1": 2, "3": 2}, ["1", "3"])])
def test_winners_have_the_most_votes(votes: dict[str, int], winners: list[str]) -> None:
    assert tally.winners(tally.count(OPTIONS, votes)) == winners


@pytest.mark.parametrize(
    ("visibility", "open_unvoted", "open_voted", "over"),
    [
        ("live", True, True, True),
        ("after_vote", False, True, True),
        ("after_close", False, False, True),
        ("on_reveal", False, False, False),
    ],
)
def test_visibility(visibility: tally.Visibility, *, open_unvoted: bool, open_voted: bool, over: bool) -> None:
    def seen(*, is_over: bool, has_voted: bool) -> bool:
        return tally.is_visible(visibility, is_over=is_over, has_voted=has_voted, revealed_at=None)

    assert seen(is_over=False, has_voted=False) == open_unvoted
    assert seen(is_over=False, has_voted=True) == open_voted
    assert seen(is_over=True, has_voted=False) == over
    assert tally.is_visible("on_reveal", is_over=False, has_voted=False, revealed_at=datetime.now(UTC))
