from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


def _install_capture(schema_name: str, **_kwargs: Any) -> None:
    """Bring capture and privileges of a schema that was just migrated in line with the scope table."""
    from federation.mirror import capture, roles

    if schema_name == "public":
        roles.prepare()
    else:
        capture.install(schema_name)


def _agreements(_user: Any) -> Any:
    """Return the own institution's agreements: who reads the audit trail reads these too."""
    from federation.models import Agreement
    from federation.partners import current_institution

    return Agreement.objects.visible_to(current_institution())


def _mirrors(_user: Any) -> Any:
    """Return the own institution's mirrors, likewise."""
    from federation.mirror.status import visible_to
    from federation.partners import current_institution

    return visible_to(current_institution()).select_related("owner", "receiver")


class FederationConfig(AppConfig):
    name = "federation"
    verbose_name = _("Federation")

    def ready(self) -> None:
        from django_tenants.signals import schema_migrated

        from accounts.named import register as register_named
        from clients.signals import instruction_acting, mandate_decided, mandate_submitting
        from federation import (
            checks,  # noqa: F401
            receivers,
        )
        from models_portfolio.signals import followers_wanted
        from reporting.signals import letterhead_wanted

        register_named(_agreements, "federation:agreement_detail", "federation.agreement", "agreement")
        register_named(_mirrors, "federation:mirror_detail", "federation.stream")
        # Ordinary triggers made after every migrate: frozen in a migration, they would break users'
        # writes after a column is renamed.
        schema_migrated.connect(_install_capture, dispatch_uid="federation_install_capture")
        mandate_submitting.connect(receivers.gate_mandate, dispatch_uid="federation_gate_mandate")
        mandate_decided.connect(receivers.gate_acceptance, dispatch_uid="federation_gate_acceptance")
        instruction_acting.connect(receivers.gate_acting, dispatch_uid="federation_gate_acting")
        letterhead_wanted.connect(receivers.answer_letterhead, dispatch_uid="federation_letterhead")
        followers_wanted.connect(receivers.answer_followers, dispatch_uid="federation_followers")
