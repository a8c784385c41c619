"""What happens to accounts, sessions, organisations and keys. Never with a secret or a password in it."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from services.core.events import DomainEvent


class AccountSignedUp(DomainEvent):
    """An address was given that is not confirmed yet, again perhaps. `token_id` is the mail token's, not a secret."""

    type: ClassVar[str] = "account.signed_up"
    token_id: str


class AccountSignUpRepeated(DomainEvent):
    """Somebody signed up with the address of a confirmed account. Only its owner is told."""

    type: ClassVar[str] = "account.sign_up_repeated"


class AccountConfirmationRequested(DomainEvent):
    type: ClassVar[str] = "account.confirmation_requested"
    token_id: str


class AccountConfirmed(DomainEvent):
    type: ClassVar[str] = "account.confirmed"


class AccountRenamed(DomainEvent):
    type: ClassVar[str] = "account.renamed"


class AccountPasswordResetRequested(DomainEvent):
    type: ClassVar[str] = "account.password_reset_requested"
    token_id: str


class AccountPasswordChanged(DomainEvent):
    type: ClassVar[str] = "account.password_changed"
    by: str  # its owner, signed in: "change"; by a mailed link: "reset"


class AuthenticatorEnabled(DomainEvent):
    """Signing in asks for a code of an app from now on. `aggregate_id` is the account's, here and below."""

    type: ClassVar[str] = "authenticator.enabled"


class AuthenticatorDisabled(DomainEvent):
    type: ClassVar[str] = "authenticator.disabled"


class RecoveryCodesMade(DomainEvent):
    """The first ones, as two-step verification was turned on."""

    type: ClassVar[str] = "recovery_codes.made"


class RecoveryCodesReplaced(DomainEvent):
    """Others were made in place of those before, which work no more."""

    type: ClassVar[str] = "recovery_codes.replaced"


class RecoveryCodeUsed(DomainEvent):
    type: ClassVar[str] = "recovery_codes.used"


class SessionStarted(DomainEvent):
    """`aggregate_id` is the session's, here and below."""

    type: ClassVar[str] = "session.started"
    account_id: str
    new_device: bool = False  # another one was known before


class SessionEnded(DomainEvent):
    type: ClassVar[str] = "session.ended"
    account_id: str
    reason: str  # signed_out, ended_by_owner, password_changed, two_step_enabled, membership_changed


class SessionSwitched(DomainEvent):
    """The session now works in another organisation, under a new token."""

    type: ClassVar[str] = "session.switched"
    account_id: str


class SessionProved(DomainEvent):
    """Somebody showed again who they are. The session goes on under a new token."""

    type: ClassVar[str] = "session.proved"
    account_id: str


class OrganizationCreated(DomainEvent):
    type: ClassVar[str] = "organization.created"
    kind: str
    name: str


class OrganizationUpdated(DomainEvent):
    type: ClassVar[str] = "organization.updated"
    changed: list[str]


class OrganizationSuspended(DomainEvent):
    type: ClassVar[str] = "organization.suspended"


class OrganizationResumed(DomainEvent):
    type: ClassVar[str] = "organization.resumed"


class MembershipCreated(DomainEvent):
    type: ClassVar[str] = "membership.created"
    account_id: str
    role: str


class MembershipChanged(DomainEvent):
    type: ClassVar[str] = "membership.changed"
    account_id: str
    role: str


class MembershipSuspended(DomainEvent):
    type: ClassVar[str] = "membership.suspended"
    account_id: str


class MembershipResumed(DomainEvent):
    type: ClassVar[str] = "membership.resumed"
    account_id: str


class MembershipEnded(DomainEvent):
    type: ClassVar[str] = "membership.ended"
    account_id: str


class MembershipLeft(DomainEvent):
    """The person went by themselves."""

    type: ClassVar[str] = "membership.left"
    account_id: str


class InvitationCreated(DomainEvent):
    """`aggregate_id` is the invitation's, here and below; `issue` says which of its mails is to be written."""

    type: ClassVar[str] = "invitation.created"
    role: str
    issue: int


class InvitationResent(DomainEvent):
    type: ClassVar[str] = "invitation.resent"
    issue: int


class InvitationRevoked(DomainEvent):
    type: ClassVar[str] = "invitation.revoked"


class InvitationAccepted(DomainEvent):
    type: ClassVar[str] = "invitation.accepted"
    account_id: str
    role: str


class ProjectCreated(DomainEvent):
    """`aggregate_id` is the project's, here and below."""

    type: ClassVar[str] = "project.created"
    name: str


class ProjectUpdated(DomainEvent):
    type: ClassVar[str] = "project.updated"
    changed: list[str]


class ProjectArchived(DomainEvent):
    type: ClassVar[str] = "project.archived"
    ended_keys: int


class ProjectRestored(DomainEvent):
    type: ClassVar[str] = "project.restored"


class ServiceAccountCreated(DomainEvent):
    """`aggregate_id` is the service account's, here and below."""

    type: ClassVar[str] = "service_account.created"
    name: str
    role: str


class ServiceAccountUpdated(DomainEvent):
    type: ClassVar[str] = "service_account.updated"
    changed: list[str]


class ServiceAccountDisabled(DomainEvent):
    type: ClassVar[str] = "service_account.disabled"


class ServiceAccountEnabled(DomainEvent):
    type: ClassVar[str] = "service_account.enabled"


class ApiKeyCreated(DomainEvent):
    type: ClassVar[str] = "api_key.created"
    name: str
    prefix: str
    scopes: list[str]


class ApiKeyRotated(DomainEvent):
    """`aggregate_id` is the old key, which works until `old_expires_at`."""

    type: ClassVar[str] = "api_key.rotated"
    new_key_id: str
    old_expires_at: datetime


class ApiKeyUpdated(DomainEvent):
    type: ClassVar[str] = "api_key.updated"
    changed: list[str]


class ApiKeyRevoked(DomainEvent):
    type: ClassVar[str] = "api_key.revoked"
    name: str


class TestClockCreated(DomainEvent):
    """`aggregate_id` is the clock's, here and below. The organisation's business time stands at `shows`."""

    __test__ = False  # pytest would otherwise collect it by its name
    type: ClassVar[str] = "test_clock.created"
    name: str
    shows: datetime


class TestClockTurned(DomainEvent):
    """Staff wants it to be `to`; it goes there from moment to moment. It showed `since` then."""

    __test__ = False
    type: ClassVar[str] = "test_clock.turned"
    to: datetime
    since: datetime


class TestClockAdvanced(DomainEvent):
    """Once for each organisation on the clock."""

    __test__ = False
    type: ClassVar[str] = "test_clock.advanced"
    shows: datetime
