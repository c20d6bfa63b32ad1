"""Changes to people, their rights, units and credentials; each is audited in its own transaction."""

from accounts.services.grants import grant, revoke_grant
from accounts.services.invitations import (
    accept_invitation,
    deliver_invitation,
    find_invitation,
    renew_invitation,
)
from accounts.services.people import (
    assign_role,
    change_person,
    deactivate_person,
    invite_person,
    reactivate_person,
    remove_role,
    remove_second_factor,
)
from accounts.services.tokens import find_token, permit_token, revoke_token, show_token
from accounts.services.units import create_unit, delete_unit, move_unit, rename_unit

__all__ = [
    "accept_invitation",
    "assign_role",
    "change_person",
    "create_unit",
    "deactivate_person",
    "delete_unit",
    "deliver_invitation",
    "find_invitation",
    "find_token",
    "grant",
    "invite_person",
    "move_unit",
    "permit_token",
    "reactivate_person",
    "remove_role",
    "remove_second_factor",
    "rename_unit",
    "renew_invitation",
    "revoke_grant",
    "revoke_token",
    "show_token",
]
