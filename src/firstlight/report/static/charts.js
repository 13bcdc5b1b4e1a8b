// Plotly, unpacked when a chart first comes into view, and the looks that all charts share.

let plotlyLoading = null;

// The script lies compressed in the page; a browser that cannot unpack it keeps the static figures.
function loadPlotly() {
  plotlyLoading ??= (async () => {
    const text = atob(document.getElementById("plotly-gz").textContent.trim());
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    return window.Plotly;
  })();
  return plotlyLoading;
}

// A chart in a holder with a static figure: drawn when it comes into view, redrawn when its data or the theme change.
class Chart {
  // describe() gives {traces, layout} or null where there is nothing to draw.
  constructor(element, describe, onDrawn = () => {}) {
    this.element = element;
    this.describe = describe;
    this.onDrawn = onDrawn;
    this.plotly = null;
    whenSeen(element.parentElement, () => this.start());
    window.addEventListener("themechange", () => this.draw());
  }

  async start() {
    if (this.plotly) return;
    try {
      this.plotly = await loadPlotly();
    } catch (error) {
      console.warn("The charts stay static:", error);
      return;
    }
    await this.draw();
    this.onDrawn();
  }

  async draw() {
    if (!this.plotly) return;
    const described = this.describe();
    this.element.parentElement.classList.toggle("drawn", described !== null);
    if (described === null) return this.plotly.purge(this.element);
    const options = { displayModeBar: false, responsive: true };
    await this.plotly.react(this.element, described.traces, themed(described.layout), options);
  }

  // Synchronously, for sliders and animations.
  restyle(changes, traces) {
    if (this.plotly && this.element.data) this.plotly.restyle(this.element, changes, traces);
  }
}

// Once, as soon as an element is in or near the window.
function whenSeen(element, act) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      act();
    },
    { rootMargin: "200px" },
  );
  observer.observe(element);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function themed(layout) {
  const axis = { gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, fixedrange: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 13, color: colour("ink") },
    margin: { l: 56, r: 12, t: 8, b: 28 },
    height: 320,
    hovermode: "x",
    dragmode: false,
    hoverlabel: { bgcolor: colour("card"), font: { color: colour("ink") } },
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom" },
    ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

// The axis of patch components, one whole number each, so wide that pictures below it line up.
function componentAxis(size) {
  return { range: [0.5, size + 0.5], tickformat: "d", showgrid: false, ...(size < 6 ? { dtick: 1 } : {}) };
}

// Pictures of the components below an axis; too many to line up are wrapped instead.
function componentStrip(holder, basis, onChoose) {
  const wrapped = basis.pictures.length > 75;
  holder.classList.toggle("wrapped", wrapped);
  holder.style.setProperty("--count", basis.pictures.length);
  pictureButtons(holder, basis.pictures, basis, {
    label: (index) => componentText(basis, index),
    onChoose,
  });
}

function componentText(basis, index) {
  const frequency = basis.frequency[index];
  return (
    `Component ${index + 1} of ${basis.pictures.length}: variance ${short(basis.variance[index])}` +
    (frequency === null ? "" : `, ${frequency.toFixed(2)} cycles/pixel`)
  );
}

// Shows one component large, with its numbers and whatever else is to be said of it.
function showComponent(detail, basis, index, more = []) {
  const lines = [componentText(basis, index), ...more].map((text) => {
    const line = document.createElement("div");
    line.textContent = text;
    return line;
  });
  const words = document.createElement("div");
  words.append(...lines);
  detail.replaceChildren(picture(basis.pictures[index], basis), words);
}

// Three significant digits, as a person writes them.
function short(value) {
  if (value === Infinity) return "∞";
  if (!Number.isFinite(value)) return "not defined";
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)) {
    const [digits, power] = value.toExponential(2).split("e");
    return `${digits} × 10${superscript(Number(power))}`;
  }
  return String(Number(value.toPrecision(3)));
}

function superscript(power) {
  return String(power).replace(/./g, (digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]));
}
