"""The saved questions of docs/sql-examples.md: each of them runs, and says something."""

import re
from pathlib import Path

import cloudigrade
import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "sql-examples.md"
EXAMPLES = re.findall(r"^([^\n]+):\n\n```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data that the document speaks of."""
    folder = tmp_path_factory.mktemp("examples") / "demo"
    cloudigrade.run("demo", "--folder", folder, "--days", 40, "--seed", 7)
    return folder / "data"


def test_every_block_of_sql_is_an_example_with_a_title() -> None:
    """So that none is left out here."""
    assert len(EXAMPLES) == DOCUMENT.read_text().count("```sql") > 10


@pytest.mark.parametrize(("title", "query"), EXAMPLES, ids=[title[:40] for title, _ in EXAMPLES])
def test_a_saved_question_has_an_answer(data: Path, title: str, query: str) -> None:
    """On the demo's data, as the document promises."""
    assert cloudigrade.rows("sql", query, "--data", data), title
