// The filters of one network, initial and trained; the one that is pointed at large, with its own profile.

function showFilters(section, network, basis) {
  const part = (role) => section.querySelector(`[data-role="${role}"]`);
  const shape = { channels: basis.channels, rows: network.filters.rows, columns: network.filters.columns };
  const size = shape.channels * shape.rows * shape.columns;
  const detail = part("filter-detail");
  const banks = {};
  detail.textContent = "Point at a filter, or move to it with the arrow keys.";
  const { marks, legend } = network.filters; // kind and words, by number
  part("filters-legend").textContent = legend;
  const words = (index) => [`Filter ${index}`, ...(marks[index] ?? []).slice(1)].join(", ");
  for (const name of ["trained", "initial"]) {
    part(`${name}-filters`).replaceChildren();
    part(`${name}-bank`).hidden = !network.filters[name];
  }
  // Hundreds of pictures: only once somebody can see them.
  whenSeen(part("filters"), () => {
    if (section.explorer && section.explorer.network !== network) return;
    for (const name of ["trained", "initial"]) {
      if (!network.filters[name]) continue;
      banks[name] = unpack(network.filters[name], size);
      pictureButtons(part(`${name}-filters`), banks[name], shape, {
        role: name === "trained" ? "filter" : "initial-filter",
        label: (index) => (name === "trained" ? words(index) : `Filter ${index}`) + `, ${name}`,
        onChoose: (index) => showFilter(detail, banks, shape, basis, index, words(index)),
      });
    }
    for (const button of part("trained-filters").children) {
      const [kind] = marks[button.dataset.index] ?? [];
      if (kind) button.dataset.mark = kind;
    }
    const hidden = network.filters.count - banks.trained.length;
    part("filters-note").textContent =
      hidden > 0 ? `The first ${banks.trained.length} of ${network.filters.count} filters.` : "";
  });
}

function showFilter(detail, banks, shape, basis, index, called) {
  const states = [["initial", "soft"], ["trained", "measured"]].filter(([name]) => banks[name]);
  const profiles = states.map(([name]) => filterProfile(banks[name][index], shape, basis));
  const title = document.createElement("strong");
  title.textContent = called;
  const pictures = states.map(([name]) => {
    const figure = document.createElement("span");
    figure.className = "large";
    figure.append(picture(banks[name][index], shape), name);
    return figure;
  });
  const curves = states.map(([name, shade], i) => ({ name, colour: `var(--${shade})`, values: profiles[i] }));
  const words = document.createElement("div");
  const peak = profiles.at(-1).indexOf(largest(profiles.at(-1)));
  words.textContent =
    peak < 0 || !(profiles.at(-1)[peak] > 0)
      ? "It responds to no component."
      : `It responds most to component ${peak + 1}.`;
  const chart = miniChart(curves, basis, `Energy of filter ${index} in each component`);
  detail.replaceChildren(title, ...pictures, chart, words);
}

// A small line chart over the components, with their pictures below the axis.
function miniChart(curves, basis, label) {
  const [width, height] = [300, 90];
  const size = basis.pictures.length;
  const peak = largest(curves.flatMap((curve) => curve.values)) || 1;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const curve of curves) {
    const points = curve.values.map((e, i) => {
      const [x, y] = [((i + 0.5) * width) / size, height - 2 - ((height - 6) * e) / peak];
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    });
    const line = element("polyline", { points: points.join(" "), fill: "none", "stroke-width": 2 });
    line.style.stroke = curve.colour;
    if (curve.name === "initial") line.setAttribute("stroke-dasharray", "4 3");
    svg.append(line);
  }
  svg.append(element("line", { x1: 0, x2: width, y1: height - 1, y2: height - 1, class: "axis" }));
  const holder = document.createElement("div");
  holder.className = "mini";
  holder.append(svg);
  if (size <= 75) {
    const strip = document.createElement("div");
    strip.className = "strip small";
    strip.style.setProperty("--count", size);
    strip.setAttribute("aria-hidden", "true");
    strip.append(...basis.pictures.map((weights) => picture(weights, basis)));
    holder.append(strip);
  }
  return holder;
}

function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
