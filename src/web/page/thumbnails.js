/* thumbnails.js: small images of the cells themselves, if the map has them. They are megabytes, so they are read while the page is
 * in use already. */

class Thumbnails {
  constructor(source) {
    this.about = source.map.images;
    this.values = null;
    if (this.about && this.about.thumbnails) source.array(this.about.thumbnails).then((values) => { this.values = values; }, (e) => showTrouble(e.message));
  }

  /* A canvas with the cell's image; null where there is none. */
  of(cell) {
    if (!this.values || cell % this.about.thumbnail_every) return null;
    const [width, height] = [this.about.thumbnail_width, this.about.thumbnail_height];
    const first = 3 * width * height * (cell / this.about.thumbnail_every);
    const colors = new Uint8ClampedArray(4 * width * height).fill(255);
    for (let i = 0; i < width * height; i++) colors.set(this.values.subarray(first + 3 * i, first + 3 * i + 3), 4 * i);
    return canvasOf(colors, width, height, { "aria-label": "Its image" });
  }

  /* For the legend. */
  words() {
    if (!this.about) return null;
    if (!this.about.thumbnails) return "The images of the cells were not at hand when this map was made.";
    return "A cell under the pointer shows its image" + (this.about.thumbnail_every > 1 ? `; one in ${this.about.thumbnail_every} has one here.` : ".");
  }
}
