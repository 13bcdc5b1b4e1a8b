// The page: theme, data, and whatever charts it has.

function startTheme() {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const button = document.querySelector('[data-role="theme"]');
  const changed = () => {
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    button.textContent = now === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Change to ${now === "dark" ? "light" : "dark"} colours`);
    window.dispatchEvent(new Event("themechange"));
  };
  button.addEventListener("click", () => {
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    changed();
  });
  dark.addEventListener("change", changed);
  changed();
}

function readData() {
  const data = JSON.parse(document.getElementById("firstlight-data").textContent);
  for (const basis of data.bases) {
    const size = basis.channels * basis.rows * basis.columns;
    basis.pictures = unpack(basis.components, size);
  }
  for (const network of data.networks) {
    for (const snapshot of network.snapshots) {
      snapshot.energy = snapshot.energy.map((e) => e ?? NaN);
      if (snapshot.fit) snapshot.fit.tau ??= Infinity; // which JSON does not know
    }
  }
  return data;
}

// Whatever is folded or filtered away is shown before a link leads there; returns whether it was filtered away.
function reveal(target) {
  const hidden = target.closest("[hidden]") !== null;
  if (hidden) document.querySelector('[data-role="finder"]')?.finder.clear();
  for (let one = target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
  return hidden;
}

// Charts that are drawn meanwhile move what is below them: for a moment, or until somebody does something, the target
// is kept where the link has brought it.
function hold(target) {
  const observer = new ResizeObserver(() => target.scrollIntoView());
  const done = () => observer.disconnect();
  observer.observe(document.body);
  for (const act of ["wheel", "keydown", "pointerdown", "touchstart"]) {
    window.addEventListener(act, done, { once: true, passive: true });
  }
  setTimeout(done, 1500);
}

function startLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const target = link && document.getElementById(link.getAttribute("href").slice(1));
    if (!target) return;
    reveal(target);
    if (target.tabIndex < 0) target.tabIndex = -1; // so that it can be focused
    hold(target);
    // Inside a notebook's frame, whose address is the notebook's, links within the page would leave it.
    if (window.location.protocol !== "about:") return;
    event.preventDefault();
    target.focus({ preventScroll: true });
  });
  const arrived = () => {
    const target = document.querySelector(":target");
    if (!target) return;
    // Not near the top it is where the way back has led to another place.
    if (reveal(target) || Math.abs(target.getBoundingClientRect().top) < 100) hold(target);
  };
  window.addEventListener("hashchange", arrived);
  window.addEventListener("load", arrived);
}

function start() {
  startTheme();
  startLinks();
  startFinder();
  const data = readData();
  for (const section of document.querySelectorAll('[data-role="explorer"]')) {
    section.explorer = new Explorer(section, data);
  }
  for (const link of document.querySelectorAll("[data-explore]")) {
    link.addEventListener("click", () => {
      const section = document.querySelector('[data-role="explorer"]');
      const select = section.querySelector('[data-role="network"]');
      if (select) select.value = link.dataset.explore;
      section.explorer.choose(Number(link.dataset.explore));
    });
  }
  if (data.comparison) startComparison(data);
}

start();
