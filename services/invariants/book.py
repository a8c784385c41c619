"""All invariants there are. Each reads a bounded part of its tables, since it runs again and again."""

from __future__ import annotations

from datetime import timedelta

from services.invariants.rule import Invariant


class EveryAnswerHasItsUsageEvent(Invariant):
    name = "answer_has_usage_event"
    means = (
        "Calls were answered whose tokens nobody counted: they cost us and are in no sum and on no invoice."
    )
    # By organisation, since that is how requests are indexed.
    query = """
        select r.organization_id, r.id as request_id
        from organization o join lateral (
          select organization_id, id from request
          where organization_id = o.id and started_at >= :since and status < 400
            and prompt_tokens + completion_tokens > 0
        ) r on true
        where not exists (
          select from usage_event u
          where u.organization_id = r.organization_id and u.source = 'gateway' and u.event_id = r.id
        )
        limit :evidence_max
    """


class RollUpsEqualRawEvents(Invariant):
    """Hours and waiting deltas of the platform's meters against the events they sum up."""

    name = "roll_ups_equal_events"
    means = "Usage pages and invoices show sums that differ from what was used. The events are right, the sums are not."
    query = """
        with since as (
          select date_trunc('hour', cast(:since as timestamptz), 'UTC') as start
        ), counted as (
          select o.id as organization_id, m.id as meter_id, m.event_type, m.value_property, m.aggregation
          from organization o cross join meter m
          where m.organization_id is null and m.aggregation in ('count', 'sum')
        ), stated as (
          select c.organization_id, c.meter_id, case
            when c.aggregation = 'count' then 1
            when jsonb_typeof(e.properties -> c.value_property) = 'number'
              then round(cast(e.properties ->> c.value_property as numeric), 12)
            when e.properties ->> c.value_property ~ '^[0-9]{1,18}([.][0-9]{1,12})?$'
              then cast(e.properties ->> c.value_property as numeric) end as quantity
          from counted c cross join since
          join usage_event e on e.type = c.event_type and e.organization_id = c.organization_id
            and e.time >= since.start
        ), raw as (
          select organization_id, meter_id, count(*) as events, sum(quantity) as quantity
          from stated where quantity between 0 and 1000000000000000000 group by 1, 2
        ), sums as (
          select organization_id, meter_id, sum(events) as events, sum(quantity) as quantity from (
            select c.organization_id, c.meter_id, h.events, h.quantity from counted c cross join since
              join usage_hour h on h.organization_id = c.organization_id and h.meter_id = c.meter_id
                and h.bucket >= since.start
            union all
            select c.organization_id, c.meter_id, d.events, d.quantity from counted c cross join since
              join usage_delta d on d.organization_id = c.organization_id and d.meter_id = c.meter_id
                and d.bucket >= since.start
          ) as kept group by 1, 2
        )
        select organization_id, meter_id, cast(raw.events as text) as events,
          cast(sums.events as text) as summed_events, cast(raw.quantity as text) as quantity,
          cast(sums.quantity as text) as summed_quantity
        from raw full join sums using (organization_id, meter_id)
        where coalesce(raw.events, 0) <> coalesce(sums.events, 0)
          or coalesce(raw.quantity, 0) <> coalesce(sums.quantity, 0)
        limit :evidence_max
    """


class KeysBelongWhereTheirProjectDoes(Invariant):
    name = "key_and_project_share_organization"
    means = "A key works for a project or a service account of another organisation: usage shows up with strangers."
    query = """
        select k.id as key_id, k.organization_id, coalesce(p.organization_id, s.organization_id) as other_id
        from api_key k
        left join project p on p.id = k.project_id and p.organization_id <> k.organization_id
        left join service_account s
          on s.id = k.service_account_id and s.organization_id <> k.organization_id
        where p.id is not null or s.id is not null
        limit :evidence_max
    """


class NoSessionOutlivesSuspension(Invariant):
    """A minute of grace: when a session was last seen is noted that rarely."""

    name = "suspended_account_is_out"
    means = "Somebody whose account is suspended still gets in."
    query = """
        select s.id as session_id, s.account_id, a.suspended_at, s.last_seen_at
        from account a join session s on s.account_id = a.id
        where a.suspended_at is not null and s.ended_at is null
          and greatest(s.created_at, s.last_seen_at) > a.suspended_at + interval '1 minute'
        limit :evidence_max
    """


class PositionsHaveNoGap(Invariant):
    """The newest 100,000 events; those before were looked at when they were new."""

    name = "event_positions_have_no_gap"
    means = "A subscriber may have gone past an event that was not there yet: mail, notices or documents may lack it."
    query = """
        select position as after_position, following as next_position from (
          select position, lead(position) over (order by position) as following from event
          where position > (select coalesce(max(position), 0) from event) - 100000
        ) as positions
        where following <> position + 1
        limit :evidence_max
    """


