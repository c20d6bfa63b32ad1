"""What each role sees in the navigation, and where its day starts."""

import pytest
from django.urls import reverse

from accounts.models import Role, RoleAssignment, User
from config import navigation
from config.navigation import Item, Section, first_page, sections_for


def urls(user: User) -> list[str]:
    return [url for _label, items in sections_for(user) for _item, url in items]


def test_a_person_sees_the_pages_of_the_role(in_aurora):
    assert reverse("accounts:people") in urls(in_aurora.administrator)
    assert reverse("accounts:people") not in urls(in_aurora.manager)
    assert urls(in_aurora.stranger) == []


def test_a_person_with_several_roles_sees_each_page_once(in_aurora):
    RoleAssignment.objects.create(user=in_aurora.administrator, role=Role.COMPLIANCE)
    user = User.objects.get(pk=in_aurora.administrator.pk)
    shown = urls(user)
    assert len(shown) == len(set(shown))
    assert shown.count(reverse("accounts:audit")) == 1


def test_each_page_of_the_navigation_opens_for_those_who_see_it(aurora, in_aurora, browse):
    people = ("manager", "advisor", "operations", "administrator", "compliance")
    refused = []
    for who in people:
        user = getattr(in_aurora, who)
        page = browse(aurora, user)
        refused += [(who, url) for url in urls(user) if page.get(url).status_code != 200]
    # Whoever answers for one unit is shown nothing that is for the whole institution.
    RoleAssignment.objects.update(unit=in_aurora.unit)
    for who in ("administrator", "compliance"):
        user = User.objects.get(pk=getattr(in_aurora, who).pk)
        page = browse(aurora, user)
        assert reverse("federation:sealed_list") not in urls(user)
        refused += [(who, url) for url in urls(user) if page.get(url).status_code != 200]
    assert refused == []


def test_a_page_that_does_not_exist_is_left_out(in_aurora, monkeypatch):
    table = {
        Role.ADMINISTRATOR: [
            Section("X", [Item("Nowhere", "nowhere:page"), Item("People", "accounts:people")])
        ]
    }
    monkeypatch.setattr(navigation, "NAVIGATION", table)
    assert urls(in_aurora.administrator) == [reverse("accounts:people")]


@pytest.mark.parametrize(
    "who", ["manager", "advisor", "operations", "administrator", "compliance", "stranger"]
)
def test_everybody_has_a_first_page(aurora, in_aurora, browse, who):
    user = getattr(in_aurora, who)
    answer = browse(aurora, user).get("/")
    assert answer.status_code == 302
    assert answer.url == first_page(user)
    assert browse(aurora, user).get(answer.url).status_code == 200


def test_the_page_where_one_is_is_marked(aurora, in_aurora, browse):
    page = browse(aurora, in_aurora.administrator).get(reverse("accounts:person_invite"))
    marked = [
        item["url"]
        for section in page.context["navigation_sections"]
        for item in section["items"]
        if item["is_here"]
    ]
    assert marked == [reverse("accounts:people")]
