"""The page of a report in a real browser: what it shows, against NumPy; what keys and pointers do; what never runs."""

import re
import shutil
from pathlib import Path

import browser
import numpy as np
import pytest
from marks import slow

pytest.importorskip("jinja2")
matplotlib = pytest.importorskip("matplotlib")

from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._pictures import Unreadable
from jaxssim._report import ReportWriter, writer

METRICS = [
    MetricInfo("ssim", "SSIM", True, ""),
    MetricInfo("psnr", "PSNR", True, "dB"),
    MetricInfo("mse", "MSE", False, ""),
]
COUNT = 70  # pairs with values, more than the page lays out at first
VALUES = np.random.default_rng(0).uniform([0.3, 20, 0], [1, 45, 600], (COUNT, 3))
VALUES[5] = [1, np.inf, 0]  # an equal pair
VALUES[9, 1] = np.nan  # a pair without one of the metrics
NAMES = [f"set/picture{index}" for index in range(COUNT)]
BROKEN = ["broken/first", "broken/second"]
RED, BLUE = (np.full((40, 60, 3), colour, np.uint8) for colour in ([200, 30, 30], [30, 30, 200]))
MAP = np.repeat(np.linspace(-0.2, 1, 50)[None], 30, axis=0)  # SSIM rises from left to right
HOSTILE = [
    "<script>hacked=1</script>",
    '"><img src=x onerror=hacked=1>',
    "</script><script>hacked=1</script>",
    "<!--<script>",
    "' onfocus='hacked=1' autofocus='",
    "javascript:hacked=1",
    "{{ 7 * 7 }}",
    "${7*7}",
    "__proto__",
    "a&lt;b",
    "100%",
    "%3Cb%3E",
    "#pair=x",
    "../../etc",
]


def result(name, values=None, error=""):
    named = {} if values is None else {metric.name: value for metric, value in zip(METRICS, values, strict=True)}
    return PairResult(name, Path("reference") / name, Path("test") / name, None if error else (60, 40), named, error)


def write(path, pairs, pictures=(RED, BLUE, MAP)):
    with ReportWriter(path, METRICS, {"version": "<b>1</b>"}) as report:
        for pair in pairs:
            report.add(pair, *(pictures if pair.values else (None, None, None)))
    return path if path.suffix else path / "index.html"


@pytest.fixture(scope="module")
def chromium():
    with browser.start() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    pairs = [*map(result, NAMES, VALUES), *(result(name, error="sizes differ") for name in BROKEN)]
    return write(tmp_path_factory.mktemp("report") / "report.html", pairs)


@pytest.fixture(autouse=True)
def _nothing_is_logged_or_asked_for(request):
    """Ends every test by looking at what the page logged and asked for."""
    yield
    if "chromium" in request.fixturenames:
        chromium = request.getfixturevalue("chromium")
        assert chromium.messages() == []
        assert {address.split(":")[0] for address in chromium.requests()} <= {"file", "data"}


def names(chromium):
    """Returns the names in the table, after all rows are laid out."""
    chromium.run("while (!byId('more').hidden) showMore()")
    return chromium.texts("#pairs tbody .name")


def in_order(column, *, descending):
    """Returns the names ordered by a metric, pairs without a value last."""
    known = [index for index in range(COUNT) if not np.isnan(VALUES[index, column])]
    known.sort(key=lambda index: VALUES[index, column], reverse=descending)
    missing = [NAMES[index] for index in range(COUNT) if np.isnan(VALUES[index, column])]
    return [*(NAMES[index] for index in known), *missing, *BROKEN]


def chosen(mask):
    """Returns the names of the pairs of a mask, worst SSIM first."""
    return [NAMES[index] for index in np.argsort(VALUES[:, 0]) if mask[index]]


def bars(chromium):
    """Returns (low, high, pairs) of every bar of the first histogram."""
    labels = chromium.run(
        "return [...document.querySelector('.histogram').children].map((e) => e.getAttribute('aria-label'))"
    )
    matches = [re.fullmatch(r"SSIM (?:from )?(\S+) (?:or more|to below (\S+)): (\d+) pairs?", each) for each in labels]
    return [(float(match[1]), float(match[2] or "inf"), int(match[3])) for match in matches]


