"""What must hold of a page in a browser. Each check gives the sentences that tell what does not."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator

from tests.browser.chrome import Tab

Check = Callable[[Tab], Iterator[str]]


def console(tab: Tab) -> Iterator[str]:
    """No error and no warning on the console."""
    for told in tab.told("Runtime.exceptionThrown"):
        yield f"an exception: {told['exceptionDetails'].get('text')}"
    for told in tab.told("Log.entryAdded"):
        yield f"the console says: {told['entry']['text']}"
    for told in tab.told("Runtime.consoleAPICalled"):
        yield f"the script logs: {told['type']}"


def requests(tab: Tab) -> Iterator[str]:
    """Nothing is asked for but the file itself."""
    asked = [told["request"]["url"] for told in tab.told("Network.requestWillBeSent")]
    files = [url for url in asked if url.startswith("file:")]
    if len(files) != 1:
        yield f"{len(files)} files were asked for"
    for url in asked:
        if not url.startswith(("file:", "data:")):
            yield f"the network was asked: {url}"


_WIDER = """[...document.querySelectorAll('body *')].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width > 0 && !one.closest('.spoken, .skip') && (box.right > innerWidth + 1 || box.left < -1);
}).slice(0, 3).map((one) => one.outerHTML.slice(0, 120))"""


def overflow(tab: Tab) -> Iterator[str]:
    """Nothing is wider than the screen, folded text included."""
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    wide, screen = tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if wide > screen:
        yield f"the page is {wide} pixels wide on a screen of {screen}"
    for told in tab.evaluate(_WIDER):
        yield f"wider than the screen: {told}"
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = false; })")


_REACHABLE = """(() => { const seen = [...document.querySelectorAll('a[href], button, summary, input')]
  .filter((one) => one.checkVisibility({contentVisibilityAuto: true}));
  seen.forEach((one, place) => { one.dataset.place = place; });
  document.activeElement.blur(); window.scrollTo(0, 0); return seen.length; })()"""
_FOCUSED = """(() => { const one = document.activeElement; const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  return [one.dataset.place ?? '', style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
    box.width > 0 && box.right > 0 && box.bottom > 0]; })()"""


def keyboard(tab: Tab) -> Iterator[str]:
    """The Tab key reaches every control in order, the link past the head first, and shows where it is."""
    count = tab.evaluate(_REACHABLE)
    reached = []
    for _ in range(count):
        tab.press("Tab", 9)
        place, outlined, seen = tab.evaluate(_FOCUSED)
        reached.append(place)
        if not (outlined and seen):
            yield f"the focus is not to be seen on control {place}"
    if reached != [str(place) for place in range(count)]:
        yield f"the Tab key reaches {reached}, of {count} controls"


_NAMED_ROLES = frozenset(
    {"button", "link", "searchbox", "textbox", "image", "img", "DisclosureTriangle", "heading", "table"}
)


def names(tab: Tab) -> Iterator[str]:
    """Whatever a screen reader announces has a name, and headings leave out no level."""
    level = 0
    for node in tab.ask("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if node.get("ignored") or role not in _NAMED_ROLES:
            continue
        if not str(node.get("name", {}).get("value", "")).strip():
            yield f"a {role} has no name"
        if role == "heading":
            told = next(one["value"]["value"] for one in node["properties"] if one["name"] == "level")
            if told > level + 1:
                yield f"a heading of level {told} follows one of level {level}"
            level = told


_COMMAND = "document.querySelector('.command code')?.textContent"
_FIRST_BUTTON = "document.querySelector('.command .copy')"


def copying(tab: Tab) -> Iterator[str]:
    """Enter on a copy button puts the command on the clipboard and says so; without a clipboard it is selected."""
    command = tab.evaluate(_COMMAND)
    if command is None:
        return
    for clipboard in (True, False):
        if not clipboard:
            tab.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
        tab.evaluate(f"{_FIRST_BUTTON}.focus()")
        tab.press("Enter", 13, "\r")
        tab.evaluate("new Promise((done) => setTimeout(done, 150))")
        label, said = tab.evaluate(f"[{_FIRST_BUTTON}.textContent, document.getElementById('said').textContent]")
        if label.strip() != "Copied" or not said.strip():
            yield f"the copy button says {label!r} and {said!r}, with a clipboard: {clipboard}"
        if not clipboard and tab.evaluate("getSelection().toString().trim()") != command.strip():
            yield "without a clipboard the command is not selected"


def filtering(tab: Tab) -> Iterator[str]:
    """Typing in the field leaves the facts that hold every word, and says how many."""
    if not tab.evaluate("document.getElementById('filter') !== null"):
        return
    tab.evaluate("document.getElementById('filter').focus()")
    tab.ask("Input.insertText", text="GPUDOCTOR")
    shown, said = tab.evaluate(
        "[[...document.querySelectorAll('.facts tr')].filter((one) => one.checkVisibility())"
        ".map((one) => one.innerText), document.querySelector('.filter [role=status]').textContent]"
    )
    if not shown or any("gpudoctor" not in one.lower() for one in shown):
        yield f"the filter shows {shown[:3]}"
    if not said.startswith(f"{len(shown)} of "):
        yield f"the filter says {said!r} and shows {len(shown)}"
    tab.evaluate(
        "(() => { const one = document.getElementById('filter'); one.value = '';"
        " one.dispatchEvent(new Event('input')); one.blur(); })()"
    )


def markup(tab: Tab) -> Iterator[str]:
    """No text became an element or an attribute that runs or asks for something."""
    found = tab.evaluate(
        "[...document.querySelectorAll('script, style, img, iframe, object, [onload], [onerror], [onclick], [style]')]"
        ".filter((one) => one.namespaceURI.endsWith('xhtml')).map((one) => one.tagName)"
    )
    if found != ["STYLE", "SCRIPT"]:
        yield f"the page holds {found}"
    links = tab.evaluate("[...document.querySelectorAll('[href]')].map((one) => one.getAttribute('href'))")
    yield from (f"a link to {html.escape(link)}" for link in links if not link.startswith("#") and link != "data:,")


CHECKS: tuple[Check, ...] = (overflow, keyboard, names, filtering, copying, markup, requests, console)

FAULTS = """<!doctype html><title>faults</title><h1>One</h1><h3>Three</h3>
<style>button { outline: none !important }</style>
<div style="width: 2000px">wider than any telephone</div>
<div class="command"><code>echo</code><button class="copy" tabindex="-1"></button></div>
<div class="filter"><input id="filter"><p role="status"></p></div><table class="facts"><tr><td>none</td></tr></table>
<p id="said"></p><a href="https://127.0.0.1:9/">away</a><img src="https://127.0.0.1:9/one.png" onerror="void 0">
<script>console.error("fault")</script>"""
"""A page in which every check finds something."""
