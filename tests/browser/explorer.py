"""The explorer of a page, driven and read as a person would."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page

EXPLORER = "[data-role=explorer]"
_READ = """explorer => {
  const find = role => explorer.querySelector(`[data-role=${role}]`);
  const number = text => text === undefined || text === "" ? NaN : Number(text);
  const numbers = trace => Array.from(trace.y, value => value === null ? NaN : Number(value));
  const chart = find("profile-chart");
  const reading = {
    tau: String(number(find("tau-value").dataset.value)), tauText: find("tau-value").textContent,
    correlation: String(number(find("correlation").dataset.value)), correlationText: find("correlation").textContent,
    slider: Number(find("tau").value), valueText: find("tau").getAttribute("aria-valuetext"),
    measured: numbers(chart.data[0]).map(String), predicted: numbers(chart.data[1]).map(String),
  };
  return reading;
}"""
_SWEEP = f"""(explorer, count) => {{
  const read = {_READ};
  const slider = explorer.querySelector("[data-role=tau]");
  const [low, high] = [Number(slider.min), Number(slider.max)];
  return Array.from({{length: count}}, (_, i) => {{
    slider.value = String(low + (high - low) * i / (count - 1));
    slider.dispatchEvent(new Event("input", {{bubbles: true}}));
    return read(explorer);
  }});
}}"""

_RECORD = f"""explorer => {{
  const read = {_READ};
  window.recorded = [];
  new MutationObserver(() => recorded.push([explorer.querySelector("[data-role=moment]").textContent, read(explorer)]))
    .observe(explorer.querySelector("[data-role=tau-value]"), {{attributes: true}});
}}"""


@dataclass(frozen=True, eq=False)
class Reading:
    """What the explorer shows at one moment; numbers as Python reads them from the page."""

    tau: float
    correlation: float
    slider: float
    measured: np.ndarray
    predicted: np.ndarray
    tau_text: str
    correlation_text: str
    value_text: str

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Reading":
        """From JavaScript, whose infinity and NaN came as words."""
        return cls(
            tau=float(found["tau"]),
            correlation=float(found["correlation"]),
            slider=found["slider"],
            measured=np.array(found["measured"], dtype=np.float64),
            predicted=np.array(found["predicted"], dtype=np.float64),
            tau_text=found["tauText"],
            correlation_text=found["correlationText"],
            value_text=found["valueText"],
        )


def ready(page: Page) -> Locator:
    """The explorer, scrolled to, with its chart drawn."""
    explorer = page.locator(EXPLORER).first
    explorer.scroll_into_view_if_needed()
    page.wait_for_selector(f"{EXPLORER}[data-ready=true]")
    return explorer


def part(explorer: Locator, role: str) -> Locator:
    """A part of it by its role."""
    return explorer.locator(f"[data-role={role}]")


def read(explorer: Locator) -> Reading:
    """What it shows now."""
    return Reading.of(explorer.evaluate(_READ))


def sweep(explorer: Locator, count: int = 41) -> list[Reading]:
    """What it shows with the slider at so many places, from one end to the other."""
    return [Reading.of(found) for found in explorer.evaluate(_SWEEP, count)]


def record(explorer: Locator) -> None:
    """From now on, remember everything that it shows."""
    explorer.evaluate(_RECORD)


def recorded(page: Page) -> list[tuple[str, Reading]]:
    """All that it has shown since: the moment in words, and the numbers."""
    return [(words, Reading.of(found)) for words, found in page.evaluate("() => window.recorded")]
