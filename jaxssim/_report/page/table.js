// The table of the selected pairs. Rows are made as the reader comes to them, a few dozen at a time.

const ROWS = 50;
const body = byId("pairs").tBodies[0];

/** Returns the address of a pair inside the page. */
function address(pair) {
  return `#pair=${encodeURIComponent(pair.name)}`;
}

function makeHeader() {
  const cell = (properties, ...children) => element("th", { scope: "col", role: "columnheader", ...properties }, ...children);
  const sorted = columns.map((column) => {
    const button = element("button", { type: "button" }, column.label);
    if (column.unit) button.append(element("small", {}, ` ${column.unit}`));
    button.addEventListener("click", () => {
      const again = selection.column === column;
      select({ column, descending: again ? !selection.descending : Boolean(column.worstIsLargest) });
    });
    const node = cell({ className: column.number ? "number" : "" }, button);
    document.addEventListener("selection", () => {
      if (selection.column !== column) node.removeAttribute("aria-sort");
      else node.setAttribute("aria-sort", selection.descending ? "descending" : "ascending");
    });
    return node;
  });
  byId("pairs").tHead.rows[0].append(cell({ className: "pictures" }, "Reference, test, map"), ...sorted);
}

function makeRow(pair) {
  const cell = (name, properties, ...children) =>
    element("td", { role: "cell", "data-label": name, ...properties }, ...children);
  const pictures = (pair.thumbnails ?? []).map((name, index) =>
    image(name, { alt: "", loading: "lazy", className: index === 2 ? "map" : "", ...fitted(pair.shown, 64) }),
  );
  const partial = pair.error && pair.values.some((value) => !Number.isNaN(value)); // some metrics have no value
  const error = partial ? [element("p", { className: "error" }, pair.error)] : [];
  const name = cell("Name", { className: "name" }, element("a", { href: address(pair) }, pair.name), ...error);
  const size = cell("Size", { className: "number" }, pair.size ? pair.size.join(" × ") : "–");
  const values = pair.error && !partial
    ? [cell("Error", { className: "error", colSpan: metricColumns.length || 1 }, pair.error)]
    : metricColumns.map((column) => {
        const value = column.value(pair);
        return cell(column.label, { className: "number", title: String(value) }, column.write(value));
      });
  const row = element("tr", { role: "row" }, cell("Pictures", { className: "pictures" }, ...pictures), name, size, ...values);
  row.classList.toggle("failed", Boolean(pair.error));
  return row;
}

/** Returns the width and height of a picture inside a square. */
function fitted([width, height], side) {
  const scale = side / Math.max(width, height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** Puts the focus on the row of a pair, if the table has come to it. */
function focusRow(pair) {
  [...body.querySelectorAll(".name a")].find((link) => link.getAttribute("href") === address(pair))?.focus();
}

function showMore() {
  const start = body.rows.length;
  body.append(...selection.pairs.slice(start, start + ROWS).map(makeRow));
  byId("more").hidden = body.rows.length === selection.pairs.length;
}

function makeChips() {
  const chips = [...selection.ranges].map(([column, [low, high]]) => {
    const words = [low > -Infinity ? `${low} ≤ ` : "", column.label, high < Infinity ? ` < ${high}` : ""].join("");
    const chip = element("button", { type: "button", "aria-label": `Remove the filter ${words}` }, `${words} ✕`);
    chip.addEventListener("click", () => selectRange(column, -Infinity, Infinity));
    return chip;
  });
  byId("chips").replaceChildren(...chips);
}

document.addEventListener("selection", () => {
  body.replaceChildren();
  showMore();
  makeChips();
  const all = report.pairs.length;
  const shown = selection.pairs.length;
  byId("shown").textContent = shown === all ? `All ${count(all, "pair")}` : `${counted.format(shown)} of ${count(all, "pair")}`;
});