class EveryEventIsPositioned(Invariant):
    name = "events_are_positioned"
    means = "The relay stands still: mail, notices, documents and live pages get nothing new. Is a worker running?"
    query = """
        select id as event_id, type, recorded_at from event
        where position is null and recorded_at < cast(:now as timestamptz) - interval '1 minute'
        order by id limit :evidence_max
    """


class NoSubscriberIsAheadOfTheLog(Invariant):
    name = "subscribers_follow_the_log"
    means = (
        "A subscriber has gone past the end of the log and will miss what comes next: was a backup restored?"
    )
    query = """
        select name as subscriber, position from subscriber_cursor
        where position > (select coalesce(max(position), 0) from event)
        limit :evidence_max
    """


class EveryOrganizationHasAnOwner(Invariant):
    name = "organization_has_owner"
    means = "Nobody can invite, promote or remove people of this organisation any more."
    query = """
        select o.id as organization_id from organization o
        where not exists (
          select from membership m
          where m.organization_id = o.id and m.suspended_at is null
            and (m.role = 'owner' or (o.kind = 'operator' and m.role = 'operator'))
        )
        limit :evidence_max
    """


class InvitationsAreAcceptedOnce(Invariant):
    name = "invitation_is_accepted_once"
    means = "An invitation let somebody in twice, or after it was withdrawn."
    query = """
        select id as invitation_id, 1 as times from invitation
        where (accepted_at is null) <> (accepted_by is null)
          or accepted_at > expires_at or accepted_at > revoked_at
        union all
        select aggregate_id, cast(count(*) as int) from event
        where type = 'invitation.accepted' group by aggregate_id having count(*) > 1
        limit :evidence_max
    """


class EveryJournalBalances(Invariant):
    """The database refuses any other at commit; this finds what was changed behind its back."""

    name = "journal_balances"
    means = "The ledger holds a journal whose debits and credits differ: every report on money is wrong by that much."
    query = """
        select j.id as journal_id from ledger_journal j
        where j.recorded_at >= :since and (
          j.entries <> (select count(*) from ledger_entry e where e.journal_id = j.id)
          or exists (
            select from ledger_entry e where e.journal_id = j.id group by e.currency having sum(e.minor) <> 0))
        limit :evidence_max
    """


class EveryBookAddsUp(Invariant):
    """All entries there ever were of the books that moved last."""

    name = "book_adds_up"
    means = "The balances of a book do not add up to nothing: entries are missing, or were changed."
    window = timedelta(hours=1)
    query = """
        select b.organization_id, a.currency from (
          select organization_id from ledger_journal where recorded_at >= :since group by 1 limit 1000
        ) b
        join ledger_account a on coalesce(a.organization_id, '') = coalesce(b.organization_id, '')
        cross join lateral (select sum(e.minor) as minor from ledger_entry e where e.account_id = a.id) m
        group by b.organization_id, a.currency having sum(m.minor) <> 0
        limit :evidence_max
    """


class RevenueIsEarnedInTime(Invariant):
    """By wall time, so without the organisations on a clock that stands, or is behind the wall."""

    name = "revenue_is_earned_in_time"
    means = "Revenue was earned and is not booked yet: reports show it as still owed. Is a worker running?"
    query = """
        select d.organization_id, d.line_id, d.next_due_at from ledger_deferral d
        where d.next_due_at < :since and d.organization_id not in (
          select o.id from organization o join test_clock c on c.id = o.test_clock_id
          where not (c.follows_wall and c.now_at >= :since))
        order by d.next_due_at limit :evidence_max
    """


class NumbersHaveNoGap(Invariant):
    """Of all documents there are, each counter's last number against how many have one of it."""

    name = "document_numbers_have_no_gap"
    means = (
        "A number of an invoice or a credit note was drawn and no document has it: a tax office will ask why."
    )
    query = """
        select s.legal_entity_id, s.series, s.period, cast(s.last as int) as last, cast(d.issued as int) as issued
        from number_series s cross join lateral (
          select count(*) as issued, coalesce(max(n.sequence), 0) as highest from (
            select sequence from invoice i where s.series = 'invoice' and i.legal_entity_id = s.legal_entity_id
              and i.series_brand = s.brand and i.series_period = s.period
            union all
            select sequence from credit_note c where s.series = 'credit_note'
              and c.legal_entity_id = s.legal_entity_id and c.series_brand = s.brand and c.series_period = s.period
          ) n
        ) d where d.issued <> s.last or d.highest <> s.last
        limit :evidence_max
    """


