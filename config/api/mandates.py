"""Mandates and instructions, with what the managing side answered."""

import uuid
from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import DomainError
from clients import services
from clients.forms.base import CURRENCIES
from clients.models import (
    INSTRUCTION_STATES,
    MANDATE_STATES,
    Client,
    ClientInstruction,
    InstructionOutcome,
    Mandate,
    MandateDecision,
    MandateRestriction,
    PayoutAccount,
    RiskProfile,
)
from config.api.base import ClientFilter, Empty, Listed, RecordSerializer, find, shown
from config.api.idempotency import PARAMETER
from models_portfolio.offers import Card, cards, choice_of

_MANDATE_STATES = [(str(state), label) for state, label in MANDATE_STATES.items()]
_INSTRUCTION_STATES = [(str(state), label) for state, label in INSTRUCTION_STATES.items()]
Kind = ClientInstruction.Kind


class DecisionSerializer(RecordSerializer):
    """What the managing side decided about a submission."""

    class Meta:
        model = MandateDecision
        fields = read_only_fields = shown("submission outcome reason missing decided_at decided_by_name")


class RestrictionSerializer(RecordSerializer):
    """Something the client does not want, or wants kept."""

    class Meta:
        model = MandateRestriction
        fields = read_only_fields = shown("kind value note")


class MandateSerializer(RecordSerializer):
    """A client's order to manage money; ``state`` follows from both parties' records."""

    state = serializers.ChoiceField(choices=_MANDATE_STATES, read_only=True)
    decisions = DecisionSerializer(many=True, read_only=True)
    restrictions = RestrictionSerializer(many=True, read_only=True)

    class Meta:
        model = Mandate
        fields = read_only_fields = shown(
            "number client name state status agreement offer offer_name manager_name terms currency amount"
            " risk_profile override_reason submission signed_on submitted_at disclosure_text"
            " disclosure_authorised_on answer history predecessor created_at decisions restrictions"
        )


class NewMandate(serializers.Serializer):
    """A draft: for whom, how much, which plan, resting on which profile."""

    client = serializers.UUIDField()
    offer = serializers.UUIDField(help_text="One of `offers/`.")
    amount = serializers.DecimalField(max_digits=20, decimal_places=4, min_value=1)
    currency = serializers.ChoiceField(choices=CURRENCIES, required=False)
    name = serializers.CharField(max_length=120, required=False, default="")
    risk_profile = serializers.UUIDField(required=False, help_text="The client's newest unless said.")
    override_reason = serializers.CharField(
        max_length=2000,
        required=False,
        default="",
        help_text="Why the client wants a plan that does not suit.",
    )


class Submission(serializers.Serializer):
    """The signature and, where a partner manages, the client's authorisation to disclose."""

    signed_on = serializers.DateField()
    disclosure_authorised_on = serializers.DateField(required=False)
    answer = serializers.CharField(
        max_length=2000, required=False, default="", help_text="Needed where the mandate was returned."
    )


class Withdrawal(serializers.Serializer):
    """Why a mandate is withdrawn."""

    reason = serializers.CharField(max_length=2000, required=False, default="")


class OutcomeSerializer(RecordSerializer):
    """What became of an instruction."""

    class Meta:
        model = InstructionOutcome
        fields = read_only_fields = shown("outcome amount currency note at by_name")


class InstructionSerializer(RecordSerializer):
    """What a client asks for; ``state`` follows from both parties' records."""

    state = serializers.ChoiceField(choices=_INSTRUCTION_STATES, read_only=True)
    outcomes = OutcomeSerializer(many=True, read_only=True)

    class Meta:
        model = ClientInstruction
        fields = read_only_fields = shown(
            "mandate kind state status amount currency reference payout_account offer offer_name wanted_date note"
            " sent_at sent_by_name created_at outcomes"
        )


