"use strict";
// The data of the report, and how to make elements. Text is only ever set as text: a name cannot become markup.

const byId = (id) => document.getElementById(id);
const report = JSON.parse(byId("report").textContent);

for (const pair of report.pairs) {
  pair.values = pair.values.map(Number); // "Infinity" and "NaN" are strings in JSON
}

/** Makes an element; names of properties are set as such, all others as attributes. */
function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Makes an image of a file beside the page, or of one embedded in it. */
function image(name, properties) {
  const source = report.folder === null ? byId(name)?.textContent : report.folder + name;
  const node = element("img", { draggable: false, ...properties });
  if (source) node.src = source; // an embedded one may still be on its way
  return node;
}