class InvoicesAreTheSumOfTheirLines(Invariant):
    """The database refuses any other at commit; this finds what was changed behind its back."""

    name = "invoice_is_sum_of_lines"
    means = (
        "An invoice asks for something else than its lines add up to, or notes took back more than it says."
    )
    query = """
        select distinct i.id as invoice_id
        from ledger_journal j join invoice i on i.id = j.cause_id cross join lateral (
          select count(*) as lines, coalesce(sum(l.net_minor), 0) as net, coalesce(sum(l.tax_minor), 0) as tax
          from invoice_line l where l.invoice_id = i.id
        ) s cross join lateral (
          select coalesce(sum(c.total_minor), 0) as minor from credit_note c where c.invoice_id = i.id
        ) n
        where j.recorded_at >= :since and j.kind in ('invoice', 'credit_note') and (
          s.lines <> i.lines or s.net <> i.net_minor or s.tax <> i.tax_minor or n.minor <> i.credited_minor)
        limit :evidence_max
    """


class ReceivableIsWhatIsOpen(Invariant):
    """Of the books of those who have invoices and that moved last."""

    name = "receivable_is_what_is_open"
    means = "What the ledger says a customer owes is not what the open invoices ask for."
    window = timedelta(hours=1)
    query = """
        select b.organization_id, a.currency from (
          select organization_id from ledger_journal where recorded_at >= :since group by 1 limit 1000
        ) b join ledger_account a on a.organization_id = b.organization_id and a.purpose = 'receivable'
        where exists (select from invoice i where i.organization_id = b.organization_id and i.state <> 'draft')
          and (select coalesce(sum(e.minor), 0) from ledger_entry e where e.account_id = a.id) <> (
            select coalesce(sum(i.due_minor), 0) from invoice i
            where i.organization_id = b.organization_id and i.currency = a.currency and i.state = 'finalized')
        limit :evidence_max
    """


class RefundsAddUp(Invariant):
    """Of payments that something was given back of lately."""

    name = "refunds_add_up"
    means = "A payment counts something else as given back than its refunds say: money may go back twice."
    query = """
        select p.organization_id, p.id as payment_id from (
          select distinct payment_id as id from refund where created_at >= :since
        ) r join payment p on p.id = r.id
        where p.refunded_minor <> (
          select coalesce(sum(f.minor), 0) from refund f where f.payment_id = p.id
            and f.destination = 'source' and f.state in ('sending', 'processing', 'succeeded'))
        limit :evidence_max
    """


class WalletsAddUp(Invariant):
    """Of wallets that moved last: their sums against their lots, what debits took, what is held, and the ledger."""

    name = "wallet_adds_up"
    means = (
        "A wallet says something else than its lots or the ledger: a customer may spend what is not there."
    )
    window = timedelta(hours=1)
    query = """
        select w.organization_id, w.id as wallet_id from (
          select organization_id from ledger_journal where recorded_at >= :since group by 1 limit 1000
        ) b join wallet w on w.organization_id = b.organization_id cross join lateral (
          select coalesce(sum(l.minor), 0) as minor, coalesce(sum(l.left_minor), 0) as left_minor,
            coalesce(sum(l.used_minor), 0) as used, coalesce(sum(l.expired_minor), 0) as expired
          from wallet_lot l where l.wallet_id = w.id
        ) lots cross join lateral (
          select coalesce(sum(p.minor), 0) as minor from wallet_debit d join wallet_debit_part p on p.debit_id = d.id
          where d.wallet_id = w.id
        ) parts cross join lateral (
          select coalesce(sum(h.amount), 0) as amount from wallet_hold h where h.wallet_id = w.id
        ) holds cross join lateral (
          select coalesce(-sum(e.minor), 0) as minor from ledger_account a join ledger_entry e on e.account_id = a.id
          where a.organization_id = w.organization_id and a.currency = w.currency and a.purpose = 'prepaid_wallet'
        ) booked
        where w.inbound_minor <> w.outbound_minor + w.left_minor + w.breakage_minor
          or (lots.minor, lots.left_minor, lots.used, lots.expired)
            <> (w.inbound_minor, w.left_minor, w.outbound_minor, w.breakage_minor)
          or parts.minor <> w.outbound_minor or holds.amount <> w.held or booked.minor <> w.left_minor
        limit :evidence_max
    """


BOOK: tuple[type[Invariant], ...] = (
    EveryAnswerHasItsUsageEvent,
    RollUpsEqualRawEvents,
    KeysBelongWhereTheirProjectDoes,
    NoSessionOutlivesSuspension,
    PositionsHaveNoGap,
    EveryEventIsPositioned,
    NoSubscriberIsAheadOfTheLog,
    EveryOrganizationHasAnOwner,
    InvitationsAreAcceptedOnce,
    EveryJournalBalances,
    EveryBookAddsUp,
    RevenueIsEarnedInTime,
    NumbersHaveNoGap,
    InvoicesAreTheSumOfTheirLines,
    ReceivableIsWhatIsOpen,
    RefundsAddUp,
    WalletsAddUp,
)
