/* budget.js: how much may be drawn while the view moves, so that a frame takes a sixtieth of a second. Work is counted in cells; what
 * a frame took says whether the next one may have more. */

const FRAME = 1000 / 60;      /* ms */
const LATE = 1.25 * FRAME;    /* a frame that took no longer was on time: the screen does not wait less than its own interval */
const FIRST_WORK = 20000;
const LEAST_WORK = 1000;
const FAST = 1.25;            /* how the work grows from frame to frame, until the first one is late */
const SLOW = 1.02;            /* and then: at the brink of what there is time for, few frames may be late */

class FrameBudget {
  /* most: the work of a frame that leaves nothing out. */
  constructor(most) {
    this.most = most;
    this.work = Math.min(most, FIRST_WORK);
    this.before = FRAME;
    this.growth = FAST;
  }

  whole() { return this.work >= this.most; }

  /* A frame with this.work took ms. Short and long ones alternate where drawing lags behind, so two are taken together. */
  took(ms) {
    const mean = (ms + this.before) / 2;
    this.before = ms;
    if (mean > LATE) this.growth = SLOW;
    const factor = mean <= LATE ? this.growth : FRAME / mean;
    this.work = Math.min(this.most, Math.max(LEAST_WORK, Math.round(factor * this.work)));
  }
}
