"""What reminders say, in the languages that documents are written in. A subject holds a number, and nothing typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency

from models.money import Money


@dataclass(frozen=True, slots=True)
class Words:
    """`{number}`, `{amount}` and `{due}` stand for what the invoice says."""

    title: str
    hello: str
    owed: str
    ignore: str
    link: str
    why: str


WORDS: dict[str, Words] = {
    "en": Words(
        "Invoice {number} is overdue",
        "Hello,",
        "Invoice {number} was due on {due}. {amount} of it is still to be paid.",
        "If it was paid in the last few days, there is nothing to do.",
        "See and pay the invoice",
        "This is about what your organisation owes, so it is sent in any case.",
    ),
    "de": Words(
        "Die Rechnung {number} ist überfällig",
        "Guten Tag,",
        "die Rechnung {number} war am {due} fällig. Davon sind noch {amount} zu zahlen.",
        "Falls sie in den letzten Tagen bezahlt wurde, ist nichts zu tun.",
        "Rechnung ansehen und bezahlen",
        "Es geht um eine Schuld Ihrer Organisation, daher kommt diese Nachricht in jedem Fall.",
    ),
    "fr": Words(
        "La facture {number} est en retard de paiement",
        "Bonjour,",
        "La facture {number} était à payer le {due}. Il reste {amount} à régler.",
        "Si elle a été réglée ces derniers jours, il n’y a rien à faire.",
        "Voir et payer la facture",
        "Ce message concerne une dette de votre organisation ; il est envoyé dans tous les cas.",
    ),
    "ja": Words(
        "請求書 {number} のお支払い期限が過ぎています",
        "お世話になっております。",
        "請求書 {number} のお支払い期限は {due} でした。未払い額は {amount} です。",
        "ここ数日のうちにお支払い済みの場合は、何もしていただく必要はありません。",
        "請求書を確認して支払う",
        "組織のお支払いに関するお知らせのため、設定にかかわらずお送りしています。",
    ),
    "ar": Words(
        "الفاتورة {number} متأخرة السداد",
        "مرحباً،",
        "كان موعد سداد الفاتورة {number} في {due}، ولا يزال المبلغ {amount} مستحقاً.",
        "إذا تم السداد خلال الأيام القليلة الماضية فلا داعي لفعل أي شيء.",
        "عرض الفاتورة ودفعها",
        "تتعلق هذه الرسالة بما على مؤسستكم سداده، لذلك تُرسل في كل الأحوال.",
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
    )
