// The explorer: one network's profile against eq. 3, with a slider for tau.

const SECONDS_OF_FORMULA = 8;
const MILLISECONDS_OF_STEP = 450;

class Explorer {
  constructor(section, data) {
    this.section = section;
    this.data = data;
    this.timer = null;
    this.part = (role) => section.querySelector(`[data-role="${role}"]`);
    this.slider = this.part("tau");
    this.chart = new Chart(
      this.part("profile-chart"),
      () => this.profileChart(),
      () => this.ready(),
    );
    this.learning = new Chart(this.part("learning-chart"), () => this.learningChart());
    this.decorrelation = new Chart(this.part("decorrelation-chart"), () => this.decorrelationChart());
    this.slider.addEventListener("input", () => {
      this.stop();
      this.setTau(10 ** Number(this.slider.value));
    });
    this.part("best-fit").addEventListener("click", () => {
      this.stop();
      this.showBestFit();
    });
    this.part("play").addEventListener("click", () => this.toggle("play"));
    this.part("play-formula").addEventListener("click", () => this.toggle("play-formula"));
    this.part("network")?.addEventListener("change", (event) => this.choose(Number(event.target.value)));
    this.choose(Number(this.part("network")?.value ?? 0));
    // The profile's hover shows the component beside it.
    this.part("profile-chart").addEventListener("pointerleave", () => this.redrawDetail());
  }

  get snapshot() {
    return this.network.snapshots[this.moment];
  }

  ready() {
    this.part("profile-chart").on("plotly_hover", (event) => this.showComponent(event.points[0].x - 1));
    this.section.dataset.ready = "true";
  }

  choose(index) {
    this.stop();
    this.network = this.data.networks[index];
    this.basis = this.data.bases[this.network.basis];
    this.moment = this.network.snapshots.length - 1;
    const [low, high] = this.network.range;
    Object.assign(this.slider, { min: low, max: high, step: (high - low) / 2000 });
    this.part("play").hidden = this.part("steps-note").hidden = this.network.snapshots.length < 2;
    this.part("units").textContent = this.network.units;
    this.drawScores();
    componentStrip(this.part("component-strip"), this.basis, (component) => this.showComponent(component));
    this.component = null;
    this.part("component-detail").textContent = "Point at a component, or move to it with the arrow keys.";
    showFilters(this.section, this.network, this.basis);
    this.showBestFit();
    this.chart.draw();
    this.part("learning").hidden = this.learningChart() === null;
    this.part("decorrelation").hidden = this.decorrelationChart() === null;
    this.learning.draw();
    this.decorrelation.draw();
  }

  // The end of the training, at the tau that fits it best, to the last digit.
  showBestFit() {
    this.moment = this.network.snapshots.length - 1;
    const fit = this.snapshot.fit;
    const [low, high] = this.network.range;
    this.part("best-fit").disabled = fit === null;
    this.setTau(fit ? fit.tau : 10 ** ((low + high) / 2));
  }

  setTau(tau) {
    this.tau = tau;
    const energy = this.snapshot.energy;
    const score = correlation(energy, linearCnnProfile(this.basis.variance, tau));
    const words = Number.isNaN(score) ? "not defined" : score.toFixed(3).replace("-", "−");
    const [low, high] = this.network.range;
    this.slider.value = low + this.along(tau) * (high - low); // at its end for what lies beyond
    this.slider.setAttribute("aria-valuetext", `tau ${short(tau)}, correlation ${words}`);
    this.write("tau-value", short(tau), tau);
    this.write("correlation", words, score);
    this.part("moment").textContent = this.momentText();
    this.place(this.part("score-dot"), tau, score);
    this.chart.restyle({ y: [this.measured(), this.predicted()] }, [0, 1]);
    this.redrawDetail();
  }

  write(role, text, value) {
    const output = this.part(role);
    output.textContent = text;
    output.dataset.value = String(value);
  }

  momentText() {
    const { step, fit, unfitted } = this.snapshot;
    const last = this.network.snapshots.at(-1).step;
    const when = step === null ? "" : `Measured after step ${step} of ${last}. `;
    if (!fit) return `${when}Eq. 3 cannot be fitted: ${unfitted}.`;
    let best = `at τ = ${short(fit.tau)}`;
    if (fit.bound === "early") best = "in the limit of small τ";
    if (fit.tau === Infinity) best = "at τ = ∞, whitening";
    return `${when}The best fit is ${best}: r = ${fit.correlation.toFixed(3)}.`;
  }

  measured() {
    return relativeToPeak(this.snapshot.energy).map((e) => (Number.isFinite(e) ? e : null));
  }

  predicted() {
    return scaledPrediction(this.snapshot.energy, this.basis.variance, this.tau);
  }

