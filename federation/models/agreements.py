"""Agreements between two institutions: who performs which function, as both accepted it."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Credential
from accounts.records import new_id
from federation.models.institutions import Institution
from federation.querysets import AgreementQuerySet, AgreementVersionQuerySet


class Side(models.TextChoices):
    """The two named parties of an agreement."""

    MANAGER = "manager", _("Manager")
    CHANNEL = "channel", _("Sales channel")


class Function(models.TextChoices):
    """What has to be done for a client's money; each is performed by one party."""

    RELATIONSHIP = "relationship", _("Relationship")
    MODELS = "models", _("Models")
    MANAGEMENT = "management", _("Portfolio management")
    TRADING = "trading", _("Trading")
    SETTLEMENT = "settlement", _("Settlement")
    REPORTING = "reporting", _("Reporting")


class Agreement(models.Model):
    """Two institutions that work together, under versions that both have accepted.

    ``state`` is the life of the agreement; the two suspensions are switches beside it. Every
    change updates this row, so that it waits for a batch in hand and nothing becomes visible
    after its commit.
    """

    class Preset(models.TextChoices):
        CLOSED = "closed", _("Closed peer-to-peer")
        ADVICE = "advice", _("Advice exchange")
        CUSTOM = "custom", _("Divided otherwise")

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PROPOSED = "proposed", _("Proposed")
        ACTIVE = "active", _("Active")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        WINDING_DOWN = "winding_down", _("Winding down")
        TERMINATED = "terminated", _("Terminated")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    manager = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="agreements_as_manager")
    channel = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="agreements_as_channel")
    name = models.CharField(_("name"), max_length=150)
    preset = models.CharField(_("way of working"), max_length=10, choices=Preset)
    state = models.CharField(_("state"), max_length=15, choices=State, default=State.DRAFT)
    version = models.ForeignKey(
        "AgreementVersion",
        verbose_name=_("version in force"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    # Who drafted it: a draft is the drafter's alone until it is proposed for the first time.
    drafted_by = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    new_mandates_suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    # When everything was last resumed: what waited for that says nothing of a mirror's speed.
    resumed_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # Who works with whom is confidential unless each party has agreed to be named in public.
    is_listed_by_manager = models.BooleanField(default=False)
    is_listed_by_channel = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AgreementQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(manager=models.F("channel")),
                name="agreement_between_two",
                violation_error_message=_("An agreement needs two different institutions."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_suspended(self) -> bool:
        """Say whether everything is suspended."""
        return self.suspended_at is not None

    @property
    def is_live(self) -> bool:
        """Say whether records flow under this agreement now."""
        return self.state in {self.State.ACTIVE, self.State.WINDING_DOWN} and not self.is_suspended

    @property
    def takes_offers(self) -> bool:
        """Say whether a further model can be put on offer: not once it is ending."""
        return self.state not in {self.State.WINDING_DOWN, self.State.TERMINATED}

    def side_of(self, institution: Institution) -> Side:
        """Return the side that ``institution`` is on; ValueError for a third party."""
        if institution.pk == self.manager_id:
            return Side.MANAGER
        if institution.pk == self.channel_id:
            return Side.CHANNEL
        raise ValueError("not a party to this agreement")

    def partner_of(self, institution: Institution) -> Institution:
        """Return the other party."""
        return self.channel if self.side_of(institution) == Side.MANAGER else self.manager

    def party(self, side: str) -> Institution:
        """Return the institution on ``side``."""
        return self.manager if side == Side.MANAGER else self.channel


class VersionState(models.TextChoices):
    """Where a version of an agreement stands; computed, never stored."""

    DRAFT = "draft", _("Draft")
    PROPOSED = "proposed", _("Proposed")
    IN_FORCE = "in_force", _("In force")
    PAST = "past", _("Was in force")
    DROPPED = "dropped", _("Not agreed")


class AgreementVersion(models.Model):
    """One wording of an agreement: the division of work and what is left out; immutable once proposed.

    ``number`` is null while it is a draft, which only ``proposed_by`` sees.
    ``division`` maps each Function to a Side. ``private`` lists the functions whose records stay
    with the party that performs them; ``withheld`` lists kinds ("clients.Party") or fields
    ("clients.Client.national_id") that are not shared although their function is.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("version"), null=True, blank=True)
    division = models.JSONField(default=dict)
    private = models.JSONField(default=list)
    withheld = models.JSONField(default=list)
    terms = models.TextField(_("terms"), blank=True)
    retention_years = models.PositiveSmallIntegerField(_("years kept after the end"), default=5)
    proposed_by = models.ForeignKey(Institution, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(null=True, blank=True)
    in_force_from = models.DateTimeField(null=True, blank=True)
    in_force_to = models.DateTimeField(null=True, blank=True)
    # Declined, withdrawn or overtaken before it came into force.
    dropped_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AgreementVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "number"], name="agreementversion_number_unique"),
            models.UniqueConstraint(
                fields=["agreement", "proposed_by"],
                condition=Q(number__isnull=True),
                name="agreementversion_one_draft_per_party",
                violation_error_message=_("You already have a draft of this agreement. Continue that one."),
            ),
            models.UniqueConstraint(
                fields=["agreement"],
                condition=Q(in_force_from__isnull=False, in_force_to__isnull=True),
                name="agreementversion_one_in_force",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agreement} v{self.number}" if self.number else f"{self.agreement} ({_('draft')})"

    @property
    def is_draft(self) -> bool:
        """Say whether it can still be edited."""
        return self.number is None

    @property
    def is_open(self) -> bool:
        """Say whether it was proposed and awaits the other party's answer."""
        return self.number is not None and self.in_force_from is None and self.dropped_at is None

    @property
    def state(self) -> "VersionState":
        """Return where this version stands."""
        if self.number is None:
            return VersionState.DRAFT
        if self.in_force_to is not None:
            return VersionState.PAST
        if self.in_force_from is not None:
            return VersionState.IN_FORCE
        return VersionState.DROPPED if self.dropped_at is not None else VersionState.PROPOSED


class Acceptance(models.Model):
    """One party's answer to one version."""

    class Answer(models.TextChoices):
        ACCEPTED = "accepted", _("Accepted")
        DECLINED = "declined", _("Declined")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.ForeignKey(AgreementVersion, on_delete=models.CASCADE, related_name="acceptances")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    answer = models.CharField(max_length=10, choices=Answer)
    reason = models.TextField(blank=True)
    by_name = models.CharField(max_length=150)
    # Who wrote it down, where the party is not hosted here and answered by other means.
    recorded_by_name = models.CharField(max_length=150, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "institution"], name="acceptance_one_answer_per_party")
        ]

    def __str__(self) -> str:
        return f"{self.institution} {self.answer}"


class Suspension(models.Model):
    """A switch that one party has thrown; only that party lifts it.

    The agreement is suspended while any is open: ``Agreement.suspended_at`` and
    ``new_mandates_suspended_at`` say so in the row that mirrors lock.
    """

    class What(models.TextChoices):
        NEW_MANDATES = "new_mandates", _("New mandates")
        EVERYTHING = "everything", _("Everything")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="suspensions")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    what = models.CharField(max_length=15, choices=What)
    reason = models.TextField(blank=True)
    suspended_at = models.DateTimeField(default=timezone.now)
    suspended_by_name = models.CharField(max_length=150)
    resumed_at = models.DateTimeField(null=True, blank=True)
    resumed_by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["suspended_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "institution", "what"],
                condition=Q(resumed_at__isnull=True),
                name="suspension_one_open_per_switch",
                violation_error_message=_("This is suspended already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.institution} {self.what}"


class AgreementEvent(models.Model):
    """A line of the two-sided timeline: what happened, on whose side, when and by whom."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="events")
    institution = models.ForeignKey(Institution, null=True, on_delete=models.PROTECT, related_name="+")
    # The mirror it happened to, where it was one.
    stream = models.ForeignKey("Stream", null=True, on_delete=models.SET_NULL, related_name="events")
    kind = models.CharField(max_length=40)
    by_name = models.CharField(max_length=150, blank=True)
    note = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    # When the other party was told of it by e-mail, where it is.
    mailed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return self.kind


class AgreementToken(Credential):
    """A credential of an agreement's other party: reads exactly what the agreement shares with it."""

    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="tokens")
    # The hosted party on whose domain the token is used; its administrator made it.
    issuer = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    created_by_name = models.CharField(max_length=150)
