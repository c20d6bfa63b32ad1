"""Step one: who the client is."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as __
from django.utils.translation import gettext_lazy as _
from stdnum import lei

from clients import countries
from clients.forms.base import CURRENCIES, ConflictAware, DateInput, in_the_past
from clients.models import Client, Party
from clients.querysets import Person
from clients.services import PartyData

PERSONAL = ("first_name", "last_name", "birth_date", "nationality", "national_id")
SECOND = ("second_first_name", "second_last_name", "second_birth_date", "second_national_id")
COMPANY = ("name", "registration_number", "lei")
CONTACT = ("email", "phone", "address")
SHARED = ("country", "language", "currency")


class WhoForm(ConflictAware):
    """A person, a couple or a company, and how to reach them; ``kind`` decides on the fields."""

    kind = forms.ChoiceField(label=_("Who is it?"), choices=Client.Kind.choices, widget=forms.RadioSelect)
    first_name = forms.CharField(label=_("First name"), max_length=100)
    last_name = forms.CharField(label=_("Last name"), max_length=100)
    birth_date = forms.DateField(label=_("Date of birth"), validators=[in_the_past], widget=DateInput())
    nationality = forms.ChoiceField(label=_("Nationality"), required=False)
    national_id = forms.CharField(
        label=_("National id"),
        max_length=50,
        required=False,
        help_text=_("Passport, identity card or tax number. It recognises a client who is here already."),
    )
    second_first_name = forms.CharField(label=_("First name"), max_length=100)
    second_last_name = forms.CharField(label=_("Last name"), max_length=100)
    second_birth_date = forms.DateField(
        label=_("Date of birth"), validators=[in_the_past], widget=DateInput()
    )
    second_national_id = forms.CharField(label=_("National id"), max_length=50, required=False)
    name = forms.CharField(label=_("Company name"), max_length=200)
    registration_number = forms.CharField(label=_("Registration number"), max_length=50)
    lei = forms.CharField(
        label=_("LEI"), max_length=24, help_text=_("The legal entity identifier: 20 letters and digits.")
    )
    country = forms.ChoiceField(label=_("Country of residence"))
    language = forms.ChoiceField(label=_("Language"), choices=[("en", _("English")), ("de", _("German"))])
    currency = forms.ChoiceField(label=_("Currency"), choices=CURRENCIES)
    email = forms.EmailField(label=_("E-mail"), max_length=300, required=False)
    phone = forms.CharField(label=_("Phone"), max_length=60, required=False)
    address = forms.CharField(
        label=_("Address"), max_length=300, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    is_someone_else = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("country", "nationality"):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = countries.choices()
        left_out = {
            Client.Kind.PERSON: (*SECOND, *COMPANY),
            Client.Kind.COUPLE: COMPANY,
            Client.Kind.COMPANY: (*PERSONAL, *SECOND),
        }[Client.Kind(kind)]
        for name in left_out:
            del self.fields[name]
        if kind == Client.Kind.COMPANY:
            self.fields["country"].label = _("Country of its seat")

    def clean_lei(self) -> str:
        """Return a valid LEI, compact (ISO 17442)."""
        value = lei.compact(self.cleaned_data["lei"]).upper()
        if not lei.is_valid(value):
            raise ValidationError(_("This is not a valid LEI. Compare its 20 characters with the register."))
        return value

    def client_fields(self) -> dict[str, Any]:
        """Return the fields of the client as the service takes them."""
        names = (*PERSONAL, *COMPANY, *SHARED)
        return {name: self.cleaned_data[name] for name in names if name in self.fields}

    def people(self) -> list[Person]:
        """Return the persons by which a duplicate is recognised; none for a company."""
        data = self.cleaned_data
        prefixes = [each for each in ("", "second_") if f"{each}last_name" in self.fields]
        return [
            Person(
                data[f"{each}first_name"],
                data[f"{each}last_name"],
                data[f"{each}birth_date"],
                data[f"{each}national_id"],
            )
            for each in prefixes
        ]

    def contacts(self) -> dict[str, str]:
        """Return the ways to reach the client, by kind."""
        return {name: self.cleaned_data[name] for name in CONTACT}

    def second_person(self) -> list[PartyData]:
        """Return the second person of a couple as joint owner."""
        data = self.cleaned_data
        if "second_last_name" not in self.fields:
            return []
        return [
            PartyData(
                role=Party.Role.JOINT_OWNER,
                name=f"{data['second_first_name']} {data['second_last_name']}",
                birth_date=data["second_birth_date"],
                country=data["country"],
                national_id=data["second_national_id"],
            )
        ]


def stored(client: Client) -> dict[str, Any]:
    """Return what is stored of a client, as initial values of the form."""
    values: dict[str, Any] = {name: getattr(client, name) for name in ("kind", *PERSONAL, *COMPANY, *SHARED)}
    for kind in CONTACT:
        contact = client.first_contact(kind)
        values[kind] = contact.value if contact else ""
    second = next((party for party in client.parties.all() if party.role == Party.Role.JOINT_OWNER), None)
    if second is not None:
        first_name, _space, last_name = second.name.partition(" ")
        values |= {
            "second_first_name": first_name,
            "second_last_name": last_name,
            "second_birth_date": second.birth_date,
            "second_national_id": second.national_id,
        }
    return values


class PartyForm(forms.Form):
    """A representative or beneficial owner of a company."""

    role = forms.ChoiceField(
        label=_("Role"),
        choices=[
            (Party.Role.REPRESENTATIVE, Party.Role.REPRESENTATIVE.label),
            (Party.Role.BENEFICIAL_OWNER, Party.Role.BENEFICIAL_OWNER.label),
        ],
    )
    name = forms.CharField(label=_("Full name"), max_length=200, required=False)
    birth_date = forms.DateField(
        label=_("Date of birth"), validators=[in_the_past], widget=DateInput(), required=False
    )
    country = forms.ChoiceField(label=_("Country"), required=False)
    national_id = forms.CharField(label=_("National id"), max_length=50, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["country"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = countries.choices()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not data.get("name") and any(data.get(name) for name in ("birth_date", "country", "national_id")):
            self.add_error("name", __("Enter the name, or clear this line."))
        return data


class _PartyFormSet(forms.BaseFormSet):
    """The people behind a company: at least one representative and one beneficial owner."""

    def clean(self) -> None:
        if any(self.errors):
            return
        roles = {party.role for party in self.parties()}
        if Party.Role.REPRESENTATIVE not in roles:
            raise ValidationError(_("Enter at least one representative."))
        if Party.Role.BENEFICIAL_OWNER not in roles:
            raise ValidationError(_("Enter at least one beneficial owner."))

    def parties(self) -> Sequence[PartyData]:
        """Return the lines that name somebody."""
        return [PartyData(**form.cleaned_data) for form in self.forms if form.cleaned_data.get("name")]


PartyFormSet = forms.formset_factory(PartyForm, formset=_PartyFormSet, extra=0)


def stored_parties(client: Client | None) -> list[dict[str, Any]]:
    """Return the people behind a company as initial values; one empty line of each role for a new one."""
    known = [
        {
            "role": party.role,
            "name": party.name,
            "birth_date": party.birth_date,
            "country": party.country,
            "national_id": party.national_id,
        }
        for party in (client.parties.all() if client else [])
    ]
    return known or [{"role": Party.Role.REPRESENTATIVE}, {"role": Party.Role.BENEFICIAL_OWNER}]
