"""Who lives in the demo: organisations with a story each, their people, their keys, and what they use.

Companies, people and addresses are invented; the names end in `.example`, which belongs to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.types import BillingMode, OrganizationKind, Role

HISTORY_DAYS = 90


@dataclass(frozen=True, slots=True)
class Person:
    """Signs in as `<first name>@<domain>` with the password `<first name>-matrix-demo`."""

    name: str
    role: Role

    @property
    def first_name(self) -> str:
        return self.name.split()[0].lower()

    @property
    def password(self) -> str:
        return f"{self.first_name}-matrix-demo"


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: made, rotated and revoked so many days before today; `expires_in` days after it."""

    name: str
    made: int
    by: int = 0  # which of the organisation's people made it
    scopes: tuple[str, ...] = ("inference",)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    expires_in: int | None = None
    rotated: int | None = None  # the old secret worked for two days more
    revoked: int | None = None
    project: str = ""
    program: str = ""  # the service account it belongs to


@dataclass(frozen=True, slots=True)
class Project:
    """A part of the organisation's work, made so many days before today."""

    name: str
    description: str
    made: int


@dataclass(frozen=True, slots=True)
class Program:
    """A service account."""

    name: str
    role: Role
    made: int


@dataclass(frozen=True, slots=True)
class Invited:
    """Somebody who was asked to join and has not answered."""

    first_name: str
    role: Role
    days_ago: int


@dataclass(frozen=True, slots=True)
class Habit:
    """One way of calling. Tokens are medians; `spread` is the sigma of their logarithm."""

    key: str
    share: float
    endpoint: str = "chat"
    streamed: bool = False
    prompt_tokens: int = 400
    completion_tokens: int = 120
    spread: float = 0.5


@dataclass(frozen=True, slots=True)
class Episode:
    """Days on which things went differently: `first` days before today, for `days` days.

    `failing` is the share of calls the upstream could not answer, between the local `hours`.
    """

    first: int
    days: int
    factor: float = 1.0
    failing: float = 0.0
    hours: tuple[int, int] = (0, 24)

    def covers(self, days_ago: int) -> bool:
        return self.first >= days_ago > self.first - self.days


@dataclass(frozen=True, slots=True)
class Traffic:
    """How much is called and when. `hours` weighs the 24 local hours of a day."""

    calls_per_day: float  # on an ordinary weekday at the end of the history
    weekly_growth: float
    weekend: float
    month_end: float  # factor on the last three days of a month
    hours: tuple[float, ...]
    session_calls: float  # calls that come together within a few minutes
    habits: tuple[Habit, ...]
    episodes: tuple[Episode, ...] = ()
    careless: float = 0.006  # share of calls refused for the caller's own fault
    network: str = "203.0.113"


@dataclass(frozen=True, slots=True)
class Story:
    name: str
    domain: str
    kind: OrganizationKind
    founded: int  # days before today
    people: tuple[Person, ...]
    timezone: str = "UTC"
    currency: str = "USD"
    billing_mode: BillingMode = BillingMode.POSTPAID
    keys: tuple[Key, ...] = ()
    projects: tuple[Project, ...] = ()
    programs: tuple[Program, ...] = ()
    invited: tuple[Invited, ...] = ()
    traffic: Traffic | None = None

    def address_of(self, person: Person) -> str:
        return f"{person.first_name}@{self.domain}"


_OFFICE = (
    0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.6, 1.8, 4.5, 6.8, 7.6, 7.2,
    4.9, 6.4, 7.4, 7.0, 6.1, 4.2, 2.2, 1.4, 1.1, 0.8, 0.4, 0.2,
)  # fmt: skip
_NIGHT = (
    4.0, 9.0, 14.0, 15.0, 9.0, 3.0, 0.5, 0.4, 0.8, 1.1, 1.2, 1.1,
    0.8, 1.1, 1.2, 1.1, 0.9, 0.5, 0.2, 0.1, 0.1, 0.1, 0.4, 1.5,
)  # fmt: skip
_EVENING = (
    2.6, 1.2, 0.5, 0.2, 0.1, 0.1, 0.1, 0.2, 0.4, 0.9, 1.6, 2.1,
    1.4, 1.9, 2.4, 2.6, 2.4, 2.1, 1.9, 2.4, 3.6, 4.8, 5.2, 4.1,
)  # fmt: skip

# A robot maker whose support assistant grows week by week; three weeks ago it was launched to everybody.
HALDEN = Story(
    name="Halden Robotics",
    domain="halden.example",
    kind=OrganizationKind.CLIENT,
    founded=118,
    timezone="Europe/Berlin",
    currency="EUR",
    people=(
        Person("Ines Albrecht", Role.OWNER),
        Person("Mira Sandoval", Role.ADMIN),
        Person("Tomasz Nowak", Role.DEVELOPER),
        Person("Farah Qureshi", Role.BILLING),
        Person("Leon Fischer", Role.VIEWER),
    ),
    keys=(
        Key(
            "Support assistant",
            made=112,
            by=1,
            requests_per_minute=600,
            tokens_per_minute=400_000,
            rotated=40,
            project="Customer support",
        ),
        Key(
            "Manual search",
            made=96,
            by=1,
            requests_per_minute=300,
            project="Manuals",
            program="Manual indexer",
        ),
        Key("Notebook", made=61, by=2, requests_per_minute=60, tokens_per_minute=40_000, expires_in=12),
    ),
    projects=(
        Project("Customer support", "The assistant on our support pages", made=113),
        Project("Manuals", "Search in the manuals of all robots", made=98),
    ),
    programs=(Program("Manual indexer", Role.DEVELOPER, made=97),),
    invited=(Invited("klara", Role.VIEWER, days_ago=1),),
    traffic=Traffic(
        calls_per_day=460,
        weekly_growth=0.07,
        weekend=0.35,
        month_end=1.0,
        hours=_OFFICE,
        session_calls=5,
        habits=(
            Habit("Support assistant", 0.72, streamed=True, prompt_tokens=620, completion_tokens=150),
            Habit("Manual search", 0.22, endpoint="embeddings", prompt_tokens=90, completion_tokens=0),
            Habit("Notebook", 0.06, prompt_tokens=240, completion_tokens=90, spread=0.8),
        ),
        episodes=(Episode(first=21, days=1, factor=3.4), Episode(first=20, days=3, factor=1.9)),
    ),
)

