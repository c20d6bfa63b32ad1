"""What a receiver keeps after an agreement has ended: until when, who holds it back, who looked at it."""

import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.records import new_id
from federation.models.agreements import Agreement
from federation.models.institutions import Institution


class SealedRecordsQuerySet(models.QuerySet[Any]):
    """Questions about sealed sets."""

    def kept(self) -> "SealedRecordsQuerySet":
        """Return the sets that have not been erased."""
        return self.filter(erased_at=None)

    def due(self, today: datetime.date) -> "SealedRecordsQuerySet":
        """Return the sets to be erased by now, their last day being over; those held as a whole are left out."""
        held = RecordsHold.objects.in_force(today).filter(sealed=OuterRef("pk"), mandate=None)
        return self.kept().filter(retain_until__lt=today).exclude(Exists(held))


class SealedRecords(models.Model):
    """What one party received under an ended agreement and keeps: read-only and outside all lists.

    Which rows they are follows from the rows themselves: the owner's, retired, under this agreement's
    mandates. Mandates up to ``erase_after`` have been looked at by the erasure that is under way.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="sealed")
    owner = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    receiver = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="sealed")
    sealed_at = models.DateTimeField(default=timezone.now)
    retain_until = models.DateField(_("kept until"))
    erase_after = models.UUIDField(null=True)
    rows_erased = models.BigIntegerField(default=0)
    erased_at = models.DateTimeField(null=True)

    objects = SealedRecordsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = _("sealed records")
        ordering = ["-sealed_at"]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "receiver"], name="sealedrecords_once_per_receiver")
        ]

    def __str__(self) -> str:
        return f"{self.agreement} ({self.receiver})"


class SealedKeys(models.Model):
    """The rows of a kind that a party had received when the agreement ended: a set does not grow.

    Also those that another agreement still brought: they are sealed when that one lets them go.
    """

    id = models.BigAutoField(primary_key=True)
    sealed = models.ForeignKey(SealedRecords, on_delete=models.CASCADE, related_name="keys")
    kind = models.CharField(max_length=60)
    keys = ArrayField(models.UUIDField())

    def __str__(self) -> str:
        return f"{self.kind} × {len(self.keys)}"


class SealedErasure(models.Model):
    """When what was kept of one mandate was erased: others of the same set may be held for longer."""

    id = models.BigAutoField(primary_key=True)
    sealed = models.ForeignKey(
        SealedRecords, on_delete=models.CASCADE, related_name="erasures", db_index=False
    )
    mandate = models.UUIDField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sealed", "mandate"], name="sealederasure_once")]

    def __str__(self) -> str:
        return str(self.mandate)


class RecordsHoldQuerySet(models.QuerySet[Any]):
    """Questions about holds."""

    def in_force(self, today: datetime.date) -> "RecordsHoldQuerySet":
        """Return the holds that keep records from being erased."""
        return self.filter(Q(until=None) | Q(until__gte=today), lifted_at=None)


class RecordsHold(models.Model):
    """An order not to erase: a whole sealed set, or what is kept of one mandate."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    sealed = models.ForeignKey(SealedRecords, on_delete=models.CASCADE, related_name="holds")
    mandate = models.UUIDField(null=True)
    mandate_number = models.CharField(max_length=30, blank=True)
    reason = models.TextField(_("reason"))
    until = models.DateField(_("until"), null=True, blank=True)
    placed_at = models.DateTimeField(default=timezone.now)
    placed_by_name = models.CharField(max_length=150)
    lifted_at = models.DateTimeField(null=True)
    lifted_by_name = models.CharField(max_length=150, blank=True)
    lift_reason = models.TextField(blank=True)

    objects = RecordsHoldQuerySet.as_manager()

    class Meta:
        ordering = ["-placed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["sealed", "mandate"],
                condition=Q(lifted_at=None),
                nulls_distinct=False,
                name="recordshold_one_at_a_time",
                violation_error_message=_("There is a hold already. Lift it first."),
            )
        ]

    def __str__(self) -> str:
        return self.reason


class SealedAccess(models.Model):
    """One opening of what is kept of one mandate: by whom, why; it lets that person read for a while."""

    LASTS = datetime.timedelta(minutes=30)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    sealed = models.ForeignKey(SealedRecords, on_delete=models.CASCADE, related_name="accesses")
    mandate = models.UUIDField()
    mandate_number = models.CharField(max_length=30)
    reason = models.TextField(_("reason"))
    # The person in the receiver's schema.
    by = models.UUIDField()
    by_name = models.CharField(max_length=150)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = _("sealed access")
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.mandate_number} {self.by_name}"

    @property
    def is_open(self) -> bool:
        """Say whether the records may still be read."""
        return timezone.now() < self.ends_at

    @property
    def ends_at(self) -> datetime.datetime:
        """Return the instant from which on the records may not be read any more."""
        return self.at + self.LASTS
