"""The command that creates an institution says what is wrong, and does nothing twice."""

import io

import pytest
from django.core.management import CommandError, call_command

from federation.models import Institution

GOOD = {
    "name": "Quay Bank",
    "schema": "quay",
    "domain": "quay.localhost",
    "admin_email": "admin@quay.example",
}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"schema": "Quay Bank"}, "cannot be a schema"),
        ({"schema": "public"}, "cannot be a schema"),
        ({"schema": "pg_quay"}, "cannot be a schema"),
        ({"domain": "http://quay.localhost:8000"}, "no host name"),
        ({"domain": "harbour.localhost"}, "leads to Harbour Bank"),
        ({"name": "harbour bank"}, "already an institution named"),
        ({"name": " "}, "Give the institution a name"),
        ({"admin_email": "admin"}, "no e-mail address"),
        ({"schema": "harbour"}, "belongs to Harbour Bank"),
        ({"country": "Swiss"}, "takes 2 letters"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_created(db, wrong, sentence):
    before = Institution.objects.count()
    with pytest.raises(CommandError, match=sentence):
        call_command("create_institution", **{**GOOD, **wrong}, stdout=io.StringIO())
    assert Institution.objects.count() == before


def test_an_institution_that_exists_is_left_alone(harbour):
    out = io.StringIO()
    call_command(
        "create_institution", name="Harbour Bank", schema="harbour", domain="harbour.localhost",
        admin_email="x@harbour.example", stdout=out,
    )  # fmt: skip
    assert "exists already. Nothing was changed." in out.getvalue()


@pytest.mark.django_db
def test_a_new_institution_invites_its_first_administrator(browse):
    out = io.StringIO()
    call_command("create_institution", **GOOD, stdout=out)
    link = out.getvalue().splitlines()[-1]
    institution = Institution.objects.get(schema_name="quay")
    answer = browse(institution).get("/" + link.split("/", 3)[3])
    assert answer.status_code == 200
    assert b"admin" in answer.content