def pixels(chromium):
    """Returns a picture of the window once the pictures of the viewer can be drawn."""
    chromium.driver.execute_async_script(
        "Promise.all([...document.querySelectorAll('.pane img')].map((each) => each.decode())).then(arguments[0])"
    )
    return chromium.pixels()


def place(chromium, kind):
    """Returns the box of a picture of the viewer in the pane's pixels: left, top, width."""
    return chromium.run(
        """const picture = document.querySelector(`.pane img[alt^="${arguments[0]}"]`);
        const [box, pane] = [picture, picture.closest(".pane")].map((each) => each.getBoundingClientRect());
        return [box.left - pane.left, box.top - pane.top, box.width]""",
        kind,
    )


def test_table_filters_and_viewer(chromium, page):
    chromium.open(page)
    assert chromium.text("#counts") == f"{COUNT + 2} pairs · 2 errors"
    assert names(chromium) == in_order(0, descending=False)  # the worst first
    chromium.find("#text").send_keys("PICTURE1")
    expected = chosen(np.array(["picture1" in name for name in NAMES]))
    assert names(chromium) == expected
    assert chromium.text("#shown") == f"{len(expected)} of {COUNT + 2} pairs"
    chromium.find("#pairs .name a").click()
    chromium.wait("byId('viewer').open")
    assert chromium.text("#viewer-name") == expected[0]
    chromium.press("\ue014")  # the right arrow
    assert chromium.text("#viewer-name") == expected[1]
    chromium.press("\ue00c")  # Escape
    assert not chromium.run("return byId('viewer').open")


@slow
def test_wide_ranges_missing_values_and_files_without_a_partner(chromium, tmp_path):
    """A tiny error beside a huge one keeps its digits; a metric that does not fit leaves the others."""
    alone = [Path("test/<b>left</b>.png"), Path("test/\udcff.png")]
    closed = [Unreadable(Path("locked"), "no <b>permission</b>")]
    with ReportWriter(tmp_path / "report.html", METRICS, {}, alone, closed) as report:
        for name, *values in (("tiny", 0.99, 80, 0.0024), ("huge", 0.1, 20, 4.9e6), ("same", 1, np.inf, 0)):
            report.add(result(name, values), RED, BLUE, MAP)
        partial = PairResult("part", Path("a"), Path("b"), (60, 40), {"psnr": 41.5}, "ssim, mse: <i>do not fit</i>")
        report.add(partial, RED, BLUE, None)
    chromium.open(tmp_path / "report.html")
    assert chromium.texts("#pairs tbody td[data-label=MSE]") == ["4900000", "0.0024000", "0", "\N{EN DASH}"]
    assert chromium.texts("#pairs tbody td[data-label=PSNR]") == ["20.000", "80.000", "∞", "41.500"]
    assert chromium.text("#pairs tbody .name .error") == "ssim, mse: <i>do not fit</i>"
    assert chromium.text("#counts") == "4 pairs · 1 error"
    assert chromium.text("#alone summary") == "2 without a partner"
    chromium.find("#alone summary").click()
    assert chromium.texts("#alone li") == ["test/<b>left</b>.png", r"test/\xff.png"]
    assert chromium.text("#closed summary") == "1 not opened"
    chromium.find("#closed summary").click()
    assert chromium.texts("#closed li") == ["locked (no <b>permission</b>)"]
    chromium.open(tmp_path / "report.html", "#pair=part")
    chromium.wait("byId('viewer').open")
    assert "41.500" in chromium.text("#viewer-values")
    assert "do not fit" in chromium.text("#viewer-values")


@slow
def test_summary_is_that_of_numpy(chromium, page):
    chromium.open(page)
    shown = np.array(chromium.texts(".card dd")).reshape(3, 3)
    for column, (mean, median, worst) in enumerate(shown):
        known = VALUES[~np.isnan(VALUES[:, column]), column]
        worst_value = known.max() if METRICS[column].name == "mse" else known.min()
        for text, truth in zip(
            (mean, median, worst),
            (known.mean(), np.quantile(known, 0.5, method="inverted_cdf"), worst_value),
            strict=True,
        ):
            five_digits = 5e-5 * known[np.isfinite(known)].max()
            assert float(text.replace("∞", "inf")) == pytest.approx(truth, abs=five_digits)
    chromium.find(".card dd a", 2).click()
    chromium.wait("byId('viewer').open")
    assert chromium.text("#viewer-name") == NAMES[VALUES[:, 2].argmax()]


