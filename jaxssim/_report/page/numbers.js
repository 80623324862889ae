// How numbers are shown and summarised.

const counted = new Intl.NumberFormat("en");
const finite = (values) => values.filter(Number.isFinite);
const known = (values) => values.filter((value) => !Number.isNaN(value));

/** Returns "1 pair", "2 pairs", ... */
function count(number, word) {
  return `${counted.format(number)} ${word}${number === 1 ? "" : "s"}`;
}

/**
 * Returns a function that writes numbers with as many decimals as give the largest of `values` five digits; where that
 * would leave the smallest none, each number has five digits of its own.
 */
function writerFor(values) {
  const sizes = finite(values).map(Math.abs).filter(Boolean);
  const largest = sizes.reduce((most, size) => Math.max(most, size), 1e-6);
  const smallest = sizes.reduce((least, size) => Math.min(least, size), largest);
  const decimals = (size) => Math.min(8, Math.max(0, 4 - Math.floor(Math.log10(size))));
  const wide = largest > 1e4 * smallest;
  return (value) => {
    const size = Math.abs(value);
    if (wide && size && size < 1e-6) return value.toExponential(4).replaceAll("-", "−");
    return write(value, decimals(wide && size ? size : largest));
  };
}

function write(value, decimals) {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return value.toFixed(decimals).replace("-", "−");
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Returns the median, of two in the middle the lower one: always the value of a pair, as in the command's table. */
function median(values) {
  const sorted = Float64Array.from(values).sort();
  return sorted[(sorted.length - 1) >> 1];
}

/** Returns the edges of at most about `bins` equal intervals that hold all finite values, at round numbers. */
function roundEdges(values, bins) {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const rough = (high - low) / bins || Math.abs(high) / 10 || 0.1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const edge = (index) => Number((index * step).toPrecision(12));
  let index = Math.floor(low / step);
  while (edge(index) > low) index -= 1;
  const edges = [edge(index)];
  while (edges.at(-1) < high || edges.length < 2) edges.push(edge((index += 1)));
  return edges;
}
