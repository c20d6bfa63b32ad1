"""Clients: who they are, what is known of them, and entering new ones."""

import datetime
from typing import Any

import django_filters
from django.db.models import Prefetch
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clients import services
from clients.countries import check_country
from clients.forms.base import CURRENCIES, in_the_past
from clients.models import Client, ContactDetail, KycStatus, Party, PayoutAccount, RiskProfile
from clients.querysets import Person
from config.api.base import Listed, RecordSerializer, refuse, shown
from config.api.idempotency import PARAMETER


class PartySerializer(RecordSerializer):
    """A joint owner, representative or beneficial owner."""

    class Meta:
        model = Party
        fields = read_only_fields = shown("role name birth_date country national_id")


class ContactSerializer(RecordSerializer):
    """A way to reach a client."""

    class Meta:
        model = ContactDetail
        fields = read_only_fields = shown("kind value is_primary")


class KycSerializer(RecordSerializer):
    """The outcome of knowing one's client."""

    class Meta:
        model = KycStatus
        fields = read_only_fields = shown(
            "state checked_on valid_until is_politically_exposed checked_by_name"
        )


class ProfileSerializer(RecordSerializer):
    """A version of the risk profile; levels from 1 to 7."""

    class Meta:
        model = RiskProfile
        fields = read_only_fields = shown(
            "client number level knowledge capacity tolerance horizon_years sustainability valid_from valid_until"
        )


class PayoutSerializer(RecordSerializer):
    """An account of the client's own that money may be paid out to once it is verified."""

    is_verified = serializers.BooleanField(read_only=True)

    class Meta:
        model = PayoutAccount
        fields = read_only_fields = shown("iban holder is_verified verified_at")


class ClientSerializer(RecordSerializer):
    """A client with all that is on record of who they are."""

    parties = PartySerializer(many=True, read_only=True)
    contact_details = ContactSerializer(many=True, read_only=True)
    kyc = KycSerializer(read_only=True, allow_null=True, default=None)
    risk_profiles = ProfileSerializer(many=True, read_only=True)
    payout_accounts = PayoutSerializer(many=True, read_only=True)

    class Meta:
        model = Client
        fields = read_only_fields = shown(
            "number kind status name first_name last_name birth_date country nationality national_id"
            " registration_number lei language currency advisor_name next_review_date created_at"
            " parties contact_details kyc risk_profiles payout_accounts"
        )


class NewParty(serializers.Serializer):
    """A joint owner, representative or beneficial owner of a new client."""

    role = serializers.ChoiceField(choices=Party.Role.choices)
    name = serializers.CharField(max_length=200)
    birth_date = serializers.DateField(
        required=False, allow_null=True, default=None, validators=[in_the_past]
    )
    country = serializers.CharField(validators=[check_country], required=False, allow_blank=True, default="")
    national_id = serializers.CharField(max_length=50, required=False, allow_blank=True, default="")


class NewContacts(serializers.Serializer):
    """How a new client is reached."""

    email = serializers.EmailField(max_length=300, required=False)
    phone = serializers.CharField(max_length=300, required=False)
    address = serializers.CharField(max_length=300, required=False)


