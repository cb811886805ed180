"""docs/models.md says what the code does."""

import re
from pathlib import Path

from app.catalog import ModelEntry, load_catalog
from tests.worker.models.builders import call, request, user
from tests.worker.models.test_scripted import ask
from worker.models import Failed
from worker.models.chat import ANSWER_LIMIT_BYTES
from worker.models.context import UNANSWERED
from worker.models.failure import MESSAGE_LENGTH, TRY_AGAIN, WRONG_REQUEST
from worker.models.registry import PROVIDERS
from worker.models.script import MAX_CHUNK_MS, MAX_DELAY_MS, MAX_NAME_LENGTH

TEXT = (Path(__file__).parents[3] / "docs" / "models.md").read_text()


def test_the_example_of_an_entry_is_a_catalog(tmp_path: Path) -> None:
    file = tmp_path / "counterfoil.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[0])
    (entry,) = load_catalog(file, {"MODELS_KEY": "k"}).models
    assert entry.provider in PROVIDERS
    # The numbers shown are the defaults.
    plain = ModelEntry(entry.pattern, entry.provider, entry.base_url)
    assert (entry.timeout_s, entry.max_attempts) == (plain.timeout_s, plain.max_attempts)


def test_the_example_of_a_script_plays() -> None:
    script = re.findall(r'^    (\{"script".*?\n.*)\n', TEXT, re.MULTILINE)[0]
    assert [asked.name for asked in ask(request(user(1, script))).calls] == ["open_case"]
    assert ask(request(user(1, script), turn=1, calls=(call(0, 0, "T-1"),))).text == 'done ["T-1"]'


def test_the_example_of_a_mistake() -> None:
    script = '{"script":[{"tool_calls":[{"name":"f"}]},{"tool_calls":[{"name":7}]}]}'
    end = ask(request(user(1, script), turn=1, calls=(call(0, 0, ""),))).end
    assert isinstance(end, Failed)
    assert f"`{end.message}`" in TEXT


def test_the_numbers_and_words() -> None:
    assert UNANSWERED in TEXT
    assert f"{ANSWER_LIMIT_BYTES // 2**20} MiB" in TEXT
    assert f"at most {MESSAGE_LENGTH} characters" in TEXT
    assert f"0 to {MAX_DELAY_MS} before anything comes, 0 to {MAX_CHUNK_MS} between" in TEXT
    assert f"at most {MAX_NAME_LENGTH} characters" in TEXT
    assert f"| {', '.join(map(str, sorted(TRY_AGAIN - {429})))}, 5xx |" in TEXT
    assert f"| {', '.join(map(str, sorted(WRONG_REQUEST)))}:" in TEXT
