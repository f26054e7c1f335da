/* pack.c: see pack.h. Numbers as they lie in memory (all machines that this runs on are little-endian), each array behind its
 * length. One list of fields serves both directions: a field is written from memory, or read into it and checked. */
#include "pack.h"

#include <math.h>
#include <string.h>

enum { VERSION = 3, NAME = 32, MOST_DIMENSIONS = 1000, MOST_HIDDEN = 65536, MOST_LAYERS = 16, MOST_CATEGORIES = 1 << 20, MOST_RULES = 1 << 16, MOST_HEADS = 20,
       MOST_CHANNELS = 64, MOST_SIDE = 1024, LEAST_LEVELS = 2 };
static const char magic[8] = "ISOCHART";

/* The first thing that goes wrong stays in st; then nothing more is read or written. */
typedef struct stream {
    bool reading;
    const uint8_t *from;          /* reading: what is left, `left` bytes */
    int64_t left;
    uint8_t *to;                  /* writing: NULL while only the length is counted */
    int64_t written;
    iso_status st;
    iso_error *err;
} stream;

static void damaged(stream *s, const char *what)
{
    if (!s->st) s->st = iso_fail(s->err, ISO_EDATA, "the map's data are damaged: %s", what);
}

static void bytes(stream *s, void *p, int64_t n)
{
    if (s->st) return;
    if (s->reading) {
        if (n > s->left) {
            damaged(s, "they end too early");
            return;
        }
        if (n) memcpy(p, s->from, (size_t)n);
        s->from += n, s->left -= n;
        return;
    }
    if (s->to && n) memcpy(s->to + s->written, p, (size_t)n);
    s->written += n;
}

static void integer(stream *s, int64_t *x, int64_t least, int64_t most)
{
    bytes(s, x, sizeof *x);
    if (!s->st && (*x < least || *x > most)) damaged(s, "a number is out of range");
    if (s->st && s->reading) *x = least;
}

static void small(stream *s, int *x, int least, int most)
{
    int64_t wide = *x;
    integer(s, &wide, least, most);
    *x = (int)wide;
}

static void flag(stream *s, bool *x)
{
    int64_t wide = *x;
    integer(s, &wide, 0, 1);
    *x = wide != 0;
}

static void number(stream *s, double *x)
{
    bytes(s, x, sizeof *x);
    if (!s->st && !isfinite(*x)) damaged(s, "a number is not finite");
}

/* An array of n elements, allocated in reading. */
static void *array(stream *s, void *p, int64_t n, size_t size)
{
    int64_t stored = n, total = 0;
    integer(s, &stored, 0, INT64_MAX);
    if (!s->st && (stored != n || !iso_mul(n, (int64_t)size, &total) || (s->reading && total > s->left))) damaged(s, "an array has the wrong length");
    if (!s->st && s->reading && !(p = iso_calloc(n, size))) s->st = iso_fail(s->err, ISO_EMEMORY, "out of memory");
    bytes(s, p, total);
    return p;
}

static float *floats(stream *s, float *p, int64_t n)
{
    p = array(s, p, n, sizeof *p);
    for (int64_t i = 0; !s->st && i < n; i++)
        if (!isfinite(p[i])) damaged(s, "a number is not finite");
    return p;
}

static double *doubles(stream *s, double *p, int64_t n)
{
    p = array(s, p, n, sizeof *p);
    for (int64_t i = 0; !s->st && i < n; i++)
        if (!isfinite(p[i])) damaged(s, "a number is not finite");
    return p;
}

/* -------------------------------------------------------------------------------------- the decoder */

static void law(stream *s, iso_vae_config *c)
{
    char name[NAME] = {0};
    if (!s->reading) snprintf(name, sizeof name, "%s", c->likelihood->name);
    bytes(s, name, sizeof name);
    if (!s->st && name[NAME - 1]) damaged(s, "the likelihood has no name");
    if (!s->st && s->reading) s->st = iso_likelihood_find(name, &c->likelihood, s->err);
}

/* The sizes of images: those that a network can halve. */
static void images(stream *s, iso_vae_config *c)
{
    iso_image_config *im = &c->image;
    small(s, &im->channels, 0, MOST_CHANNELS);
    if (!s->st && (im->channels ? !c->likelihood->image : !c->likelihood->rows)) damaged(s, "the likelihood is not for these data");
    if (im->channels == 0) return;
    small(s, &im->height, 1, MOST_SIDE);
    small(s, &im->width, 1, MOST_SIDE);
    small(s, &im->first_channels, 1, 256);
    small(s, &im->grid, 0, 64);
    if (s->st) return;
    if (iso_image_levels(im->height, im->width) < LEAST_LEVELS || c->n_genes != (int64_t)im->height * im->width * im->channels)
        damaged(s, "the images have impossible sizes");
}