class NewClient(serializers.Serializer):
    """Who the client is: a person or couple by first and last name, a company by its name."""

    kind = serializers.ChoiceField(choices=Client.Kind.choices)
    name = serializers.CharField(max_length=200, required=False, help_text="Of a company.")
    first_name = serializers.CharField(max_length=100, required=False)
    last_name = serializers.CharField(max_length=100, required=False)
    birth_date = serializers.DateField(required=False, validators=[in_the_past])
    country = serializers.CharField(
        validators=[check_country], required=False, help_text="ISO 3166, two letters."
    )
    nationality = serializers.CharField(validators=[check_country], required=False)
    national_id = serializers.CharField(max_length=50, required=False)
    registration_number = serializers.CharField(max_length=50, required=False)
    lei = serializers.CharField(max_length=20, required=False)
    language = serializers.ChoiceField(choices=["en", "de"], required=False)
    currency = serializers.ChoiceField(choices=CURRENCIES, required=False)
    parties = NewParty(many=True, required=False)
    contacts = NewContacts(required=False)
    is_someone_else = serializers.BooleanField(
        default=False, help_text="Enter the client although one who may be the same is here already."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        is_company = attrs["kind"] == Client.Kind.COMPANY
        needed = ("name",) if is_company else ("first_name", "last_name", "birth_date")
        missing = {name: [_required()] for name in needed if not attrs.get(name)}
        owners = [each for each in attrs.get("parties", []) if each["role"] == Party.Role.JOINT_OWNER]
        if attrs["kind"] == Client.Kind.COUPLE and not owners:
            missing["parties"] = [
                serializers.ErrorDetail(_("Send the second person as joint owner."), "required")
            ]
        if missing:
            raise serializers.ValidationError(missing)
        return attrs


def _required() -> serializers.ErrorDetail:
    return serializers.ErrorDetail(_("This field is needed for this kind of client."), "required")


def _people(kind: str, data: dict[str, Any], parties: list[services.PartyData]) -> list[Person]:
    """Return the persons by which a duplicate is recognised; none for a company."""
    if kind == Client.Kind.COMPANY:
        return []
    owners = [
        Person(*each.name.rpartition(" ")[::2], each.birth_date, each.national_id)
        for each in parties
        if each.role == Party.Role.JOINT_OWNER and each.birth_date
    ]
    own = Person(data["first_name"], data["last_name"], data["birth_date"], data.get("national_id", ""))
    return [own, *owners]


class NewKyc(serializers.Serializer):
    """A check of the client's identity, and what it rested on."""

    checked_on = serializers.DateField()
    is_politically_exposed = serializers.BooleanField()
    evidence_kind = serializers.CharField(max_length=60)
    evidence_reference = serializers.CharField(max_length=200)

    def validate_checked_on(self, day: datetime.date) -> datetime.date:
        if day > datetime.datetime.now(datetime.UTC).date():
            raise serializers.ValidationError(_("The check lies in the future."))
        return day


class NewProfile(serializers.Serializer):
    """The answers to the risk questionnaire, by the key of the question."""

    answers = serializers.DictField(child=serializers.CharField(max_length=60))


class ClientFilter(django_filters.FilterSet):
    """Narrow clients down."""

    name = django_filters.CharFilter(lookup_expr="icontains")
    created_since = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Client
        fields = ("number", "kind", "status", "country")


_current = {
    name: Prefetch(name, model.objects.filter(retired_at=None))
    for name, model in (
        ("parties", Party),
        ("contact_details", ContactDetail),
        ("risk_profiles", RiskProfile),
        ("payout_accounts", PayoutAccount),
    )
}


class Clients(Listed):
    """Clients, own and received."""

    queryset = Client.objects.select_related("kyc").prefetch_related(*_current.values())
    serializer_class = ClientSerializer
    filterset_class = ClientFilter
    orderings = ("name", "id", "created_at")
    rights = {"create": "client.edit", "kyc": "client.edit", "risk_profiles": "client.edit"}

    def get_serializer_class(self) -> Any:
        bodies = {"create": NewClient, "kyc": NewKyc, "risk_profiles": NewProfile}
        return bodies.get(self.action, ClientSerializer)

    @extend_schema(parameters=[PARAMETER], responses={201: ClientSerializer})
    def create(self, request: Request) -> Response:
        """Enter a client, who becomes the user's own. 409 where one whom the user sees may be the same."""
        return self.write(self._enter, status=status.HTTP_201_CREATED, then=ClientSerializer)

    def _enter(self, data: dict[str, Any]) -> Client:
        kind, parties = data.pop("kind"), [services.PartyData(**each) for each in data.pop("parties", [])]
        contacts, is_new = dict(data.pop("contacts", {})), data.pop("is_someone_else")
        known = services.who_may_be(
            _people(kind, data, parties),
            by=self.person,
            registration_number=data.get("registration_number", ""),
        )
        if known.seen and not is_new:
            raise refuse(
                "possible_duplicate",
                _("This client may be here already. If it is somebody else, say so with is_someone_else."),
                data=[client.pk for client in known.seen],
            )
        client = services.create_client(
            kind=kind, fields=data, by=self.person, parties=parties, contacts=contacts
        )
        services.note_known(client, known, by=self.person)
        return client

    @extend_schema(parameters=[PARAMETER], responses={200: ClientSerializer})
    @action(detail=True, methods=["post"])
    def kyc(self, request: Request, pk: str) -> Response:
        """Record a check of the client's identity."""
        client = self.get_object()

        def act(data: dict[str, Any]) -> Client:
            services.record_kyc(client=client, by=self.person, **data)
            return client

        return self.write(act, status=status.HTTP_200_OK, then=ClientSerializer)

    @extend_schema(parameters=[PARAMETER], responses={201: ClientSerializer})
    @action(detail=True, methods=["post"], url_path="risk-profiles")
    def risk_profiles(self, request: Request, pk: str) -> Response:
        """Draw a new version of the risk profile from the answers to the questionnaire."""
        client = self.get_object()

        def act(data: dict[str, Any]) -> Client:
            services.record_questionnaire(client=client, answers=data["answers"], by=self.person)
            return client

        return self.write(act, status=status.HTTP_201_CREATED, then=ClientSerializer)
