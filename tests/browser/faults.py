"""What shuts somebody out of a page: what axe finds, and what is wider than the screen."""

from pathlib import Path

import axe_core_python

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """
async tags => {  // axe stumbles over a part that htmx swaps under it
  const stay = swap => swap.preventDefault();
  document.addEventListener("htmx:beforeSwap", stay);
  try { return await axe.run({runOnly: tags}) } finally { document.removeEventListener("htmx:beforeSwap", stay) }
}
"""
SUITS = (("light", 1280), ("dark", 320))  # each colour and each width once: an axe run takes a second


def faults(page, name):
    """Each fault of this page of the shop, as a sentence that begins with `name`."""
    for colours, width in SUITS:
        _put_on(page, colours, width)
        yield from (f"{name}, {colours}, {width}: {fault}" for fault in _found(page, [*WCAG, "best-practice"]))


def faults_of_staff_page(page, name):
    """The same, without axe's "best practice": the toolkit's frame has no main landmark, and no block to put one in."""
    for colours, width in SUITS:
        _put_on(page, colours, width)
        page.reload()  # the toolkit's script looks at the colours when it loads
        yield from (f"{name}, {colours}, {width}: {fault}" for fault in _found(page, WCAG))


def _put_on(page, colours, width):
    page.emulate_media(color_scheme=colours)
    page.set_viewport_size({"width": width, "height": 800})


def _found(page, tags):
    page.evaluate(AXE)
    found = page.evaluate(RUN, tags)["violations"]
    yield from (f"{fault['id']}: {node['html']}" for fault in found for node in fault["nodes"])
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        yield "wider than the screen"
