import logging
import sys

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.logs import PlainFormatter
from accounts.models import User
from clients.models import Client
from tests.factories import Cast


def logged() -> str:
    record = logging.LogRecord("django.request", logging.ERROR, "", 1, "Failed: %s", ("/x/",), sys.exc_info())
    return PlainFormatter("%(levelname)s %(message)s").format(record)


def test_a_refused_row_is_logged_without_its_values(in_harbour: Cast) -> None:
    try:
        with transaction.atomic():
            Client.objects.bulk_create(
                [Client(number="C-1", name="Zacharias Unmistakable"), Client(number="C-1", name="Zoe")]
            )
    except IntegrityError:
        text = logged()
    assert "Zacharias" not in text
    assert "C-1" not in text.partition("IntegrityError: ")[2]
    assert "unique" in text
    assert "DETAIL: (left out)" in text


def test_an_unreadable_value_is_logged_without_itself(in_harbour: Cast) -> None:
    with pytest.raises(Exception) as raised, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT 'Zacharias'::uuid FROM \"{User._meta.db_table}\"")
    try:
        raise raised.value
    except type(raised.value):
        text = logged()
    assert "invalid input syntax for type uuid" in text
    assert '"Zacharias"' not in text


def test_what_carries_no_values_is_logged_as_it_is() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "Sent %s", ("hint",), None)
    assert PlainFormatter("%(message)s").format(record) == "Sent hint"
