/* place.js: the panel about one place: what it is and on what evidence, what is expected there (profile.js, image.js), which real
 * cells are near. A place is {z, title, how, xy}; `how` is said below the title. */

/* The class of a place and its evidence, in words. */
function evidence(map, c) {
  const share = percent(c.p);
  if (c.kind === 0) return `Of held-out cells, ${share} lie where cells are as rare as here, or rarer: such cells were seen.`;
  const rare = `Only ${share} of held-out cells lie where cells are as rare as here. `;
  const group = (k) => map.mixture_groups[k] || "another group";
  if (c.kind === 1) return `${rare}A mixture explains it: ${percent(c.firstShare)} ${group(c.first)} with ${percent(c.secondShare)} ${group(c.second)}, as two cells in one droplet would be, or the middle between two groups.`;
  if (c.kind === 2 && map.rules[c.rule]) {
    const r = map.rules[c.rule];
    return `${rare}It expresses ${map.genes[r.genes[0]]} and ${map.genes[r.genes[1]]} together; a rule ${r.learned ? "learned from these data" : "that you gave"} says that they exclude each other `
      + `(${count(r.together, "cell")} with both, ${number(r.expected)} expected by chance).`;
  }
  return rare + (c.kind === 2 ? "It contradicts a rule on which genes exclude each other." : (map.images ? "" : "No mixture of two groups explains it. ") + "It may be a state that exists and was not sampled, or one that does not exist: these data cannot tell.");
}

function verdictBox(map, c) {
  const about = CLASSES[c.kind] || CLASSES[3];
  const learned = c.kind === 2 && map.rules[c.rule] && map.rules[c.rule].learned;
  return make("div", { class: "verdict " + about.box },
    make("p", { class: "word" }, make("span", { class: "sign", "aria-hidden": "true" }, about.sign), learned ? "Contradicts a rule learned from these data" : about.words),
    make("p", {}, evidence(map, c)),
    c.uncertain ? make("p", {}, "The model's decoders disagree here more than on 99 % of held-out cells: what follows is a guess.") : null,
    make("p", { class: "small" }, `p-value ${number(c.p)} · log density ${number(c.logDensity)}`));
}

class PlacePanel {
  constructor(app) {
    this.app = app;
    this.profile = app.newProfile();
    this.body = byId("panel-place");
    this.empty();
  }

  empty() {
    this.body.append(make("p", {}, "Click anywhere on the map, land or sea: the page asks the model which cell would belong there, and says how far to believe it."),
      make("p", {}, "Click a group's name for its prototype."), this.originButton());
  }

  originButton() {
    return make("p", {}, button("z = 0, the average of all", () => this.app.visitOrigin(), { title: "What the model decodes at the middle of its latent space, where untrained eyes expect a typical cell" }));
  }

  async show(place) {
    const { app } = this;
    const judged = app.model.classify(place.z);
    const decoded = app.expression.decode(place.z);
    this.profile.show(decoded, await app.expression.mean(), "the mean cell");
    Object.assign(this, { place, judged, decoded });
    this.body.textContent = "";
    this.body.append(make("h3", {}, place.title), place.how ? make("p", { class: "small" }, place.how(judged)) : null, verdictBox(app.map, judged),
      make("div", { class: "row" }, button("Start a path here", () => app.paths.setEnd("from", place)), button("End a path here", () => app.paths.setEnd("to", place)),
        button("Open in the sliders", () => app.openTab("sliders"))),
      make("h4", {}, this.profile.what + this.profile.unit), this.profile.element, make("p", {}, this.profile.saveButton()),
      make("h4", {}, "Nearest real cells"), this.near(place), this.originButton());
    this.body.scrollTop = 0;
  }

  near(place) {
    const { app } = this;
    return make("ul", { class: "near" }, ...app.model.nearest(place.z, 5).map(({ cell, distance }) => make("li", {}, app.thumbnails.of(cell),
      button(app.names[cell], () => app.visitCell(cell), { class: "gene" }), make("span", {}, app.groupName(cell)), make("span", { class: "value" }, number(distance)))),
      make("li", { class: "small" }, "The number is the distance in the latent space."));
  }
}

/* How good the lift of a click is. */
function liftWords(map, judged, far) {
  const lift = "A click has two coordinates, the model more: the place is the mean of the 15 cells nearest in the picture. "
    + (far ? "None of them is near, so the answer is about the nearest shores, not about this point of the sea. " : "");
  return lift + (judged.kind === 0 ? `It is well supported itself (p-value ${number(judged.p)}).`
    : `Its own support is weak (p-value ${number(judged.p)}): between islands, such a mean is a ${map.images ? "blend" : "mixture"} of what lies around, not a cell of its own.`);
}
