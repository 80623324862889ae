// The histogram of a metric: a bar is a button that shows only the pairs inside it.

const BINS = 20;

/** Makes the histogram of a column; pale bars are all pairs, strong ones those that pass the other filters. */
function histogram(column) {
  const values = known(report.pairs.map(column.value));
  const edges = roundEdges(finite(values), BINS);
  const bars = edges.slice(1).map((high, index) => bar(column, edges, index));
  const node = element("div", { className: "histogram", role: "group", "aria-label": `Histogram of ${column.label}` }, ...bars);
  const all = fill(edges, values);
  const tallest = Math.max(...all);

  function update() {
    const shown = fill(edges, known(report.pairs.filter((pair) => passes(pair, column)).map(column.value)));
    const [low, high] = selection.ranges.get(column) ?? [-Infinity, Infinity];
    bars.forEach((button, index) => {
      const [from, to] = ends(edges, index);
      const inside = from < high && to > low;
      const [pale, strong] = button.children;
      pale.style.height = height(all[index], tallest);
      strong.style.height = height(shown[index], tallest);
      button.setAttribute("aria-label", `${label(column, edges, index)}: ${count(all[index], "pair")}`);
      button.title = button.getAttribute("aria-label");
      button.setAttribute("aria-pressed", String(inside && selection.ranges.has(column)));
      button.classList.toggle("outside", !inside);
    });
  }

  oneTabStop(bars);
  document.addEventListener("selection", update);
  return element("div", {}, node, axis(edges));
}

function bar(column, edges, index) {
  const button = element("button", { type: "button" }, element("span"), element("span"));
  button.addEventListener("click", (event) => {
    const [low, high] = selection.ranges.get(column) ?? [];
    const [from, to] = ends(edges, index);
    if (event.shiftKey && low !== undefined) selectRange(column, Math.min(low, from), Math.max(high, to));
    else if (low === from && high === to) selectRange(column, -Infinity, Infinity);
    else selectRange(column, from, to);
  });
  return button;
}

/** Returns the range of a bar: at least the first number, below the second; the last bar is open, for 1 and for ∞. */
function ends(edges, index) {
  return [edges[index], index === edges.length - 2 ? Infinity : edges[index + 1]];
}

function label(column, edges, index) {
  const [from, to] = ends(edges, index);
  return `${column.label} ${to === Infinity ? `${from} or more` : `from ${from} to below ${to}`}`;
}

/** Returns how many values lie in each interval. */
function fill(edges, values) {
  const counts = new Array(edges.length - 1).fill(0);
  for (const value of values) counts[Math.min(edges.findLastIndex((edge) => edge <= value), counts.length - 1)] += 1;
  return counts;
}

/** Returns the height of a bar; one pair among thousands is still seen. */
function height(number, tallest) {
  return number ? `max(3px, ${(100 * number) / tallest}%)` : "0";
}

function axis(edges) {
  const limits = [edges[0], edges.at(-1)];
  return element("div", { className: "axis", "aria-hidden": "true" }, ...limits.map((edge) => element("span", {}, String(edge))));
}

/** Leaves one of many buttons in the order of the Tab key; arrows move between them. */
function oneTabStop(buttons) {
  buttons.forEach((button, index) => {
    button.tabIndex = index ? -1 : 0;
    button.addEventListener("keydown", (event) => {
      const next = buttons[index + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? NaN)];
      if (!next) return;
      event.preventDefault();
      button.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  });
}
