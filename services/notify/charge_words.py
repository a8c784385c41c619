"""Mails about charges that nobody watches, in the languages that documents are written in. No subject holds what was
typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from babel import Locale
from babel.numbers import format_currency

from models.money import Money
from services.notify.words import Said
from services.payments import brands


@dataclass(frozen=True, slots=True)
class _Language:
    hello: str
    failed: tuple[str, str]  # a title, and a sentence with {amount}
    confirm: tuple[str, str]
    waits: str
    expires: tuple[str, str]  # with {card}, and {date} as month/year
    link: str
    why: str


_IN: dict[str, _Language] = {
    "en": _Language(
        "Hello,",
        ("A payment failed", "{amount} could not be charged. Please see the invoice, and pay it in another way."),
        (
            "A payment wants your confirmation",
            "The bank wants you to confirm the payment of {amount}: please pay the invoice yourself.",
        ),
        "A payment goes on when you have confirmed it.",
        ("Your card expires soon", "The card {card}, by which you pay, expires in {date}. Please add another one."),
        "Open Matrix",
        "You get this because of your settings:",
    ),
    "de": _Language(
        "Guten Tag,",
        (
            "Eine Zahlung ist fehlgeschlagen",
            "{amount} konnten nicht eingezogen werden. Bitte sehen Sie die Rechnung an und bezahlen Sie sie anders.",
        ),
        (
            "Eine Zahlung braucht Ihre Bestätigung",
            "Die Bank möchte, dass Sie die Zahlung von {amount} bestätigen: Bitte bezahlen Sie die Rechnung selbst.",
        ),
        "Eine Zahlung geht weiter, sobald Sie sie bestätigt haben.",
        (
            "Ihre Karte läuft bald ab",
            "Die Karte {card}, mit der Sie bezahlen, läuft {date} ab. Bitte hinterlegen Sie vorher eine neue.",
        ),
        "Matrix öffnen",
        "Sie bekommen dies wegen Ihrer Einstellungen:",
    ),
    "fr": _Language(
        "Bonjour,",
        (
            "Un paiement a échoué",
            "{amount} n’ont pas pu être prélevés. Merci de consulter la facture et de la régler autrement.",
        ),
        (
            "Un paiement demande votre confirmation",
            "La banque vous demande de confirmer le paiement de {amount} : merci de régler la facture vous-même.",
        ),
        "Un paiement reprendra dès que vous l’aurez confirmé.",
        (
            "Votre carte expire bientôt",
            "La carte {card}, avec laquelle vous payez, expire le {date}. Merci d’en ajouter une nouvelle avant.",
        ),
        "Ouvrir Matrix",
        "Vous recevez ce message selon vos préférences :",
    ),
    "ja": _Language(
        "お世話になっております。",
        (
            "お支払いができませんでした",
            "{amount} を請求できませんでした。請求書をご確認のうえ、別の方法でお支払いください。",
        ),
        (
            "お支払いの確認が必要です",
            "{amount} のお支払いについて銀行が確認を求めています。"
            "請求書からご自身でお支払いください。",
        ),
        "ご確認いただくとお支払いが進みます。",
        (
            "カードの有効期限が近づいています",
            "お支払いに使用しているカード {card} の有効期限は {date} です。"
            "その前に新しいカードを追加してください。",
        ),
        "Matrix を開く",
        "設定に基づいてお送りしています:",
    ),
    "ar": _Language(
        "مرحباً،",
        ("تعذّر إتمام الدفع", "تعذّر تحصيل {amount}. يرجى الاطلاع على الفاتورة ودفعها بطريقة أخرى."),
        ("دفعة تحتاج إلى تأكيدكم", "يطلب البنك تأكيد دفع {amount}: يرجى دفع الفاتورة بأنفسكم."),
        "تستمر الدفعة بعد تأكيدكم.",
        ("بطاقتكم تنتهي قريباً", "البطاقة {card} التي تدفعون بها تنتهي في {date}. يرجى إضافة بطاقة جديدة قبل ذلك."),
        "فتح Matrix",
        "تصلكم هذه الرسالة بحسب إعداداتكم:",
    ),
}  # fmt: skip


def failed(language: str, money: Money, *, wants_confirmation: bool) -> Said:
    words, own = _in(language)
    title, sentence = words.confirm if wants_confirmation else words.failed
    amount = format_currency(money.amount, money.currency, locale=Locale.parse(own))
    return _said(own, title, sentence.format(amount=amount))


def waits(language: str) -> Said:
    words, own = _in(language)
    return _said(own, words.confirm[0], words.waits)


def expires(language: str, told: Mapping[str, Any]) -> Said:
    words, own = _in(language)
    title, sentence = words.expires
    date = f"{told['month']:02d}/{told['year']}"
    card = f"{brands.named(told['brand'])} {told['last4']}"
    return _said(own, title, sentence.format(card=card, date=date))


def _in(language: str) -> tuple[_Language, str]:
    """The words of a language without its region, and which that is; English where there are none."""
    own = language.partition("-")[0]
    own = own if own in _IN else "en"
    return _IN[own], own


def _said(language: str, title: str, sentence: str) -> Said:
    words = _IN[language]
    return Said(language, title, words.hello, (sentence,), words.link, words.why)
