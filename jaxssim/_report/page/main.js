// Puts the page together.

function makeCounts() {
  const errors = report.pairs.filter((pair) => pair.error).length;
  const words = errors ? element("span", { className: "error" }, count(errors, "error")) : "no errors";
  byId("counts").append(`${count(report.pairs.length, "pair")} · `, words);
  byId("errors-label").hidden = !errors;
}

/** Lets a button change between light and dark; the choice is kept where the browser allows it. */
function makeTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const current = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const set = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    byId("theme").textContent = current() === "dark" ? "Light theme" : "Dark theme";
  };
  byId("theme").addEventListener("click", () => {
    set(current() === "dark" ? "light" : "dark");
    remember("jaxssim-theme", current());
  });
  dark.addEventListener("change", () => set());
  set(remember("jaxssim-theme"));
}

/** Stores a text if one is given; returns what is stored, or undefined where nothing is or storage is closed. */
function remember(key, text) {
  try {
    if (text) localStorage.setItem(key, text);
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Adds rows before the reader comes to the end of the table. */
function makeEndless() {
  const observer = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    showMore();
    observer.unobserve(byId("more")); // asks again whether the end is still near
    observer.observe(byId("more"));
  }, { rootMargin: "600px" });
  observer.observe(byId("more"));
}

makeTheme();
makeCounts();
makeSummary();
makeHeader();
makeScale();
makeViewer();
byId("text").addEventListener("input", () => select({ text: byId("text").value.toLowerCase() }));
byId("errors").addEventListener("change", () => select({ errorsOnly: byId("errors").checked }));
byId("more").addEventListener("click", showMore);
makeEndless();
select();

// The pictures of a single file stand behind this script.
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", followAddress);
else followAddress();
addEventListener("hashchange", followAddress);
