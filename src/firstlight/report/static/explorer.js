// The explorer: one network's profile against eq. 3, each by its own peak, with a slider for tau.

const SECONDS_OF_FORMULA = 8;
const MILLISECONDS_OF_STEP = 450;
const LEAST_SHOWN = 1e-6; // of the peak, on a log axis

class Explorer {
  constructor(section, data) {
    this.section = section;
    this.data = data;
    this.timer = null;
    this.log = false;
    this.part = (role) => section.querySelector(`[data-role="${role}"]`);
    this.slider = this.part("tau");
    this.scores = new Scores(this.part);
    this.chart = new Chart(
      this.part("profile-chart"),
      () => this.profileChart(),
      () => this.ready(),
    );
    this.learning = new Chart(this.part("learning-chart"), () => learningChart(this.network));
    this.decorrelation = new Chart(this.part("decorrelation-chart"), () => decorrelationChart(this.network));
    this.slider.addEventListener("input", () => {
      this.stop();
      this.setTau(10 ** Number(this.slider.value));
    });
    const pressed = (role, act) =>
      this.part(role).addEventListener("click", () => {
        this.stop();
        act();
      });
    pressed("one-step", () => this.showMoment(0));
    pressed("end", () => this.showMoment(this.network.snapshots.length - 1));
    pressed("best-fit", () => this.setTau(this.snapshot.fit.tau));
    this.part("play").addEventListener("click", () => this.toggle("play"));
    this.part("play-formula").addEventListener("click", () => this.toggle("play-formula"));
    this.part("log-axis").addEventListener("click", () => this.setLog(!this.log));
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
    const { snapshots, range: [low, high], units } = this.network;
    Object.assign(this.slider, { min: low, max: high, step: (high - low) / 2000 });
    this.part("one-step").disabled = snapshots[0].step !== 1;
    this.part("end").disabled = snapshots.at(-1).step === null;
    this.part("play").disabled = this.part("steps-note").hidden = snapshots.length < 2;
    // Where no network's training is known, as on the pages of files, nothing speaks of it.
    const trainings = this.data.networks.some((network) => network.snapshots.at(-1).step !== null);
    for (const role of ["one-step", "end", "play"]) this.part(role).hidden = !trainings;
    this.part("units").textContent = units;
    this.scores.choose(this.network, this.basis.variance);
    componentStrip(this.part("component-strip"), this.basis, (component) => this.showComponent(component));
    this.component = null;
    this.part("component-detail").textContent = "Point at a component, or move to it with the arrow keys.";
    showFilters(this.section, this.network, this.basis);
    this.showMoment(snapshots.length - 1);
    this.chart.draw();
    this.part("learning").hidden = learningChart(this.network) === null;
    this.part("decorrelation").hidden = decorrelationChart(this.network) === null;
    this.learning.draw();
    this.decorrelation.draw();
  }

  // What was measured at a recorded step, and eq. 3 at the tau that fits it best, to the last digit.
  showMoment(moment) {
    this.moment = moment;
    this.scores.draw(moment);
    const { fit } = this.snapshot;
    const [low, high] = this.network.range;
    this.part("best-fit").disabled = fit === null;
    this.say("moment", this.momentText());
    this.setTau(fit ? fit.tau : 10 ** ((low + high) / 2));
  }

  setTau(tau) {
    this.tau = tau;
    const score = correlation(this.snapshot.energy, linearCnnProfile(this.basis.variance, tau));
    const words = Number.isNaN(score) ? "not defined" : score.toFixed(3).replace("-", "−");
    const [low, high] = this.network.range;
    this.slider.value = low + this.scores.along(tau) * (high - low); // at its end for what lies beyond
    this.slider.setAttribute("aria-valuetext", `tau ${short(tau)}, correlation ${words}`);
    this.write("tau-value", short(tau), tau);
    this.write("correlation", words, score);
    this.say("look", this.lookText());
    this.scores.show(tau, score);
    this.chart.restyle({ y: [this.drawn(this.measured()), this.drawn(this.predicted())] }, [0, 1]);
    this.sayUndrawn();
    this.redrawDetail();
  }

  setLog(log) {
    this.log = log;
    this.part("log-axis").setAttribute("aria-pressed", String(log));
    this.sayUndrawn();
    this.chart.draw();
  }

  write(role, text, value) {
    const output = this.part(role);
    output.textContent = text;
    output.dataset.value = String(value);
  }

