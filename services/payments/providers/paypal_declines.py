"""What PayPal's issues mean that say no to a payment. Pure.

From developer.paypal.com/api/handle-payment-failures and developer.paypal.com/api/errors/unprocessable-entity.
"""

from __future__ import annotations

from services.collection.declines import TOLD
from services.payments.providers.values import Advice, Decline, DeclineKind


def _row(code: str, kind: DeclineKind, advice: Advice, *, hard: bool = False) -> tuple[str, Decline]:
    return code, Decline(code, kind, hard, advice, TOLD[kind])


DECLINES: dict[str, Decline] = dict(
    (
        # The bank behind the wallet; another one in it may do.
        _row("INSTRUMENT_DECLINED", DeclineKind.UNEXPLAINED, Advice.RETRY_LATER),
        _row("REDIRECT_PAYER_FOR_ALTERNATE_FUNDING", DeclineKind.UNEXPLAINED, Advice.ASK_CUSTOMER),
        _row("TRANSACTION_REFUSED", DeclineKind.UNEXPLAINED, Advice.RETRY_LATER),
        _row("TRANSACTION_BLOCKED_BY_PAYEE", DeclineKind.FRAUD, Advice.OTHER_METHOD),
        _row("TRANSACTION_LIMIT_EXCEEDED", DeclineKind.LIMIT, Advice.RETRY_LATER),
        _row("MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED", DeclineKind.LIMIT, Advice.OTHER_METHOD),
        _row("CARD_EXPIRED", DeclineKind.EXPIRED, Advice.OTHER_METHOD, hard=True),
        _row("PAYER_ACTION_REQUIRED", DeclineKind.AUTHENTICATION, Advice.ASK_CUSTOMER),
        _row("PAYER_CANNOT_PAY", DeclineKind.NOT_ALLOWED, Advice.OTHER_METHOD),
        _row("PAYER_COUNTRY_NOT_SUPPORTED", DeclineKind.NOT_ALLOWED, Advice.OTHER_METHOD, hard=True),
        _row("PAYER_ACCOUNT_RESTRICTED", DeclineKind.NOT_ALLOWED, Advice.NEVER_AGAIN, hard=True),
        _row("PAYER_ACCOUNT_LOCKED_OR_CLOSED", DeclineKind.CARD_GONE, Advice.NEVER_AGAIN, hard=True),
        _row("COMPLIANCE_VIOLATION", DeclineKind.NOT_ALLOWED, Advice.NEVER_AGAIN, hard=True),
        _row("AGREEMENT_ALREADY_CANCELLED", DeclineKind.REVOKED, Advice.NEVER_AGAIN, hard=True),
    )
)