@slow
def test_histogram_is_that_of_numpy_and_filters(chromium, page):
    chromium.open(page, reduced=True)
    drawn = bars(chromium)
    edges = [low for low, _, _ in drawn] + [np.inf]
    assert [high for _, high, _ in drawn] == edges[1:]
    np.testing.assert_array_equal([number for _, _, number in drawn], np.histogram(VALUES[:, 0], edges)[0])
    heights = chromium.run(
        "return [...document.querySelector('.histogram').children].map((e) => e.lastChild.clientHeight)"
    )
    tallest = max(number for _, _, number in drawn)
    np.testing.assert_allclose(heights, [max(heights) * number / tallest for _, _, number in drawn], atol=3)

    inside = (VALUES[:, 0] >= edges[2]) & (VALUES[:, 0] < edges[3])
    assert 0 < inside.sum() < COUNT
    bar = chromium.find(".histogram button", 2)
    bar.click()
    assert bar.get_attribute("aria-pressed") == "true"
    assert names(chromium) == chosen(inside)
    chromium.run(
        "arguments[0].dispatchEvent(new MouseEvent('click', {shiftKey: true}))", chromium.find(".histogram button", 5)
    )
    assert names(chromium) == chosen((VALUES[:, 0] >= edges[2]) & (VALUES[:, 0] < edges[6]))
    chromium.find("#chips button").click()
    assert len(names(chromium)) == COUNT + 2
    chromium.find(".histogram button", len(drawn) - 1).click()
    assert names(chromium) == chosen(VALUES[:, 0] >= edges[-2])  # the last bar holds the equal pair
    chromium.press("\ue012", " ")  # the left arrow goes to the bar before
    assert names(chromium) == chosen((VALUES[:, 0] >= edges[-3]) & (VALUES[:, 0] < edges[-2]))


@slow
def test_ranges_meet(chromium, page):
    chromium.open(page)
    for index, text in enumerate(("0.5", "0.8", "30")):
        chromium.find(".range input", index).send_keys(text, "\t")
    assert names(chromium) == chosen((VALUES[:, 0] >= 0.5) & (VALUES[:, 0] < 0.8) & (VALUES[:, 1] >= 30))
    assert chromium.texts("#chips button") == ["0.5 ≤ SSIM < 0.8 ✕", "30 ≤ PSNR ✕"]


@slow
def test_every_column_sorts_both_ways(chromium, page):
    chromium.open(page)
    for column in range(3):
        button = chromium.find("#pairs th button", 2 + column)
        header = chromium.find("#pairs th", 3 + column)
        worst_is_largest = METRICS[column].name == "mse"
        for descending in (worst_is_largest, not worst_is_largest):
            if (column, descending) != (0, False):  # the order at first
                button.click()
            assert header.get_attribute("aria-sort") == ("descending" if descending else "ascending")
            assert names(chromium) == in_order(column, descending=descending)
    chromium.find("#pairs th button").click()
    assert names(chromium) == [*BROKEN, *NAMES]  # picture2 before picture10
    assert chromium.run("return document.querySelectorAll('[aria-sort]').length") == 1


@slow
def test_errors_alone(chromium, page):
    chromium.open(page)
    chromium.find("#errors").click()
    assert names(chromium) == BROKEN
    assert chromium.texts("#pairs td.error") == ["sizes differ"] * 2
    chromium.find("#pairs .name a").click()
    chromium.wait("byId('viewer').open")
    assert "sizes differ" in chromium.text("#panes")