  // Correlation against tau above the slider, the fits of all recorded steps in it, and the best fit of the last.
  drawScores() {
    const { energy, fit } = this.snapshot;
    const [low, high] = this.network.range;
    const taus = Array.from({ length: 241 }, (_, i) => 10 ** (low + ((high - low) * i) / 240));
    const shapes = taus.map((tau) => linearCnnProfile(this.basis.variance, tau));
    const scores = shapes.map((shape) => correlation(energy, shape));
    const finite = scores.filter(Number.isFinite);
    this.lowest = Math.min(0, ...finite);
    const points = finite.length ? taus.map((tau, i) => `${1000 * this.along(tau)},${100 * this.down(scores[i])}`) : [];
    this.part("score-line").setAttribute("points", points.join(" "));
    const heights = taus.flatMap((tau) => scaledPrediction(energy, this.basis.variance, tau));
    this.ceiling = 1.08 * Math.max(1, largest(heights));
    const marks = this.network.snapshots.slice(0, -1).filter((one) => one.fit).map((one) => {
      const dot = document.createElement("i");
      this.place(dot, one.fit.tau, one.fit.correlation);
      return dot;
    });
    this.part("score-steps").replaceChildren(...marks);
    const mark = this.part("best-mark");
    mark.hidden = !fit;
    if (!fit) return;
    mark.style.setProperty("--x", this.along(fit.tau));
    const [from, to] = [fit.range[0] ?? Infinity, fit.range[1] ?? Infinity].map((tau) => this.along(tau));
    this.part("flat-range").style.setProperty("--x", from);
    this.part("flat-range").style.setProperty("--width", to - from);
  }

  // Where tau lies on the slider, 0 to 1; beyond its ends at them.
  along(tau) {
    const [low, high] = this.network.range;
    return Math.min(1, Math.max(0, (Math.log10(tau) - low) / (high - low)));
  }

  down(score) {
    return (1 - score) / (1 - this.lowest);
  }

  place(dot, tau, score) {
    dot.hidden = !Number.isFinite(score);
    dot.style.setProperty("--x", this.along(tau));
    dot.style.setProperty("--y", Number.isFinite(score) ? Math.min(1, Math.max(0, this.down(score))) : 0);
  }

  showComponent(component) {
    this.component = component;
    this.redrawDetail();
  }

  redrawDetail() {
    if (this.component === null || this.component === undefined) return;
    const measured = this.measured()[this.component];
    showComponent(this.part("component-detail"), this.basis, this.component, [
      `measured ${short(measured ?? NaN)}, eq. 3 ${short(this.predicted()[this.component])} of the measured peak`,
    ]);
  }

  toggle(role) {
    const playing = this.playing;
    this.stop();
    if (playing === role) return;
    this.playing = role;
    this.part(role).textContent = "Pause";
    this.part("correlation").setAttribute("aria-live", "off"); // nobody wants to hear every frame
    if (role === "play") this.playTraining();
    else this.playFormula();
  }

  stop() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    for (const role of ["play", "play-formula"]) this.part(role).textContent = this.part(role).dataset.label;
    this.part("correlation").setAttribute("aria-live", "polite");
    this.playing = null;
  }

  playTraining() {
    const last = this.network.snapshots.length - 1;
    const show = (moment) => {
      this.moment = moment;
      this.setTau(this.snapshot.fit ? this.snapshot.fit.tau : this.tau);
      this.timer = setTimeout(() => (moment < last ? show(moment + 1) : this.stop()), MILLISECONDS_OF_STEP);
    };
    show(this.moment < last ? this.moment : 0);
  }

  playFormula() {
    this.moment = this.network.snapshots.length - 1;
    const [low, high] = this.network.range;
    let start = null;
    const show = (now) => {
      start ??= now;
      const part = Math.min(1, (now - start) / (1000 * SECONDS_OF_FORMULA));
      this.setTau(10 ** (low + part * (high - low)));
      if (part < 1) this.frame = requestAnimationFrame(show);
      else this.stop();
    };
    this.frame = requestAnimationFrame(show);
  }

  profileChart() {
    const numbers = this.basis.variance.map((_, i) => i + 1);
    const few = numbers.length <= 100;
    const line = (name, y, shade, symbol, dash) => ({
      name, x: numbers, y, mode: few ? "lines+markers" : "lines",
      line: { color: colour(shade), dash, width: 2 }, marker: { symbol, size: 7 }, hovertemplate: "%{y:.3f}",
    });
    return {
      traces: [
        line(this.network.change ? "measured change" : "measured", this.measured(), "measured", "circle", "solid"),
        line("eq. 3 at τ", this.predicted(), "predicted", "square", "dash"),
      ],
      layout: {
        xaxis: componentAxis(numbers.length),
        yaxis: { range: [0, this.ceiling], title: { text: "energy / peak energy" } },
        margin: { l: 56, r: 12, t: 34, b: 26 },
      },
    };
  }

  learningChart() {
    const { step, ...columns } = this.network.learning;
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

  decorrelationChart() {
    const curves = Object.entries(this.network.decorrelation);
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
}
