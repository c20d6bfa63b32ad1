"""What a partner's system reads with an agreement's token: the published models and views on offer, nothing else."""

from typing import Any

from django.db import connection
from django.db.models import Prefetch, QuerySet
from django.db.models.expressions import RawSQL
from django.urls import URLPattern, path
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from psycopg import sql
from rest_framework import authentication, exceptions, generics, permissions, serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.views_base import Unkept
from federation import scope
from federation.agreements.tokens import MARK, find_token
from federation.models import AgreementToken
from federation.views.base import institution_of
from models_portfolio.models import ModelPortfolio, ModelVersion, Target, View


class Partner:
    """Who acts with an agreement's token: the other party's system, never a user of this institution."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, token: AgreementToken) -> None:
        # Requests are counted by it: each token has a count of its own.
        self.pk = token.pk
        self.agreement = token.agreement

    def __str__(self) -> str:
        return str(self.agreement)


class AgreementTokenAuthentication(authentication.BaseAuthentication):
    """Read ``Authorization: Bearer rba_…``; another kind of token is left to others."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[Partner, AgreementToken] | None:
        keyword, _space, text = request.headers.get("Authorization", "").partition(" ")
        if keyword.lower() != self.keyword.lower() or not text.startswith(f"{MARK}_"):
            return None
        token = find_token(text.strip(), institution=institution_of(request._request))
        if token is None:
            raise exceptions.AuthenticationFailed(
                _("This token is unknown, expired or revoked, or its agreement is not in force.")
            )
        return Partner(token), token

    def authenticate_header(self, request: Request) -> str:
        return self.keyword


class AgreementTokenScheme(OpenApiAuthenticationExtension):
    """Describe the token to readers of the API's documentation."""

    target_class = AgreementTokenAuthentication
    name = "agreementToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of one agreement, made by the administrator of the party that shares.",
        }


class HasAgreementToken(permissions.BasePermission):
    """Let partners in, and nobody else: not even the institution's own users."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, AgreementToken)


class SharedSerializer(serializers.ModelSerializer[Any]):
    """Show only the fields that the version in force shares."""

    always = frozenset({"id"})

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shared = self.always | set(self.context["flow"].shares[instance._meta.label].fields)
        return {name: value for name, value in super().to_representation(instance).items() if name in shared}


class SharedSecuritySerializer(serializers.Serializer[Any]):
    """A security as both parties know it."""

    id = serializers.UUIDField()
    isin = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    currency = serializers.CharField()


class SharedModelSerializer(SharedSerializer):
    """A model on offer under the agreement."""

    class Meta:
        model = ModelPortfolio
        fields = ["id", "code", "name", "description", "currency", "risk_level", "drift_tolerance"]


class SharedTargetSerializer(SharedSerializer):
    """A line of a version: a security, another model, or cash where both are null. Weights are fractions."""

    security = SharedSecuritySerializer(allow_null=True)

    class Meta:
        model = Target
        fields = ["id", "security", "sub_model", "weight", "minimum_weight", "maximum_weight", "is_locked"]


class SharedVersionSerializer(SharedSerializer):
    """A published version of a model with its targets; it never changes."""

    always = frozenset({"id", "targets"})
    targets = SharedTargetSerializer(many=True)

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "model",
            "number",
            "effective_from",
            "comment",
            "published_at",
            "published_by_name",
            "targets",
        ]


class SharedViewSerializer(SharedSerializer):
    """A published view: over- or underweight a security or an asset class, in percentage points as a fraction."""

    security = SharedSecuritySerializer(allow_null=True)

    class Meta:
        model = View
        fields = [
            "id", "version", "security", "asset_class", "tilt", "rationale", "valid_from", "valid_to", "published_at",
            "published_by_name",
        ]  # fmt: skip


class SharedList(Unkept, generics.ListAPIView[Any]):
    """A list of one kind of record, exactly as the agreement shares it, in the order they were made."""

    authentication_classes = [AgreementTokenAuthentication]
    permission_classes = [HasAgreementToken]
    # Ids are UUIDv7.
    orderings = ("id",)

    @cached_property
    def flow(self) -> scope.Flow:
        """Return the direction from the token's issuer to its partner."""
        token = self.request.auth
        assert isinstance(token, AgreementToken)
        return scope.Flow.of(token.agreement, token.agreement.side_of(token.issuer))

    def get_serializer_context(self) -> dict[str, Any]:
        context = dict(super().get_serializer_context())
        return context if getattr(self, "swagger_fake_view", False) else {**context, "flow": self.flow}

    def shared(self, model: type[Any]) -> QuerySet[Any]:
        """Return the own rows that the mirror would hand over; none where the kind is not shared."""
        if getattr(self, "swagger_fake_view", False):
            return model.objects.none()
        share = self.flow.shares.get(model._meta.label)
        if share is None:
            return model.objects.none()
        query = sql.SQL("SELECT t.id FROM {schema}.{table} t WHERE {condition}").format(
            schema=self.flow.source,
            table=sql.Identifier(share.kind.table),
            condition=self.flow.in_scope(share.kind, "t"),
        )
        connection.ensure_connection()
        text = query.as_string(connection.connection).replace("%", "%%")
        return model.objects.filter(pk__in=RawSQL(text, []))  # noqa: S611


class Models(SharedList):
    """The models offered under the agreement."""

    serializer_class = SharedModelSerializer

    def get_queryset(self) -> QuerySet[ModelPortfolio]:
        return self.shared(ModelPortfolio)


class Versions(SharedList):
    """The published versions of these models, with their targets."""

    serializer_class = SharedVersionSerializer

    def get_queryset(self) -> QuerySet[ModelVersion]:
        targets = self.shared(Target).select_related("security").order_by("-weight", "id")
        return self.shared(ModelVersion).prefetch_related(Prefetch("targets", targets))


class Views(SharedList):
    """The published views on these models."""

    serializer_class = SharedViewSerializer

    def get_queryset(self) -> QuerySet[View]:
        return self.shared(View).select_related("security")


urlpatterns: list[URLPattern] = [
    path("models/", Models.as_view(), name="api_models"),
    path("versions/", Versions.as_view(), name="api_versions"),
    path("views/", Views.as_view(), name="api_views"),
]
