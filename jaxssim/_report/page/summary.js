// The cards of the metrics: mean, median, worst, histogram and range.

/** Makes a card for each metric, in rows of about the same length. */
function makeSummary() {
  const rows = Math.ceil(metricColumns.length / 4);
  byId("summary").style.setProperty("--columns", Math.max(2, Math.ceil(metricColumns.length / rows)));
  byId("summary").append(...metricColumns.map(card));
}

/** Makes the card of a metric. */
function card(column) {
  const pairs = report.pairs.filter((pair) => !Number.isNaN(column.value(pair)));
  const values = pairs.map(column.value);
  const unit = column.unit ? element("small", {}, ` ${column.unit}`) : "";
  const title = element("h2", {}, column.label, unit);
  const hint = element("p", { className: "hint" }, column.worstIsLargest ? "lower is better" : "higher is better");
  const node = element("article", { className: "card", "aria-label": column.label }, element("header", {}, title, hint));
  if (!values.length) node.append(element("p", { className: "hint" }, "no values"));
  else node.append(statistics(column, pairs, values));
  if (finite(values).length) node.append(histogram(column), range(column));
  const infinite = values.length - finite(values).length;
  if (infinite) node.append(element("p", { className: "hint" }, `the last bar has ${count(infinite, "pair")} at ∞`));
  return node;
}

function statistics(column, pairs, values) {
  const sign = column.worstIsLargest ? -1 : 1;
  const worst = pairs.reduce((a, b) => (sign * column.value(b) < sign * column.value(a) ? b : a));
  const link = element("a", { href: address(worst), title: worst.name }, column.write(column.value(worst)));
  const rows = [["mean", column.write(mean(values))], ["median", column.write(median(values))], ["worst", link]];
  return element("dl", {}, ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

/** Makes the two fields of a range. */
function range(column) {
  const fields = ["at least", "below"].map((words) => {
    const input = element("input", { type: "number", step: "any", "aria-label": `${column.label} ${words}` });
    input.addEventListener("change", () => {
      const [low, high] = fields.map((field) => field.lastChild.valueAsNumber);
      selectRange(column, Number.isNaN(low) ? -Infinity : low, Number.isNaN(high) ? Infinity : high);
    });
    return element("label", {}, `${words} `, input);
  });
  document.addEventListener("selection", () => {
    const ends = selection.ranges.get(column) ?? [-Infinity, Infinity];
    fields.forEach((field, index) => (field.lastChild.value = Number.isFinite(ends[index]) ? ends[index] : ""));
  });
  return element("div", { className: "range" }, ...fields);
}
