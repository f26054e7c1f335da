/* canvas2d.js: the same picture without WebGL2, slower: the ground as an image, cells as small squares of pixels. */

class Canvas2D {
  constructor(canvas, xy, mixed, ground) {
    Object.assign(this, { canvas, xy, mixed, ground, context: canvas.getContext("2d", { willReadFrequently: true }) });
  }

  color(paint, order) { Object.assign(this, { paint, order: order || this.mixed }); }

  /* The raster as an image, first row at the top. */
  groundImage(theme) {
    const { width, height, masks } = this.ground;
    const image = new ImageData(width, height);
    for (let row = 0; row < height; row++) {
      for (let k = 0; k < width; k++) {
        const from = 4 * ((height - 1 - row) * width + k);
        const c = masks[from] ? theme.chimera : masks[from + 1] ? theme.rule : masks[from + 2] ? theme.never : masks[from + 3] > 127 ? theme.sea : theme.land;
        image.data.set([...c, 255], 4 * (row * width + k));
      }
    }
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  /* Draws everything, so that nothing is left to draw. */
  draw({ view, ratio, theme, withGround }) {
    const { context, canvas } = this;
    context.fillStyle = `rgb(${theme.sea})`;
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (withGround) {
      const [x0, y0, x1, y1] = this.ground.box;
      const [left, top] = view.toScreen(x0, y1).map((v) => v * ratio);
      if (this.theme !== theme) Object.assign(this, { theme, image: this.groundImage(theme) });
      context.drawImage(this.image, left, top, (x1 - x0) * view.scale * ratio, (y1 - y0) * view.scale * ratio);
    }
    this.drawCells(view, ratio);
    return false;
  }

  drawCells(view, ratio) {
    const { width, height } = this.canvas;
    const image = this.context.getImageData(0, 0, width, height);
    const size = Math.max(1, Math.round(view.pointSize(this.xy.length / 2) * ratio * 0.85));
    for (const i of this.order) {
      const left = Math.round((width / 2) + (this.xy[2 * i] - view.cx) * view.scale * ratio - size / 2);
      const top = Math.round((height / 2) - (this.xy[2 * i + 1] - view.cy) * view.scale * ratio - size / 2);
      const a = this.paint[4 * i + 3] / 255;
      for (let y = Math.max(0, top); y < Math.min(height, top + size); y++)
        for (let x = Math.max(0, left); x < Math.min(width, left + size); x++)
          for (let c = 0; c < 3; c++) image.data[4 * (y * width + x) + c] += a * (this.paint[4 * i + c] - image.data[4 * (y * width + x) + c]);
    }
    this.context.putImageData(image, 0, 0);
  }
}
