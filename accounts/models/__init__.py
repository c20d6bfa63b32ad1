"""Who works at one institution, and what is kept of what they do."""

from accounts.models.jobs import Job
from accounts.models.people import Invitation, Role, RoleAssignment, Unit, User
from accounts.models.tokens import ApiRequest, ApiToken, Credential
from accounts.models.trail import AuditEntry, audit, audit_export, audit_listing, audit_reading

__all__ = [
    "ApiRequest",
    "ApiToken",
    "AuditEntry",
    "Credential",
    "Invitation",
    "Job",
    "Role",
    "RoleAssignment",
    "Unit",
    "User",
    "audit",
    "audit_export",
    "audit_listing",
    "audit_reading",
]
