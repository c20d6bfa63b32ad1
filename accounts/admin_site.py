"""Where Django's admin is: on each institution's domain, behind its own sign-in, to look up and change nothing.

People, clients, mandates and money change through services, which check, audit and keep in step; a form here
would go around them.
"""

from functools import update_wrapper
from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth.views import redirect_to_login
from django.db import models
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from accounts.records import Record, RecordQuerySet


class ReadOnly:
    """Show rows and change none; nothing that is kept for history or sealed, and no name of such a record."""

    model: type[models.Model]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the rows that are in use, and that neither hang off nor are listed with one that is not."""
        rows: Any = super().get_queryset(request)  # type: ignore[misc]
        if isinstance(rows, RecordQuerySet):
            rows = rows.current()
        listed = getattr(self, "list_display", ())
        for key in self._keys():
            if not key.null or key.name in listed:
                rows = rows.filter(Q(**{key.name: None}) | Q(**{f"{key.name}__retired_at": None}))
        return rows

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Leave out the fields that name a row which is not in use any more."""
        # To an inline Django gives the record that it is on.
        keys = self._keys() if isinstance(obj, self.model) else []
        named = [(key.name, getattr(obj, key.name)) for key in keys]
        others: Any = super().get_exclude(request, obj) or ()  # type: ignore[misc]
        return [*others, *(name for name, record in named if record is not None and record.retired_at)]

    def _keys(self) -> list[models.ForeignKey[Any, Any]]:
        keys = [each for each in self.model._meta.fields if isinstance(each, models.ForeignKey)]
        return [key for key in keys if issubclass(key.related_model, Record)]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, ModelAdmin):
    """The list and the records of one model."""

    list_per_page = 50
    show_full_result_count = False
    view_on_site = False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Filter by what the list offers alone: by any other field one could find out what it does not show."""
        filters: Any = self.list_filter
        offered = [each if isinstance(each, str) else each[0] for each in filters]
        return lookup in {f"{name}{ending}" for name in offered for ending in ("", "__exact", "__isempty")}


class Site(AdminSite):
    """The admin of one institution; for people without a share in it there is none."""

    site_header = site_title = _("Roboblock admin")
    index_title = _("Records")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take what is read only: the models of libraries hold second factors, and where resets are sent."""
        if admin_class is not None and issubclass(admin_class, ReadOnlyAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def get_urls(self) -> list[Any]:
        """Leave out the way to a record's own page by any id, which is no page of this platform."""
        return [each for each in super().get_urls() if getattr(each, "name", "") != "view_on_site"]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Name the institution whose records these are."""
        name = getattr(getattr(request, "tenant", None), "name", "")
        return {**super().each_context(request), "site_header": f"{name} · {self.site_header}"}

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Answer as pages of other institutions' records do: people without a share find nothing here."""
        shown = super().admin_view(view, cacheable)

        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return shown(request, *args, **kwargs) if self.has_permission(request) else self.login(request)

        return update_wrapper(page, shown)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Lead to the institution's sign-in, with its second factor and its pause after wrong passwords."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise Http404
        return redirect_to_login(request.GET.get("next", "") or request.get_full_path())

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Lead to the page on which everybody changes the password."""
        return redirect("account_change_password")
