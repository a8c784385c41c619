"""A worker that makes papers, and what it leaves, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.papers import Form, Paper
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.relay import deliver, stamp
from services.documents.press import Press
from services.files.stores import FilePlaces, FolderStore
from services.papers import keeping
from services.papers.service import Maker, files_of
from services.papers.subscribers import PAPERS


async def hand_on(on: Database) -> None:
    """Have events come to whoever waits for documents, as relay and subscribers do."""
    async with await on.unpooled() as connection:
        await connection.execute("set role matrix_crossing")
        await stamp(connection)
    while await deliver(PAPERS, on):
        pass


@dataclass
class Printer:
    """A worker of one machine with a folder of its own."""

    on: Database
    press: Press
    folder: Path
    now: datetime = datetime(
        2030, 1, 1, tzinfo=UTC
    )  # after whatever was waiting began to, by the clock on the wall

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "files")

    def maker(self, *, store: FolderStore | None = None, press: Press | None = None) -> Maker:
        places = FilePlaces(store or self.store, self.folder / "incoming")
        return Maker(press or self.press, places, FixedClock(self.now))

    async def run(self) -> int:
        """Take up what was finalised, and make what is due."""
        await hand_on(self.on)
        return await self.maker().make_due(self.on)

    async def paper(self, document_id: str) -> Paper:
        async with crossing(Reason.PAPERS, on=self.on) as uow:
            found = await uow.execute("select * from paper where document_id = :id", id=document_id)
            return Paper(**found.mappings().one())

    async def papers(self) -> int:
        async with crossing(Reason.PAPERS, on=self.on) as uow:
            return (await uow.execute("select count(*) from paper")).scalar_one()

    async def read(self, paper: Paper, form: Form = Form.PDF) -> bytes:
        pieces = keeping.read(self.store, files_of(paper)[form])
        return b"".join([piece async for piece in pieces])

    def kept_names(self) -> set[str]:
        return {path.name for path in (self.folder / "files").glob("*/*")}

    def left_behind(self) -> set[str]:
        incoming = self.folder / "incoming"
        return {path.name for path in incoming.iterdir()} if incoming.exists() else set()
