import pytest

from services.collection.declines import DECLINES, decline_of
from services.payments.providers.values import Advice, DeclineKind

# docs.stripe.com/declines/codes, "Card decline codes".
DOCUMENTED = """
authentication_required approve_with_id authentication_not_handled call_issuer card_not_supported
card_velocity_exceeded currency_not_supported do_not_honor do_not_try_again duplicate_transaction expired_card
fraudulent generic_decline incorrect_address incorrect_number incorrect_cvc incorrect_pin incorrect_zip
insufficient_funds invalid_account invalid_amount invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number
invalid_pin issuer_not_available lost_card merchant_blacklist mobile_device_authentication_required
new_account_information_available no_action_taken not_permitted offline_pin_required online_or_offline_pin_required
pickup_card pin_try_exceeded processing_error reenter_transaction restricted_card revocation_of_all_authorizations
revocation_of_authorization security_violation service_not_allowed stolen_card stop_payment_order testmode_decline
transaction_not_allowed try_again_later withdrawal_count_limit_exceeded
"""


def test_every_documented_code_is_known() -> None:
    assert set(DOCUMENTED.split()) <= DECLINES.keys()


@pytest.mark.parametrize(
    ("code", "decline_code", "advice_code", "hard", "advice"),
    [
        ("card_declined", "insufficient_funds", "", False, Advice.RETRY_LATER),
        ("card_declined", "do_not_honor", "", False, Advice.RETRY_LATER),
        ("card_declined", "do_not_honor", "do_not_try_again", True, Advice.NEVER_AGAIN),
        ("card_declined", "generic_decline", "confirm_card_data", False, Advice.ASK_CUSTOMER),
        ("card_declined", "lost_card", "confirm_card_data", True, Advice.NEVER_AGAIN),
        ("card_declined", "revocation_of_authorization", "try_again_later", True, Advice.NEVER_AGAIN),
        ("expired_card", "", "", True, Advice.OTHER_METHOD),
        ("expired_card", "expired_card", "", True, Advice.OTHER_METHOD),
        ("card_declined", "duplicate_transaction", "", False, Advice.ASK_CUSTOMER),
        ("authentication_required", "authentication_required", "", False, Advice.ASK_CUSTOMER),
        ("card_declined", "made_up_tomorrow", "", False, Advice.ASK_CUSTOMER),
    ],
)
def test_a_decline_says_whether_to_try_again(
    code: str, decline_code: str, advice_code: str, hard: bool, advice: Advice
) -> None:
    found = decline_of(code=code, decline_code=decline_code, advice_code=advice_code)

    assert (found.code, found.hard, found.advice) == (decline_code or code, hard, advice)


def test_customers_are_not_told_of_theft_or_fraud() -> None:
    for decline in DECLINES.values():
        assert not any(word in decline.told.lower() for word in ("fraud", "stolen", "lost", "theft"))
        assert decline.shown_kind not in (DeclineKind.FRAUD, DeclineKind.CARD_GONE)
