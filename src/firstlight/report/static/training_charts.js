// What else was recorded of a network: loss and accuracy over the steps, and how its output decorrelates.

function learningChart(network) {
  const { step, ...columns } = network.learning;
  const shown = Object.entries(columns).filter(([, values]) => values.some((value) => value !== null));
  if (!step || !shown.length) return null;
  const looks = { train: ["measured", "solid"], test: ["predicted", "dash"] };
  return {
    traces: shown.map(([name, y]) => {
      const [split, what] = name.split("_");
      const [shade, dash] = looks[split];
      return {
        name: `${what}, ${split}`, x: step, y, connectgaps: true, mode: "lines+markers",
        yaxis: what === "loss" ? "y" : "y2", line: { color: colour(shade), dash, width: 2 }, marker: { size: 5 },
        opacity: what === "loss" ? 1 : 0.75, hovertemplate: "%{y:.3f}",
      };
    }),
    layout: {
      height: 300,
      xaxis: { type: "log", title: { text: "step" }, anchor: "y2", exponentformat: "power" },
      yaxis: { title: { text: "loss" }, domain: [0.54, 1], rangemode: "tozero" },
      yaxis2: {
        title: { text: "accuracy" }, domain: [0, 0.46], rangemode: "tozero", fixedrange: true,
        gridcolor: colour("line"), zeroline: false,
      },
      margin: { l: 56, r: 12, t: 8, b: 40 },
      showlegend: false,
    },
  };
}

function decorrelationChart(network) {
  const curves = Object.entries(network.decorrelation);
  if (!curves.length) return null;
  const looks = {
    trained: ["measured", "solid"], change: ["green", "dashdot"], initial: ["soft", "dash"],
    pixels: ["soft", "dot"], "ideal whitening": ["predicted", "longdash"],
  };
  return {
    traces: curves.map(([name, y]) => ({
      name, x: y.map((_, d) => d), y, mode: "lines+markers", hovertemplate: "%{y:.3f}", marker: { size: 5 },
      line: { color: colour((looks[name] ?? ["ink"])[0]), dash: (looks[name] ?? [0, "solid"])[1], width: 2 },
    })),
    layout: {
      height: 300,
      xaxis: { title: { text: "distance d, pixels" }, dtick: 2 },
      yaxis: { title: { text: "C(d) / C(0)" } },
      margin: { l: 56, r: 12, t: 34, b: 40 },
    },
  };
}
