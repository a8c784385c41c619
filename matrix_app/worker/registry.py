"""What the worker has to do: who follows the event log, and what happens again and again.

Importing this module also declares the jobs, which live beside the subscribers that enqueue them.
"""

from __future__ import annotations

from matrix_app.worker import backups, payments
from matrix_app.worker.schedules import Schedule
from services.billing import tax_numbers
from services.billing_runs import clock_turning, overdue, run_records, trials_ending
from services.billing_runs import running as billing_run
from services.collection import collecting
from services.core import heartbeat, openings
from services.core import retention as of_jobs
from services.core.relay import Subscriber
from services.documents.press import Press
from services.dunning import running as dunning
from services.dunning import subscribers as reminding
from services.files import retention as of_files
from services.identity import retention as of_identity
from services.invariants import check
from services.ledger import recognition
from services.metering import rollup
from services.notify import notices
from services.notify import retention as of_mail
from services.notify import subscribers as notify
from services.papers import service as papers
from services.papers import subscribers as issued
from services.tasks import running
from services.wallets import expiry

SUBSCRIBERS: list[Subscriber] = [*notify.SUBSCRIBERS, *issued.SUBSCRIBERS, *reminding.SUBSCRIBERS]

SCHEDULES: list[Schedule] = [
    Schedule("heartbeat", every_s=heartbeat.BEAT_S, run=heartbeat.beat),
    *(Schedule(f"tasks {lane}", every_s=1, run=running.run_due) for lane in range(1, running.LANES + 1)),
    Schedule("usage roll-ups", every_s=1, run=rollup.compact),
    Schedule("billing run", every_s=billing_run.EVERY_S, run=billing_run.bill_due),
    Schedule("trials that end", every_s=trials_ending.EVERY_S, run=trials_ending.tell),
    Schedule("overdue invoices", every_s=overdue.EVERY_S, run=overdue.mark_due),
    Schedule("tax numbers", every_s=tax_numbers.EVERY_S, run=tax_numbers.check_due),
    Schedule("test clocks", every_s=clock_turning.EVERY_S, run=clock_turning.turn_due),
    Schedule("papers", every_s=papers.EVERY_S, run=papers.Maker(Press()).make_due),
    Schedule("revenue", every_s=recognition.EVERY_S, run=recognition.recognize_all),
    Schedule("payments", every_s=payments.EVERY_S, run=payments.check_payments),
    Schedule("collection", every_s=collecting.EVERY_S, run=payments.collect_due),
    Schedule("dunning", every_s=dunning.EVERY_S, run=dunning.remind_due),
    Schedule("refunds", every_s=payments.EVERY_S, run=payments.check_refunds),
    Schedule("events of providers", every_s=payments.EVENTS_EVERY_S, run=payments.follow_events),
    Schedule("chains", every_s=payments.CHAINS_EVERY_S, run=payments.watch_chains),
    Schedule("retention of events of providers", every_s=3_600, run=payments.forget_old_events),
    Schedule("disputes", every_s=payments.DISPUTES_EVERY_S, run=payments.list_disputes),
    Schedule("answers to disputes", every_s=payments.ANSWERS_EVERY_S, run=payments.repeat_answers),
    Schedule("reminders of disputes", every_s=payments.REMINDERS_EVERY_S, run=payments.remind_of_disputes),
    Schedule("cards that expire", every_s=payments.REMINDERS_EVERY_S, run=payments.tell_of_expiring),
    Schedule("reconciliation", every_s=payments.RECONCILIATION_EVERY_S, run=payments.reconcile),
    Schedule("expiry of credit", every_s=expiry.EVERY_S, run=expiry.expire_all),
    Schedule("retention", every_s=3_600, run=of_identity.forget_expired),
    Schedule("retention of mail", every_s=3_600, run=of_mail.forget_old_mail),
    Schedule("retention of notices", every_s=3_600, run=notices.forget_old_notices),
    Schedule("retention of billing runs", every_s=3_600, run=run_records.forget_old_runs),
    Schedule("retention of files", every_s=300, run=of_files.sweep_files),
    Schedule("retention of openings", every_s=3_600, run=openings.forget_old),
    Schedule("retention of the job log", every_s=3_600, run=of_jobs.forget_job_log),
    Schedule("invariants", every_s=check.CHECK_EVERY_S, run=check.check_all),
    Schedule("backup log and files", every_s=30, run=backups.collect_what_is_new),
    Schedule("backup", every_s=600, run=backups.back_up_daily),
]
