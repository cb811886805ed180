"""Which provider serves which name."""

import asyncio

from app.catalog import ModelEntry
from tests.worker.models.builders import request, user
from worker.models import Failed
from worker.models.chat import Chat
from worker.models.registry import Models, unserved
from worker.models.scripted import Scripted


def entry(pattern: str, provider: str = "chat", max_attempts: int = 3) -> ModelEntry:
    return ModelEntry(pattern, provider, "http://127.0.0.1:9/v1", max_attempts=max_attempts)


def test_without_entries_there_is_scripted() -> None:
    models = Models(())
    assert isinstance(models.provider_for("scripted"), Scripted)
    for name in ("Scripted", "scripted ", "scripted-2", "", "gpt-4o"):
        assert models.provider_for(name) is None
    assert models.attempts_for("scripted") == models.attempts_for("gpt-4o") == 1


def test_the_first_entry_that_matches_serves() -> None:
    models = Models((entry("gpt-4o-mini", max_attempts=2), entry("gpt-4o*", max_attempts=5), entry("gpt-4o-x")))
    mini, other = models.provider_for("gpt-4o-mini"), models.provider_for("gpt-4o-x")
    assert isinstance(mini, Chat)
    assert isinstance(other, Chat)
    assert mini is not other
    assert models.provider_for("gpt-4o") is models.provider_for("gpt-4o-2024") is other
    assert models.provider_for("GPT-4o") is None
    assert [models.attempts_for(name) for name in ("gpt-4o-mini", "gpt-4o-x", "o3")] == [2, 5, 1]


def test_scripted_is_never_an_entrys() -> None:
    models = Models((entry("*"),))
    assert isinstance(models.provider_for("scripted"), Scripted)
    assert isinstance(models.provider_for("scripted2"), Chat)


def test_an_entry_of_an_unknown_provider_serves_nothing_and_still_hides_later_ones() -> None:
    models = Models((entry("gpt-4o", provider="assistants"), entry("*")))
    assert models.provider_for("gpt-4o") is None
    assert models.provider_for("gpt-4") is not None


def test_a_model_that_nobody_serves() -> None:
    assert unserved("gpt-4o") == Failed("invalid_prompt", "no provider serves the model 'gpt-4o'")


def test_closing_twice() -> None:
    async def run() -> None:
        models = Models((entry("*"),))
        scripted = models.provider_for("scripted")
        assert scripted is not None
        assert (await scripted.ask(request(user(1, "hi")))).text == "hi"
        await models.close()
        await models.close()

    asyncio.run(run())
