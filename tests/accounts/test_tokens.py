"""API tokens of users."""

import datetime
import hashlib

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts import services
from accounts.errors import DomainError
from accounts.models import ApiToken, AuditEntry
from tests.factories import create_token


def create(cast, **fields: object) -> tuple[ApiToken, str]:
    values = {
        "user": cast.advisor,
        "name": "Data warehouse",
        "expires_at": timezone.now() + datetime.timedelta(days=30),
        "may_write": False,
        "by": cast.advisor,
    }
    return create_token(**{**values, **fields})


def test_a_token_is_256_bits_and_kept_as_a_hash(in_aurora):
    token, text = create(in_aurora)
    mark, prefix, secret = text.split("_", 2)
    assert (mark, prefix) == ("rbu", token.prefix)
    assert len(secret) == 43  # 32 bytes in base64
    assert token.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(ApiToken.objects.filter(pk=token.pk).values())
    assert secret not in str(list(AuditEntry.objects.values()))


def test_a_token_proves_its_user(in_aurora):
    token, text = create(in_aurora)
    assert services.find_token(text) == token
    token.refresh_from_db()
    assert token.last_used_at is not None


@pytest.mark.parametrize("change", ["x", "", "rbu_", "rbu_abc_def"])
def test_a_text_that_is_not_the_token_proves_nothing(in_aurora, change):
    _token, text = create(in_aurora)
    assert services.find_token(text + "x") is None
    assert services.find_token(text.replace("rbu", "rba")) is None
    assert services.find_token(change) is None


def test_a_revoked_or_expired_token_or_that_of_somebody_gone_proves_nothing(in_aurora):
    token, text = create(in_aurora)
    services.revoke_token(token=token, by=in_aurora.administrator)
    assert services.find_token(text) is None
    token, text = create(in_aurora)
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert services.find_token(text) is None
    token, text = create(in_aurora)
    services.deactivate_person(user=in_aurora.advisor, by=in_aurora.administrator)
    assert services.find_token(text) is None
    in_aurora.advisor.set_password("correct horse battery")
    in_aurora.advisor.save()
    services.reactivate_person(user=in_aurora.advisor, by=in_aurora.administrator)
    assert services.find_token(text) is None


@pytest.mark.parametrize("days", [-1, 0, 400])
def test_a_token_ends_within_a_year(in_aurora, days):
    with pytest.raises(DomainError) as error:
        create(in_aurora, expires_at=timezone.now() + datetime.timedelta(days=days))
    assert error.value.field == "expires_on"


def test_the_page_shows_ones_own_token_once(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.administrator)
    day = timezone.localdate() + datetime.timedelta(days=10)
    answer = page.post(
        "/tokens/new/", {"name": "Robot", "user": in_aurora.administrator.pk, "expires_on": day}
    )
    text = answer.context["text"]
    assert text in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert services.find_token(text).user == in_aurora.administrator
    listed = page.get("/tokens/").content.decode()
    # On a phone what it may, its state and the button are not out of sight.
    assert '<td  data-label="May">' in listed
    assert "Robot" in listed
    assert text not in listed
    # The last day is the one that was chosen, though the token ends with it.
    for where in (listed, page.get("/profile/").content.decode(), answer.content.decode()):
        assert f'datetime="{day.isoformat()}"' in where
    past = {"name": "Robot", "user": in_aurora.administrator.pk, "expires_on": day - datetime.timedelta(12)}
    assert "Choose today or a later day" in page.post("/tokens/new/", past).content.decode()


def test_the_token_of_somebody_else_is_shown_to_that_person_alone(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.administrator)
    day = timezone.localdate() + datetime.timedelta(days=10)
    asked = {"name": "Robot", "user": in_aurora.advisor.pk, "expires_on": day}
    answer = page.post("/tokens/new/", asked, follow=True).content.decode()
    token = ApiToken.objects.get()
    assert "Not shown yet" in answer
    assert "rbu_" not in answer
    assert (token.is_waiting, token.secret_hash) == (True, "")
    assert services.find_token(f"rbu_{token.prefix}_") is None
    assert page.post(f"/tokens/{token.pk}/show/").status_code == 404
    with pytest.raises(DomainError):
        services.show_token(token=token, by=in_aurora.administrator)
    own = browse(aurora, in_aurora.advisor)
    assert f"/tokens/{token.pk}/show/" in own.get("/profile/").content.decode()
    shown = own.post(f"/tokens/{token.pk}/show/")
    text = shown.context["text"]
    assert text in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert services.find_token(text) == token
    # Who asks for the page's address, by Back or a reload, is led to where the token stands.
    assert own.get(f"/tokens/{token.pk}/show/").url == "/profile/"
    assert page.get(f"/tokens/{token.pk}/show/").status_code == 404
    again = own.post(f"/tokens/{token.pk}/show/", follow=True).content.decode()
    assert "shown already" in again
    assert text not in again
    assert f"/tokens/{token.pk}/show/" not in again
    assert services.find_token(text) == token
    said = AuditEntry.objects.filter(record_id=token.pk).order_by("at").values_list("action", "actor")
    assert list(said) == [
        ("token.created", in_aurora.administrator.pk),
        ("token.shown", in_aurora.advisor.pk),
    ]


def test_a_token_that_was_taken_back_before_it_was_shown_is_not_shown(aurora, in_aurora, browse):
    fields = {"name": "Robot", "expires_at": timezone.now() + datetime.timedelta(days=1), "may_write": True}
    token = services.permit_token(user=in_aurora.advisor, by=in_aurora.administrator, **fields)
    services.revoke_token(token=token, by=in_aurora.administrator)
    answer = browse(aurora, in_aurora.advisor).post(f"/tokens/{token.pk}/show/", follow=True)
    assert "rbu_" not in answer.content.decode()
    assert ApiToken.objects.get().secret_hash == ""


def test_a_token_is_revoked_in_the_browser(aurora, in_aurora, browse):
    token, text = create(in_aurora)
    browse(aurora, in_aurora.administrator).post(f"/tokens/{token.pk}/revoke/")
    assert services.find_token(text) is None
    assert browse(aurora, in_aurora.manager).post(f"/tokens/{token.pk}/revoke/").status_code == 404


def test_a_token_of_one_institution_proves_nothing_in_another(in_aurora, harbour):
    _token, text = create(in_aurora)
    with tenant_context(harbour):
        assert services.find_token(text) is None
