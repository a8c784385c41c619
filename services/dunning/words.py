"""What reminders say, in the languages that documents are written in. A subject holds a number, and nothing typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from babel import Locale
from babel.dates import format_date, format_datetime, get_timezone
from babel.numbers import format_currency

from models.money import Money
from services.billing.periods import Span


@dataclass(frozen=True, slots=True)
class Words:
    """`{number}`, `{amount}` and `{due}` stand for what the invoice says. `blocked` is what a credit note gives as its
    reason, with `{spans}`, each a `span` from `{start}` to `{end}`."""

    title: str
    hello: str
    owed: str
    ignore: str
    link: str
    why: str
    blocked: str
    span: str


WORDS: dict[str, Words] = {
    "en": Words(
        "Invoice {number} is overdue",
        "Hello,",
        "Invoice {number} was due on {due}. {amount} of it is still to be paid.",
        "If it was paid in the last few days, there is nothing to do.",
        "See and pay the invoice",
        "This is about what your organisation owes, so it is sent in any case.",
        "Paid time in which calls were refused: {spans}",
        "{start} to {end}",
    ),
    "de": Words(
        "Die Rechnung {number} ist überfällig",
        "Guten Tag,",
        "die Rechnung {number} war am {due} fällig. Davon sind noch {amount} zu zahlen.",
        "Falls sie in den letzten Tagen bezahlt wurde, ist nichts zu tun.",
        "Rechnung ansehen und bezahlen",
        "Es geht um eine Schuld Ihrer Organisation, daher kommt diese Nachricht in jedem Fall.",
        "Bezahlte Zeit, in der Aufrufe abgelehnt wurden: {spans}",
        "{start} bis {end}",
    ),
    "fr": Words(
        "La facture {number} est en retard de paiement",
        "Bonjour,",
        "La facture {number} était à payer le {due}. Il reste {amount} à régler.",
        "Si elle a été réglée ces derniers jours, il n’y a rien à faire.",
        "Voir et payer la facture",
        "Ce message concerne une dette de votre organisation ; il est envoyé dans tous les cas.",
        "Période payée pendant laquelle les appels étaient refusés : {spans}",
        "du {start} au {end}",
    ),
    "ja": Words(
        "請求書 {number} のお支払い期限が過ぎています",
        "お世話になっております。",
        "請求書 {number} のお支払い期限は {due} でした。未払い額は {amount} です。",
        "ここ数日のうちにお支払い済みの場合は、何もしていただく必要はありません。",
        "請求書を確認して支払う",
        "組織のお支払いに関するお知らせのため、設定にかかわらずお送りしています。",
        "お支払い済みで、呼び出しが拒否されていた期間：{spans}",
        "{start}～{end}",
    ),
    "ar": Words(
        "الفاتورة {number} متأخرة السداد",
        "مرحباً،",
        "كان موعد سداد الفاتورة {number} في {due}، ولا يزال المبلغ {amount} مستحقاً.",
        "إذا تم السداد خلال الأيام القليلة الماضية فلا داعي لفعل أي شيء.",
        "عرض الفاتورة ودفعها",
        "تتعلق هذه الرسالة بما على مؤسستكم سداده، لذلك تُرسل في كل الأحوال.",
        "وقت مدفوع رُفضت فيه الاستدعاءات: {spans}",
        "من {start} إلى {end}",
    ),
}


def language_of(asked: str) -> str:
    """The language itself without its region; English for one that there are no words in."""
    language = asked.partition("-")[0]
    return language if language in WORDS else "en"


def filled(words: Words, *, language: str, number: str, due: Money, due_date: date) -> Words:
    locale = Locale.parse(language)
    said = {
        "number": number,
        "amount": format_currency(due.amount, due.currency, locale=locale),
        "due": format_date(due_date, "long", locale=locale),
    }
    return Words(
        words.title.format(**said),
        words.hello,
        words.owed.format(**said),
        words.ignore,
        words.link,
        words.why,
        words.blocked,
        words.span,
    )


SPANS_SAID_MAX = 4  # of the last: a reason is a sentence


def blocked(language: str, spans: Sequence[Span], zone: str) -> str:
    """That paid time was blocked, and when, on the clocks of the document."""
    words = WORDS[language]

    def at(moment: datetime) -> str:
        return format_datetime(moment, "medium", get_timezone(zone), locale=Locale.parse(language))

    said = [words.span.format(start=at(one.start), end=at(one.end)) for one in spans[-SPANS_SAID_MAX:]]
    return words.blocked.format(spans="; ".join(said))