static void config(stream *s, iso_vae_config *c)
{
    int dispersion = (int)c->dispersion;
    law(s, c);
    integer(s, &c->n_genes, 1, INT32_MAX);
    images(s, c);
    small(s, &c->n_latent, 1, MOST_DIMENSIONS);
    small(s, &c->n_hidden, 1, MOST_HIDDEN);
    small(s, &c->n_layers, 0, MOST_LAYERS);
    small(s, &dispersion, ISO_DISPERSION_GENE, ISO_DISPERSION_CELL);
    flag(s, &c->linear_decoder);
    flag(s, &c->batch_norm);
    flag(s, &c->fixed_dispersion);
    small(s, &c->n_labels, 0, MOST_CATEGORIES);
    small(s, &c->n_continuous, 0, ISO_MAX_COVARIATES);
    small(s, &c->n_categorical, 0, ISO_MAX_COVARIATES - 1);
    for (int k = 0; k < c->n_categorical; k++) small(s, &c->n_categories[k], 1, MOST_CATEGORIES);
    c->dispersion = (iso_dispersion)dispersion;
    c->decoder_only = true;
}

static void tensors(stream *s, const iso_graph *of, const iso_graph *g, bool states)
{
    int n = states ? g->n_states : g->n_params;
    for (int i = 0; i < n && !s->st; i++) {
        const iso_named *t = states ? &g->states[i] : &g->params[i], *in = iso_graph_find(of, t->name, states);
        real *values = (states ? of->state : of->param) + in->offset;
        bytes(s, values, t->rows * t->cols * (int64_t)sizeof *values);
        for (int64_t e = 0; !s->st && e < t->rows * t->cols; e++)
            if (!isfinite(values[e])) damaged(s, "a weight is not finite");
    }
}

/* The tensors of a decoder without an encoder: read into a new one, or picked from a whole model. */
static void decoder(stream *s, iso_vae *v)
{
    iso_vae alone = {0};
    iso_vae_config c = v->c;
    config(s, &c);
    if (s->st) return;
    c.max_elements = s->reading ? s->left / (int64_t)sizeof(real) + 16 * 128 : 0;      /* each tensor is rounded up to 16 */
    s->st = iso_vae_build(&c, 0, &alone, s->err);
    if (s->st) return;
    tensors(s, s->reading ? alone.g : v->g, alone.g, false);
    tensors(s, s->reading ? alone.g : v->g, alone.g, true);
    if (s->reading) *v = alone;
    else iso_vae_clear(&alone);
}

static void heads(stream *s, iso_chart *c)
{
    int n = c->n_heads;
    small(s, &n, 0, MOST_HEADS);
    if (!s->st && s->reading && !(c->heads = iso_calloc(n, sizeof *c->heads))) s->st = iso_fail(s->err, ISO_EMEMORY, "out of memory");
    for (int k = 0; !s->st && k < n; k++) {
        decoder(s, &c->heads[k]);
        if (!s->st && s->reading) c->n_heads = k + 1;
        const iso_vae_config *own = &c->heads[k].c;
        if (!s->st && (own->n_genes != c->v.c.n_genes || own->n_latent != c->v.c.n_latent || own->likelihood != c->v.c.likelihood ||
                       own->n_categorical != c->v.c.n_categorical))
            damaged(s, "a decoder is of another model");
    }
}

/* --------------------------------------------------------------------------------- what places are judged by */

static void density(stream *s, iso_density *q, int64_t d)
{
    int64_t n = q->n;
    bool fitted = q->whiten != NULL;
    integer(s, &n, 1, INT32_MAX);
    q->n = n, q->d = d;
    number(s, &q->bandwidth);
    flag(s, &fitted);
    q->center = floats(s, q->center, n * d);
    if (fitted) {
        q->whiten = floats(s, q->whiten, n * (d * (d + 1) / 2));
        q->cloud = floats(s, q->cloud, n * d);
    } else {
        q->precision = floats(s, q->precision, n * d);
    }
    q->log_weight = floats(s, q->log_weight, n);
}

static void support(stream *s, iso_support *p, int64_t d)
{
    int64_t n = s->reading ? 0 : p->n[p->n_batches];
    density(s, &p->density, d);
    integer(s, &n, 1, INT32_MAX);
    if (!s->st && s->reading) {
        p->n = iso_calloc(1, sizeof *p->n);
        p->log_q = iso_calloc(1, sizeof *p->log_q);
        if (!p->n || !p->log_q) s->st = iso_fail(s->err, ISO_EMEMORY, "out of memory");
    }
    if (s->st) return;
    double **references = &p->log_q[p->n_batches];
    *references = doubles(s, *references, n);
    if (s->reading) p->n[0] = n;
}

