/* sliders.js: one slider a latent dimension, active ones first. Moving one decodes at once: the image above them follows, or the
 * genes below that change from where the sliders began. */

class Sliders {
  constructor(app) {
    Object.assign(this, { app, profile: app.newProfile(), body: byId("panel-sliders"), inputs: [] });
    this.verdict = make("div");
    this.box = make("div", { class: "sliders" });
    this.body.append(make("p", {}, "Each slider is one dimension of the model's latent space. Move one and see " + (app.map.images ? "how the image follows" : "which genes follow") + "; the ring on the map moves along."),
      make("div", { class: "row" }, button("Back to the start", () => this.start(this.base), { id: "reset-sliders" }), button("Start at z = 0", () => this.start(new Float32Array(app.map.n_latent)))),
      ...(app.map.images ? [this.profile.element, this.box, this.verdict] : [this.box, this.verdict, make("h4", {}, this.profile.what), this.profile.element]));
    const order = app.map.dimensions.map((d, k) => ({ ...d, k })).sort((a, b) => b.active - a.active || (b.kl || 0) - (a.kl || 0));
    for (const d of order) this.box.append(this.slider(d));
    this.z = new Float32Array(app.map.n_latent);
    this.base = this.z;
  }

  slider(d) {
    const input = make("input", { type: "range", min: d.low, max: d.high, step: (d.high - d.low) / 200 || 0.01, id: `z${d.k}`, "data-dimension": d.k,
      oninput: () => this.moved(d.k, Number(input.value)) });
    const value = make("output", { for: input.id, class: "value" });
    this.inputs.push({ input, value, k: d.k });
    const name = `z${d.k + 1}`;
    return make("label", { class: d.active ? null : "idle", title: d.active ? `tells ${number(d.kl)} nats about a cell` : "inactive: the model makes no use of it" },
      make("span", {}, d.active ? name : name + " (idle)"), input, value);
  }

  /* Takes z as the place from which changes are counted. */
  async start(z) {
    this.base = Float32Array.from(z);
    this.z = Float32Array.from(z);
    this.baseline = this.app.expression.decode(this.base);
    await this.show();
  }

  moved(k, value) {
    this.z[k] = value;
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.show());
  }

  async show() {
    const { app, z } = this;
    for (const { input, value, k } of this.inputs) {
      if (document.activeElement !== input) input.value = z[k];
      value.textContent = number(z[k]);
    }
    const decoded = app.expression.decode(z);
    const unmoved = z.every((v, k) => v === this.base[k]);
    if (unmoved) this.profile.show(decoded, await app.expression.mean(), "the mean cell");
    else this.profile.show(decoded, this.baseline, "the start");
    this.verdict.textContent = "";
    this.verdict.append(verdictBox(app.map, app.model.classify(z)));
    app.mark(app.model.project(z));
    app.current = { z: Float32Array.from(z), decoded };
  }
}
