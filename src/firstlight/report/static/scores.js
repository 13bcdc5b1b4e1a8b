// Above the slider: the correlation at every tau, the best fits of all recorded steps, and the best of the one shown.

const TAUS = 241;

class Scores {
  constructor(part) {
    this.part = part;
  }

  choose(network, variance) {
    const [low, high] = (this.range = network.range);
    this.network = network;
    this.taus = Array.from({ length: TAUS }, (_, i) => 10 ** (low + ((high - low) * i) / (TAUS - 1)));
    const shapes = this.taus.map((tau) => standardized(linearCnnProfile(variance, tau)));
    this.scores = network.snapshots.map(({ energy }) => {
      const measured = standardized(energy);
      return shapes.map((shape) => (measured && shape ? dot(measured, shape) : NaN));
    });
    // One scale for all recorded steps.
    this.lowest = Math.min(0, ...this.scores.map((scores) => Math.min(...scores.filter(Number.isFinite))));
  }

  draw(moment) {
    const { snapshots } = this.network;
    const points = this.taus.flatMap((tau, i) => {
      const score = this.scores[moment][i];
      return Number.isFinite(score) ? [`${1000 * this.along(tau)},${100 * this.down(score)}`] : [];
    });
    this.part("score-line").setAttribute("points", points.join(" "));
    const others = snapshots.filter((one, i) => i !== moment && one.fit).map(({ fit }) => {
      const dot = document.createElement("i");
      this.place(dot, fit.tau, fit.correlation);
      return dot;
    });
    this.part("score-steps").replaceChildren(...others);
    const { fit } = snapshots[moment];
    const mark = this.part("best-mark");
    mark.hidden = !fit;
    if (!fit) return;
    mark.style.setProperty("--x", this.along(fit.tau));
    const [from, to] = [fit.range[0] ?? Infinity, fit.range[1] ?? Infinity].map((tau) => this.along(tau));
    this.part("flat-range").style.setProperty("--x", from);
    this.part("flat-range").style.setProperty("--width", to - from);
  }

  show(tau, score) {
    this.place(this.part("score-dot"), tau, score);
  }

  place(dot, tau, score) {
    dot.hidden = !Number.isFinite(score);
    dot.style.setProperty("--x", this.along(tau));
    dot.style.setProperty("--y", Number.isFinite(score) ? Math.min(1, Math.max(0, this.down(score))) : 0);
  }

  // Where tau lies on the slider, 0 to 1; beyond its ends at them.
  along(tau) {
    const [low, high] = this.range;
    return Math.min(1, Math.max(0, (Math.log10(tau) - low) / (high - low)));
  }

  down(score) {
    return (1 - score) / (1 - this.lowest);
  }
}