static void mixture(stream *s, iso_judge *j, int64_t G)
{
    iso_mixture *m = &j->mixture;
    integer(s, &m->K, 0, MOST_CATEGORIES);
    if (m->K == 0) return;
    m->G = G;
    m->profile = floats(s, m->profile, G * m->K);
    m->against = floats(s, m->against, G * m->K);
    m->gram = doubles(s, m->gram, m->K * m->K);
    number(s, &j->most_second);
    number(s, &j->least_fit);
}

static void rules(stream *s, iso_rules *r, int64_t G)
{
    small(s, &r->n, 0, MOST_RULES);
    if (!s->st && s->reading && !(r->rule = iso_calloc(r->n, sizeof *r->rule))) s->st = iso_fail(s->err, ISO_EMEMORY, "out of memory");
    for (int i = 0; !s->st && i < r->n; i++) {
        iso_rule *rule = &r->rule[i];
        for (int k = 0; k < 2; k++) {
            small(s, &rule->gene[k], 0, (int)G - 1);
            integer(s, &rule->with[k], 0, INT64_MAX);
            number(s, &rule->level[k]);
        }
        flag(s, &rule->learned);
        integer(s, &rule->together, 0, INT64_MAX);
        number(s, &rule->expected);
        number(s, &rule->p);
    }
}

static void route(stream *s, iso_route_graph *g, int64_t d)
{
    integer(s, &g->n, 1, INT32_MAX);
    int64_t edges = s->reading ? 0 : g->first[g->n];
    integer(s, &edges, 0, INT32_MAX);
    g->d = d;
    g->z = floats(s, g->z, g->n * d);
    g->first = array(s, g->first, g->n + 1, sizeof *g->first);
    g->to = array(s, g->to, edges, sizeof *g->to);
    g->length = floats(s, g->length, edges);
    g->cost = floats(s, g->cost, edges);
    if (s->st) return;
    if (g->first[0] != 0 || g->first[g->n] != edges) damaged(s, "the graph's edges do not add up");
    for (int64_t i = 0; i < g->n; i++)
        if (g->first[i] < 0 || g->first[i + 1] < g->first[i]) damaged(s, "the graph's edges do not add up");
    for (int64_t e = 0; e < edges; e++)
        if (g->to[e] < 0 || g->to[e] >= g->n || !(g->cost[e] >= 0)) damaged(s, "an edge of the graph leads nowhere");
}

/* ----------------------------------------------------------------------------------------- the whole */

static void whole(stream *s, iso_chart *c)
{
    char head[sizeof magic];
    int64_t version = VERSION;
    memcpy(head, magic, sizeof head);
    bytes(s, head, sizeof head);
    if (!s->st && memcmp(head, magic, sizeof head) != 0) damaged(s, "they are not those of a map");
    integer(s, &version, VERSION, VERSION);
    decoder(s, &c->v);
    if (s->st) return;
    heads(s, c);
    number(s, &c->judge.most_disagreement);
    if (s->st) return;
    support(s, &c->judge.support, c->v.c.n_latent);
    mixture(s, &c->judge, c->v.c.n_genes);
    rules(s, &c->judge.rules, c->v.c.n_genes);
    route(s, &c->route, c->v.c.n_latent);
    integer(s, &c->n_normaliser, 0, INT64_MAX);
    c->normaliser = floats(s, c->normaliser, c->n_normaliser);
    if (!s->st && s->reading && s->left) damaged(s, "more follows than belongs to them");
}

iso_status iso_chart_pack(const iso_chart *c, uint8_t **out, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_chart lent = *c;                                  /* writing changes nothing */
    stream count = {.err = err}, write = {.err = err};
    whole(&count, &lent);
    TRY(count.st);
    ALLOC(write.to, count.written, 1);
    *out = write.to, *n = count.written;
    whole(&write, &lent);
    TRY(write.st);
done:
    return st;
}

iso_status iso_chart_unpack(const uint8_t *from, int64_t n, iso_chart *out, iso_error *err)
{
    stream read = {.reading = true, .from = from, .left = n, .err = err};
    *out = (iso_chart){0};
    whole(&read, out);
    if (read.st) iso_chart_clear(out);
    return read.st;
}

void iso_chart_clear(iso_chart *c)
{
    iso_vae_clear(&c->v);
    for (int k = 0; k < c->n_heads; k++) iso_vae_clear(&c->heads[k]);
    iso_free(c->heads);
    iso_judge_clear(&c->judge);
    iso_route_graph_clear(&c->route);
    iso_free(c->normaliser);
    *c = (iso_chart){0};
}
