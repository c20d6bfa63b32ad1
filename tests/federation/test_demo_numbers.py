"""The demonstration is whole or refused, and its clients' numbers pass the checks of the forms that edit them."""

import datetime
import io
import re
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from stdnum import iban, lei

from clients.models import Task
from federation.demo.dates import renew_lists
from federation.demo.market import SECURITIES, business_days, continue_closes
from federation.demo.relationships import demo_iban, demo_lei
from federation.models import Domain


def test_fictitious_ibans_and_leis_have_right_check_digits() -> None:
    found = [demo_lei(number) for number in (1, 22, 800_022, 12_345_678)]
    assert all(lei.is_valid(each) and len(each) == 20 for each in found)
    assert len(set(found)) == 4
    assert iban.is_valid(demo_iban(800_022), check_country=False)


def test_a_demonstration_that_was_interrupted_is_not_taken_for_a_whole_one(meadow):
    out = io.StringIO()
    call_command("demo", stdout=out)
    # Institutions that merely have the names of the demonstration's are left alone.
    assert re.fullmatch(r"The demonstration is there; .*\n", out.getvalue())
    Domain.objects.filter(tenant=meadow).delete()
    with pytest.raises(CommandError, match="make reset"):
        call_command("demo")


def test_prices_go_on_day_by_day_as_they_do_at_once():
    days = business_days(datetime.date(2026, 3, 2), datetime.date(2026, 3, 20))
    for security in SECURITIES:
        known = Decimal(str(security.start))
        at_once = continue_closes(security, known, days)
        for day in days:
            (known,) = continue_closes(security, known, [day]).values()
            assert known == at_once[day]
        assert len(set(at_once.values())) > 1


def test_an_advisor_without_clients_of_the_demonstration_is_left_alone(in_harbour):
    renew_lists(datetime.date(2026, 3, 2))
    assert not Task.objects.exists()
