"""Mandates, and what the managing side decides about them."""

import uuid
from typing import Any, ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.fields import CurrencyField, MoneyField
from accounts.records import Record
from clients.calculations.states import MandateState, mandate_state
from clients.models.people import Client, RiskProfile
from clients.querysets import MandateQuerySet


class Mandate(Record):
    """A client's order to manage money: under an agreement by a partner, or by the institution itself.

    ``agreement`` and ``offer`` are opaque ids; the terms are kept as they were signed. The record
    is the sales side's alone: what the manager decides is a MandateDecision. The state that
    people see is computed from both (``clients.calculations.states``). ``client`` is null only on
    a received row that has been retired.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SIGNED = "signed", _("Signed")
        SUBMITTED = "submitted", _("Submitted")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        CLOSING = "closing", _("Closing")

    number = models.CharField(_("mandate number"), max_length=30)
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="mandates")
    name = models.CharField(_("name"), max_length=120, blank=True)
    agreement = models.UUIDField(null=True, blank=True, db_index=True)
    offer = models.UUIDField(null=True, blank=True)
    offer_name = models.CharField(_("offer"), max_length=150, blank=True)
    manager_name = models.CharField(_("manager"), max_length=150, blank=True)
    terms = models.JSONField(_("terms as signed"), default=dict, blank=True)
    currency = CurrencyField(_("currency"), default="EUR")
    amount = MoneyField(_("planned amount"), null=True, blank=True)
    risk_profile = models.ForeignKey(
        RiskProfile, null=True, blank=True, on_delete=models.PROTECT, related_name="mandates"
    )
    override_reason = models.TextField(_("reason for a plan beyond the profile"), blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT)
    submission = models.PositiveIntegerField(default=0)
    signed_on = models.DateField(_("signed on"), null=True, blank=True)
    submitted_at = models.DateTimeField(_("submitted"), null=True, blank=True)
    disclosure_text = models.CharField(_("disclosure text version"), max_length=20, blank=True)
    disclosure_authorised_on = models.DateField(_("disclosure authorised on"), null=True, blank=True)
    answer = models.TextField(_("answer to the manager"), blank=True)
    # [{"event": "submitted", "submission": 1, "at": "…", "by": "…", "text": "…"}], shared: both sides
    # see each submission, also after the next has replaced its date and answer above. One after a return has
    # "changed" too, the names of the parts that were changed (clients.changes): no values, which may not be shared.
    history = models.JSONField(default=list, blank=True)
    predecessor = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="successors"
    )

    # What has been changed since the mandate was returned: it counts, and crosses, once submitted again.
    revision = models.JSONField(default=dict, blank=True, editable=False, encoder=DjangoJSONEncoder)

    objects = MandateQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["number"],
                # Its owner sees to those of a received one: they may change places under two agreements.
                condition=Q(origin=None),
                name="mandate_number_unique_per_owner",
                violation_error_message=_("This mandate number is taken. Choose another."),
            ),
            models.CheckConstraint(
                condition=Q(origin__isnull=False) | Q(client__isnull=False), name="mandate_has_client"
            ),
            models.CheckConstraint(
                condition=Q(origin__isnull=False)
                | ~Q(status="submitted")
                | Q(submitted_at__isnull=False, signed_on__isnull=False, submission__gte=1)
                & (Q(agreement__isnull=True) | Q(disclosure_authorised_on__isnull=False)),
                name="mandate_submitted_with_authorisation",
                violation_error_message=_(
                    "Record the signature and the client's authorisation to disclose before submitting."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def client_name(self) -> str:
        """Return the client's name; "" where the client is no more than kept for history."""
        client = self.client
        return client.name if client is not None and client.retired_at is None else ""

    @property
    def successor(self) -> "Mandate | None":
        """Return the mandate that the portfolio moves on to; None where none has begun, or none stood."""
        begun = self.successors.exclude(status=self.Status.WITHDRAWN).prefetch_related("decisions")
        return next((each for each in begun if each.state != MandateState.REJECTED), None)

    def is_managed_by(self, agreement: uuid.UUID | None, manager_name: str) -> bool:
        """Say whether whoever manages under ``agreement`` (None: this institution itself) manages this mandate."""
        return agreement == self.agreement or (bool(manager_name) and manager_name == self.manager_name)

    @property
    def shown_portfolio(self) -> Any:
        """Return the mandate's portfolio; None without one, and where it is no more than kept."""
        portfolio = getattr(self, "portfolio", None)
        return portfolio if portfolio is not None and portfolio.retired_at is None else None

    @property
    def is_draft(self) -> bool:
        """Say whether the mandate has not left the institution yet and may still be changed freely."""
        return self.status in {self.Status.DRAFT, self.Status.SIGNED}

    def take_revision(self) -> None:
        """Set, in memory, what has been changed since the mandate was returned."""
        for field in self._meta.concrete_fields:
            if field.name in self.revision:
                setattr(self, field.attname, field.to_python(self.revision[field.name]))

    @property
    def wishes(self) -> list["MandateRestriction"]:
        """Return what the client does not want, as it stands or as it is to be submitted again."""
        if "restrictions" not in self.revision:
            return [each for each in self.restrictions.all() if not each.retired_at]
        return [MandateRestriction(mandate=self, **each) for each in self.revision["restrictions"]]

    @property
    def state(self) -> MandateState:
        """Return the state that people see, from the mandate and its decisions (prefetch them in lists)."""
        decisions = [(each.submission, each.outcome) for each in self.decisions.all() if not each.retired_at]
        return mandate_state(self.status, self.submission, decisions)

    @property
    def is_withdrawn_late(self) -> bool:
        """Say whether the portfolio was open already when the mandate was withdrawn, and is still."""
        return self.status == self.Status.WITHDRAWN and self.state == MandateState.CLOSING

    @property
    def state_label(self) -> str:
        """Return the state in words."""
        return str(MANDATE_STATES[self.state])

    @property
    def current_offer(self) -> uuid.UUID | None:
        """Return the offer that the mandate follows now: the last change of model that was done, or as signed."""
        done = self.instructions.filter(kind="model_change", outcomes__outcome="done")
        last = done.order_by("-outcomes__at").values_list("offer", flat=True).first()
        return last or self.offer

    def forget_decisions(self) -> None:
        """Forget decisions read before, so that ``state`` reads them again."""
        getattr(self, "_prefetched_objects_cache", {}).pop("decisions", None)


