"""The state of the mirror: a stream per agreement and direction, and what belongs to it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.records import new_id
from federation.models.agreements import Agreement
from federation.models.institutions import Institution


class Stream(models.Model):
    """One direction of one agreement: the owner's records on their way to the receiver.

    ``cursor`` is the ``pg_snapshot`` of the last batch: changes visible in it have been applied.
    ``identity`` names the database and the log that it was taken in. While ``fill_kind`` is set, roots
    of that kind up to ``fill_after`` have been filled.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting for changes under way to be saved")
        FILLING = "filling", _("First fill")
        RUNNING = "running", _("Running")
        BROKEN = "broken", _("Stopped by a problem")
        ENDED = "ended", _("Ended")

    class FillReason(models.TextChoices):
        FIRST = "first fill", _("first fill")
        SCOPE = "the scope has changed", _("what is shared has changed")
        ASKED = "asked for", _("asked for")
        UPDATED = "the platform was updated", _("the platform was updated")
        PAUSED = "the log was trimmed during a long pause", _("it had been paused for long")
        RESTORED = (
            "the database is not the one that was followed",
            _("the database was restored or replaced"),
        )

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="streams")
    owner = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="streams_out")
    receiver = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="streams_in")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    # What decides the scope: another version, or new mandates suspended or not, asks for a new fill.
    wording = models.CharField(max_length=100)
    # The fingerprint of the scope that it was last filled with; another one may cover rows from before.
    scope = models.CharField(max_length=16, blank=True, default="", db_default="")
    cursor = models.TextField(null=True)
    identity = models.CharField(max_length=100, blank=True)
    # The first transaction id that no unlogged change can have.
    wait_for = models.DecimalField(max_digits=20, decimal_places=0, null=True)
    fill_reason = models.CharField(max_length=60, choices=FillReason, blank=True)
    fill_kind = models.CharField(max_length=60, blank=True)
    fill_after = models.UUIDField(null=True)
    fill_total = models.PositiveIntegerField(default=0)
    fill_done = models.PositiveIntegerField(default=0)
    fill_chunk = models.PositiveIntegerField(default=50)
    rows_written = models.BigIntegerField(default=0)
    batches = models.BigIntegerField(default=0)
    # Since the beginning, in the buckets of federation.mirror.figures, and the sum of the seconds.
    latencies = ArrayField(models.BigIntegerField(), default=list)
    latency_seconds = models.FloatField(default=0)
    filled_at = models.DateTimeField(null=True)
    # What the timeline has been told: the state, the fill, and the rows that were parked.
    told_state = models.CharField(max_length=10, blank=True)
    told_filled_at = models.DateTimeField(null=True)
    told_parked_at = models.DateTimeField(null=True)
    # Since when the watch has seen it wait for older transactions.
    waits_since = models.DateTimeField(null=True)
    last_tick_at = models.DateTimeField(null=True)
    last_applied_at = models.DateTimeField(null=True)
    last_duration_ms = models.FloatField(null=True)
    # Never values of rows: a code, a constraint's name.
    problem = models.CharField(max_length=200, blank=True)
    problem_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agreement", "owner"], name="stream_once_per_direction")
        ]

    def __str__(self) -> str:
        return f"{self.owner.short_name} → {self.receiver.short_name}"


class StreamWork(models.Model):
    """Keys that a batch left for the next one, moved here in its own transaction."""

    id = models.BigAutoField(primary_key=True)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="work")
    kind = models.CharField(max_length=60)
    operations = models.SmallIntegerField()
    keys = ArrayField(models.UUIDField())
    # When the statement wrote that changed them.
    at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} × {len(self.keys)}"


class ParkedRow(models.Model):
    """A row that the receiver's database refused, or that names something which is not there.

    ``reason`` is a constraint's or field's name; values of the row are never kept here. A skipped row
    is not tried again until its owner changes it.
    """

    id = models.BigAutoField(primary_key=True)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="parked")
    kind = models.CharField(max_length=60)
    key = models.UUIDField()
    reason = models.CharField(max_length=120)
    attempts = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)
    retry_at = models.DateTimeField(db_index=True)
    skipped_at = models.DateTimeField(null=True)
    skipped_by = models.ForeignKey(Institution, null=True, on_delete=models.SET_NULL, related_name="+")
    skipped_by_name = models.CharField(max_length=150, blank=True)
    skip_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stream", "kind", "key"], name="parkedrow_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.reason}"


class Arrival(models.Model):
    """A row that arrived at an institution, for those who want to hear of it."""

    id = models.BigAutoField(primary_key=True)
    institution = models.ForeignKey(Institution, on_delete=models.CASCADE, related_name="arrivals")
    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=60)
    key = models.UUIDField()
    at = models.DateTimeField(default=timezone.now)
    handled_at = models.DateTimeField(null=True)
    # How often a listener has failed, and when it is told again.
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    retry_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # The delivery of arrivals looks for those that nobody has handled yet.
            models.Index(
                fields=["institution"], condition=models.Q(handled_at=None), name="arrival_unhandled"
            )
        ]

    def __str__(self) -> str:
        return self.kind


class SharedSecurity(models.Model):
    """A security that an owner's shared rows have named to a receiver; the set only grows."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Institution, on_delete=models.CASCADE, related_name="+")
    receiver = models.ForeignKey(Institution, on_delete=models.CASCADE, related_name="+", db_index=False)
    security = models.UUIDField()

    class Meta:
        verbose_name_plural = _("shared securities")
        constraints = [
            models.UniqueConstraint(fields=["owner", "receiver", "security"], name="sharedsecurity_once")
        ]

    def __str__(self) -> str:
        return str(self.security)


class SharedCurrency(models.Model):
    """A currency that an owner's shared rows have named to a receiver; the set only grows."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Institution, on_delete=models.CASCADE, related_name="+")
    receiver = models.ForeignKey(Institution, on_delete=models.CASCADE, related_name="+", db_index=False)
    currency = models.CharField(max_length=3)

    class Meta:
        verbose_name_plural = _("shared currencies")
        constraints = [
            models.UniqueConstraint(fields=["owner", "receiver", "currency"], name="sharedcurrency_once")
        ]

    def __str__(self) -> str:
        return self.currency
