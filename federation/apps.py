from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


def _install_capture(schema_name: str, **_kwargs: Any) -> None:
    """Bring capture of a schema that was just migrated in line with the scope table."""
    from federation.mirror import capture

    if schema_name != "public":
        capture.install(schema_name)


class FederationConfig(AppConfig):
    name = "federation"
    verbose_name = _("Federation")

    def ready(self) -> None:
        from django_tenants.signals import schema_migrated

        # Ordinary triggers made after every migrate: frozen in a migration, they would break users'
        # writes after a column is renamed.
        schema_migrated.connect(_install_capture, dispatch_uid="federation_install_capture")
