"""A card's number that a test leaves anywhere is found when that is thrown away, and told without the number."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from services.core.postgres import EmbeddedPostgres
from tests import leftovers
from tests.conftest import TEMPLATE
from tests.fakes.collector import collecting
from tests.folders import short_folder
from tests.leftovers import CardNumberKept

VISA, GROUPED, AMEX, ARABIC = "4242424242424242", "4242 4242-4242 4242", "378282246310005", "٤٢" * 8
UUID = "42424242-4242-4242-8a42-424242424242"
NAME = "leaves_numbers"
PLANTED = f"""
    create table card (id text, said text, told jsonb, raw bytea, number bigint, many text[]);
    insert into card (id, said) values ('crd_1', E'my card:\\n{VISA}'), ('crd_2', '{ARABIC}'), ('{VISA}', 'told');
    insert into card (id, told) values ('crd_3', '{{"note": ["\\n{GROUPED}\\t"]}}');
    insert into card (id, raw) values ('crd_4', 'x {GROUPED}');
    insert into card (id, number, many) values ('crd_5', {AMEX}, '{{"a", "{AMEX}, or so"}}');
    insert into card (id, said, raw) values ('crd_6', 'inv_{VISA} {VISA}.50 4242424242424241', '\\x{VISA}');
    insert into card (id, said) values ('crd_7', '{UUID} 00-0af7651916cd43dd8448eb211c80319c-{VISA}-01');
"""
FOUND = {
    "said of crd_1", "said of crd_2", "id of [card number]", "told of crd_3", "raw of crd_4", "number of crd_5",
    "many of crd_5",
}  # fmt: skip


def plant(server: EmbeddedPostgres, database: str) -> None:
    with server.superuser(database) as connection:
        connection.execute(PLANTED.encode())


def told(failure: CardNumberKept) -> set[str]:
    said = str(failure)
    assert not any(number in said for number in (VISA, GROUPED, AMEX, ARABIC))
    assert "test_leftovers.py::" in said
    return {line.removeprefix("card.").partition(":")[0] for line in said.splitlines()[1:]}


def test_a_database_is_looked_through_when_it_is_dropped_and_is_gone_then(postgres: EmbeddedPostgres) -> None:
    postgres.ensure_database(NAME, template=TEMPLATE)
    plant(postgres, NAME)
    holder = postgres.superuser(NAME)  # of a process that nobody waits for
    holder.autocommit = False
    holder.execute("lock table card")

    with pytest.raises(CardNumberKept) as caught:
        postgres.drop_database(NAME)

    assert told(caught.value) == FOUND
    with pytest.raises(psycopg.OperationalError):
        postgres.superuser(NAME)
    holder.close()


def test_a_copy_is_looked_through_where_it_was_changed(postgres: EmbeddedPostgres) -> None:
    postgres.ensure_database(NAME, template=TEMPLATE)
    plant(postgres, NAME)
    postgres.ensure_database(f"{NAME}_copy", template=NAME)
    with postgres.superuser(f"{NAME}_copy") as connection:
        connection.execute("create table other (id text, said text)")
        connection.execute("insert into other values ('oth_1', ''), ('oth_2', '')")
        connection.execute("update other set said = '4242424242424242' where id = 'oth_2'")

    with pytest.raises(CardNumberKept) as of_copy:
        postgres.drop_database(f"{NAME}_copy")
    with pytest.raises(CardNumberKept) as of_first:
        postgres.drop_database(NAME)

    assert (told(of_copy.value), told(of_first.value)) == ({"other.said of oth_2"}, FOUND)


def test_a_cluster_is_looked_through_when_its_folder_is_deleted() -> None:
    def leave() -> None:
        with short_folder() as folder:
            server = EmbeddedPostgres(folder / "data", durable=False)
            server.start()
            plant(server, "matrix")
            server.stop()

    with pytest.raises(CardNumberKept) as caught:
        leave()

    assert told(caught.value) == FOUND


def test_a_file_is_looked_through_when_its_folder_is_deleted() -> None:
    folders: list[Path] = []

    def leave() -> None:
        with short_folder() as folder:
            folders.append(folder)
            (folder / "logs").mkdir()
            (folder / "logs" / "web.log").write_text(f'{{"event": "paid with\\n{GROUPED}"}}\n')
            (folder / "picture").write_bytes(f"\0{VISA} ".encode())

    with pytest.raises(CardNumberKept) as caught:
        leave()

    assert told(caught.value) == {"logs/web.log"}
    assert not folders[0].exists()


def test_traces_are_looked_through_when_no_more_are_taken() -> None:
    with pytest.raises(CardNumberKept) as caught, collecting() as collector:
        collector.text = f'name: "GET /{VISA}"'

    assert told(caught.value) == {"traces"}


def test_a_test_that_wrote_one_out_has_failed() -> None:
    sections = [("Captured stderr call", f"sent {VISA}")]
    report = pytest.TestReport("test_paid", ("", None, ""), {}, "passed", None, "teardown", sections)
    quiet = pytest.TestReport(
        "test_paid", ("", None, ""), {}, "passed", None, "teardown", [(VISA, f"inv_{VISA}")]
    )

    for one in (report, quiet):
        leftovers.look_through_report(one)

    assert (report.outcome, quiet.outcome) == ("failed", "passed")
    assert VISA not in f"{report.longrepr}{report.sections}"
