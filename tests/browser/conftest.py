"""One running shop and one Chromium for the browser tests of a module."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.rig import Shop, missing

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with Shop(tmp_path_factory.mktemp("shop")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    # Not the plugin's session-wide browser: its event loop would make Django refuse every query of later tests.
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        missing("no Chromium on PATH: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, shop):
    """`visit(color_scheme="dark", …)`: a new visitor's page; what its console complains of fails the test."""
    opened, complaints = [], []

    def open_page(**options):
        usual = {"base_url": shop.url, "viewport": {"width": 1280, "height": 900}}
        context = chromium.new_context(**usual | options)
        context.set_default_timeout(20_000)
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert complaints == []