  // Only what is new, so that nobody has to hear a sentence twice.
  say(role, text) {
    if (this.part(role).textContent !== text) this.part(role).textContent = text;
  }

  sayUndrawn() {
    const least = Math.min(...this.measured(), ...this.predicted());
    this.part("undrawn").hidden = !(this.log && least < LEAST_SHOWN);
  }

  lookText() {
    const at = (profile) => (peakOf(profile) ? `component ${peakOf(profile)}` : "no component");
    const { variance } = this.basis;
    return (
      `Look at where each curve peaks: measured at ${at(this.snapshot.energy)}; eq. 3 at ${at(this.predicted())}, ` +
      `a peak that moves from ${at(variance)} to ${at(linearCnnProfile(variance, Infinity))} as τ grows.`
    );
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
    return relativeToPeak(this.snapshot.energy);
  }

  predicted() {
    return relativeToPeak(linearCnnProfile(this.basis.variance, this.tau));
  }

  // Gaps where there is no number, or none that a log axis has a place for.
  drawn(profile) {
    return profile.map((e) => (Number.isFinite(e) && !(this.log && e < LEAST_SHOWN) ? e : null));
  }

  showComponent(component) {
    this.component = component;
    this.redrawDetail();
  }

  redrawDetail() {
    if (this.component === null) return;
    showComponent(this.part("component-detail"), this.basis, this.component, [
      `measured ${short(this.measured()[this.component])}, eq. 3 ${short(this.predicted()[this.component])}, ` +
        "each relative to its own peak",
    ]);
  }

  toggle(role) {
    const playing = this.playing;
    this.stop();
    if (playing === role) return;
    this.playing = role;
    this.part(role).textContent = "Pause";
    this.setLive("off"); // nobody wants to hear every frame
    if (role === "play") this.playTraining();
    else this.playFormula();
  }

  stop() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    for (const role of ["play", "play-formula"]) this.part(role).textContent = this.part(role).dataset.label;
    this.setLive("polite");
    this.playing = null;
  }

  setLive(live) {
    for (const role of ["correlation", "moment"]) this.part(role).setAttribute("aria-live", live);
  }

  playTraining() {
    const last = this.network.snapshots.length - 1;
    const show = (moment) => {
      this.showMoment(moment);
      this.timer = setTimeout(() => (moment < last ? show(moment + 1) : this.stop()), MILLISECONDS_OF_STEP);
    };
    show(this.moment < last ? this.moment : 0);
  }

  playFormula() {
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
    const { variance } = this.basis;
    const numbers = variance.map((_, i) => i + 1);
    const few = numbers.length <= 100;
    const line = (name, profile, shade, symbol, dash) => ({
      name, x: numbers, y: this.drawn(profile), mode: few ? "lines+markers" : "lines",
      line: { color: colour(shade), dash, width: 2 }, marker: { symbol, size: 7 }, hovertemplate: "%{y:.3g}",
    });
    const limit = (profile, number) => ({
      name: "limits, λ and 1/λ", legendgroup: "limits", showlegend: number === 0, hoverinfo: "skip", mode: "lines",
      x: numbers, y: this.drawn(relativeToPeak(profile)), line: { color: colour("soft"), dash: "dot", width: 1.2 },
    });
    const limits = [variance.map((v) => Math.sqrt(Math.max(0, v))), linearCnnProfile(variance, Infinity)];
    const lows = [...limits.map(relativeToPeak), ...this.network.snapshots.map((one) => relativeToPeak(one.energy))];
    const lowest = Math.min(0.5, ...lows.flat().filter((e) => e >= LEAST_SHOWN));
    return {
      traces: [
        line(this.network.change ? "measured change" : "measured", this.measured(), "measured", "circle", "solid"),
        line("eq. 3 at τ", this.predicted(), "predicted", "square", "dash"),
        ...limits.map(limit),
      ],
      layout: {
        xaxis: componentAxis(numbers.length),
        yaxis: {
          title: { text: "energy / its peak" },
          ...(this.log
            ? { type: "log", range: [Math.log10(lowest / 1.25), Math.log10(1.25)], dtick: 1, tickformat: "~g" }
            : { type: "linear", range: [0, 1.08] }),
        },
        margin: { l: 56, r: 12, t: 34, b: 26 },
      },
    };
  }
}

// The component, counted from 1, with the most energy; 0 where there is none.
function peakOf(profile) {
  const peak = largest(profile);
  return peak > 0 ? profile.indexOf(peak) + 1 : 0;
}
