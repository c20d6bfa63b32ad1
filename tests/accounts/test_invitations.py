"""Invitations by e-mail."""

import datetime
import re
import smtplib

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.hashers import check_password
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from accounts import services
from accounts.errors import DomainError
from accounts.forms import AcceptForm
from accounts.models import Invitation, Role, User
from accounts.services.invitations import issue

PASSWORD = "correct horse battery"


def invite(by: User, **fields: object) -> tuple[Invitation, str]:
    fields = {"email": "nora@example.test", "full_name": "Nora Beispiel", **fields}
    return services.invite_person(assignments=[(Role.ADVISOR, None)], by=by, **fields)


def test_an_invitation_keeps_a_hash_and_not_its_secret(in_aurora):
    invitation, secret = invite(in_aurora.administrator)
    assert len(secret) >= 43
    assert secret not in str(Invitation.objects.filter(pk=invitation.pk).values())
    assert services.find_invitation(secret) == invitation


def test_an_invitation_works_once(in_aurora):
    _invitation, secret = invite(in_aurora.administrator)
    user = services.accept_invitation(secret=secret, full_name="Nora B.", password=PASSWORD)
    assert user.is_active
    assert check_password(PASSWORD, user.password)
    with pytest.raises(DomainError) as error:
        services.accept_invitation(secret=secret, full_name="Somebody Else", password="another password")
    assert error.value.code == "invitation_over"
    assert check_password(PASSWORD, User.objects.get(pk=user.pk).password)


def test_an_invitation_expires(in_aurora):
    invitation, secret = invite(in_aurora.administrator)
    Invitation.objects.filter(pk=invitation.pk).update(
        expires_at=timezone.now() - datetime.timedelta(seconds=1)
    )
    assert services.find_invitation(secret) is None
    with pytest.raises(DomainError):
        services.accept_invitation(secret=secret, full_name="Nora", password=PASSWORD)


def test_a_new_invitation_ends_the_earlier_one(in_aurora):
    invitation, first = invite(in_aurora.administrator)
    _again, second = services.renew_invitation(user=invitation.user, by=in_aurora.administrator)
    assert services.find_invitation(first) is None
    assert services.find_invitation(second) is not None


def test_deactivating_ends_an_open_invitation(in_aurora):
    invitation, secret = invite(in_aurora.administrator)
    services.deactivate_person(user=invitation.user, by=in_aurora.administrator)
    assert services.find_invitation(secret) is None


@pytest.mark.parametrize(
    ("again", "says"), [("", "Fill this in."), ("correct horse", "The two passwords differ")]
)
def test_one_thing_is_said_of_a_password_that_is_not_repeated(in_aurora, again, says):
    entered = {"full_name": "Nora Beispiel", "password": PASSWORD, "password_again": again}
    [error] = AcceptForm(entered, user=in_aurora.advisor).errors["password_again"]
    assert says in error


def test_a_person_who_came_is_not_invited_again(in_aurora):
    with pytest.raises(DomainError, match="no open invitation"):
        services.renew_invitation(user=in_aurora.advisor, by=in_aurora.administrator)


def test_an_invitation_never_replaces_what_a_person_signs_in_with(aurora, in_aurora, browse):
    invitation, _first = invite(in_aurora.administrator)
    user = invitation.user
    _again, secret = services.renew_invitation(user=user, by=in_aurora.administrator)
    visitor = browse(aurora)
    data = {"full_name": "Nora B.", "password": PASSWORD, "password_again": PASSWORD}
    assert visitor.post(reverse("accounts:invitation", args=[secret]), data).url == "/"
    TOTP.activate(User.objects.get(pk=user.pk), generate_totp_secret())
    administrator = browse(aurora, in_aurora.administrator)
    person = reverse("accounts:person_detail", args=[user.pk])
    administrator.post(reverse("accounts:person_deactivate", args=[user.pk]))
    assert "Invite again" not in administrator.get(person).content.decode()
    mail.outbox.clear()
    again = reverse("accounts:person_invite_again", args=[user.pk])
    assert "Reactivate them" in administrator.post(again, follow=True).content.decode()
    assert mail.outbox == []
    # Nor does a link that an earlier version sent.
    _left, secret = issue(user=user, by=in_aurora.administrator)
    assert browse(aurora).get(reverse("accounts:invitation", args=[secret])).status_code == 404
    with pytest.raises(DomainError, match="Ask your administrator"):
        services.accept_invitation(secret=secret, full_name="Nora", password="another password")
    assert "Sessions" in administrator.post(f"{person}reactivate/", follow=True).content.decode()
    # Whoever was signed in then is not, and signs in as before: with both factors.
    assert visitor.get("/profile/").status_code == 302
    answer = browse(aurora).post("/accounts/login/", {"login": "nora@example.test", "password": PASSWORD})
    assert answer.url == reverse("mfa_authenticate")


