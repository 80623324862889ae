// Zooms and pans: every pane shows the same part of its picture.

const LARGEST = 32; // pixels of the page for one of the picture
const zoom = { level: 1, x: 0.5, y: 0.5, size: [1, 1] }; // level 1 fits; x, y is the point in the middle, 0 to 1

/** Returns how many pixels of the page one of the picture takes, where the picture fits its pane. */
function fit(pane) {
  return Math.min(pane.clientWidth / zoom.size[0], pane.clientHeight / zoom.size[1]) || 1;
}

/** Shows pictures of a size; keeps the place where the size stays. */
function zoomSize(size) {
  if (size[0] !== zoom.size[0] || size[1] !== zoom.size[1]) Object.assign(zoom, { level: 1, x: 0.5, y: 0.5, size });
}

/** Keeps the level within its limits and the picture within its pane. */
function limit(pane) {
  const scale = fit(pane);
  zoom.level = Math.min(Math.max(zoom.level, Math.min(1, 1 / scale)), Math.max(1, LARGEST / scale));
  const inside = (place, length, available) => {
    const margin = available / 2 / (length * scale * zoom.level);
    return margin >= 0.5 ? 0.5 : Math.min(Math.max(place, margin), 1 - margin);
  };
  zoom.x = inside(zoom.x, zoom.size[0], pane.clientWidth);
  zoom.y = inside(zoom.y, zoom.size[1], pane.clientHeight);
}

/** Places the pictures of all panes. */
function draw() {
  const panes = [...document.querySelectorAll(".pane")];
  if (!panes.length) return;
  limit(panes[0]);
  for (const pane of panes) {
    const scale = fit(pane) * zoom.level;
    const left = pane.clientWidth / 2 - zoom.x * zoom.size[0] * scale;
    const top = pane.clientHeight / 2 - zoom.y * zoom.size[1] * scale;
    for (const picture of pane.querySelectorAll("img")) {
      picture.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
      picture.classList.toggle("pixels", scale * devicePixelRatio >= 2);
    }
  }
  byId("zoom-level").textContent = `${Math.round(100 * fit(panes[0]) * zoom.level)} %`;
}

/** Zooms by a factor; the point under (x, y), in pixels from the pane's middle, stays. */
function zoomBy(pane, factor, x = 0, y = 0) {
  const before = fit(pane) * zoom.level;
  zoom.level *= factor;
  limit(pane);
  const after = fit(pane) * zoom.level;
  zoom.x += (x / before - x / after) / zoom.size[0];
  zoom.y += (y / before - y / after) / zoom.size[1];
  draw();
}

/** Moves the pictures by pixels of the page. */
function panBy(pane, x, y) {
  const scale = fit(pane) * zoom.level;
  zoom.x -= x / scale / zoom.size[0];
  zoom.y -= y / scale / zoom.size[1];
  draw();
}

/** Lets the wheel, one pointer and two pointers move a pane. */
function makeMovable(pane) {
  const pointers = new Map();
  const middle = (x, y) => {
    const box = pane.getBoundingClientRect();
    return [x - box.left - box.width / 2, y - box.top - box.height / 2];
  };

  pane.addEventListener("wheel", (event) => {
    event.preventDefault();
    const speed = event.ctrlKey ? 0.01 : event.deltaMode ? 0.05 : 0.002; // a pinch on a trackpad, lines, pixels
    zoomBy(pane, Math.exp(-event.deltaY * speed), ...middle(event.clientX, event.clientY));
  }, { passive: false });

  pane.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    pane.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const end of ["pointerup", "pointercancel"]) pane.addEventListener(end, (event) => pointers.delete(event.pointerId));

  pane.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = spread([...pointers.values()]);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const after = spread([...pointers.values()]);
    panBy(pane, after.x - before.x, after.y - before.y);
    if (before.distance > 0) zoomBy(pane, after.distance / before.distance, ...middle(after.x, after.y));
  });
}

/** Returns the middle of one or two points, and their distance. */
function spread(points) {
  const [[x, y], [u, v]] = [points[0], points[1] ?? points[0]];
  return { x: (x + u) / 2, y: (y + v) / 2, distance: Math.hypot(x - u, y - v) };
}
