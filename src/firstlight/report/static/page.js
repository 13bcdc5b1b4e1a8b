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

// Inside a notebook's frame, whose address is the notebook's, links within the page would leave it.
function startLinks() {
  if (window.location.protocol !== "about:") return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const target = link && document.getElementById(link.getAttribute("href").slice(1));
    if (!target) return;
    event.preventDefault();
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  });
}

// Figures scroll sideways in narrow windows only: elsewhere the Tab key need not stop at them.
function startDrawings() {
  const narrow = window.matchMedia("(max-width: 40rem)");
  const changed = () => {
    for (const drawing of document.querySelectorAll(".drawing")) {
      if (narrow.matches) drawing.tabIndex = 0;
      else drawing.removeAttribute("tabindex");
    }
  };
  narrow.addEventListener("change", changed);
  changed();
}

function start() {
  startTheme();
  startDrawings();
  startLinks();
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
