import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import api
import services
from api.http.errors import body_of, domain_response, status_of
from services import errors
from services.accounts.service import EmailTakenError
from services.errors import DomainError, InvalidFieldError, RateLimitedError, TierRequiredError
from services.idempotency import RequestInProgressError

for package in (api, services):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def subclasses(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


def test_every_error_has_a_code_of_its_own_and_a_status_of_clients_or_servers() -> None:
    kinds = set(subclasses(DomainError))
    codes = [vars(kind)["code"] for kind in kinds if "code" in vars(kind)]
    assert len(codes) == len(set(codes))
    for kind in kinds:
        error = kind("field", "x") if issubclass(kind, InvalidFieldError) else kind("x")
        assert 400 <= status_of(error) < 600


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UnauthenticatedError("x"), 401),
        (errors.ForbiddenError("x"), 403),
        (TierRequiredError("x"), 403),
        (errors.NotFoundError("x"), 404),
        (errors.ConflictError("x"), 409),
        (errors.NotReadyError("x"), 409),
        (EmailTakenError("x"), 409),
        (errors.IdempotencyKeyReusedError("x"), 409),
        (RequestInProgressError("x"), 409),
        (errors.PayloadTooLargeError("x"), 413),
        (errors.UnsupportedMediaTypeError("x"), 415),
        (InvalidFieldError("f", "x"), 422),
        (errors.QuotaExceededError("x"), 429),
        (RateLimitedError("x"), 429),
        (errors.UnavailableError("x"), 503),
    ],
)
def test_errors_have_the_statuses_of_the_contract(error: DomainError, status: int) -> None:
    assert status_of(error) == status


def test_envelope_carries_all_that_a_client_needs() -> None:
    assert body_of(InvalidFieldError("end_s", "end_s must be after start_s.")) == {
        "success": False,
        "error": {
            "code": "invalid_field",
            "message": "end_s must be after start_s.",
            "retryable": False,
            "details": {"field": "end_s"},
        },
    }


def test_refusals_for_now_say_when_to_come_back() -> None:
    assert domain_response(RateLimitedError("x", retry_after_s=42)).headers["Retry-After"] == "42"
    assert int(domain_response(errors.UnavailableError("x")).headers["Retry-After"]) > 0
    assert domain_response(errors.UnauthenticatedError("x")).headers["WWW-Authenticate"].startswith("Bearer")


def test_documentation_lists_every_code_with_its_status() -> None:
    table = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    listed = {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d{3}) \|", table, re.MULTILINE)}
    kinds = set(subclasses(DomainError)) - {DomainError}
    raised = {
        kind.code: status_of(kind("f", "x") if issubclass(kind, InvalidFieldError) else kind("x")) for kind in kinds
    }
    by_framework = {"bad_request": 400, "method_not_allowed": 405}
    assert listed == raised | by_framework


def test_every_reason_is_documented_and_every_documented_one_is_given() -> None:
    given = {reason for package in (api, services) for reason in reasons(Path(package.__path__[0]))}
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    table = page[page.index("| reason |") :].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == given


def reasons(folder: Path) -> Iterator[str]:
    """Every `reason` that an exception is made with in the modules of a package."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
                for keyword in node.keywords:
                    if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant):
                        yield str(keyword.value.value)
