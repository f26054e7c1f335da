/* exports.c: the functions of explorer.wasm; docs/EXPLORER.md lists them for those who write pages. Pointers are places in the
 * module's memory. One map is open at a time. Those that return an int return 0 when all went well; else iso_web_error tells why. */
#include "web/explorer.h"

#include <math.h>

#define EXPORT(name) __attribute__((export_name(#name), visibility("default"))) name

static iso_env *env;
static iso_explorer explorer;
static iso_error error;

void *EXPORT(iso_web_alloc)(int bytes);
void EXPORT(iso_web_free)(void *p);
const char *EXPORT(iso_web_error)(void);
int EXPORT(iso_web_open)(const uint8_t *place, int bytes, const float *xy, const float *z, int n_cells);
int EXPORT(iso_web_decode)(const float *z, int n, float *out);
int EXPORT(iso_web_spread)(const float *z, int n, float *out);
int EXPORT(iso_web_classify)(const float *z, double *out);
double EXPORT(iso_web_lift)(double x, double y, float *z);
int EXPORT(iso_web_project)(const float *z, int n, float *xy);
int EXPORT(iso_web_nearest)(const float *z, int k, int32_t *cells, float *distance);
int EXPORT(iso_web_gene)(int gene, float *out);
int EXPORT(iso_web_path)(const float *a, const float *b, int along_data, int n, float *z, double *p);

/* Nothing is open: what every question is answered then. */
static iso_status closed(void)
{
    return explorer.decoder ? ISO_OK : iso_fail(&error, ISO_EUSAGE, "no map is open");
}

void *iso_web_alloc(int bytes) { return iso_calloc(bytes, 1); }
void iso_web_free(void *p) { iso_free(p); }
const char *iso_web_error(void) { return error.msg; }

int iso_web_open(const uint8_t *place, int bytes, const float *xy, const float *z, int n_cells)
{
    if (!env) env = iso_env_new(1);
    if (!env) return iso_fail(&error, ISO_EMEMORY, "out of memory");
    iso_explorer_close(&explorer);
    return iso_explorer_open(env, place, bytes, xy, z, n_cells, &explorer, &error);
}

int iso_web_decode(const float *z, int n, float *out)
{
    return closed() ? ISO_EUSAGE : iso_explorer_decode(&explorer, z, n, out, &error);
}

int iso_web_spread(const float *z, int n, float *out)
{
    return closed() ? ISO_EUSAGE : iso_explorer_spread(&explorer, z, n, out, &error);
}

int iso_web_classify(const float *z, double *out)
{
    iso_status st = closed();
    iso_place p;
    if (!st) st = iso_explorer_judge(&explorer, z, &p, &error);
    if (st) return st;
    const double answer[] = {p.is, p.log_density, p.p_value, p.mixed.share[1], p.mixed.fit, p.mixed.group[0], p.mixed.share[0],
                             p.mixed.group[1], p.mixed.share[1], p.rule, p.disagreement, p.uncertain};
    for (size_t i = 0; i < sizeof answer / sizeof *answer; i++) out[i] = answer[i];
    return ISO_OK;
}

double iso_web_lift(double x, double y, float *z)
{
    double p = (double)NAN;
    if (!closed()) iso_explorer_lift(&explorer, (float)x, (float)y, z, &p, &error);
    return p;
}

int iso_web_project(const float *z, int n, float *xy)
{
    if (closed()) return ISO_EUSAGE;
    for (int i = 0; i < n; i++) iso_lift_down(&explorer.lift, z + i * explorer.lift.d, xy + 2 * i);
    return ISO_OK;
}

int iso_web_nearest(const float *z, int k, int32_t *cells, float *distance)
{
    return closed() ? 0 : iso_lift_nearest(&explorer.lift, z, k, cells, distance);
}

int iso_web_gene(int gene, float *out)
{
    return closed() ? ISO_EUSAGE : iso_explorer_gene(&explorer, gene, out, &error);
}

int iso_web_path(const float *a, const float *b, int along_data, int n, float *z, double *p)
{
    return closed() ? ISO_EUSAGE : iso_explorer_path(&explorer, a, b, along_data != 0, n, z, p, &error);
}
