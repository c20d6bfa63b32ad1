"""The tree of branches and desks."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from accounts.models import Unit
from config.api.base import Listed


class UnitSerializer(serializers.ModelSerializer):
    """A branch or desk; rights on a unit hold for all below it. The root of a tree has no ``parent``."""

    class Meta:
        model = Unit
        fields = read_only_fields = ("id", "name", "kind", "parent")


class Units(Listed):
    """Units, for those who read or change who may do what."""

    right = ("people.edit", "people.read")
    queryset = Unit.objects.all()
    serializer_class = UnitSerializer
    filterset_fields = ("kind", "parent")
    orderings = ("name", "id")

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset
