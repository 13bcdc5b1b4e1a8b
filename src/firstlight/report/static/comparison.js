// Several networks: the heat map of their correlations, and their profiles on one axis.

const CORRELATION_COLOURS = [[0, "#2166ac"], [0.25, "#92c5de"], [0.5, "#f7f7f7"], [0.75, "#f4a582"], [1, "#b2182b"]];

function startComparison(data) {
  const { labels, correlations, profiles, basis: number } = data.comparison;
  const basis = data.bases[number];
  const part = (role) => document.querySelector(`[data-role="${role}"]`);
  const dtick = labels.length > 30 ? 5 : 1;
  const width = () => part("heat-map").clientWidth || part("heat-map").parentElement.clientWidth;
  new Chart(part("heat-map"), () => ({
    traces: [
      {
        type: "heatmap", z: correlations, x: labels.map((_, i) => i + 1), y: labels.map((_, i) => i + 1),
        zmin: -1, zmax: 1, colorscale: CORRELATION_COLOURS, xgap: 1, ygap: 1,
        text: correlations.map((row, i) => row.map((r, j) => cellText(labels[i], labels[j], r))),
        hovertemplate: "%{text}<extra></extra>", texttemplate: width() / labels.length > 50 ? "%{z:.2f}" : "",
        colorbar: { title: { text: "correlation", side: "right" }, thickness: 14 },
      },
    ],
    layout: {
      height: Math.min(640, 180 + 34 * labels.length, width()), hovermode: "closest",
      xaxis: { dtick, showgrid: false, constrain: "domain" },
      yaxis: { dtick, autorange: "reversed", showgrid: false, scaleanchor: "x", constrain: "domain" },
    },
  }));
  const dashes = ["solid", "dash", "dashdot", "dot", "longdash"];
  const shades = ["measured", "predicted", "green", "pink", "soft"];
  new Chart(part("overlay"), () => ({
    traces: profiles.map((profile, i) => ({
      name: escaped(`${i + 1} ${ending(labels[i])}`), mode: "lines", hovertemplate: "%{y:.3f}",
      x: profile.map((_, n) => n + 1), y: relativeToPeak(profile.map((e) => e ?? NaN)),
      line: { width: 2, color: colour(shades[i % 5]), dash: dashes[Math.floor(i / 5) % 5] },
    })),
    layout: {
      height: 340, hovermode: profiles.length > 8 ? "closest" : "x",
      xaxis: componentAxis(basis.pictures.length),
      yaxis: { title: { text: "energy / peak energy" }, rangemode: "tozero" },
      showlegend: profiles.length <= 8, margin: { l: 56, r: 12, t: 34, b: 26 },
    },
  }));
  componentStrip(part("overlay-strip"), basis, (index) => showComponent(part("overlay-detail"), basis, index));
}

function cellText(first, second, r) {
  return `${escaped(first)}<br>${escaped(second)}<br>${r === null ? "not defined" : r.toFixed(3)}`;
}

// The end of a long name, which tells files apart.
function ending(label) {
  const letters = Array.from(label);
  return letters.length > 28 ? `…${letters.slice(-27).join("")}` : label;
}

// Plotly reads some HTML and TeX in its texts: names are shown as they are.
function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");
}
