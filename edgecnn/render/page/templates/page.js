// Draws every chart of the page from the specifications beside it. Nothing is loaded: the loader refuses, and so does the policy.
(() => {
  "use strict";
  const specifications = JSON.parse(document.getElementById("charts").textContent);
  const refuse = () => Promise.reject(new Error("this page loads nothing"));
  const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };
  const tip = document.getElementById("tip");

  const showTip = (_handler, event, _item, value) => {
    if (value === null || value === undefined || value === "") {
      tip.hidden = true;
      return;
    }
    const lines = typeof value === "object" ? Object.entries(value) : [["", String(value)]];
    tip.replaceChildren();
    for (const [name, text] of lines) {
      const term = document.createElement("dt");
      const meaning = document.createElement("dd");
      term.textContent = name;
      meaning.textContent = String(text);
      tip.append(term, meaning);
    }
    tip.hidden = false;
    const gap = 14;
    const box = tip.getBoundingClientRect();
    const right = event.clientX + gap + box.width > document.documentElement.clientWidth;
    const below = event.clientY + gap + box.height > document.documentElement.clientHeight;
    tip.style.left = `${Math.max(4, right ? event.clientX - gap - box.width : event.clientX + gap)}px`;
    tip.style.top = `${Math.max(4, below ? event.clientY - gap - box.height : event.clientY + gap)}px`;
  };

  const views = new Map();
  const draw = (place) => {
    const view = new vega.View(vega.parse(specifications[place.dataset.chart]), {
      renderer: "svg", container: place, hover: true, loader,
    });
    view.tooltip(showTip);
    views.set(place.dataset.chart, view);
    return view.runAsync().then(() => {
      const drawing = place.querySelector("svg");
      drawing.setAttribute("aria-hidden", "true"); // the place itself is named, and the table below holds every number
      place.dataset.drawn = "yes";
    });
  };

  const places = [...document.querySelectorAll("[data-chart]")];
  Promise.all(places.map(draw)).then(
    () => { document.documentElement.dataset.charts = "drawn"; },
    (error) => { document.documentElement.dataset.charts = "failed"; throw error; },
  );
  for (const button of document.querySelectorAll("[data-sifts]")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      const legend = button.closest("ul").querySelectorAll('[aria-pressed="false"]');
      views.get(button.dataset.sifts).signal("hidden", [...legend].map((each) => each.value)).runAsync();
    });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
})();
