"""People of one institution: users, their roles, their units, and what they may reach."""

import datetime
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.credentials import last_day
from accounts.records import Record, new_id


class Role(models.TextChoices):
    """What a person does; each role's rights stand in ``accounts.rights``."""

    PORTFOLIO_MANAGER = "portfolio_manager", _("Portfolio manager")
    ADVISOR = "advisor", _("Advisor")
    OPERATIONS = "operations", _("Operations")
    ADMINISTRATOR = "administrator", _("Administrator")
    COMPLIANCE = "compliance", _("Compliance")


class Unit(models.Model):
    """A branch or desk in the institution's tree; rights on a unit hold for all below it."""

    class Kind(models.TextChoices):
        BRANCH = "branch", _("Branch")
        DESK = "desk", _("Desk")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(_("name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.BRANCH)
    parent = models.ForeignKey(
        "self",
        verbose_name=_("part of"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
    )
    # "/<id>/<id>/" from the root to this unit, kept by save(): a subtree is one prefix search.
    path = models.CharField(max_length=400, editable=False, db_index=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["parent", "name"],
                nulls_distinct=False,
                name="unit_name_unique_among_siblings",
                violation_error_message=_("There is already a unit of this name here. Choose another name."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.path = f"{self.parent.path if self.parent else '/'}{self.id.hex}/"
        super().save(*args, **kwargs)


class UserManager(BaseUserManager["User"]):
    """Create users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create an active user; without a password the user can only sign in by invitation."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str, **fields: Any) -> "User":
        """Create a user who may also use Django's admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        """Return the user with this e-mail address, whatever its case."""
        return self.get(email__iexact=email)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in by e-mail, with the roles and preferences of this institution."""

    class Theme(models.TextChoices):
        AUTO = "auto", _("As the device")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    class Writing(models.TextChoices):
        """How dates and numbers are written; texts are in English."""

        ENGLISH = "en", "31 Dec 2026, 1,234.56"
        GERMAN = "de", "31.12.2026, 1.234,56"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(_("e-mail"), unique=True)
    full_name = models.CharField(_("full name"), max_length=150)
    job_title = models.CharField(_("job title"), max_length=150, blank=True)
    language = models.CharField(
        _("dates and numbers"), max_length=10, choices=Writing, default=Writing.ENGLISH
    )
    time_zone = models.CharField(_("time zone"), max_length=50, default="Europe/Zurich")
    theme = models.CharField(_("appearance"), max_length=5, choices=Theme, default=Theme.AUTO)
    hides_amounts = models.BooleanField(_("hide amounts"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("may use the admin"), default=False)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    # Sessions from before have ended.
    signed_out_at = models.DateTimeField(null=True, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["full_name"]

    class Meta:
        ordering = ["full_name"]
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_message=_("There is already a user with this e-mail address."),
            )
        ]

    def __str__(self) -> str:
        return self.full_name

    @property
    def locale(self) -> str:
        """Return what pages and mail are written in: English, with the dates and numbers of the choice."""
        return "en" if self.language == self.Writing.ENGLISH else f"en-{self.language}"

    @property
    def initials(self) -> str:
        """Return up to two initials of the full name."""
        words = self.full_name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()

    @property
    def has_second_factor(self) -> bool:
        """Say whether signing in takes more than the password."""
        return self.authenticator_set.exists()  # type: ignore[attr-defined]

    @property
    def has_credentials(self) -> bool:
        """Say whether the person has something to sign in with: no invitation may replace it."""
        return self.has_usable_password() or self.has_second_factor

    def get_session_auth_hash(self) -> str:
        """Return what a session holds for as long as it counts: until the password changes or the person is signed out."""
        return self._since_signed_out(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Return the same by the earlier keys."""
        return map(self._since_signed_out, super().get_session_auth_fallback_hash())

    def _since_signed_out(self, digest: str) -> str:
        return f"{digest} {self.signed_out_at.isoformat()}" if self.signed_out_at else digest


class RoleAssignment(models.Model):
    """A role that a user has in a unit and all below it, or in the whole institution."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_assignments")
    role = models.CharField(_("role"), max_length=20, choices=Role)
    unit = models.ForeignKey(
        Unit,
        verbose_name=_("unit"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="role_assignments",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "role", "unit"],
                nulls_distinct=False,
                name="roleassignment_unique",
                violation_error_message=_("This person already has this role here."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}, {self.unit}" if self.unit else self.get_role_display()


class Invitation(models.Model):
    """An offer to join, sent by e-mail; only a hash of its secret is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations")
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.user)


class Credential(models.Model):
    """What a program proves itself by; only a hash is kept (``accounts.credentials``)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def last_day(self) -> datetime.date:
        """Return the last day on which it is of use."""
        return last_day(self.expires_at)

    @property
    def is_usable(self) -> bool:
        """Say whether the token is neither revoked nor expired."""
        return self.revoked_at is None and self.expires_at > timezone.now()


class ApiToken(Credential):
    """A credential with which another system acts with a user's rights.

    ``secret_hash`` is empty, and nothing proves the token, until its user has had it shown.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    may_write = models.BooleanField(_("may write"), default=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    @property
    def is_waiting(self) -> bool:
        """Say whether its user has yet to have it shown, once."""
        return self.is_usable and not self.secret_hash


class ApiRequest(models.Model):
    """A request of another system that named itself, and its answer: asked again, it is answered the same.

    ``status`` is null while it is at work. Kept for a day.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    token = models.ForeignKey(ApiToken, null=True, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "token", "key"], nulls_distinct=False, name="apirequest_key_unique_per_token"
            )
        ]

    def __str__(self) -> str:
        return self.key


class AuditEntry(models.Model):
    """Who did what to which record, when, written in the transaction of the change; or who read a partner's."""

    READ = "read"
    READ_BY_LIST = "read.by_list"
    EXPORTED = "exported"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=60)
    kind = models.CharField(max_length=60)
    record_id = models.UUIDField(null=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at"]
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["kind", "record_id"], name="auditentry_by_record")]

    def __str__(self) -> str:
        return f"{self.action} {self.kind}"


def audit(action: str, record: models.Model, *, by: User | None, **data: Any) -> AuditEntry:
    """Write down that ``by`` did ``action`` to ``record``; ``data`` holds codes and ids, never names."""
    record_id = record.pk if isinstance(record.pk, uuid.UUID) else None
    return AuditEntry.objects.create(
        actor=by,
        actor_name=by.full_name if by else "",
        action=action,
        kind=record._meta.label_lower,
        record_id=record_id,
        data=data,
    )


# The id of a reading follows from who read what on which day: a second one that day is none.
_READINGS = uuid.UUID("5b7c4f0e-0d5e-5f43-9d0c-6d2b8f1a7e34")


def audit_reading(*records: Record | None, by: User) -> None:
    """Write down that ``by`` has read these records, each once a day (UTC), by one statement.

    What the institution owns itself is left out, and nothing is asked or written where nothing else remains.
    """
    day = timezone.now().date()
    entries = [
        AuditEntry(
            id=uuid.uuid5(_READINGS, f"{by.pk} {record.pk} {day}"),
            actor=by,
            actor_name=by.full_name,
            action=AuditEntry.READ,
            kind=record._meta.label_lower,
            record_id=record.pk,
            data={"origin": str(record.origin)},
        )
        for record in records
        if record is not None and record.is_received
    ]
    if entries:
        AuditEntry.objects.bulk_create(entries, ignore_conflicts=True)


def audit_listing(rows: Iterable[object], *, by: User) -> None:
    """Write down whose records of a kind ``by`` reads by a list of the API: one entry for each partner and day (UTC).

    By one statement, and none where all rows are the institution's own. How many there were is not counted: whoever
    asks every minute would have read thousands.
    """
    day = timezone.now().date()
    found = {
        (row._meta.label_lower, row.origin) for row in rows if isinstance(row, Record) and row.is_received
    }
    entries = [
        AuditEntry(
            id=uuid.uuid5(_READINGS, f"{by.pk} {kind} {origin} {day}"),
            actor=by,
            actor_name=by.full_name,
            action=AuditEntry.READ_BY_LIST,
            kind=kind,
            data={"origin": str(origin)},
        )
        for kind, origin in sorted(found, key=str)
    ]
    if entries:
        AuditEntry.objects.bulk_create(entries, ignore_conflicts=True)


def audit_export(rows: Iterable[object], *, by: User) -> None:
    """Write down that ``by`` has taken partners' records out in a file: one entry, with how many and whose.

    Nothing is written where all of them are the institution's own.
    """
    received = [row for row in rows if isinstance(row, Record) and row.is_received]
    if received:
        AuditEntry.objects.create(
            actor=by,
            actor_name=by.full_name,
            action=AuditEntry.EXPORTED,
            kind=received[0]._meta.label_lower,
            data={"count": len(received), "origins": sorted({str(row.origin) for row in received})},
        )


class Job(models.Model):
    """A long piece of work done by a worker: queued, how far, done, and what failed."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    # A list of what failed, why, and what to do: accounts.jobs.Failure.
    failures = models.JSONField(default=list)
    # Ids of what to work on, and paths: where the result is, where to try again.
    data = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="jobs")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title

    @property
    def is_over(self) -> bool:
        """Say whether nothing more will happen to it."""
        return self.state in {self.State.DONE, self.State.FAILED}
