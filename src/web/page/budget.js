/* budget.js: how much may be drawn while the view moves, so that a frame takes a sixtieth of a second. Work is counted in cells; what
 * a frame took says whether the next one may have more. */

const FRAME = 1000 / 60;      /* ms */
const LATE = 1.25 * FRAME;    /* a frame that took no longer was on time: the screen does not wait less than its own interval */
const LEAST_WORK = 1000;
const SLIDES = 240;           /* frames that draw nothing after one with the least work was late */
const FAST = 1.25;            /* how the work grows from frame to frame, until the first one is late */
const SLOW = 1.02;            /* and then: at the brink of what there is time for, few frames may be late */

class FrameBudget {
  /* most: the work of a frame that leaves nothing out. */
  constructor(most) {
    this.most = most;
    this.work = Math.min(most, LEAST_WORK);
    this.before = FRAME;
    this.growth = FAST;
    this.slides = 0;
  }

  /* Whether there is no time to draw at all. */
  none() { return this.slides > 0; }

  whole() { return this.work >= this.most; }

  /* A frame with this.work took ms. Short and long ones alternate where drawing lags behind, so two are taken together. */
  took(ms) {
    if (this.slides > 0) this.slides--;
    if (this.slides > 0) return;
    const mean = (ms + this.before) / 2;
    this.before = ms;
    if (mean > LATE) this.growth = SLOW;
    if (mean > LATE && this.work <= LEAST_WORK) this.slides = SLIDES;
    const factor = mean <= LATE ? this.growth : FRAME / mean;
    this.work = Math.min(this.most, Math.max(LEAST_WORK, Math.round(factor * this.work)));
  }
}
