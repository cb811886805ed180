"""Which provider serves which model name."""

from collections.abc import Sequence
from typing import Final

from app.catalog import ModelEntry
from worker.models import Failed, Model
from worker.models.assistants import Assistants, RemoteThreads
from worker.models.chat import Chat
from worker.models.scripted import Scripted

SCRIPTED: Final = "scripted"
PROVIDERS: Final = {"chat": Chat, "assistants": Assistants}


class Models:
    """All models of a worker: `scripted`, and the catalog's entries in file order; the first that matches serves.

    threads: where runs in remote services are remembered; without it nobody serves `assistants`.
    """

    def __init__(self, entries: Sequence[ModelEntry], threads: RemoteThreads | None = None) -> None:
        self._scripted = Scripted()
        self._threads = threads
        self._served: list[tuple[ModelEntry, Model | None]] = [(entry, _provider(entry, threads)) for entry in entries]

    def provider_for(self, model: str) -> Model | None:
        """The provider of a model name; None: the run fails, see `unserved`."""
        if model == SCRIPTED:
            return self._scripted
        return next((provider for entry, provider in self._served if entry.matches(model)), None)

    def attempts_for(self, model: str) -> int:
        """How often in a row the provider may fail to answer a turn before the run fails."""
        if model == SCRIPTED:
            return 1
        return next((entry.max_attempts for entry, _ in self._served if entry.matches(model)), 1)

    async def close(self) -> None:
        """Ends the connections of all providers."""
        for _, provider in self._served:
            if provider is not None:
                await provider.close()
        if self._threads is not None:
            await self._threads.close()


def _provider(entry: ModelEntry, threads: RemoteThreads | None) -> Model | None:
    match entry.provider:
        case "chat":
            return Chat(entry)
        case "assistants" if threads is not None:
            return Assistants(entry, threads)
        case _:
            return None


def unserved(model: str) -> Failed:
    """The end of a run whose model nobody serves."""
    return Failed("invalid_prompt", f"no provider serves the model '{model}'")