@slow
def test_few_rows_are_laid_out_and_all_can_be_reached(chromium, tmp_path):
    many = [result(f"pair{index}", [index / 1000, 30, 5]) for index in range(1000)]
    chromium.open(write(tmp_path / "report.html", many, (None, None, None)))
    assert chromium.run("return body.rows.length") <= 100
    chromium.wait("scrollTo(0, document.body.scrollHeight), byId('more').hidden")
    assert chromium.texts("#pairs tbody .name") == [f"pair{index}" for index in range(1000)]


@slow
def test_the_address_names_the_pair(chromium, page):
    chromium.open(page, "#pair=set%2Fpicture7")
    assert chromium.text("#viewer-name") == "set/picture7"
    order = in_order(0, descending=False)
    start = order.index("set/picture7")
    chromium.find("#next").click()
    chromium.press("\ue014")
    assert chromium.text("#viewer-name") == order[start + 2]
    assert chromium.run("return decodeURIComponent(location.hash)") == f"#pair={order[start + 2]}"
    chromium.press("\ue012", "\ue012", "\ue012")
    assert chromium.text("#viewer-name") == order[start - 1]
    chromium.press("\ue00c")
    chromium.wait("location.hash === '' && !byId('viewer').open")
    assert (
        chromium.run("return document.activeElement.textContent") == order[start - 1]
    )  # the reader finds the row again
    chromium.run(f"location.hash = 'pair={order[0]}'")  # as written by hand
    chromium.wait("byId('viewer').open")
    assert chromium.find("#previous").get_attribute("disabled")
    chromium.run("history.back()")
    chromium.wait("!byId('viewer').open")


@slow
def test_pictures_zoom_and_move_together(chromium, page):
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    chromium.open(page, "#pair=set%2Fpicture7")
    pane = chromium.find(".pane")
    width, height = pane.rect["width"], pane.rect["height"]
    fitted = min(width / 60, height / 40) * 60
    assert place(chromium, "Test")[2] == pytest.approx(fitted)

    def together():
        boxes = [place(chromium, kind) for kind in ("Reference", "Test", "SSIM map")]
        np.testing.assert_allclose(boxes, [boxes[0]] * 3, atol=0.01)
        return boxes[0]

    chromium.press("+", "+", "+")  # until the picture is larger than its pane
    left, top, size = together()
    assert size == pytest.approx(fitted * 1.5**3)
    x, y = round(width / 2) + 40, round(height / 2) - 30
    under = ((x - left) / size, (y - top) / size)
    origin = ScrollOrigin.from_element(pane, 40, -30)
    chromium.actions().scroll_from_origin(origin, 0, -100).perform()
    left, top, size = together()
    assert size == pytest.approx(fitted * 1.5**3 * np.exp(0.2))
    assert ((x - left) / size, (y - top) / size) == pytest.approx(under, abs=1e-3)  # what was under the pointer stays

    before = left, top
    chromium.actions().move_to_element(pane).click_and_hold().move_by_offset(17, 11).release().perform()
    left, top, _ = together()
    assert (left - before[0], top - before[1]) == pytest.approx((17, 11), abs=0.1)

    chromium.find("#zoom-one").click()
    assert together()[2] == pytest.approx(60)
    chromium.press("+")
    assert together()[2] == pytest.approx(90)
    for _ in range(20):
        chromium.find("#zoom-in").click()
    assert together()[2] == pytest.approx(60 * 32)  # the limit
    chromium.press("0")
    assert together()[2] == pytest.approx(fitted)


