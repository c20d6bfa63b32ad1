"""System checks: every record is in the scope table, with every field."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, register

from accounts.records import Record
from federation.scope import ALWAYS, MANAGED, PRIVATE, kind_of


@register()
def check_scope(app_configs: Sequence[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Name the records and fields that the scope table neither shares nor keeps."""
    private = {entry.label for entry in PRIVATE}
    found: list[CheckMessage] = []
    for model in apps.get_models():
        if not issubclass(model, Record) or model._meta.label in private:
            continue
        if app_configs is not None and model._meta.app_config not in app_configs:
            continue
        kind = kind_of(model)
        if kind is None:
            found.append(
                Error(
                    "This record is not in the scope table.",
                    hint="Add it to KINDS or, with the reason, to PRIVATE in federation/scope/table.py.",
                    obj=model,
                    id="federation.E001",
                )
            )
            continue
        listed = {*kind.shared_fields, *kind.kept_fields, *ALWAYS, *MANAGED}
        differing = sorted(listed ^ {field.name for field in model._meta.concrete_fields})
        if differing:
            found.append(
                Error(
                    f"The scope table and this record differ in: {', '.join(differing)}.",
                    hint="List each field as shared or kept in federation/scope/table.py.",
                    obj=model,
                    id="federation.E002",
                )
            )
    return found
