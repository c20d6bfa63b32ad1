"""What other systems prove themselves by, and what they have asked before."""

import datetime

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.credentials import last_day
from accounts.models.people import User
from accounts.records import new_id


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
