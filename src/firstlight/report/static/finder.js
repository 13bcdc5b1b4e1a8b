// Claims by verdict and by words: what matches is opened, the rest is hidden, and it is said how many are shown.

const MOST_OPENED = 6; // claims that are opened in full; of more their lines are enough

class Finder {
  constructor(place) {
    this.buttons = [...place.querySelectorAll("[data-verdicts]")];
    this.search = place.querySelector('[data-role="search"]');
    this.told = document.querySelector('[data-role="shown"]');
    this.experiments = [...document.querySelectorAll(".experiment")].map((element) => ({
      element,
      claims: [...element.querySelectorAll(".claim")].map((claim) => ({ element: claim, words: wordsOf(element, claim) })),
    }));
    this.before = null; // what was open when finding began
    for (const button of this.buttons) button.addEventListener("click", () => this.press(button));
    this.search.addEventListener("input", () => this.show());
    this.show();
  }

  press(button) {
    for (const other of this.buttons) other.setAttribute("aria-pressed", String(other === button));
    this.show();
  }

  clear() {
    this.search.value = "";
    this.press(this.buttons[0]);
  }

  show() {
    const verdicts = this.buttons.find((button) => button.getAttribute("aria-pressed") === "true").dataset.verdicts.split(",");
    const sought = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const finding = verdicts[0] !== "" || sought.length > 0;
    const matches = ({ element, words }) =>
      (verdicts[0] === "" || verdicts.includes(element.dataset.verdict)) && sought.every((word) => words.includes(word));
    this.remember(finding);
    const found = [];
    let total = 0;
    for (const { element, claims } of this.experiments) {
      const shown = claims.filter(matches);
      for (const claim of claims) claim.element.hidden = !shown.includes(claim);
      element.hidden = finding && !shown.length;
      if (finding) element.open = shown.length > 0;
      found.push(...shown);
      total += claims.length;
    }
    if (finding) for (const claim of found) claim.element.open = found.length <= MOST_OPENED;
    this.told.textContent = found.length
      ? `${found.length} of ${total} claims shown.`
      : `None of ${total} claims matches${sought.length ? ` “${this.search.value.trim()}”` : ""}: try other words, or All.`;
  }

  // While claims are found the figures are folded; afterwards everything is as it was.
  remember(finding) {
    if (finding === (this.before !== null)) return;
    const all = document.querySelectorAll(".experiment, .claim, .figures");
    if (finding) {
      this.before = new Map([...all].map((one) => [one, one.open]));
      for (const one of all) if (one.matches(".figures")) one.open = false;
    } else {
      for (const [one, open] of this.before) one.open = open;
      this.before = null;
    }
  }
}

// What is searched: all that is known of a claim, but not the names of what is known; and its experiment.
function wordsOf(experiment, claim) {
  const parts = [experiment.querySelector("summary"), claim.querySelector("summary"), ...claim.querySelectorAll("dd")];
  return parts.map((part) => part.textContent).join(" ").toLowerCase();
}

function startFinder() {
  const place = document.querySelector('[data-role="finder"]');
  if (!place) return;
  place.finder = new Finder(place);
  const button = place.querySelector('[data-role="open-all"]');
  button.addEventListener("click", () => {
    const open = button.textContent === "Open all";
    for (const one of document.querySelectorAll("main details")) one.open = open || one.matches(".figures");
    button.textContent = open ? "Fold all" : "Open all";
  });
}
