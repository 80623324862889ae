// The colours of maps. A map's grey is 255 √((1 − SSIM) / 2); an SVG filter turns it into colours, which works also
// where the page may not read the pixels of a file.

const LOWS = [0, 0.9, 0.99]; // the ends of the scale; 1 is the other end

/** Returns red, green or blue (channel 0 to 2) of a place in the scale, from 0 for SSIM 1 to 1 for its end. */
function colourAt(place, channel) {
  const exact = Math.min(1, Math.max(0, place)) * (report.colours.length - 1);
  const index = Math.min(Math.floor(exact), report.colours.length - 2);
  const part = exact - index;
  return (1 - part) * report.colours[index][channel] + part * report.colours[index + 1][channel];
}

/** Colours all maps of the page from SSIM 1 down to `low`. */
function setScale(low) {
  const functions = byId("map-colours").querySelectorAll("feFuncR, feFuncG, feFuncB");
  functions.forEach((node, channel) => {
    const place = (grey) => (2 * (grey / 255) ** 2) / (1 - low);
    const table = Array.from({ length: 256 }, (_, grey) => colourAt(place(grey), channel).toFixed(4));
    node.setAttribute("tableValues", table.join(" "));
  });
  for (const button of byId("lows").children) button.setAttribute("aria-pressed", String(Number(button.value) === low));
  drawBar(low);
}

function drawBar(low) {
  const stops = Array.from({ length: 33 }, (_, index) => {
    const parts = [0, 1, 2].map((channel) => Math.round(255 * colourAt(1 - index / 32, channel)));
    return `rgb(${parts.join(" ")})`;
  });
  byId("bar").style.setProperty("--colours", `linear-gradient(to right, ${stops.join(", ")})`);
  byId("bar").setAttribute("aria-label", `Colour bar: SSIM from ${low} or less, pale, to 1, black`);
  const ticks = [0, 0.5, 1].map((place) => Number((low + place * (1 - low)).toPrecision(6)));
  byId("bar").replaceChildren(...ticks.map((tick, index) => element("span", {}, `${index ? "" : "≤ "}${tick}`)));
}

function makeScale() {
  byId("lows").append(...LOWS.map((low) => {
    const button = element("button", { type: "button", value: low, title: `Colours from SSIM 1 down to ${low}` }, `${low}–1`);
    button.addEventListener("click", () => setScale(low));
    return button;
  }));
  setScale(LOWS[0]);
}
