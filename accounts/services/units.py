"""The tree of units: branches and desks."""

from django.db import transaction
from django.db.models import ProtectedError, Value
from django.db.models.functions import Concat, Substr
from django.utils.translation import gettext as _

from accounts.errors import DomainError, refusing
from accounts.models import Unit, User, audit

# Each level takes 33 characters of the path.
DEEPEST = 12


def _check(unit: Unit) -> None:
    with refusing("unit_not_valid", field="name"):
        unit.full_clean()


def _check_depth(levels: int) -> None:
    if levels > DEEPEST:
        raise DomainError(
            "unit_too_deep",
            _("Units go %(levels)d levels deep at most. Choose a higher one.") % {"levels": DEEPEST},
            field="parent",
        )


def _levels(path: str) -> int:
    return path.count("/") - 1


@transaction.atomic
def create_unit(*, name: str, kind: str, parent: Unit | None, by: User) -> Unit:
    """Create a unit below ``parent``, or at the top."""
    _check_depth(1 + (_levels(parent.path) if parent else 0))
    unit = Unit(name=name.strip(), kind=kind, parent=parent)
    _check(unit)
    unit.save()
    audit("unit.created", unit, by=by, parent=str(parent.pk) if parent else None)
    return unit


@transaction.atomic
def rename_unit(*, unit: Unit, name: str, kind: str, by: User) -> Unit:
    """Change a unit's name and kind."""
    unit = Unit.objects.select_for_update().get(pk=unit.pk)
    unit.name, unit.kind = name.strip(), kind
    _check(unit)
    unit.save()
    audit("unit.renamed", unit, by=by)
    return unit


@transaction.atomic
def move_unit(*, unit: Unit, parent: Unit | None, by: User) -> Unit:
    """Put a unit with all below it under another one; rights on either follow at once."""
    # All units are locked: two moves at once could otherwise make a circle.
    paths = dict(Unit.objects.select_for_update().order_by("pk").values_list("pk", "path"))
    unit = Unit.objects.get(pk=unit.pk)
    old = unit.path
    if parent is not None and paths[parent.pk].startswith(old):
        raise DomainError(
            "unit_in_itself", _("A unit cannot be moved below itself. Choose another."), field="parent"
        )
    height = max(_levels(path) for path in paths.values() if path.startswith(old)) - _levels(old) + 1
    _check_depth(height + (_levels(paths[parent.pk]) if parent else 0))
    unit.parent = parent
    _check(unit)
    unit.save()
    Unit.objects.filter(path__startswith=old).exclude(pk=unit.pk).update(
        path=Concat(Value(unit.path), Substr("path", len(old) + 1))
    )
    audit("unit.moved", unit, by=by, parent=str(parent.pk) if parent else None)
    return unit


@transaction.atomic
def delete_unit(*, unit: Unit, by: User) -> None:
    """Delete a unit that nothing belongs to."""
    audit("unit.deleted", unit, by=by)
    try:
        with transaction.atomic():
            unit.delete()
    except ProtectedError as error:
        kinds = sorted({str(each._meta.verbose_name_plural) for each in error.protected_objects})
        raise DomainError(
            "unit_in_use",
            _("%(unit)s is still used by: %(kinds)s. Move them elsewhere first.")
            % {"unit": unit.name, "kinds": ", ".join(kinds)},
        ) from error