class NewInstruction(serializers.Serializer):
    """What the client asks for; a withdrawal names an account, a change of model an offer."""

    mandate = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    amount = serializers.DecimalField(max_digits=20, decimal_places=4, min_value=0, required=False)
    currency = serializers.ChoiceField(choices=CURRENCIES, required=False, default="")
    payout_account = serializers.UUIDField(required=False)
    offer = serializers.UUIDField(required=False)
    override_reason = serializers.CharField(max_length=2000, required=False, default="")
    wanted_date = serializers.DateField(required=False)
    note = serializers.CharField(max_length=2000, required=False, default="")


class MandateFilter(django_filters.FilterSet):
    """Narrow mandates down."""

    client = django_filters.UUIDFilter(field_name="client_id")
    agreement = django_filters.UUIDFilter()
    state = django_filters.MultipleChoiceFilter(field_name="computed_state", choices=_MANDATE_STATES)

    class Meta:
        model = Mandate
        fields = ("number",)


class InstructionFilter(django_filters.FilterSet):
    """Narrow instructions down."""

    mandate = django_filters.UUIDFilter(field_name="mandate_id")
    client = ClientFilter("mandate")
    state = django_filters.MultipleChoiceFilter(field_name="computed_state", choices=_INSTRUCTION_STATES)

    class Meta:
        model = ClientInstruction
        fields = ("kind",)


