/* image.js: images as the page shows them: what a model of images decodes, in the units of the files and in the colours of the
 * report (image/composite.c). Channels can be switched on and off, for all images of the page at once. */

const LARGE = 256;            /* pixels of the page across an image, about */

/* Pixels of colours [height, width, r g b a] on a canvas of its own. */
function canvasOf(colors, width, height, more) {
  const canvas = make("canvas", { class: "pixels", width, height, role: "img", ...more });
  canvas.getContext("2d").putImageData(new ImageData(colors, width, height), 0, 0);
  return canvas;
}

/* What expression.js is for counts. Images are float32 [channels, height, width]. */
class ImageModel {
  constructor(source, model) {
    const about = source.map.images;
    Object.assign(this, { about, model, hasCounts: false, ofCounts: false, plane: about.height * about.width, size: about.channels * about.height * about.width });
    this.shown = about.names.map(() => true);
    this.switched = [];         /* called when a channel is switched */
  }

  /* z [n, L] to n images: the decoder has [height, width, channels], perhaps with a margin, in units of its own. */
  decode(z) {
    const { channels, height, width, decoded_height, decoded_width, low, high, zero } = this.about;
    const decoded = this.model.decode(z);
    const out = new Float32Array((z.length / this.model.L) * this.size);
    let at = 0;
    for (let first = 0; first < decoded.length; first += decoded_height * decoded_width * channels)
      for (let c = 0; c < channels; c++)
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            out[at++] = decoded[first + (y * decoded_width + x) * channels + c] * (high[c] - low[c]) + zero[c];
    return out;
  }

  /* There is no mean cell to compare with: the mean of images is a blur. */
  mean() { return null; }

  /* One image as bytes r, g, b, a: the channels shown add up in their colours. */
  colors(pixels) {
    const { channels, low, high, colors } = this.about;
    const out = new Uint8ClampedArray(4 * this.plane);
    for (let i = 0; i < this.plane; i++) {
      const sum = [0, 0, 0];
      for (let c = 0; c < channels; c++) {
        if (!this.shown[c]) continue;
        const v = Math.max(0, Math.min(1, (pixels[c * this.plane + i] - low[c]) / (high[c] - low[c])));
        for (let k = 0; k < 3; k++) sum[k] += v * colors[c][k];
      }
      out.set([...sum.map(Math.floor), 255], 4 * i);
    }
    return out;
  }

  canvas(pixels, more) { return canvasOf(this.colors(pixels), this.about.width, this.about.height, more); }

  toggle(c) {
    this.shown[c] = !this.shown[c];
    for (const f of this.switched) f();
  }
}

/* What profile.js is for counts: the image of a place, large. */
class ImageView {
  constructor(app) {
    Object.assign(this, { images: app.expression, what: "Expected image", unit: "" });
    this.frame = make("div");
    this.channels = this.images.about.names.map((name, c) => this.channel(name, c));
    this.element = make("div", { class: "image" }, this.frame, make("div", { class: "choice", role: "group", "aria-label": "Channels" }, ...this.channels));
    this.images.switched.push(() => this.pixels && this.show(this.pixels));
  }

  /* A switch, or the name alone where there is nothing to choose; and what is black and what is full. */
  channel(name, c) {
    const { about } = this.images;
    const range = make("span", { class: "value" }, `${number(about.low[c])} – ${number(about.high[c])}`);
    if (about.channels === 1) return make("span", {}, name + ": ", range);
    const color = make("span", { class: "swatch", "aria-hidden": "true" });
    color.style.background = `rgb(${about.colors[c]})`;
    return make("button", { type: "button", class: "channel", title: `Show or hide ${name}`, onclick: () => this.images.toggle(c) }, color, name + ": ", range);
  }

  show(pixels) {
    const { about, shown } = this.images;
    this.pixels = pixels;
    this.canvas = this.images.canvas(pixels, { "aria-label": "What the model decodes there" });
    this.canvas.style.width = Math.max(1, Math.floor(LARGE / about.width)) * about.width + "px";
    this.frame.replaceChildren(this.canvas);
    if (about.channels > 1) this.channels.forEach((e, c) => e.setAttribute("aria-pressed", String(shown[c])));
  }

  saveButton() { return button("Save image (PNG)", () => this.canvas.toBlob((blob) => saveBlob("place.png", blob)), { id: "save-image" }); }
}
