"""The page of settings is that of the code."""

from scripts.settings_page import COMMAND, PAGE, page


def test_the_page_of_settings_is_current() -> None:
    current = PAGE.read_text(encoding="utf-8") == page()
    assert current, f"docs/settings.md is not that of app/settings/model.py; renew it: {COMMAND}"
