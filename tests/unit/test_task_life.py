"""The life of a task: whatever workers and people do in whatever order, it is theirs one at a time and ends once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.tasks import rules
from services.tasks.rules import ENDED, Life, Overtaken, State, TaskEnded, TaskNotOver

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
WORKERS = st.sampled_from(["ana", "bo", "cy"])


class Lives(RuleBasedStateMachine):
    """Three workers, of which each believes to hold what it took last, and a person."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.life = rules.asked(NOW)
        self.takings = 0
        self.believes: dict[str, str] = {}
        self.history = [self.life.state]
        self.asked_to_end = False

    def move(self, life: Life) -> None:
        self.life = life
        self.history.append(life.state)

    @rule(seconds=st.integers(0, 200))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(worker=WORKERS)
    def takes(self, worker: str) -> None:
        due = self.life.state not in ENDED and self.life.due_at <= self.now
        assert rules.is_due(self.life, self.now) == due
        if not due:
            with pytest.raises(Overtaken):
                rules.taken(self.life, "x", self.now)
            return
        self.takings += 1
        self.move(rules.taken(self.life, f"taking {self.takings}", self.now))
        if self.life.state is State.RUNNING:
            self.believes[worker] = self.life.holder

    def works(self, worker: str, move: str, **given: object) -> None:
        holder = self.believes.get(worker, "nobody")
        mine = self.life.state is State.RUNNING and self.life.holder == holder
        try:
            self.move(getattr(rules, move)(self.life, holder, self.now, **given))
        except Overtaken:
            assert not mine
        else:
            assert mine

    @rule(worker=WORKERS, move=st.sampled_from(["held", "stepped", "released"]))
    def goes_on(self, worker: str, move: str) -> None:
        self.works(worker, move)

    @rule(worker=WORKERS)
    def finishes(self, worker: str) -> None:
        self.works(worker, "finished")

    @rule(worker=WORKERS, again=st.booleans())
    def fails(self, worker: str, again: bool) -> None:
        self.works(worker, "tried", error="why " * 400, again=again)

    @rule(worker=WORKERS)
    def honours_the_wish(self, worker: str) -> None:
        if self.life.cancel_asked_at is not None:
            self.works(worker, "cancelled")

    @rule()
    def is_asked_to_end(self) -> None:
        if self.life.state in ENDED:
            with pytest.raises(TaskEnded):
                rules.cancel_asked(self.life, self.now)
            return
        self.move(rules.cancel_asked(self.life, self.now))
        self.asked_to_end = True
        again = self.life if self.life.state in ENDED else rules.cancel_asked(self.life, self.now)
        assert again == self.life  # asked twice is asked once

    @rule()
    def is_tried_again(self) -> None:
        if self.life.state not in (State.FAILED, State.CANCELLED):
            with pytest.raises(TaskNotOver):
                rules.retried(self.life, self.now)
            return
        self.move(rules.retried(self.life, self.now))
        self.asked_to_end = False

    @invariant()
    def only_what_runs_is_held(self) -> None:
        assert bool(self.life.holder) == (self.life.state is State.RUNNING)
        assert (self.life.finished_at is not None) == (self.life.state in ENDED)
        assert 0 <= self.life.attempts <= rules.ATTEMPTS_MAX
        assert len(self.life.error) <= rules.ERROR_CHARACTERS_MAX
        if self.life.state is State.FAILED:
            assert self.life.error

    @invariant()
    def an_end_is_an_end(self) -> None:
        for before, after in zip(self.history, self.history[1:], strict=False):
            if before is State.DONE:
                assert after is before
            if before in (State.FAILED, State.CANCELLED):
                assert after in (before, State.WAITING)
            if before is State.WAITING:
                assert after not in (State.DONE,)

    @invariant()
    def a_wish_to_end_is_never_forgotten(self) -> None:
        if self.asked_to_end and self.life.state is State.WAITING:
            assert self.life.cancel_asked_at is not None


TestLives = Lives.TestCase


def test_tries_pause_longer_each_time_until_they_are_over() -> None:
    life, pauses = rules.asked(NOW), list[int]()
    while life.state is State.WAITING:
        now = life.due_at
        life = rules.tried(rules.taken(life, "ana", now), "ana", now, error="away", again=True)
        pauses.append(int((life.due_at - now).total_seconds()))
    assert (life.state, life.error, pauses[:-1]) == (State.FAILED, "away", [5, 10, 20, 40])


def test_a_task_that_kills_its_workers_is_given_up() -> None:
    life, now = rules.asked(NOW), NOW
    for number in range(rules.ATTEMPTS_MAX):
        life = rules.taken(life, f"worker {number}", now)
        now = life.due_at
    life = rules.taken(life, "one more", now)
    assert life.state is State.FAILED
    assert "5 times" in life.error


def test_a_step_forgives_what_failed_before_it() -> None:
    life = rules.taken(rules.asked(NOW), "ana", NOW)
    life = rules.taken(life, "bo", life.due_at)
    life = rules.stepped(life, "bo", life.due_at)
    assert (life.attempts, life.error) == (1, "")