@slow
def test_two_fingers_zoom(chromium, page):
    chromium.open(page, "#pair=set%2Fpicture7")
    box = chromium.find(".pane").rect
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    size = place(chromium, "Test")[2]

    def touch(kind, *distances):
        points = [{"x": x + distance, "y": y, "id": index} for index, distance in enumerate(distances)]
        chromium.command("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    touch("touchStart", -30, 30)
    touch("touchMove", -45, 45)
    touch("touchMove", -60, 60)
    touch("touchEnd")
    assert place(chromium, "Test")[2] == pytest.approx(2 * size, rel=0.01)


@slow
def test_slider_shows_the_reference_left_of_the_divider(chromium, page):
    chromium.open(page, "#pair=set%2Fpicture7")
    chromium.find("#views button", 1).click()
    box = chromium.find(".pane").rect
    row = round(box["y"] + box["height"] / 4)

    def colours(*places):
        line = pixels(chromium)[row]
        return [line[round(box["x"] + part * box["width"])] for part in places]

    def is_divided(part):
        np.testing.assert_allclose(colours(part - 0.05, part + 0.05), [RED[0, 0], BLUE[0, 0]], atol=6)

    is_divided(0.5)
    chromium.actions().click_and_hold(chromium.find(".handle")).move_by_offset(
        round(-0.1 * box["width"]), 0
    ).release().perform()
    is_divided(0.4)
    chromium.find("#divider").click()  # its middle
    name = chromium.text("#viewer-name")
    chromium.press(*["\ue014"] * 10)  # ten steps of half a percent, and no other pair
    is_divided(0.55)
    assert chromium.text("#viewer-name") == name


@slow
@pytest.mark.parametrize(("button", "low"), [(0, 0), (1, 0.9), (2, 0.99)])
def test_map_has_the_colours_of_its_bar(chromium, tmp_path, button, low):
    values = np.array([low - 0.01, low, 0.25 * low + 0.75, 0.5 * low + 0.5, 1])
    stripes = np.repeat(np.repeat(values, 12)[None], 40, axis=0)
    chromium.open(write(tmp_path / "report", [result("one", [0.5, 30, 5])], (RED, BLUE, stripes)), "#pair=one")
    chromium.find("#views button", 2).click()
    chromium.find("#lows button", button).click()
    drawn = pixels(chromium)
    left, top, width = place(chromium, "SSIM map")
    box = chromium.find(".pane").rect
    row, start = round(box["y"] + top + 20), box["x"] + left
    seen = [drawn[row, round(start + width * (index + 0.5) / 5)] for index in range(5)]
    coded = 1 - 2 * (np.rint(255 * np.sqrt((1 - values) / 2)) / 255) ** 2  # what one byte keeps of them
    truth = 255 * matplotlib.colormaps["magma"](np.clip((1 - coded) / (1 - low), 0, 1))[:, :3]
    np.testing.assert_allclose(seen, truth, atol=4)
    assert chromium.texts("#bar span") == [f"≤ {low:g}", f"{(1 + low) / 2:g}", "1"]


@slow
@pytest.mark.parametrize("target", ["report.html", "report"])
def test_hostile_names_are_shown_and_never_run(chromium, tmp_path, target):
    pairs = [result(name, [0.5, 30, 5]) for name in HOSTILE] + [result("bad", error=HOSTILE[0])]
    chromium.open(write(tmp_path / target, pairs))
    assert sorted(names(chromium)) == sorted([*HOSTILE, "bad"])
    assert chromium.text("#pairs td.error") == HOSTILE[0]
    assert chromium.texts("footer dd") == ["<b>1</b>"]
    for index in range(len(pairs)):
        link = chromium.find("#pairs .name a", index)
        name = link.text
        chromium.run("arguments[0].click()", link)
        chromium.wait("byId('viewer').open")
        assert chromium.run("return decodeURIComponent(location.hash)") == f"#pair={name}"
        assert chromium.text("#viewer-name") == name
        assert f"test/{name}" in chromium.text("#viewer-files") or ".." in name
        chromium.press("\ue00c")
        chromium.wait("location.hash === ''")
    assert chromium.run("return typeof hacked") == "undefined"


@slow
def test_policy_stops_what_would_get_in(chromium, page):
    chromium.open(page)
    chromium.run(
        """document.body.insertAdjacentHTML("beforeend", "<img src=data:x onerror=hacked=1><b style='color:red'>");
        document.body.append(Object.assign(document.createElement("script"), { textContent: "hacked=1" }));
        document.body.append(Object.assign(new Image(), { src: "https://host.invalid/x.png" }))"""
    )
    refused: list[str] = []
    chromium.wait(lambda: refused.extend(chromium.messages()) or str(refused).count("Content Security Policy") >= 4)
    assert chromium.run("return typeof hacked") == "undefined"
    assert not [address for address in chromium.requests() if "host.invalid" in address]


@slow
def test_folder_shows_its_pictures_wherever_it_is_moved(chromium, tmp_path):
    write(tmp_path / "first", [result("one", [0.5, 30, 5])])
    shutil.move(tmp_path / "first", tmp_path / "sec ond#%")
    chromium.open(tmp_path / "sec ond#%" / "index.html", "#pair=one")
    chromium.wait("document.images.length === 6 && [...document.images].every((each) => each.naturalWidth)")
    assert (
        chromium.run("return [...document.querySelectorAll('.pane img')].map((each) => each.naturalWidth)") == [60] * 3
    )


@slow
def test_a_pair_whose_pictures_are_left_out_says_so(chromium, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "BUDGET", 0)
    chromium.open(write(tmp_path / "report.html", [result("one", [0.5, 30, 5])]), "#pair=one")
    assert "thumbnail" in chromium.text("#panes .notice")
    assert place(chromium, "Test")[2] > 60


CONTRAST = """
const rgb = (text) => {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
};
const behind = (node) => {
  const colour = rgb(getComputedStyle(node).backgroundColor);
  return colour[3] === 255 || !node.parentElement ? colour : behind(node.parentElement);
};
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const walker = document.createTreeWalker(arguments[0], NodeFilter.SHOW_TEXT);
const found = [];
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest("script, style, :disabled")) continue;
  const [high, low] = [rgb(getComputedStyle(node).color), behind(node)].map(light).sort((a, b) => b - a);
  found.push([(high + 0.05) / (low + 0.05), node.textContent]);
}
return found;
"""


@slow
@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_in_both_themes(chromium, page, dark):
    chromium.open(page, dark=dark, reduced=True)
    chromium.find("footer summary").click()
    for opened in (False, True):
        if opened:
            chromium.find("#errors").click()
            chromium.find("#pairs .name a").click()
            chromium.wait("byId('viewer').open")
        ratios = chromium.run(CONTRAST, chromium.find("#viewer" if opened else "body"))
        assert len(ratios) > 5
        assert [text for ratio, text in ratios if ratio < 4.5] == []  # AA of the guidelines for accessible content


@slow
def test_theme_follows_the_system_until_it_is_chosen(chromium, page):
    def lightness():
        return chromium.pixels()[5, 5].mean()

    chromium.open(page, dark=True)
    assert lightness() < 60
    chromium.open(page)
    assert lightness() > 200
    chromium.find("#theme").click()
    assert lightness() < 60
    assert chromium.text("#theme") == "Light theme"
    chromium.open(page)
    assert lightness() < 60  # remembered
    chromium.find("#theme").click()
    chromium.run("localStorage.clear()")


@slow
@pytest.mark.parametrize("width", [320, 390, 700, 1000])
def test_nothing_is_wider_than_the_window(chromium, page, width):
    chromium.open(page, width=width, height=700)
    assert chromium.run("return document.documentElement.scrollWidth") == width
    for view in range(3):
        chromium.run("location.hash = 'pair=set%2Fpicture7'")
        chromium.wait("byId('viewer').open")
        chromium.find("#views button", view).click()
        sizes = chromium.run("const v = byId('viewer'); return [v.scrollWidth, v.scrollHeight]")
        assert sizes == [width, 700]
        assert chromium.find(".pane").rect["height"] > 60


@slow
def test_controls_have_names_and_motion_can_be_reduced(chromium, page):
    chromium.open(page, "#pair=set%2Fpicture7", reduced=True)
    tree = chromium.command("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node
        for node in tree
        if node.get("role", {}).get("value")
        in ("button", "link", "checkbox", "searchbox", "slider", "spinbutton", "image")
    ]
    assert len(controls) > 10
    assert [node for node in controls if not node.get("name", {}).get("value")] == []
    chromium.press("\ue00c")
    tree = chromium.command("Accessibility.getFullAXTree")["nodes"]
    roles = {node.get("role", {}).get("value") for node in tree}
    assert {"table", "row", "cell", "columnheader", "heading", "search", "status"} <= roles
    durations = chromium.run(
        "return [...document.querySelectorAll('*')].map((each) => getComputedStyle(each).transitionDuration)"
    )
    assert set(durations) == {"0s"}
