"""The tree of units."""

import pytest
from django.urls import reverse
from django_tenants.utils import tenant_context

from accounts import services
from accounts.errors import DomainError
from accounts.filters import PersonFilter
from accounts.forms import InvitationForm, RoleForm, UnitForm
from accounts.models import Role, RoleAssignment, Unit, User
from accounts.rights import reach
from clients.models import Client


@pytest.fixture
def tree(in_aurora):
    """Main → North → Desk, beside Elsewhere."""
    by = in_aurora.administrator
    north = services.create_unit(name="North", kind=Unit.Kind.BRANCH, parent=in_aurora.unit, by=by)
    desk = services.create_unit(name="Desk", kind=Unit.Kind.DESK, parent=north, by=by)
    return north, desk


def test_moving_a_unit_moves_what_is_below_it_and_the_rights(in_aurora, tree):
    north, desk = tree
    client = Client.objects.create(name="Nora Beispiel", unit=desk)
    assert client in Client.objects.visible_to(in_aurora.advisor)
    services.move_unit(unit=north, parent=in_aurora.other_unit, by=in_aurora.administrator)
    desk.refresh_from_db()
    assert desk.path == f"{in_aurora.other_unit.path}{north.pk.hex}/{desk.pk.hex}/"
    assert client not in Client.objects.visible_to(in_aurora.advisor)
    assert reach(in_aurora.advisor, [Role.ADVISOR]).paths == (in_aurora.unit.path,)
    # Two roles in one unit reach it once.
    in_aurora.stranger.role_assignments.create(role=Role.ADVISOR, unit=in_aurora.unit)
    in_aurora.stranger.role_assignments.create(role=Role.OPERATIONS, unit=in_aurora.unit)
    assert reach(in_aurora.stranger, Role.values).paths == (in_aurora.unit.path,)


def test_a_unit_cannot_be_moved_below_itself(in_aurora, tree):
    north, desk = tree
    for parent in (north, desk):
        with pytest.raises(DomainError) as error:
            services.move_unit(unit=north, parent=parent, by=in_aurora.administrator)
        assert error.value.code == "unit_in_itself"


def test_units_go_twelve_levels_deep(in_aurora):
    parent = None
    for level in range(12):
        parent = services.create_unit(
            name=f"Level {level}", kind=Unit.Kind.BRANCH, parent=parent, by=in_aurora.administrator
        )
    with pytest.raises(DomainError) as error:
        services.create_unit(name="Deeper", kind=Unit.Kind.DESK, parent=parent, by=in_aurora.administrator)
    assert error.value.code == "unit_too_deep"
    top = Unit.objects.get(name="Level 0")
    with pytest.raises(DomainError):
        services.move_unit(unit=top, parent=in_aurora.unit, by=in_aurora.administrator)


def test_siblings_have_different_names(in_aurora, tree):
    with pytest.raises(DomainError, match="already a unit of this name"):
        services.create_unit(
            name="North", kind=Unit.Kind.BRANCH, parent=in_aurora.unit, by=in_aurora.administrator
        )


def test_a_unit_in_use_is_not_deleted_and_says_by_what(in_aurora, tree):
    north, desk = tree
    with pytest.raises(DomainError, match="still used by"):
        services.delete_unit(unit=north, by=in_aurora.administrator)
    Client.objects.create(name="Nora Beispiel", unit=desk)
    with pytest.raises(DomainError, match="clients"):
        services.delete_unit(unit=desk, by=in_aurora.administrator)
    assert Unit.objects.filter(pk__in=[north.pk, desk.pk]).count() == 2


def test_an_empty_unit_is_deleted(in_aurora, tree):
    _north, desk = tree
    services.delete_unit(unit=desk, by=in_aurora.administrator)
    assert not Unit.objects.filter(pk=desk.pk).exists()


def test_a_unit_is_renamed_and_moved_in_the_browser(aurora, in_aurora, tree, browse):
    north, _desk = tree
    page = browse(aurora, in_aurora.administrator)
    data = {"name": "South", "kind": "branch", "parent": in_aurora.other_unit.pk}
    assert page.post(reverse("accounts:unit_edit", args=[north.pk]), data).status_code == 302
    north.refresh_from_db()
    assert (north.name, north.parent) == ("South", in_aurora.other_unit)


def test_a_refused_move_shows_at_its_field_and_changes_nothing(aurora, in_aurora, tree, browse):
    north, desk = tree
    page = browse(aurora, in_aurora.administrator)
    data = {"name": "South", "kind": "branch", "parent": desk.pk}
    answer = page.post(reverse("accounts:unit_edit", args=[north.pk]), data)
    assert "below itself" in str(answer.context["form"].errors["parent"])
    north.refresh_from_db()
    assert north.name == "North"


def test_units_are_listed_as_a_tree(aurora, in_aurora, tree, browse):
    RoleAssignment.objects.create(user=in_aurora.stranger, role=Role.ADVISOR, unit=tree[1])
    client = browse(aurora, in_aurora.administrator)
    page = client.get("/units/")
    assert [(unit.name, unit.depth) for unit in page.context["table"].data.data] == [
        ("Elsewhere", 0),
        ("Main", 0),
        ("North", 1),
        ("Desk", 2),
    ]


def test_units_are_narrowed_down_sorted_and_exported_with_their_place(aurora, in_aurora, tree, browse):
    client = browse(aurora, in_aurora.administrator)
    found = client.get("/units/?q=nor").context["table"].data.data
    assert [unit.place for unit in found] == ["Main › North", "Main › North › Desk"]
    shown = client.get("/units/?kind=desk").content.decode()
    assert "Main › North › Desk" in shown
    assert "Elsewhere" not in shown.partition('id="list-rows"')[2]
    assert len(client.get("/units/?kind=bogus").context["table"].rows) == 4
    ordered = client.get("/units/?sort=-name").context["table"].rows
    assert [row.record.name for row in ordered] == ["North", "Main", "Elsewhere", "Desk"]
    export = client.get("/units/?_export=csv").content.decode("utf-8-sig").splitlines()
    assert export[0] == '"Unit","Place","Kind","People with a role here"'
    assert export[-1] == '"Desk","Main › North › Desk","Desk","0"'


def test_compliance_reads_the_tree_and_is_offered_nothing_that_changes_it(aurora, in_aurora, tree, browse):
    page = browse(aurora, in_aurora.compliance).get("/units/").content.decode()
    assert "North" in page
    assert "/units/new/" not in page


def test_without_units_the_page_says_what_they_are_for(aurora, in_aurora, browse):
    RoleAssignment.objects.exclude(unit=None).delete()
    Unit.objects.all().delete()
    page = browse(aurora, in_aurora.administrator).get("/units/").content.decode()
    assert "No units yet" in page
    assert "Create the first unit" in page


def test_no_form_or_filter_offers_the_units_of_the_institution_served_before(aurora, harbour) -> None:
    """A field of a form class lives as long as the process, which serves one institution after the other."""
    offered = {}
    for institution, name in ((aurora, "Bond desk"), (harbour, "Seaside branch")):
        with tenant_context(institution):
            Unit.objects.create(name=name)
            fields = [
                InvitationForm().fields["unit"],
                RoleForm().fields["unit"],
                UnitForm().fields["parent"],
                PersonFilter({}, User.objects.all()).form.fields["unit"],
            ]
            offered[name] = [[str(label).strip() for _value, label in field.choices] for field in fields]
    assert all("Bond desk" in each for each in offered["Bond desk"])
    assert all("Seaside branch" in each and "Bond desk" not in each for each in offered["Seaside branch"])
