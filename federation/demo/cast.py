"""Who plays in the demonstration: institutions, people and the names of fictitious clients."""

from dataclasses import dataclass

from accounts.models import Role


@dataclass(frozen=True)
class DemoPerson:
    """A person of an institution, with a role in a unit (None: the whole institution)."""

    name: str
    role: str
    unit: str | None
    title: str


@dataclass(frozen=True)
class DemoInstitution:
    """An institution of the demonstration."""

    schema: str
    name: str
    short_name: str
    country: str
    currency: str
    language: str
    colour: str
    address: str
    units: tuple[str, ...]
    people: tuple[DemoPerson, ...]


def _office(prefix: str) -> tuple[DemoPerson, ...]:
    return (
        DemoPerson(f"Olga {prefix}-Operations", Role.OPERATIONS, None, "Operations"),
        DemoPerson(f"Adrian {prefix}-Admin", Role.ADMINISTRATOR, None, "Partnerships and systems"),
        DemoPerson(f"Carla {prefix}-Compliance", Role.COMPLIANCE, None, "Compliance officer"),
    )


INSTITUTIONS: tuple[DemoInstitution, ...] = (
    DemoInstitution(
        "aurora", "Aurora Asset Management", "Aurora", "CH", "EUR", "en", "#5b3fa8",
        "Aurora Asset Management (demo)\nNordlichtgasse 1\n0000 Demostadt",
        ("Multi-asset desk", "Equity desk"),
        (
            DemoPerson("Paula Aurora-Portman", Role.PORTFOLIO_MANAGER, "Multi-asset desk", "Lead portfolio manager"),
            DemoPerson("Pavel Aurora-Porter", Role.PORTFOLIO_MANAGER, "Multi-asset desk", "Portfolio manager"),
            *_office("Aurora"),
        ),
    ),
    DemoInstitution(
        "borealis", "Borealis Capital", "Borealis", "LU", "EUR", "en", "#0b6e6e",
        "Borealis Capital (demo)\n1, rue de l'Exemple\nL-0000 Exempleville",
        ("Income desk",),
        (
            DemoPerson("Petra Borealis-Pine", Role.PORTFOLIO_MANAGER, "Income desk", "Portfolio manager"),
            DemoPerson("Piet Borealis-Pool", Role.PORTFOLIO_MANAGER, "Income desk", "Portfolio manager"),
            *_office("Borealis"),
        ),
    ),
    DemoInstitution(
        "harbour", "Harbour Bank", "Harbour", "CH", "EUR", "en", "#1f4e79",
        "Harbour Bank (demo)\nMusterquai 7\n0000 Hafenstadt",
        ("Harbour City branch", "Seaside branch"),
        (
            DemoPerson("Ada Harbour-Adler", Role.ADVISOR, "Harbour City branch", "Senior advisor"),
            DemoPerson("Ben Harbour-Berg", Role.ADVISOR, "Seaside branch", "Advisor"),
            *_office("Harbour"),
        ),
    ),
    DemoInstitution(
        "lakeside", "Lakeside Advisors", "Lakeside", "DE", "EUR", "en", "#2e7d32",
        "Lakeside Advisors (demo)\nSeeuferweg 3\n00000 Beispielsee",
        ("Lake office",),
        (DemoPerson("Lena Lakeside-Lang", Role.ADVISOR, "Lake office", "Advisor"), *_office("Lakeside")),
    ),
    DemoInstitution(
        "meadow", "Meadow Bank", "Meadow", "AT", "EUR", "en", "#a4511f",
        "Meadow Bank (demo)\nWiesenplatz 9\n0000 Musterwies",
        ("Meadow branch",),
        (
            DemoPerson("Mara Meadow-Maier", Role.PORTFOLIO_MANAGER, "Meadow branch", "Portfolio manager"),
            DemoPerson("Milo Meadow-Moser", Role.PORTFOLIO_MANAGER, "Meadow branch", "Portfolio manager"),
            DemoPerson("Anna Meadow-Auer", Role.ADVISOR, "Meadow branch", "Advisor"),
            *_office("Meadow"),
        ),
    ),
)  # fmt: skip

FIRST_NAMES = (
    "Alma", "Bruno", "Clara", "Dario", "Elsa", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara", "Linus",
    "Mila", "Nino", "Olivia", "Paul", "Quinn", "Rosa", "Sven", "Tilda", "Ugo", "Vera", "Wim", "Xenia",
    "Yara", "Zeno",
)  # fmt: skip
# The word for "example", "sample" or "fictitious" in many languages: nobody is called so.
LAST_NAMES = (
    "Mustermann", "Beispiel", "Sample", "Fictional", "Exemple", "Ejemplo", "Esempio", "Exemplo", "Voorbeeld",
    "Eksempel", "Exempel", "Esimerkki", "Przykladowy", "Nadani", "Primer", "Orneksen", "Placeholder",
)  # fmt: skip
COMPANIES = (
    "Fictional Holding", "Example Trading", "Sample Foundation", "Placeholder Industries", "Mustermann Immobilien",
    "Exemple Santé", "Beispiel Maschinen", "Ejemplo Textil",
)  # fmt: skip
