"""What the monitor keeps of mirrors: figures by minute and hour, proofs, alerts, and who wants to hear of what."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.records import new_id
from federation.models.agreements import Agreement
from federation.models.institutions import Institution
from federation.models.mirror import Stream


class StreamFigures(models.Model):
    """What a stream did in one minute or, later, one hour.

    ``latencies`` counts changes by the time from their statement to their appearance, in the buckets of
    ``federation.mirror.figures``; ``held`` those that waited until the agreement was resumed.
    """

    id = models.BigAutoField(primary_key=True)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="figures")
    at = models.DateTimeField()
    is_hour = models.BooleanField(default=False)
    batches = models.PositiveIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    latencies = ArrayField(models.BigIntegerField(), default=list)
    held = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        verbose_name_plural = _("stream figures")
        constraints = [
            models.UniqueConstraint(fields=["stream", "is_hour", "at"], name="streamfigures_once_per_span")
        ]
        indexes = [
            # Rolling up and trimming go over all streams by age.
            models.Index(fields=["is_hour", "at"], name="streamfigures_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.at}"


class Proof(models.Model):
    """A comparison of both sides of a stream under one snapshot, on demand or nightly; both parties read it.

    ``kinds`` has a dict per kind of record: ``kind``, ``ours``, ``theirs`` (rows at the owner within the
    scope, and at the receiver), ``is_equal``, ``missing``, ``extra`` and ``different`` rows, ``parked``
    of these, and ``unshared``, received rows with a value in a field that is not shared. ``pending`` changes had not been applied when it was taken.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        REPAIRING = "repairing", _("Comparing everything again")
        RUNNING = "running", _("Comparing")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    class Result(models.TextChoices):
        EQUAL = "equal", _("In step")
        PARKED = "parked", _("In step but for parked rows")
        UNDECIDED = "undecided", _("Changes were pending")
        UNEQUAL = "unequal", _("Not in step")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="proofs")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    result = models.CharField(max_length=10, choices=Result, blank=True)
    repairs = models.BooleanField(default=False)
    # Who asked; nobody for the nightly one.
    institution = models.ForeignKey(Institution, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=150, blank=True)
    asked_at = models.DateTimeField(default=timezone.now)
    # The moment of the snapshot, which the result speaks of.
    at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    pending = models.PositiveIntegerField(default=0)
    kinds = models.JSONField(default=list)
    # Why it broke off: a code, never a value.
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-asked_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["stream"], condition=Q(finished_at__isnull=True), name="proof_one_at_a_time"
            )
        ]
        indexes = [models.Index(fields=["stream", "-finished_at"], name="proof_latest")]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.result or self.state}"

    @property
    def is_over(self) -> bool:
        """Say whether nothing more will happen to it."""
        return self.finished_at is not None

    @property
    def rows(self) -> int:
        """Return how many rows of the owner's were compared."""
        return sum(each["ours"] for each in self.kinds)

    @property
    def differing(self) -> int:
        """Return how many differences were found; proofs from before say nothing of unshared fields."""
        return sum(
            each["missing"] + each["extra"] + each["different"] + each.get("unshared", 0)
            for each in self.kinds
        )


class Watch(models.Model):
    """When one party of an agreement wants to be told that a mirror is behind, and whether it is muted."""

    DEFAULT_SECONDS = 60
    # So far above what counts as in step that a mirror on the edge is not behind and caught up in turns.
    SHORTEST_SECONDS, LONGEST_SECONDS = 5, 86_400

    id = models.BigAutoField(primary_key=True)
    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="watches")
    institution = models.ForeignKey(Institution, on_delete=models.CASCADE, related_name="+")
    behind_seconds = models.PositiveIntegerField(_("behind by more than"), default=DEFAULT_SECONDS)
    muted_until = models.DateTimeField(_("muted until"), null=True, blank=True)
    mute_reason = models.CharField(_("why"), max_length=300, blank=True)
    changed_by_name = models.CharField(max_length=150, blank=True)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = _("watches")
        constraints = [
            models.UniqueConstraint(fields=["agreement", "institution"], name="watch_once_per_party"),
            models.CheckConstraint(
                condition=Q(behind_seconds__range=(5, 86_400)), name="watch_within_bounds"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.institution} {self.behind_seconds} s"

    @property
    def is_muted(self) -> bool:
        """Say whether nobody is to be told now."""
        return self.muted_until is not None and self.muted_until > timezone.now()


class Alert(models.Model):
    """Something about a stream that one party's administrators are told: raised once, cleared when over."""

    class Kind(models.TextChoices):
        BEHIND = "behind", _("Behind")
        PARKED = "parked", _("Rows are parked")
        BROKEN = "broken", _("Stopped by a problem")
        DRIFTED = "drifted", _("Not in step")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="alerts")
    institution = models.ForeignKey(Institution, on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=10, choices=Kind)
    # Seconds behind, rows parked, or rows that differ.
    count = models.PositiveIntegerField(default=0)
    raised_at = models.DateTimeField(default=timezone.now)
    # The first look that found it over; it is cleared when it stays so.
    over_since = models.DateTimeField(null=True)
    cleared_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)
    clearing_mailed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["stream", "institution", "kind"],
                condition=Q(cleared_at__isnull=True),
                name="alert_raised_once",
            )
        ]
        indexes = [
            # Every page of an administrator asks how many are open.
            models.Index(fields=["institution"], condition=Q(cleared_at=None), name="alert_open")
        ]

    def __str__(self) -> str:
        return self.kind

    @property
    def words(self) -> str:
        """Return what is the matter, with its figure."""
        match self.kind:
            case self.Kind.BEHIND if self.stream.state == Stream.State.WAITING:
                return ngettext(
                    "waiting for %(count)s second for changes under way to be saved",
                    "waiting for %(count)s seconds for changes under way to be saved",
                    self.count,
                ) % {"count": self.count}
            case self.Kind.BEHIND:
                return ngettext("%(count)s second behind", "%(count)s seconds behind", self.count) % {
                    "count": self.count
                }
            case self.Kind.PARKED:
                return ngettext("%(count)s row is parked", "%(count)s rows are parked", self.count) % {
                    "count": self.count
                }
            case self.Kind.DRIFTED:
                return ngettext(
                    "not in step: %(count)s row differs", "not in step: %(count)s rows differ", self.count
                ) % {"count": self.count}
        return str(self.get_kind_display())
