/* groups.js: the groups whose names stand on the map. Those of map.json come with prototypes; of another column, the places
 * are found here: the median of the picture, and the cell's place nearest to the mean z. */

const MEDIAN_CELLS = 2000;

function median(values) {
  values.sort((a, b) => a - b);
  return values[values.length >> 1];
}

/* Up to MEDIAN_CELLS cells of each category. */
function membersOf(coloring) {
  const members = coloring.categories.map(() => []);
  const every = coloring.sizes.map((n) => Math.max(1, Math.floor(n / MEDIAN_CELLS)));
  const seen = new Array(members.length).fill(0);
  coloring.step.forEach((s, cell) => {
    if (s >= 0 && seen[s]++ % every[s] === 0) members[s].push(cell);
  });
  return members;
}

function groupsOf(coloring, xy, z, L) {
  return membersOf(coloring).map((cells, k) => {
    const mean = new Float32Array(L);
    for (const cell of cells) for (let d = 0; d < L; d++) mean[d] += z[cell * L + d] / cells.length;
    let [best, least] = [-1, Infinity];
    for (const cell of cells) {
      let far = 0;
      for (let d = 0; d < L; d++) far += (z[cell * L + d] - mean[d]) ** 2;
      if (far < least) [best, least] = [cell, far];
    }
    return { name: coloring.categories[k], size: coloring.sizes[k], x: median(cells.map((c) => xy[2 * c])), y: median(cells.map((c) => xy[2 * c + 1])),
      z: best < 0 ? null : z.slice(best * L, (best + 1) * L), cell: best };
  }).filter((g) => g.size);
}

/* The groups of map.json in the same form. */
const givenGroups = (map) => (map.groups ? map.groups.places : []).map((g) => ({ name: g.name, size: g.size, x: g.x, y: g.y,
  z: Float32Array.from(g.prototype.z), cell: g.prototype.nearest_cell, markers: g.markers }));