class MandateRestriction(Record):
    """Something the client does not want, or wants kept, under one mandate."""

    class Kind(models.TextChoices):
        EXCLUDE_SECURITY = "exclude_security", _("Exclude security")
        EXCLUDE_SECTOR = "exclude_sector", _("Exclude sector")
        DO_NOT_SELL = "do_not_sell", _("Do not sell")

    mandate = models.ForeignKey(Mandate, on_delete=models.CASCADE, related_name="restrictions")
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    value = models.CharField(_("ISIN or sector"), max_length=60)
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        ordering = ["kind", "value"]
        constraints = [
            models.UniqueConstraint(
                fields=["mandate", "kind", "value"],
                name="mandaterestriction_unique",
                violation_error_message=_("This restriction is already there."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.value}"

    def contradicts(self, other: "MandateRestriction") -> bool:
        """Say whether one of the two keeps the security that the other does not want."""
        kinds = {self.Kind.EXCLUDE_SECURITY, self.Kind.DO_NOT_SELL}
        return {self.kind, other.kind} == kinds and self.value.casefold() == other.value.casefold()

    def concerns(self, *, isin: str | None, ticker: str, sector: str) -> bool:
        """Say whether it is about a security with these: by ISIN or ticker, or by its sector."""
        meant = {sector} if self.kind == self.Kind.EXCLUDE_SECTOR else {isin or "", ticker}
        return self.value.strip().casefold() in {each.casefold() for each in meant if each}


class MandateDecision(Record):
    """What the managing side decided about a submission of a mandate; decisions are only added."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", _("Accepted")
        RETURNED = "returned", _("Returned")
        REJECTED = "rejected", _("Rejected")
        ACTIVE = "active", _("Active")
        CLOSING = "closing", _("Closing")
        CLOSED = "closed", _("Closed")

    FINAL: ClassVar[set[str]] = {Outcome.REJECTED, Outcome.CLOSED}
    # The manager took the mandate on: what was shared of it is kept after the agreement's end.
    TAKEN_ON: ClassVar[set[str]] = {Outcome.ACCEPTED, Outcome.ACTIVE, Outcome.CLOSING, Outcome.CLOSED}

    mandate = models.ForeignKey(Mandate, on_delete=models.PROTECT, related_name="decisions")
    submission = models.PositiveIntegerField()
    outcome = models.CharField(_("decision"), max_length=10, choices=Outcome)
    reason = models.TextField(_("reason"), blank=True)
    missing = models.JSONField(_("what is missing"), default=list, blank=True)
    decided_at = models.DateTimeField(_("decided"))
    decided_by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["decided_at"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(outcome__in=["returned", "rejected"]) | ~Q(reason=""),
                name="mandatedecision_says_why",
                violation_error_message=_("Say why, so that the advisor can act on it."),
            )
        ]

    def __str__(self) -> str:
        return self.get_outcome_display()


MANDATE_STATES = {
    MandateState(value): label for value, label in [*Mandate.Status.choices, *MandateDecision.Outcome.choices]
}
