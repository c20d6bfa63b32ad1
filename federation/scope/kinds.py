"""How a kind of record is described in the scope table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.apps import apps
from django.db import models

from federation.models.agreements import Function

# Every shared record carries these; its owner and its retirement are the mirror's to write.
ALWAYS = ("id", "created_at")
MANAGED = ("origin", "retired_at")


@dataclass(frozen=True)
class Kind:
    """One kind of record: which function it belongs to, how it hangs off a root, and what is shared of it.

    Exactly one of ``root`` (the field that holds the agreement's id), ``via`` (the foreign key to the
    kind it hangs off) and ``through`` ("app.Model.field": in scope where a covered row names it) leads
    to a root. ``rows`` is a condition on an own row ``{t}`` in the owner's schema ``{s}``; ``shared`` are
    the fields that may leave and ``kept`` those that never do. ``personal`` fields are blanked on what
    stays for history. ``wakes`` is the foreign key to a row whose condition asks for rows of this kind.
    ``is_announced`` says that the receiver wants to hear of new rows, ``heard_by`` that it does where it
    performs that function. ``function`` is None for
    reference data, which follows the rows that name it.
    """

    label: str
    function: Function | None
    shared: str
    kept: str = ""
    personal: str = ""
    root: str = ""
    via: str = ""
    through: str = ""
    rows: str = ""
    wakes: str = ""
    is_announced: bool = False
    heard_by: Function | None = None

    @cached_property
    def model(self) -> type[models.Model]:
        """Return the model of these records."""
        return apps.get_model(self.label)

    @property
    def table(self) -> str:
        """Return the name of the table, the same in every institution's schema."""
        return self.model._meta.db_table

    @property
    def shared_fields(self) -> tuple[str, ...]:
        """Return the names of the fields that may leave, without those that always do."""
        return tuple(self.shared.split())

    @property
    def kept_fields(self) -> tuple[str, ...]:
        """Return the names of the fields that never leave."""
        return tuple(self.kept.split())

    @property
    def personal_fields(self) -> tuple[str, ...]:
        """Return the names of the fields that say something of a person."""
        return tuple(self.personal.split())

    def field(self, name: str) -> Any:
        """Return one field of the model."""
        return self.model._meta.get_field(name)

    def named_by(self, name: str) -> type[models.Model]:
        """Return the model that a foreign key names."""
        return self.field(name).related_model

    def column(self, name: str) -> str:
        """Return the column of a field."""
        return str(self.field(name).column)


@dataclass(frozen=True)
class Private:
    """A kind of record that stays with whoever performs its function, and why."""

    label: str
    function: Function
    reason: str