def test_an_e_mail_address_is_invited_once_whatever_its_case(in_aurora):
    invite(in_aurora.administrator)
    with pytest.raises(DomainError) as error:
        invite(in_aurora.administrator, email="NORA@example.test")
    assert error.value.field == "email"


def test_a_person_comes_in_by_the_link_of_the_mail(aurora, in_aurora, browse):
    User.objects.filter(pk=in_aurora.administrator.pk).update(time_zone="Asia/Tokyo")
    answer = browse(aurora, in_aurora.administrator).post(
        reverse("accounts:person_invite"),
        {
            "email": "nora@example.test",
            "full_name": "Nora Beispiel",
            "language": "en",
            "role": Role.ADVISOR,
            "unit": in_aurora.unit.pk,
        },
    )
    assert answer.status_code == 302
    (message,) = mail.outbox
    assert message.to == ["nora@example.test"]
    # Not in the time zone of who invites.
    assert f"{Invitation.objects.get().expires_at:%H:%M} (UTC)" in message.body
    link = re.search(r"http://aurora\.localhost(?::\d+)?(/invitation/\S+)", message.body)[1]
    visitor = browse(aurora)
    assert visitor.get(link).status_code == 200
    data = {"full_name": "Nora Beispiel", "password": PASSWORD, "password_again": PASSWORD}
    assert visitor.post(link, data).url == "/"
    assert visitor.get("/profile/").context["user"].email == "nora@example.test"
    assert browse(aurora).get(link).status_code == 404


def test_a_weak_or_mistyped_password_is_refused_with_what_was_typed_kept(aurora, in_aurora, browse):
    _invitation, secret = invite(in_aurora.administrator)
    visitor = browse(aurora)
    url = reverse("accounts:invitation", args=[secret])
    weak = visitor.post(url, {"full_name": "Nora B.", "password": "short", "password_again": "short"})
    assert "at least 12 characters" in weak.content.decode()
    assert 'value="Nora B."' in weak.content.decode()
    differs = visitor.post(url, {"full_name": "N", "password": PASSWORD, "password_again": "x"})
    assert "differ" in differs.content.decode()
    assert not User.objects.get(email="nora@example.test").is_active


def test_an_invitation_says_what_to_enter_and_tells_where_its_mail_cannot_leave(
    aurora, in_aurora, browse, monkeypatch
):
    def refuse(*args: object, **kwargs: object) -> None:
        raise smtplib.SMTPException

    monkeypatch.setattr("accounts.services.invitations.send_mail", refuse)
    data = {"email": "nora@example.test", "full_name": "Nora", "language": "en", "role": Role.ADVISOR}
    client = browse(aurora, in_aurora.administrator)
    empty = client.post(reverse("accounts:person_invite"), {"email": ""})
    assert empty.context["form"].errors == {
        "email": ["Enter an e-mail address."],
        "full_name": ["Fill this in."],
        "language": ["Choose one."],
        "role": ["Choose one."],
    }
    page = client.post(reverse("accounts:person_invite"), data, follow=True)
    assert "could not be sent" in page.content.decode()
    assert "Invite again" in page.content.decode()


def test_nobody_signs_in_before_accepting(aurora, in_aurora, browse):
    invite(in_aurora.administrator)
    answer = browse(aurora).post("/accounts/login/", {"login": "nora@example.test", "password": ""})
    assert answer.status_code == 200
