/* keys.js: tabs of the panel, keys of the whole page, and the list of them. */

const KEYS = [
  ["Tab, Shift + Tab", "from control to control"],
  ["Arrows", "on the map: move; on a slider or the path's point: change; on the tabs: the next one"],
  ["+ and −", "on the map: zoom"],
  ["0", "on the map: all cells"],
  ["Enter", "on the map: what is at its middle (the small cross)"],
  ["L", "draw round cells with the pointer"],
  ["Escape", "close, or give up what was begun"],
  ["?", "this list"],
];

class Tabs {
  constructor(opened) {
    this.tabs = [...document.querySelectorAll("[role=tab]")];
    this.opened = opened;
    for (const tab of this.tabs) {
      tab.addEventListener("click", () => this.open(tab.dataset.tab));
      tab.addEventListener("keydown", (e) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
        if (!step) return;
        const next = this.tabs[(this.tabs.indexOf(tab) + step + this.tabs.length) % this.tabs.length];
        this.open(next.dataset.tab);
        next.focus();
      });
    }
    byId("sheet").addEventListener("click", () => this.sheet(!byId("panel").classList.contains("up")));
  }

  open(name) {
    for (const tab of this.tabs) {
      const on = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      byId("panel-" + tab.dataset.tab).hidden = !on;
    }
    this.now = name;
    this.sheet(true);
    this.opened(name);
  }

  /* On a narrow page the panel is a sheet at the bottom. */
  sheet(up) {
    byId("panel").classList.toggle("up", up);
    byId("sheet").setAttribute("aria-expanded", String(up));
    byId("sheet").setAttribute("aria-label", up ? "Lower the panel" : "Raise the panel");
  }
}

function listenKeys(app) {
  const help = byId("help");
  help.querySelector("dl").append(...KEYS.flatMap(([key, what]) => [make("dt", {}, key), make("dd", {}, what)]));
  byId("help-open").addEventListener("click", () => help.showModal());
  byId("help-close").addEventListener("click", () => help.close());
  addEventListener("keydown", (e) => {
    if (e.target.matches("input[type=text], select") || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "?") help.showModal();
    else if (e.key === "l" || e.key === "L") app.selections && app.selections.setTool(!app.gestures.lassoOn);
    else if (e.key === "Escape" && !help.open) app.escape();
  });
}
