"""Signing in, and the pages that everybody has."""

import re
from importlib import import_module

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.apps import apps
from django.core import mail
from django.core.cache import cache
from django.urls import reverse

from accounts.models import AuditEntry, Role, RoleAssignment, User
from accounts.tasks import send_password_reset, tell_of_second_factor
from federation.models import Institution

DEMO_URL = "/demo/sign-in/"
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _fresh_limits():
    """Rate limits count in the cache, which outlives a test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def demo(aurora, settings):
    """Aurora as a demo institution in demo mode."""
    settings.DEMO = True
    Institution.objects.filter(pk=aurora.pk).update(is_demo=True)
    return aurora


@pytest.fixture
def nora(in_aurora):
    """A person with a password."""
    user = User.objects.create_user("nora@example.test", PASSWORD, full_name="Nora Beispiel")
    RoleAssignment.objects.create(user=user, role=Role.ADMINISTRATOR)
    return user


def test_a_demo_person_signs_in_by_one_click(demo, in_aurora, browse):
    page = browse(demo)
    assert "Advisor" in page.get("/accounts/login/").content.decode()
    answer = page.post(DEMO_URL, {"user": in_aurora.advisor.pk})
    assert (answer.status_code, answer.url) == (302, "/")
    assert page.get("/profile/").context["user"] == in_aurora.advisor


def test_without_demo_mode_there_is_no_such_page_and_no_list_of_people(demo, in_aurora, browse, settings):
    settings.DEMO = False
    page = browse(demo)
    assert page.post(DEMO_URL, {"user": in_aurora.advisor.pk}).status_code == 404
    shown = page.get("/accounts/login/").content.decode()
    assert "advisor@example.test" not in shown
    assert "demo people" not in shown


def test_demo_mode_does_not_open_an_institution_that_is_no_demo(aurora, in_aurora, browse, settings):
    settings.DEMO = True
    page = browse(aurora)
    assert page.post(DEMO_URL, {"user": in_aurora.advisor.pk}).status_code == 404
    assert "advisor@example.test" not in page.get("/accounts/login/").content.decode()


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": True}, {"is_superuser": True}])
def test_one_click_opens_nobody_who_is_shut_out_or_runs_the_platform(demo, in_aurora, browse, change):
    User.objects.filter(pk=in_aurora.advisor.pk).update(**change)
    assert browse(demo).post(DEMO_URL, {"user": in_aurora.advisor.pk}).status_code == 404


@pytest.mark.parametrize("user", ["", "nobody", "00000000-0000-0000-0000-000000000000"])
def test_one_click_for_nobody_is_no_page(demo, in_aurora, browse, user):
    assert browse(demo).post(DEMO_URL, {"user": user}).status_code == 404


def test_one_click_is_a_post(demo, in_aurora, browse):
    assert browse(demo).get(DEMO_URL, {"user": in_aurora.advisor.pk}).status_code == 405


def test_a_person_signs_in_by_e_mail_and_password(aurora, nora, browse):
    page = browse(aurora)
    answer = page.post("/accounts/login/", {"login": "nora@example.test", "password": PASSWORD})
    assert (answer.status_code, answer.url) == (302, "/")


def test_many_wrong_passwords_pause_the_sign_in(aurora, nora, browse):
    page = browse(aurora)
    for _attempt in range(5):
        page.post("/accounts/login/", {"login": "nora@example.test", "password": "wrong"})
    answer = page.post("/accounts/login/", {"login": "nora@example.test", "password": PASSWORD})
    assert answer.status_code == 200
    assert not answer.wsgi_request.user.is_authenticated


def do_work(told):
    """Do what was left to a worker for those who asked for a new password."""
    for each in told:
        assert each.func == send_password_reset.delay
        send_password_reset(*each.args)


def test_the_reset_of_a_password_does_not_tell_who_has_an_account(
    aurora, nora, browse, settings, django_capture_on_commit_callbacks
):
    page, working = browse(aurora), settings.EMAIL_BACKEND
    # Nor does a mail server that is slow, or down.
    settings.EMAIL_BACKEND, settings.EMAIL_PORT = "django.core.mail.backends.smtp.EmailBackend", 1
    with django_capture_on_commit_callbacks() as told:
        for email in ("nora@example.test", "nobody@example.test"):
            answer = page.post("/accounts/password/reset/", {"email": email})
            assert answer.url == "/accounts/password/reset/done/"
    settings.EMAIL_BACKEND = working
    do_work(told)
    (message,) = mail.outbox
    assert message.to == ["nora@example.test"]
    assert message.subject.endswith("Choose a new password")
    assert "email" not in message.body
    link = re.search(r"http://aurora\.localhost(?::\d+)?(/accounts/password/reset/key/\S+)", message.body)[1]
    form = page.get(link, follow=True)
    new = "staple battery horse correct"
    page.post(form.request["PATH_INFO"], {"password1": new, "password2": new})
    assert page.post("/accounts/login/", {"login": "nora@example.test", "password": new}).url == "/"


def test_the_mail_with_a_reset_names_the_institutions_own_address_whatever_host_was_asked(
    aurora, nora, browse, settings, django_capture_on_commit_callbacks
):
    settings.PLATFORM_SCHEME = "https"
    asked = {"HTTP_HOST": "www.aurora.localhost:6666", "HTTP_X_FORWARDED_HOST": "evil.example"}
    with django_capture_on_commit_callbacks() as told:
        answer = browse(aurora).post("/accounts/password/reset/", {"email": "nora@example.test"}, **asked)
    assert answer.url.endswith("/done/")
    do_work(told)
    (message,) = mail.outbox
    whole = message.subject + message.body
    assert "https://aurora.localhost/accounts/password/reset/key/" in whole
    assert message.subject.startswith("[Aurora Asset Management] ")
    assert not [each for each in ("6666", "www.", "evil") if each in whole]


def test_nobody_signs_up_without_an_invitation(aurora, browse):
    assert "by invitation" in browse(aurora).get("/accounts/signup/").content.decode()


@pytest.mark.parametrize("name", ["account_login", "account_reset_password", "account_reset_password_done"])
def test_pages_before_the_sign_in_look_like_the_institution(aurora, in_aurora, browse, name):
    assert "Aurora Asset Management" in browse(aurora).get(reverse(name)).content.decode()


@pytest.mark.parametrize("name", ["account_login", "account_reset_password", "account_change_password"])
def test_pages_of_sign_in_say_what_other_pages_say(aurora, nora, browse, name):
    page = browse(aurora, nora if name == "account_change_password" else None).get(reverse(name))
    labels = re.findall(r'<(?:label|span) class="form-(?:check-)?label[^>]*>([^<]+)<', page.content.decode())
    assert (
        labels
        == {
            "account_login": ["E-mail", "Password", "Stay signed in"],
            "account_reset_password": ["E-mail"],
            "account_change_password": ["Current password", "New password", "New password again"],
        }[name]
    )
    assert "placeholder" not in str(page.context["form"])


@pytest.mark.parametrize("name", ["mfa_index", "account_change_password", "account_logout"])
def test_pages_of_ones_own_account_are_there(aurora, nora, browse, name):
    assert browse(aurora, nora).get(reverse(name)).status_code == 200


def test_nobody_changes_the_address_by_which_administrators_know_them(aurora, nora, browse):
    answer = browse(aurora, nora).post("/accounts/email/", {"action_add": "", "email": "other@example.test"})
    assert (answer.status_code, answer.url) == (302, "/profile/")
    assert not EmailAddress.objects.filter(email="other@example.test").exists()


def test_the_second_factor_is_set_up_after_the_password(aurora, nora, browse):
    page = browse(aurora)
    page.post("/accounts/login/", {"login": "nora@example.test", "password": PASSWORD})
    asked = page.get(reverse("mfa_activate_totp"))
    assert asked.url.startswith(reverse("account_reauthenticate"))
    assert "This changes how somebody signs in. Enter your password." in page.get(asked.url).content.decode()
    page.post(asked.url, {"password": PASSWORD})
    shown = page.get(reverse("mfa_activate_totp"))
    secret = shown.context["form"].secret
    assert "data:image/svg+xml" in shown.content.decode()
    answer = page.post(reverse("mfa_activate_totp"), {"code": code_now(secret)})
    assert answer.url == reverse("mfa_view_recovery_codes")
    codes = page.get(answer.url).content.decode()
    assert codes.count("btn-primary") == 1, "who wants to keep them does not replace them"
    assert (
        "10 that are unused stop working" in page.get(reverse("mfa_generate_recovery_codes")).content.decode()
    )
    assert "password alone" in page.get(reverse("mfa_deactivate_totp")).content.decode()
    page.post(reverse("account_logout"))
    asked = page.post("/accounts/login/", {"login": "nora@example.test", "password": PASSWORD})
    assert asked.url == reverse("mfa_authenticate")
    assert not asked.wsgi_request.user.is_authenticated
    assert "enter one of your recovery codes" in page.get(asked.url).content.decode()
    page.post(asked.url, {"code": code_now(secret)})
    # With a factor the code is asked for as well as the password; each leads to the other.
    session = page.session
    session["account_authentication_methods"] = []
    session.save()
    password = page.get(reverse("account_reauthenticate")).content.decode()
    assert "Enter a code instead" in password
    assert "Enter the password instead" in page.get(reverse("mfa_reauthenticate")).content.decode()


def code_now(secret):
    return format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))


def sign_in_with(page, code):
    page.post("/accounts/login/", {"login": "nora@example.test", "password": PASSWORD})
    return page.post(reverse("mfa_authenticate"), {"code": code})


def test_the_secrets_of_a_second_factor_are_encrypted_with_a_key_outside_the_database(
    aurora, nora, browse, settings
):
    secret, seed = generate_totp_secret(), "0123456789abcdef" * 5
    TOTP.activate(nora, secret)
    codes = RecoveryCodes.activate(nora)
    recovery = codes.get_unused_codes()
    for row in Authenticator.objects.all():
        assert secret not in str(row.data)
        assert row.data.get("secret", row.data.get("seed")).startswith("gAAAA")
    assert sign_in_with(browse(aurora), "000000").status_code == 200
    assert sign_in_with(browse(aurora), code_now(secret)).url == "/"
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert sign_in_with(browse(aurora), recovery[0]).url == "/"
    settings.SECRET_KEY_FALLBACKS = []
    answer = sign_in_with(browse(aurora), recovery[1])
    assert answer.status_code == 409
    assert "SECRET_KEY_FALLBACKS" in answer.content.decode()
    # What an earlier version kept in plain text is read, and encrypted with the next migration.
    Authenticator.objects.filter(type="recovery_codes").update(data={"seed": seed, "used_mask": 0})
    plain = Authenticator.objects.get(type="recovery_codes")
    recovery = RecoveryCodes(plain).get_unused_codes()
    Authenticator.objects.filter(type="totp").delete()
    import_module("accounts.migrations.0003_encrypt_second_factors").encrypt(apps, None)
    plain.refresh_from_db()
    assert seed not in str(plain.data)
    assert RecoveryCodes(plain).get_unused_codes() == recovery


def test_an_administrator_removes_the_second_factor_that_another_person_has_lost(
    aurora, nora, in_aurora, browse, mailoutbox, django_capture_on_commit_callbacks
):
    lost = in_aurora.advisor
    theirs, page = browse(aurora, lost), browse(aurora, nora)
    url, back = (
        reverse(f"accounts:{name}", args=[lost.pk])
        for name in ("person_second_factor_remove", "person_detail")
    )
    assert "Remove the second factor" not in page.get(back).content.decode()
    TOTP.activate(lost, generate_totp_secret())
    RecoveryCodes.activate(lost)
    assert "Remove the second factor" in page.get(back).content.decode()
    # Who does it proves first who they are.
    asked = page.post(url)
    assert asked.url.startswith(reverse("account_reauthenticate"))
    assert Authenticator.objects.filter(user=lost).count() == 2
    with django_capture_on_commit_callbacks() as told:
        assert page.post(asked.url, {"password": PASSWORD}).url == back
    assert not Authenticator.objects.filter(user=lost).exists()
    assert "until they set up another" in page.get(back).content.decode()
    assert theirs.get("/profile/").status_code == 302
    (entry,) = AuditEntry.objects.filter(record_id=lost.pk)
    assert (entry.action, entry.actor) == ("second_factor.removed", nora)
    (task,) = told
    tell_of_second_factor(*task.args)
    (message,) = mailoutbox
    assert message.to == [lost.email]
    assert "Nora Beispiel has removed your second factor" in message.body
    # A second time there is nothing to remove, and nobody removes their own in this way.
    assert "has no second factor" in page.post(url, follow=True).content.decode()
    TOTP.activate(nora, generate_totp_secret())
    assert (
        "Remove the second factor"
        not in page.get(reverse("accounts:person_detail", args=[nora.pk])).content.decode()
    )
    own = reverse("accounts:person_second_factor_remove", args=[nora.pk])
    assert "ask another administrator" in page.post(own, follow=True).content.decode()
    assert Authenticator.objects.filter(user=nora).exists()


def test_pages_run_no_script_but_the_platforms_files(aurora, in_aurora, browse):
    answer = browse(aurora, in_aurora.advisor).get("/profile/")
    assert "script-src 'self';" in answer["Content-Security-Policy"]
    scripts = re.findall(r"<script(?![^>]*application/json)([^>]*)>", answer.content.decode())
    assert scripts
    assert all(" src=" in attributes for attributes in scripts)


def test_preferences_change_and_lead_back(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.advisor)
    answer = page.post("/preferences/", {"theme": "dark", "next": "/profile/?x=1"})
    assert answer.url == "/profile/?x=1"
    assert 'data-bs-theme="dark"' in page.get("/profile/").content.decode()
    page.post("/preferences/", {"hides_amounts": "1"})
    page.post("/preferences/", {"language": "de"})
    page.post("/preferences/", {"language": "tlh", "theme": "neon", "hides_amounts": "maybe"})
    in_aurora.advisor.refresh_from_db()
    user = in_aurora.advisor
    assert (user.theme, user.language, user.hides_amounts) == ("dark", "de", True)
    assert '<html lang="en-de"' in page.get("/profile/").content.decode()


def test_words_are_english_and_only_dates_and_numbers_a_choice(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.advisor)
    page.defaults["HTTP_ACCEPT_LANGUAGE"] = "de-CH,de"
    page.post("/preferences/", {"language": "de"})
    data = {"full_name": "x" * 151, "language": "de", "time_zone": "UTC", "theme": "auto"}
    text = page.post("/profile/", data).content.decode()
    assert "at most 150 characters" in text
    assert "Dates and numbers" in text
    assert "31.12.2026, 1.234,56" in text
    assert "German" not in text
    page.logout()
    refused = page.post(
        "/accounts/login/", {"login": "nobody@example.test", "password": "x"}
    ).content.decode()
    assert '<html lang="en"' in refused
    assert "not correct" in refused


@pytest.mark.parametrize("elsewhere", ["https://example.test/", "//example.test", "javascript:alert(1)", ""])
def test_preferences_never_lead_elsewhere(aurora, in_aurora, browse, elsewhere):
    answer = browse(aurora, in_aurora.advisor).post("/preferences/", {"theme": "dark", "next": elsewhere})
    assert answer.url == "/"


def test_a_profile_is_saved_and_a_time_zone_is_one_of_the_list(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.advisor)
    data = {
        "full_name": "Alma Advisor",
        "job_title": "",
        "language": "en",
        "time_zone": "Asia/Tokyo",
        "theme": "auto",
    }
    assert page.post("/profile/", data).status_code == 302
    refused = page.post("/profile/", {**data, "time_zone": "Moon/Sea"})
    assert "time_zone" in refused.context["form"].errors
    in_aurora.advisor.refresh_from_db()
    assert (in_aurora.advisor.full_name, in_aurora.advisor.time_zone) == ("Alma Advisor", "Asia/Tokyo")
    # One that the database holds and this machine does not know keeps nobody from choosing another.
    for unknown in ("Moon/Sea", "Europe", "/etc/passwd", ""):
        User.objects.filter(pk=in_aurora.advisor.pk).update(time_zone=unknown)
        assert page.get("/profile/").status_code == 200, unknown
    page.post("/profile/", {**data, "time_zone": "Asia/Tokyo"})
    in_aurora.advisor.refresh_from_db()
    assert in_aurora.advisor.time_zone == "Asia/Tokyo"


def test_a_page_that_does_not_exist_keeps_the_navigation(aurora, in_aurora, browse, settings):
    settings.DEBUG = False
    answer = browse(aurora, in_aurora.administrator).get("/no/such/page/")
    assert answer.status_code == 404
    assert "Nothing is here for you" in answer.content.decode()
    assert "/people/" in answer.content.decode()


def test_a_demo_says_so_on_every_page(demo, in_aurora, browse):
    page = browse(demo, in_aurora.administrator)
    for url in ("/profile/", "/people/", "/search/"):
        assert "Demo data – fictitious" in page.get(url).content.decode()


def test_an_institution_that_is_no_demo_does_not(aurora, in_aurora, browse):
    assert "Demo data" not in browse(aurora, in_aurora.administrator).get("/profile/").content.decode()