# A haulier that reads the day's freight papers at night, twice as many at the end of a month. One night the
# model server was away.
MERIDIAN = Story(
    name="Meridian Freight",
    domain="meridian.example",
    kind=OrganizationKind.CLIENT,
    founded=104,
    timezone="America/Chicago",
    currency="USD",
    people=(
        Person("Grace Okafor", Role.OWNER),
        Person("Daniel Reyes", Role.DEVELOPER),
        Person("Helen Park", Role.BILLING),
    ),
    keys=(
        Key("Nightly batch", made=101, requests_per_minute=240, tokens_per_minute=300_000),
        Key("Dispatch desk", made=77, by=1, requests_per_minute=60, expires_in=180),
        Key("Load test", made=70, by=1, requests_per_minute=30, revoked=66),
    ),
    traffic=Traffic(
        calls_per_day=135,
        weekly_growth=0.01,
        weekend=0.25,
        month_end=2.2,
        hours=_NIGHT,
        session_calls=14,
        habits=(
            Habit("Nightly batch", 0.58, prompt_tokens=780, completion_tokens=60, spread=0.35),
            Habit("Nightly batch", 0.24, endpoint="embeddings", prompt_tokens=210, completion_tokens=0),
            Habit("Dispatch desk", 0.18, streamed=True, prompt_tokens=180, completion_tokens=110),
        ),
        episodes=(Episode(first=26, days=1, factor=2.4, failing=0.62, hours=(1, 5)),),
        careless=0.003,
        network="198.51.100",
    ),
)

# Two designers who pay in advance and work late.
KUMO = Story(
    name="Kumo Studio",
    domain="kumo.example",
    kind=OrganizationKind.CLIENT,
    founded=93,
    timezone="Asia/Tokyo",
    currency="JPY",
    billing_mode=BillingMode.PREPAID,
    people=(Person("Aiko Tanaka", Role.OWNER), Person("Ren Mori", Role.DEVELOPER)),
    keys=(
        Key("Caption writer", made=92, requests_per_minute=30, tokens_per_minute=20_000),
        Key("Website draft", made=33, by=1, requests_per_minute=10, expires_in=4),
    ),
    traffic=Traffic(
        calls_per_day=34,
        weekly_growth=0.02,
        weekend=0.7,
        month_end=1.0,
        hours=_EVENING,
        session_calls=4,
        habits=(
            Habit("Caption writer", 0.82, streamed=True, prompt_tokens=140, completion_tokens=70),
            Habit("Website draft", 0.18, prompt_tokens=320, completion_tokens=260),
        ),
        careless=0.02,
        network="192.0.2",
    ),
)

PARTNER = Story(
    name="Lindqvist Cloud",
    domain="lindqvist.example",
    kind=OrganizationKind.PARTNER,
    founded=110,
    timezone="Europe/Stockholm",
    currency="EUR",
    people=(Person("Elsa Lindqvist", Role.OWNER),),
)
DEVELOPER = Story(
    name="Paperlight Apps",
    domain="paperlight.example",
    kind=OrganizationKind.DEVELOPER,
    founded=84,
    timezone="Australia/Melbourne",
    people=(Person("Noah Whitlam", Role.OWNER),),
)
OPERATOR = Story(
    name="Matrix Operations",
    domain="operator.example",
    kind=OrganizationKind.OPERATOR,
    founded=372,
    currency="EUR",
    people=(
        Person("Sam Delgado", Role.OPERATOR),
        Person("Priya Raman", Role.GOVERNANCE),
        Person("Jonas Weber", Role.SUPPORT),
    ),
)

CLIENTS = (HALDEN, MERIDIAN, KUMO)
STORIES = (OPERATOR, *CLIENTS, PARTNER, DEVELOPER)

# Whose year of billing is made by turning a clock: one that grows, and one that grows, rests and leaves. They hardly
# call, so they are not among the STORIES.
BILLED = (
    Story(
        name="Lumen Atlas",
        domain="lumen-atlas.example",
        kind=OrganizationKind.CLIENT,
        founded=366,
        people=(Person("Ada Lindqvist", Role.OWNER),),
        timezone="Europe/Berlin",
        currency="EUR",
    ),
    Story(
        name="Pine and Fathom",
        domain="pine-fathom.example",
        kind=OrganizationKind.CLIENT,
        founded=366,
        people=(Person("Jonas Reuter", Role.OWNER),),
        timezone="Europe/Berlin",
        currency="EUR",
    ),
)
