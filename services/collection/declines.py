"""What each decline of Stripe means for us: its kind, whether the method is of any use still, and what to do.

The codes and their next steps are those of docs.stripe.com/declines/codes ("Card decline codes"); `advice_code`, which
Stripe passes on from the card networks, is described at docs.stripe.com/declines/card ("Retrying issuer declines").
Hard means that networks forbid or punish another try with the same card: lost, stolen and picked-up cards, closed
accounts, withdrawn permissions, numbers that do not exist, expired cards, and whatever a network says not to try again.

Customers are never told that a bank thinks of fraud or theft: whoever holds the card may be the thief. Pure.
"""

from __future__ import annotations

from dataclasses import replace

from services.payments.providers.values import Advice, Decline, DeclineKind

_CALL = "The bank declined the payment without saying why. Ask your bank, or pay in another way."
_OTHER = "This card cannot be used for this payment. Pay in another way."

TOLD = {
    DeclineKind.FUNDS: "The card has not enough funds. Try again later, or pay in another way.",
    DeclineKind.CARD_GONE: _CALL,
    DeclineKind.CARD_DATA: "The card's number, expiry date or security code is not right. Enter it again.",
    DeclineKind.EXPIRED: "The card has expired. Add a new one.",
    DeclineKind.AUTHENTICATION: "Your bank wants you to confirm the payment. Pay again and follow its steps.",
    DeclineKind.NOT_ALLOWED: _OTHER,
    DeclineKind.LIMIT: "The card has reached its limit. Try again later, or pay in another way.",
    DeclineKind.FRAUD: _CALL,
    DeclineKind.TRY_LATER: "The bank could not be reached. Try again in a moment.",
    DeclineKind.REVOKED: "The permission to charge this card was withdrawn. Add another way to pay.",
    DeclineKind.UNEXPLAINED: _CALL,
}


def _rows(kind: DeclineKind, advice: Advice, codes: str, *, hard: bool = False) -> dict[str, Decline]:
    return {code: Decline(code, kind, hard, advice, TOLD[kind]) for code in codes.split()}


DECLINES: dict[str, Decline] = {
    **_rows(DeclineKind.FUNDS, Advice.RETRY_LATER, "insufficient_funds"),
    **_rows(
        DeclineKind.LIMIT,
        Advice.RETRY_LATER,
        "card_velocity_exceeded withdrawal_count_limit_exceeded",
    ),
    **_rows(DeclineKind.CARD_GONE, Advice.NEVER_AGAIN, "lost_card stolen_card pickup_card", hard=True),
    **_rows(DeclineKind.CARD_GONE, Advice.NEVER_AGAIN, "invalid_account restricted_card", hard=True),
    **_rows(
        DeclineKind.FRAUD,
        Advice.NEVER_AGAIN,
        "fraudulent merchant_blacklist security_violation",
        hard=True,
    ),
    **_rows(
        DeclineKind.REVOKED,
        Advice.NEVER_AGAIN,
        "revocation_of_all_authorizations revocation_of_authorization stop_payment_order",
        hard=True,
    ),
    **_rows(DeclineKind.EXPIRED, Advice.OTHER_METHOD, "expired_card", hard=True),
    **_rows(DeclineKind.CARD_DATA, Advice.ASK_CUSTOMER, "incorrect_number invalid_number", hard=True),
    **_rows(
        DeclineKind.CARD_DATA,
        Advice.ASK_CUSTOMER,
        "incorrect_cvc invalid_cvc invalid_expiry_month invalid_expiry_year incorrect_zip incorrect_address"
        " incorrect_pin invalid_pin new_account_information_available",
    ),
    **_rows(
        DeclineKind.AUTHENTICATION,
        Advice.ASK_CUSTOMER,
        "authentication_required authentication_not_handled mobile_device_authentication_required"
        " payment_intent_authentication_failure setup_intent_authentication_failure",
    ),
    **_rows(
        DeclineKind.NOT_ALLOWED,
        Advice.OTHER_METHOD,
        "card_not_supported currency_not_supported not_permitted service_not_allowed transaction_not_allowed"
        " invalid_amount pin_try_exceeded offline_pin_required online_or_offline_pin_required",
    ),
    **_rows(DeclineKind.NOT_ALLOWED, Advice.OTHER_METHOD, "testmode_decline", hard=True),
    **_rows(
        DeclineKind.TRY_LATER,
        Advice.RETRY_LATER,
        "processing_error issuer_not_available reenter_transaction try_again_later approve_with_id",
    ),
    **_rows(DeclineKind.UNEXPLAINED, Advice.NEVER_AGAIN, "do_not_try_again", hard=True),
    # Twice the same amount in a short time: the first one went through, so another try would charge twice.
    **_rows(DeclineKind.UNEXPLAINED, Advice.ASK_CUSTOMER, "duplicate_transaction"),
    **_rows(
        DeclineKind.UNEXPLAINED,
        Advice.RETRY_LATER,
        "generic_decline do_not_honor call_issuer no_action_taken",
    ),
}
_UNKNOWN = Decline("", DeclineKind.UNEXPLAINED, hard=False, advice=Advice.ASK_CUSTOMER, told=_CALL)


def decline_of(*, code: str, decline_code: str = "", advice_code: str = "") -> Decline:
    """What Stripe's three codes of one error mean together. A code we do not know is soft, and asks the customer.

    A network's "do not try again" makes anything hard. Its "confirm card data" does not make a hard one soft.
    """
    name = decline_code or code
    found = replace(DECLINES.get(name, _UNKNOWN), code=name)
    if advice_code == "do_not_try_again":
        return replace(found, hard=True, advice=Advice.NEVER_AGAIN)
    if advice_code == "confirm_card_data" and not found.hard:
        return replace(found, advice=Advice.ASK_CUSTOMER)
    return found
