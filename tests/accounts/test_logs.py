"""Logs carry no values of rows and no secrets of links, whoever prints an error and however."""

import datetime
import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery.app.trace import trace_task
from django.db import IntegrityError, connection, transaction
from django.test import Client as Caller
from gunicorn.config import Config
from gunicorn.glogging import Logger

import config.wsgi  # noqa: F401
from accounts.models import User
from clients.models import Client
from config.celery import app
from federation.models import Institution
from tests.factories import Cast

NAME = "Zacharias\nUnmistakable"


@pytest.fixture
def log() -> Iterator[Callable[[], str]]:
    """Return what the platform's own handler has written."""
    (handler,) = [each for each in logging.getLogger().handlers if type(each) is logging.StreamHandler]
    written = io.StringIO()
    before = handler.setStream(written)
    yield written.getvalue
    handler.setStream(before)


def refuse() -> None:
    """Have the database refuse a row: its error names all values of it."""
    with transaction.atomic():
        Client.objects.create(name=NAME, currency=None)


def refuse_in_a_chain() -> None:
    try:
        refuse()
    except IntegrityError as error:
        raise ValueError(f"not kept: {error}, {error.args}") from error


def misread() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f'SELECT %s::uuid FROM "{User._meta.db_table}"', [NAME])


def says(text: str, wrong: str) -> bool:
    """Say whether a log says what is wrong, and nothing of the row."""
    return wrong in text and "Zacharias" not in text and "Unmistakable" not in text


@pytest.mark.parametrize(
    ("fail", "wrong"),
    [
        (refuse, "violates not-null constraint"),
        (refuse_in_a_chain, "violates not-null constraint"),
        (misread, "invalid input syntax for type uuid"),
    ],
)
def test_an_error_is_logged_without_the_values_of_a_row(
    in_harbour: Cast, log: Callable[[], str], tmp_path: Path, fail: Callable[[], None], wrong: str
) -> None:
    with pytest.raises(Exception) as raised:
        fail()
    error = raised.value
    logging.getLogger("django.request").error("Internal Server Error: %s", "/x/", exc_info=error)
    for logger, words in (("clients", str(error)), ("federation", repr(error)), ("x", repr(error.args))):
        logging.getLogger(logger).error("It failed: %s", words)
        logging.getLogger(logger).error("It failed: %s", words, exc_info=error)
    assert says(log(), wrong)
    assert log().count(f"in {fail.__name__}\n") >= 4
    file = tmp_path / "web.log"
    served = Logger(Config())
    served._set_handler(served.error_log, str(file), logging.Formatter(served.error_fmt))
    try:
        raise error
    except type(error):
        served.exception("Error handling request %s", "/x/")
    assert says(file.read_text(), wrong)
    assert "Error handling request /x/" in file.read_text()


def test_a_task_that_fails_is_logged_without_the_values_of_a_row(
    in_harbour: Cast, log: Callable[[], str]
) -> None:
    task = app.task(refuse, name="tests.refuse")
    try:
        trace_task(task, "1", (), {}, request={"id": "1", "headers": {"_schema_name": "harbour"}}, app=app)
    finally:
        app.tasks.unregister(task)
    assert "Task tests.refuse[1] raised unexpected: IntegrityError(" in log()
    assert says(log(), "violates not-null constraint")
    assert "in refuse\n" in log()


def test_what_carries_no_values_is_logged_as_it_is(log: Callable[[], str]) -> None:
    logging.getLogger("x").info("Sent %s at %d %%", "hint", 5)
    assert log().endswith(" INFO x Sent hint at 5 %\n")


def test_a_secret_of_a_link_is_in_no_log(
    aurora: Institution, browse: Callable[..., Caller], log: Callable[[], str], tmp_path: Path
) -> None:
    paths = ["/invitation/hush-1/", "/accounts/password/reset/key/9-hush-2/", "/demo/hush-3/"]
    for path in paths:
        assert browse(aurora).get(path).status_code in {200, 404, 405}
    assert "Not Found: /invitation/(left out)/" in log()
    assert "hush" not in log()
    file = tmp_path / "access.log"
    settings = Config()
    settings.set("accesslog", str(file))
    served = Logger(settings)
    asked = {"REQUEST_METHOD": "GET", "RAW_URI": paths[0], "SERVER_PROTOCOL": "HTTP/1.1"}
    referer = f"http://aurora.localhost{paths[1]}"
    served.access(
        SimpleNamespace(status="404 Not Found", sent=1, headers=[]),
        SimpleNamespace(headers=[]),
        {**asked, "HTTP_REFERER": referer},
        datetime.timedelta(),
    )
    served.access_log.handlers[-1].close()
    assert '"GET /invitation/(left out)/ HTTP/1.1" 404' in file.read_text()
    assert "hush" not in file.read_text()
