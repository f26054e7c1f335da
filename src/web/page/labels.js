/* labels.js: names of groups over the map, each a button that opens its prototype. The largest groups come first; a name that
 * has no room near its place is left out until there is some. */

const LABEL_PLACES = [[0, 0], [0, -18], [0, 18], [0, -34], [0, 34]];    /* from the group's middle, in pixels */

class Labels {
  constructor(picture, open) {
    Object.assign(this, { picture, open, box: byId("labels"), labels: [], shown: true });
    picture.moved.push(() => this.place());
  }

  /* groups: [{name, x, y, size}] */
  set(groups) {
    this.box.textContent = "";
    this.labels = groups.filter((g) => Number.isFinite(g.x)).sort((a, b) => b.size - a.size).slice(0, 80).map((group) => {
      const e = button(group.name, () => this.open(group), { class: "label", title: `Prototype of ${group.name}` });
      this.box.append(e);
      return { group, e };
    });
    for (const l of this.labels) [l.width, l.height] = [l.e.offsetWidth, l.e.offsetHeight];
    this.place();
  }

  place() {
    const { view } = this.picture;
    const taken = [];
    for (const l of this.labels) {
      const [px, py] = view.toScreen(l.group.x, l.group.y);
      const at = this.shown && LABEL_PLACES.map(([dx, dy]) => [px + dx - l.width / 2, py + dy - l.height / 2])
        .find(([x, y]) => x > 0 && y > 0 && x + l.width < view.width && y + l.height < view.height
          && !taken.some((t) => x < t.x + t.width && t.x < x + l.width && y < t.y + t.height && t.y < y + l.height));
      l.e.hidden = !at;
      if (!at) continue;
      taken.push({ x: at[0], y: at[1], width: l.width, height: l.height });
      l.e.style.transform = `translate(${Math.round(at[0])}px, ${Math.round(at[1])}px)`;      /* whole pixels: a picture of a name stays sharp */
    }
  }
}
