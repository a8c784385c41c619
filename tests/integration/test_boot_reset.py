"""`matrix reset` deletes what Matrix made, and nothing else, wherever MATRIX_DATA_DIR points by mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from matrix_app.up import reset
from matrix_app.up.preflight import lock_data
from services.core.refusal import Refused

ROOT = Path(__file__).parents[2]
MADE = (
    "keys/master.json",
    "keys/retired-file-0a1b2c3d.json",
    "incoming/part-1",
    "journal/gateway-1.calls",
    "logs/web.log",
    "logs/web.log.1",
    "postgres/PG_VERSION",
    "postgres.new/base/1",
    "postgres.log",
    "postgres.lock",
    "run/.s.PGSQL.5432.lock",
    "demo.json",
    "matrix.lock",
)
THEIRS = ("thesis.txt", "logs/of-my-own.txt", "keys/front-door.pem", "photos/1.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    fill(made, MADE)
    return made


def fill(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def matrix_reset(folder: Path, *, typed: str | None = None, home: Path | None = None) -> tuple[int, str, str]:
    """Exit status, output and error of the command; without `typed` it does not ask."""
    command = [sys.executable, "-m", "matrix_app.cli", "reset", *(["--yes"] if typed is None else [])]
    environment = os.environ | {"MATRIX_DATA_DIR": str(folder), "HOME": str(home or folder.parent / "home")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=typed or "", capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_data_folder_goes_as_a_whole(folder: Path) -> None:
    assert matrix_reset(folder) == (0, "", "")

    assert not folder.exists()


def test_what_matrix_did_not_make_stays_and_is_named(folder: Path) -> None:
    fill(folder, THEIRS)

    status, said, _ = matrix_reset(folder)

    assert status == 0
    assert files(folder) == set(THEIRS)
    assert all(name in said for name in ("keys", "logs", "photos", "thesis.txt"))


def test_a_link_goes_and_what_it_leads_to_stays(folder: Path, tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", ("PG_VERSION",))
    (folder / "postgres" / "PG_VERSION").unlink()
    (folder / "postgres").rmdir()
    (folder / "postgres").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "way").symlink_to(folder)

    assert matrix_reset(tmp_path / "way")[0] == 0

    assert list(folder.iterdir()) == []
    assert files(tmp_path / "elsewhere") == {"PG_VERSION"}


def test_without_a_yes_nothing_is_deleted(folder: Path) -> None:
    status, _, error = matrix_reset(folder, typed="y\n")

    assert (status, error) == (1, "matrix: Nothing was deleted.\n")
    assert files(folder) == set(MADE)


def test_a_folder_that_matrix_did_not_make_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path / "project", ("postgres/notes.txt", "logs/web.log", "run/it.sh"))
    before = files(tmp_path / "project")

    status, _, error = matrix_reset(tmp_path / "project")

    assert status == 1
    assert "was not made by Matrix" in error
    assert error.count("\n") == 1
    assert files(tmp_path / "project") == before


def test_a_home_is_left_alone_even_if_matrix_ran_there(folder: Path) -> None:
    for home in (folder, folder / "below" / "home"):
        status, _, error = matrix_reset(folder, home=home)

        assert status == 1
        assert "MATRIX_DATA_DIR" in error
        assert files(folder) == set(MADE)


@pytest.mark.parametrize("place", [Path("/"), ROOT, ROOT.parent])
def test_neither_the_machine_nor_the_project_is_ever_deleted(place: Path) -> None:
    with pytest.raises(Refused, match="MATRIX_DATA_DIR"):
        reset.require_ours(place)


def test_a_running_copy_keeps_its_data(folder: Path) -> None:
    with lock_data(folder):
        status, _, error = matrix_reset(folder)

    assert status == 1
    assert "already runs" in error
    assert files(folder) == set(MADE)


def test_where_nothing_is_nothing_is_to_be_done(tmp_path: Path) -> None:
    assert matrix_reset(tmp_path / "none") == (0, "", "")
    assert not (tmp_path / "none").exists()
