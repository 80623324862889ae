// Which pairs are shown, and in which order.

const columns = [
  { label: "Name", value: (pair) => pair.name },
  { label: "Size", value: (pair) => (pair.size ? pair.size[0] * pair.size[1] : NaN), number: true },
  ...report.metrics.map((metric, index) => ({
    label: metric.label,
    unit: metric.unit,
    value: (pair) => pair.values[index],
    number: true,
    worstIsLargest: !metric.higher_is_better,
    write: writerFor(report.pairs.map((pair) => pair.values[index])),
  })),
];
const metricColumns = columns.slice(2);

const selection = {
  pairs: [],
  text: "",
  errorsOnly: false,
  ranges: new Map(), // by column: at least the first number, below the second
  column: metricColumns[0] ?? columns[0],
  descending: metricColumns[0]?.worstIsLargest ?? false,
};

/** Returns whether a pair passes all filters, but for the range of one column. */
function passes(pair, except = null) {
  if (selection.errorsOnly && !pair.error) return false;
  if (!pair.name.toLowerCase().includes(selection.text)) return false;
  for (const [column, [low, high]] of selection.ranges) {
    const value = column.value(pair);
    if (column !== except && !(value >= low && value < high)) return false;
  }
  return true;
}

/** Compares two pairs by the column; what has no value comes last, up or down. */
function compare(one, other) {
  const [a, b] = [selection.column.value(one), selection.column.value(other)];
  if (!selection.column.number) return byName.compare(a, b) * (selection.descending ? -1 : 1);
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
  return a === b ? 0 : a < b === selection.descending ? 1 : -1;
}
const byName = new Intl.Collator("en", { numeric: true });

/** Changes filters or order, and tells all parts of the page. */
function select(changes = {}) {
  Object.assign(selection, changes);
  selection.pairs = report.pairs.filter((pair) => passes(pair)).sort(compare);
  document.dispatchEvent(new Event("selection"));
}

/** Shows only pairs whose value of a column is at least `low` and below `high`; all, where both are infinite. */
function selectRange(column, low, high) {
  if (low === -Infinity && high === Infinity) selection.ranges.delete(column);
  else selection.ranges.set(column, [low, high]);
  select();
}
