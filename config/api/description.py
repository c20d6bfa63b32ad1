"""How the API describes itself: its title, who may read its reference, and the names of its choices."""

from collections.abc import Mapping
from typing import Any

SPECTACULAR_SETTINGS: Mapping[str, Any] = {
    "TITLE": "Roboblock",
    "DESCRIPTION": "One institution's records, with the rights of the user whose token is sent. Amounts are strings.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_URLCONF": "config.urls",
    # Whoever may call the API, and nobody else, reads what it offers.
    "SERVE_AUTHENTICATION": [
        "federation.api.AgreementTokenAuthentication",
        "config.api.authentication.UserTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "SERVE_PERMISSIONS": ["config.api.authentication.IsCaller"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATION_PARAMETERS": False,
    "ENUM_NAME_OVERRIDES": {
        "ClientKind": "clients.models.Client.Kind",
        "ClientStatus": "clients.models.Client.Status",
        "ContactKind": "clients.models.ContactDetail.Kind",
        "InstructionKind": "clients.models.ClientInstruction.Kind",
        "InstructionStatus": "clients.models.ClientInstruction.Status",
        "MandateStatus": "clients.models.Mandate.Status",
        "RestrictionKind": "clients.models.MandateRestriction.Kind",
        "AccountKind": "portfolios.models.Account.Kind",
        "SecurityKind": "portfolios.models.Security.Kind",
        "ReportKind": "reporting.models.Report.Kind",
        "ReportStatus": "config.api.reports.STATUSES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Without it the page sends the schema's address to a validator on another server.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}