class Mandates(Listed):
    """Mandates, own and received."""

    queryset = Mandate.objects.prefetch_related(
        Prefetch("decisions", MandateDecision.objects.current()),
        Prefetch("restrictions", MandateRestriction.objects.current()),
    )
    serializer_class = MandateSerializer
    filterset_class = MandateFilter
    orderings = ("-created_at", "id", "number")
    rights = {"create": "mandate.edit", "submit": "mandate.submit", "withdraw": "mandate.submit"}

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return super().narrow(queryset).with_state()  # type: ignore[attr-defined]

    def get_serializer_class(self) -> Any:
        bodies = {"create": NewMandate, "submit": Submission, "withdraw": Withdrawal}
        return bodies.get(self.action, MandateSerializer)

    @extend_schema(parameters=[PARAMETER], responses={201: MandateSerializer})
    def create(self, request: Request) -> Response:
        """Draft a mandate with its plan; nothing leaves the institution before it is submitted."""
        return self.write(self._draft, status=status.HTTP_201_CREATED, then=MandateSerializer)

    def _draft(self, data: dict[str, Any]) -> Mandate:
        client = find(Client.objects.with_right(self.person, "mandate.edit").own(), data["client"], "client")
        profile = self._profile(client, data.get("risk_profile"))
        mandate = services.start_mandate(client=client, by=self.person)
        mandate = services.plan_mandate(
            mandate=mandate,
            amount=data["amount"],
            currency=data.get("currency") or client.currency,
            risk_profile=profile,
            by=self.person,
            name=data["name"],
        )
        card = self._card(mandate, data["offer"])
        return services.choose_plan(
            mandate=mandate, choice=choice_of(card), by=self.person, override_reason=data["override_reason"]
        )

    def _profile(self, client: Client, key: uuid.UUID | None) -> RiskProfile:
        profiles = RiskProfile.objects.current().filter(client=client)
        profile = find(profiles, key, "risk_profile") or profiles.order_by("-number").first()
        if profile is None:
            raise DomainError(
                "no_risk_profile",
                _("The client has no risk profile yet. Send the answers to the questionnaire first."),
                field="risk_profile",
            )
        found: RiskProfile = profile
        return found

    def _card(self, mandate: Mandate, offer: uuid.UUID) -> Card:
        offered = cards(mandate, self.person, profile=mandate.risk_profile, amount=mandate.amount)
        return _chosen(offered, offer)

    @extend_schema(parameters=[PARAMETER], responses={200: MandateSerializer})
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, pk: str) -> Response:
        """Submit a signed mandate: where a partner manages, it sees the client from then on."""
        mandate = self.get_object()
        return self.write(
            lambda data: services.submit_mandate(mandate=mandate, by=self.person, **data),
            status=status.HTTP_200_OK,
            then=MandateSerializer,
        )

    @extend_schema(parameters=[PARAMETER], responses={200: MandateSerializer})
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Withdraw a mandate that is not managed yet."""
        mandate = self.get_object()
        return self.write(
            lambda data: services.withdraw_mandate(mandate=mandate, by=self.person, **data),
            status=status.HTTP_200_OK,
            then=MandateSerializer,
        )


def _chosen(offered: list[Card], offer: uuid.UUID) -> Card:
    card = next((each for each in offered if each.offer.pk == offer), None)
    if card is None:
        message = _("This plan is not on offer here.")
        raise exceptions.ValidationError({"offer": [exceptions.ErrorDetail(message, "does_not_exist")]})
    return card


class Instructions(Listed):
    """Instructions, own and received."""

    queryset = ClientInstruction.objects.prefetch_related(
        Prefetch("outcomes", InstructionOutcome.objects.current())
    )
    serializer_class = InstructionSerializer
    filterset_class = InstructionFilter
    orderings = ("-created_at", "id")
    rights = {"create": "instruction.send", "send": "instruction.send", "withdraw": "instruction.send"}

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return super().narrow(queryset).with_state()  # type: ignore[attr-defined]

    def get_serializer_class(self) -> Any:
        bodies = {"create": NewInstruction, "send": Empty, "withdraw": Empty}
        return bodies.get(self.action, InstructionSerializer)

    @extend_schema(parameters=[PARAMETER], responses={201: InstructionSerializer})
    def create(self, request: Request) -> Response:
        """Write down what a client asks for; it goes out with `send`."""
        return self.write(self._draft, status=status.HTTP_201_CREATED, then=InstructionSerializer)

    def _draft(self, data: dict[str, Any]) -> ClientInstruction:
        mandates = Mandate.objects.with_right(self.person, "instruction.send").own()
        mandates = mandates.select_related("client", "risk_profile")
        mandate = find(mandates, data.pop("mandate"), "mandate")
        accounts = PayoutAccount.objects.current().filter(client=mandate.client_id)
        account = find(accounts, data.pop("payout_account", None), "payout_account")
        offer, reason = data.pop("offer", None), data.pop("override_reason")
        plan = self._new_plan(mandate, offer, reason) if offer and data["kind"] == Kind.MODEL_CHANGE else None
        if plan is not None and reason:
            data["note"] = "\n".join(text for text in (data["note"], reason) if text)
        return services.draft_instruction(
            mandate=mandate, by=self.person, payout_account=account, new_plan=plan, **data
        )

    def _new_plan(self, mandate: Mandate, offer: uuid.UUID, reason: str) -> services.NewPlan:
        """Return the plan a client changes to, as suitable as one chosen in the browser."""
        profile = mandate.client.valid_profile() if mandate.client else None
        offered = cards(
            mandate,
            self.person,
            profile=profile,
            amount=None,
            only_agreement=mandate.agreement,
            is_change=True,
        )
        card = _chosen(offered, offer)
        if not card.suits and not card.can_override:
            raise DomainError("offer_unsuitable", card.reasons[0].message, field="offer")
        if not card.suits and not reason.strip():
            raise DomainError(
                "override_needs_reason",
                _("This plan does not suit the profile. Say why the client wants it all the same."),
                field="override_reason",
            )
        return services.NewPlan(offer=card.offer.pk, name=card.offer.name)

    @extend_schema(parameters=[PARAMETER], request=None, responses={200: InstructionSerializer})
    @action(detail=True, methods=["post"])
    def send(self, request: Request, pk: str) -> Response:
        """Send a drafted instruction to whoever manages the mandate."""
        instruction = self.get_object()
        return self.write(
            lambda data: services.send_instruction(instruction=instruction, by=self.person),
            status=status.HTTP_200_OK,
            then=InstructionSerializer,
        )

    @extend_schema(parameters=[PARAMETER], request=None, responses={200: InstructionSerializer})
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Withdraw an instruction that is not being carried out yet."""
        instruction = self.get_object()
        return self.write(
            lambda data: services.withdraw_instruction(instruction=instruction, by=self.person),
            status=status.HTTP_200_OK,
            then=InstructionSerializer,
        )
