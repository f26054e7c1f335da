/* simulate.c: see simulate.h. An ellipse with a soft edge, a nucleus in it, a membrane around it, and mitochondria as chains of
 * Gaussian spots, which stand for thin filaments seen through a point-spread function: dots, threads, or threads that branch. Lengths
 * are in units of 1/32 of the image's side. Photons are Poisson. */
#include "simulate.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

const char *const iso_morphology_names[ISO_MORPHOLOGIES] = {"fragmented", "tubular", "network"};
const char *const iso_simulated_channels[ISO_SIMULATED_CHANNELS] = {"mitochondria", "nucleus", "membrane"};

/* Filaments and the spots of each, from..to-1; the chance that a spot starts a branch. */
static const struct { int filaments[2], spots[2]; double branching; } shapes[ISO_MORPHOLOGIES] = {
    [ISO_FRAGMENTED] = {{14, 22}, {1, 2}, 0}, [ISO_TUBULAR] = {{4, 7}, {10, 18}, 0}, [ISO_NETWORK] = {{2, 4}, {12, 18}, 0.18}};

enum { MOST_BRANCHES = 4 };
static const double STEP = 0.9, BEND = 0.45, SPOT = 0.75;     /* between spots; of a filament's direction; width of a spot */
static const double CYTOPLASM = 0.08, NUCLEUS = 0.3, MEMBRANE = 0.25;

typedef struct cell {
    const iso_simulation *how;
    iso_rng rng;
    double unit, x, y, a, b, angle;                            /* pixels a unit; centre and half axes in pixels */
    float *mitochondria;
    iso_simulated made;
} cell;

static double between(cell *c, double low, double high) { return low + (high - low) * iso_rng_uniform(&c->rng); }
static int whole(cell *c, const int range[2]) { return range[0] + (int)(iso_rng_uniform(&c->rng) * (range[1] - range[0])); }

/* Distance from the centre, 1 on the ellipse with half axes (a, b) around (x, y). */
static double ellipse(const cell *c, double px, double py, double x, double y, double a, double b)
{
    double u = (px - x) * cos(c->angle) + (py - y) * sin(c->angle), v = -(px - x) * sin(c->angle) + (py - y) * cos(c->angle);
    return sqrt(u / a * (u / a) + v / b * (v / b));
}

/* 1 inside, 0 outside, over about `soft` of the radius. */
static double inside(double r, double soft) { return 1 / (1 + exp((r - 1) / soft)); }

/* A spot lights up no more where another one is brighter. */
static void put_spot(cell *c, double x, double y)
{
    double width = SPOT * sqrt(c->unit), bright = between(c, 0.7, 1);
    int64_t S = c->how->size, reach = (int64_t)ceil(4 * width);
    for (int64_t py = (int64_t)y - reach; py <= (int64_t)y + reach; py++)
        for (int64_t px = (int64_t)x - reach; px <= (int64_t)x + reach; px++) {
            if (px < 0 || py < 0 || px >= S || py >= S) continue;
            double dx = (double)px - x, dy = (double)py - y;
            float v = (float)(bright * exp(-(dx * dx + dy * dy) / (2 * width * width)));
            if (v > c->mitochondria[py * S + px]) c->mitochondria[py * S + px] = v;
        }
}

/* A chain of spots that turns back at the cell's edge; branches [*n] gets where others start: x, y, direction. */
static void put_filament(cell *c, double x, double y, double direction, int spots, double branching, double (*branches)[3], int *n)
{
    for (int i = 0; i < spots; i++) {
        put_spot(c, x, y);
        if (branches && *n < MOST_BRANCHES && iso_rng_uniform(&c->rng) < branching)
            branches[*n][0] = x, branches[*n][1] = y, branches[*n][2] = direction + (iso_rng_uniform(&c->rng) < 0.5 ? 1 : -1) * between(c, 0.7, 1.3), ++*n;
        direction += BEND * iso_rng_normal(&c->rng);
        x += STEP * c->unit * cos(direction), y += STEP * c->unit * sin(direction);
        if (ellipse(c, x, y, c->x, c->y, c->a, c->b) > 0.88) direction += 1.2;
        c->made.length += STEP * c->unit;
    }
    c->made.filaments++;
}

static void put_mitochondria(cell *c)
{
    int k = c->made.morphology, filaments = whole(c, shapes[k].filaments);
    for (int i = 0; i < filaments; i++) {
        double r = between(c, 0.3, 0.9), turn = between(c, 0, 2 * M_PI), branches[MOST_BRANCHES][3], u = r * c->a * 0.8 * cos(turn),
               v = r * c->b * 0.8 * sin(turn);
        int n = 0;
        put_filament(c, c->x + u * cos(c->angle) - v * sin(c->angle), c->y + u * sin(c->angle) + v * cos(c->angle), between(c, 0, 2 * M_PI),
                     whole(c, shapes[k].spots), shapes[k].branching, shapes[k].branching > 0 ? branches : NULL, &n);
        for (int b = 0; b < n; b++) put_filament(c, branches[b][0], branches[b][1], branches[b][2], whole(c, (const int[2]){5, 10}), 0, NULL, NULL);
    }
}

iso_simulated iso_simulate_cell(const iso_simulation *how, int64_t i, float *clean, float *noisy)
{
    int64_t S = how->size, plane = S * S, channels = how->separate ? ISO_SIMULATED_CHANNELS : 1;
    double unit = (double)S / 32;
    cell c = {.how = how, .rng = iso_rng_start((iso_rng_key){how->seed, ISO_STREAM_SIMULATE, 0}, (uint64_t)i), .unit = unit, .mitochondria = clean};
    c.made.morphology = (iso_morphology)(i % ISO_MORPHOLOGIES);
    c.x = between(&c, 13, 19) * unit, c.y = between(&c, 13, 19) * unit;
    c.a = between(&c, 9, 13) * unit, c.b = c.a * between(&c, 0.6, 1), c.angle = between(&c, 0, M_PI);
    c.made.angle = c.angle, c.made.area = M_PI * c.a * c.b;
    double nucleus = between(&c, 0.3, 0.45), off = between(&c, 0, 0.3), turn = between(&c, 0, 2 * M_PI);
    double nx = c.x + off * c.b * cos(turn), ny = c.y + off * c.b * sin(turn);
    memset(clean, 0, (size_t)(channels * plane) * sizeof *clean);
    put_mitochondria(&c);
    for (int64_t p = 0; p < plane; p++) {
        double x = (double)(p % S), y = (double)(p / S), r = ellipse(&c, x, y, c.x, c.y, c.a, c.b);
        double body = CYTOPLASM * inside(r, 0.08), core = inside(ellipse(&c, x, y, nx, ny, nucleus * c.a, nucleus * c.b), 0.12);
        double rim = exp(-pow((r - 1) * c.b / (0.8 * sqrt(unit)), 2) / 2);
        clean[p] *= (float)inside(r, 0.05);                     /* no filament leaves its cell */
        if (how->separate) {
            clean[p] = fmaxf(clean[p], (float)body);
            clean[plane + p] = (float)core, clean[2 * plane + p] = (float)rim;
        } else clean[p] = fmaxf(clean[p], (float)(body + NUCLEUS * core + MEMBRANE * rim));
    }
    for (int64_t p = 0; p < channels * plane; p++) {
        clean[p] = (float)(clean[p] * (float)how->photons + (float)how->background);
        noisy[p] = (float)iso_rng_poisson(&c.rng, (double)clean[p]);
    }
    return c.made;
}
