// The viewer of a pair: a dialog whose address is the pair's, with panes that zoom together.

const VIEWS = ["Side by side", "Slider", "Map"];
const KINDS = ["Reference", "Test", "SSIM map"];
const viewer = byId("viewer");
const viewed = { pair: null, view: VIEWS[0] };

/** Opens the pair that the address names, or closes the viewer. */
function followAddress() {
  const pair = location.hash.startsWith("#pair=") && report.pairs.find((each) => each.name === addressed());
  if (pair) show(pair);
  else if (viewer.open) viewer.close();
}

/** Returns the name in the address, which others may have written without its escapes. */
function addressed() {
  const text = location.hash.slice("#pair=".length);
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Changes the address without a new step in the history. */
function replaceAddress(hash) {
  history.replaceState(null, "", location.href.split("#")[0] + hash);
}

function show(pair) {
  viewed.pair = pair;
  byId("viewer-name").textContent = pair.name;
  byId("viewer-files").textContent = pair.files.join("  →  ");
  byId("viewer-values").replaceChildren(...listValues(pair));
  if (!viewer.open) viewer.showModal();
  showPlace();
  showPanes();
}

function listValues(pair) {
  if (pair.error && !pair.thumbnails) return []; // stands in the place of the pictures
  const values = metricColumns.map((column) => [column.label, `${column.write(column.value(pair))} ${column.unit}`]);
  const error = pair.error ? [["Error", pair.error]] : [];
  return [["Size", pair.size?.join(" × ") ?? "–"], ...values, ...error].map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
}

function showPlace() {
  const place = selection.pairs.indexOf(viewed.pair);
  byId("viewer-place").textContent = `${place < 0 ? "–" : counted.format(place + 1)} of ${counted.format(selection.pairs.length)}`;
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place === selection.pairs.length - 1;
}

/** Shows the pair `step` places further in the table. */
function go(step) {
  const pair = selection.pairs[selection.pairs.indexOf(viewed.pair) + step];
  if (!pair) return;
  replaceAddress(address(pair));
  show(pair);
}

function showPanes() {
  const { pair } = viewed;
  const hasMap = pair.thumbnails?.length === 3;
  const view = hasMap || viewed.view !== "Map" ? viewed.view : VIEWS[0];
  const pictures = pair.thumbnails ? picturesOf(pair) : [];
  const panes = pictures.length ? { "Side by side": sideBySide, Slider: slider, Map: mapAlone }[view](pictures) : [];
  const notes = pictures.length && !pair.pictures ? [element("p", { className: "notice" }, LEFT_OUT)] : [];
  if (!pictures.length) notes.push(element("p", { className: "notice" }, pair.error || "This report holds no pictures of this pair."));
  byId("panes").className = view === "Side by side" ? `columns count-${panes.length}` : "";
  byId("panes").replaceChildren(...panes, ...notes);
  for (const button of byId("views").children) {
    button.setAttribute("aria-pressed", String(button.value === view));
    button.disabled = button.value === "Map" && !hasMap;
  }
  byId("controls").hidden = !pictures.length;
  byId("divider-label").hidden = view !== "Slider";
  byId("scale").hidden = view === "Slider" || !hasMap;
  zoomSize(pair.shown ?? [1, 1]);
  draw();
}
const LEFT_OUT = "Only a thumbnail: this file keeps pictures for the worst pairs. A report that is a folder keeps all.";

function picturesOf(pair) {
  const [width, height] = pair.shown;
  return (pair.pictures ?? pair.thumbnails).map((name, index) =>
    image(name, { alt: `${KINDS[index]} of ${pair.name}`, width, height, className: index === 2 ? "map" : "" }),
  );
}

function pane(title, ...children) {
  const box = element("div", { className: "pane" }, ...children);
  makeMovable(box);
  return element("figure", {}, element("figcaption", {}, title), box);
}

function sideBySide(pictures) {
  return pictures.map((picture, index) => pane(KINDS[index], picture));
}

function mapAlone(pictures) {
  return [pane(KINDS[2], pictures[2])];
}

/** Lays the reference, left of a divider, over the test picture. */
function slider([reference, test]) {
  const handle = element("div", { className: "handle", "aria-hidden": "true" });
  const figure = pane("Reference  |  Test", test, element("div", { className: "left" }, reference), handle);
  const box = figure.lastChild;
  handle.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // moves the divider and not the picture
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const { left, width } = box.getBoundingClientRect();
    byId("divider").value = (100 * (event.clientX - left)) / width;
    moveDivider();
  });
  return [figure];
}

function moveDivider() {
  byId("panes").style.setProperty("--divider", `${byId("divider").value}%`);
}

/** Carries out a key, unless it belongs to the divider. */
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === byId("divider")) return;
  const first = document.querySelector(".pane");
  const far = 60;
  const moves = { ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
  const keys = {
    ArrowLeft: () => go(-1),
    ArrowRight: () => go(1),
    "+": () => zoomBy(first, 1.5),
    "=": () => zoomBy(first, 1.5),
    "-": () => zoomBy(first, 1 / 1.5),
    0: () => zoomBy(first, 1 / zoom.level),
    1: () => zoomBy(first, 1 / (fit(first) * zoom.level)),
  };
  const action = event.shiftKey && event.key in moves ? () => panBy(first, ...moves[event.key]) : keys[event.key];
  if (!action || (!first && action !== keys.ArrowLeft && action !== keys.ArrowRight)) return;
  event.preventDefault();
  action();
}

function makeViewer() {
  byId("views").append(...VIEWS.map((view) => {
    const button = element("button", { type: "button", value: view }, view);
    button.addEventListener("click", () => {
      viewed.view = view;
      showPanes();
    });
    return button;
  }));
  const first = () => document.querySelector(".pane");
  byId("zoom-in").addEventListener("click", () => zoomBy(first(), 1.5));
  byId("zoom-out").addEventListener("click", () => zoomBy(first(), 1 / 1.5));
  byId("zoom-fit").addEventListener("click", () => zoomBy(first(), 1 / zoom.level));
  byId("zoom-one").addEventListener("click", () => zoomBy(first(), 1 / (fit(first()) * zoom.level)));
  byId("previous").addEventListener("click", () => go(-1));
  byId("next").addEventListener("click", () => go(1));
  byId("close").addEventListener("click", () => viewer.close());
  byId("divider").addEventListener("input", moveDivider);
  viewer.addEventListener("keydown", press);
  viewer.addEventListener("close", () => {
    focusRow(viewed.pair);
    viewed.pair = null;
    byId("panes").replaceChildren();
    if (location.hash) replaceAddress("");
  });
  new ResizeObserver(draw).observe(byId("panes"));
  moveDivider();
}
