"""Who may do what: one table from roles to capabilities."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from models.types import Role


class Capability(StrEnum):
    ORGANIZATION_READ = "organization.read"
    ORGANIZATION_WRITE = "organization.write"
    MEMBERS_READ = "members.read"
    MEMBERS_WRITE = "members.write"
    SERVICE_ACCOUNTS_READ = "service_accounts.read"
    SERVICE_ACCOUNTS_WRITE = "service_accounts.write"
    PROJECTS_READ = "projects.read"
    PROJECTS_WRITE = "projects.write"
    AUDIT_READ = "audit.read"
    TASKS_READ = "tasks.read"
    TASKS_WRITE = "tasks.write"
    FILES_READ = "files.read"
    FILES_WRITE = "files.write"
    KEYS_READ = "keys.read"
    KEYS_WRITE = "keys.write"
    USAGE_READ = "usage.read"
    USAGE_WRITE = "usage.write"
    COST_READ = "cost.read"
    LEDGER_READ = "ledger.read"
    INVOICES_READ = "invoices.read"
    BILLING_PROFILE_WRITE = "billing_profile.write"
    SUBSCRIPTIONS_READ = "subscriptions.read"
    SUBSCRIPTIONS_WRITE = "subscriptions.write"
    WALLET_READ = "wallet.read"
    WALLET_WRITE = "wallet.write"
    PAYMENTS_READ = "payments.read"
    PAYMENTS_WRITE = "payments.write"
    BUDGETS_READ = "budgets.read"
    BUDGETS_WRITE = "budgets.write"
    MODELS_READ = "models.read"
    PLANS_READ = "plans.read"
    INFERENCE = "inference"
    METERS_WRITE = "meters.write"
    STAFF_ORGANIZATIONS_READ = "staff.organizations.read"
    STAFF_ORGANIZATIONS_WRITE = "staff.organizations.write"
    STAFF_UPSTREAMS_READ = "staff.upstreams.read"
    STAFF_UPSTREAMS_WRITE = "staff.upstreams.write"
    STAFF_PRICES_READ = "staff.prices.read"
    STAFF_PRICES_WRITE = "staff.prices.write"
    STAFF_PLANS_READ = "staff.plans.read"
    STAFF_PLANS_WRITE = "staff.plans.write"
    STAFF_LEDGER_READ = "staff.ledger.read"
    STAFF_SUBSCRIPTIONS_READ = "staff.subscriptions.read"
    STAFF_SUBSCRIPTIONS_WRITE = "staff.subscriptions.write"
    STAFF_INVOICES_READ = "staff.invoices.read"
    STAFF_INVOICES_WRITE = "staff.invoices.write"
    STAFF_WALLETS_READ = "staff.wallets.read"
    STAFF_WALLETS_WRITE = "staff.wallets.write"
    STAFF_PAYMENTS_READ = "staff.payments.read"
    STAFF_PAYMENTS_WRITE = "staff.payments.write"
    STAFF_REFUNDS_APPROVE = "staff.refunds.approve"
    STAFF_MAILBOX_READ = "staff.mailbox.read"
    STAFF_AUDIT_READ = "staff.audit.read"
    STAFF_HEALTH_READ = "staff.health.read"
    STAFF_JOBS_WRITE = "staff.jobs.write"


C = Capability

_VIEW = {
    C.ORGANIZATION_READ,
    C.MEMBERS_READ,
    C.PROJECTS_READ,
    C.USAGE_READ,
    C.MODELS_READ,
    C.PLANS_READ,
    C.TASKS_READ,
    C.FILES_READ,
}
_DEVELOP = _VIEW | {
    C.KEYS_READ,
    C.KEYS_WRITE,
    C.SERVICE_ACCOUNTS_READ,
    C.USAGE_WRITE,
    C.INFERENCE,
    C.COST_READ,
    C.BUDGETS_READ,
    C.TASKS_WRITE,
    C.FILES_WRITE,
}
_BILL = _VIEW | {
    C.COST_READ,
    C.LEDGER_READ,
    C.INVOICES_READ,
    C.BILLING_PROFILE_WRITE,
    C.SUBSCRIPTIONS_READ,
    C.SUBSCRIPTIONS_WRITE,
    C.WALLET_READ,
    C.WALLET_WRITE,
    C.PAYMENTS_READ,
    C.PAYMENTS_WRITE,
    C.BUDGETS_READ,
    C.BUDGETS_WRITE,
    C.KEYS_READ,
    C.TASKS_WRITE,
    C.FILES_WRITE,
}
_ADMINISTER = (
    _DEVELOP
    | _BILL
    | {
        C.ORGANIZATION_WRITE,
        C.MEMBERS_WRITE,
        C.SERVICE_ACCOUNTS_WRITE,
        C.PROJECTS_WRITE,
        C.METERS_WRITE,
        C.AUDIT_READ,
    }
)
_STAFF_VIEW = {
    C.STAFF_ORGANIZATIONS_READ,
    C.STAFF_UPSTREAMS_READ,
    C.STAFF_PRICES_READ,
    C.STAFF_PLANS_READ,
    C.STAFF_LEDGER_READ,
    C.STAFF_SUBSCRIPTIONS_READ,
    C.STAFF_INVOICES_READ,
    C.STAFF_WALLETS_READ,
    C.STAFF_PAYMENTS_READ,
    C.STAFF_HEALTH_READ,
}
_STAFF_WORK = _STAFF_VIEW | {
    C.STAFF_ORGANIZATIONS_WRITE,
    C.STAFF_UPSTREAMS_WRITE,
    C.STAFF_PRICES_WRITE,
    C.STAFF_SUBSCRIPTIONS_WRITE,
    C.STAFF_INVOICES_WRITE,
    C.STAFF_WALLETS_WRITE,
    C.STAFF_PAYMENTS_WRITE,
    C.STAFF_REFUNDS_APPROVE,
    C.STAFF_PLANS_WRITE,
    C.STAFF_MAILBOX_READ,
    C.STAFF_AUDIT_READ,
    C.STAFF_JOBS_WRITE,
}

ROLE_CAPABILITIES: dict[Role, frozenset[Capability]] = {
    Role.OWNER: frozenset(_ADMINISTER),
    Role.ADMIN: frozenset(_ADMINISTER),
    Role.BILLING: frozenset(_BILL),
    Role.DEVELOPER: frozenset(_DEVELOP),
    Role.VIEWER: frozenset(_VIEW),
    # Staff roles exist only in organisations of kind operator.
    Role.OPERATOR: frozenset(_ADMINISTER | _STAFF_WORK),
    Role.SUPPORT: frozenset(_VIEW | _STAFF_VIEW),
    Role.GOVERNANCE: frozenset(_VIEW | {C.COST_READ, C.STAFF_AUDIT_READ} | _STAFF_VIEW),
}

STAFF_ROLES = frozenset({Role.OPERATOR, Role.SUPPORT, Role.GOVERNANCE})

# What a key of each scope may do. A key never gets more than this, whoever made it.
SCOPE_CAPABILITIES: dict[str, frozenset[Capability]] = {
    "inference": frozenset({C.INFERENCE, C.MODELS_READ}),
    "usage:read": frozenset({C.USAGE_READ, C.COST_READ, C.MODELS_READ, C.ORGANIZATION_READ}),
    "usage:write": frozenset({C.USAGE_WRITE}),
    "keys:read": frozenset({C.KEYS_READ}),
    "keys:write": frozenset({C.KEYS_READ, C.KEYS_WRITE}),
}


@lru_cache(maxsize=1_024)
def capabilities_of_scopes(scopes: frozenset[str]) -> frozenset[Capability]:
    return frozenset(c for scope in scopes for c in SCOPE_CAPABILITIES.get(scope, frozenset[Capability]()))
