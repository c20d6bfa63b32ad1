"""The scope: which records an agreement shares, in which direction, with which fields and rows."""

from federation.scope.division import (
    PRESETS,
    Share,
    branches,
    by_label,
    in_foreign_key_order,
    in_scope_order,
    kind_of,
    leads_to_root,
    may_withhold,
    parent_of,
    performer,
    shares,
)
from federation.scope.fingerprint import fingerprint
from federation.scope.flow import Flow, agreements_touched, schema_identifier
from federation.scope.kinds import ALWAYS, MANAGED, Kind, Private
from federation.scope.preview import PreviewField, PreviewKind, preview
from federation.scope.sense import needed, objections
from federation.scope.table import KINDS, PRIVATE

__all__ = [
    "ALWAYS",
    "KINDS",
    "MANAGED",
    "PRESETS",
    "PRIVATE",
    "Flow",
    "Kind",
    "PreviewField",
    "PreviewKind",
    "Private",
    "Share",
    "agreements_touched",
    "branches",
    "by_label",
    "fingerprint",
    "in_foreign_key_order",
    "in_scope_order",
    "kind_of",
    "leads_to_root",
    "may_withhold",
    "needed",
    "objections",
    "parent_of",
    "performer",
    "preview",
    "schema_identifier",
    "shares",
]
