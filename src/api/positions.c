/* positions.c: see positions.h. */
#include "positions.h"

#include "io/tensors.h"
#include "map/route.h"
#include "text_out.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK = 1000 };

typedef struct job {
    const float *path, *cells;            /* decoded: [n, G], [CHUNK, G] */
    int64_t n, G;
    bool shares;
    double *position, *distance;          /* [CHUNK] */
} job;

static void place_cell(void *arg, int64_t i)
{
    const job *j = arg;
    double least = HUGE_VAL;
    for (int64_t k = 0; k < j->n; k++) {
        double far = iso_route_length(j->cells + i * j->G, j->path + k * j->G, j->G, j->shares);
        if (far >= least) continue;
        least = far;
        j->position[i] = j->n > 1 ? (double)k / (double)(j->n - 1) : 0;
    }
    j->distance[i] = least;
}

iso_status iso_write_positions(iso_env *env, const iso_run_cells *r, const float *z, int64_t n, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t N = r->obs.n_rows, L = r->model->v.c.n_latent, G = r->model->n_genes;
    iso_out out = {0};
    float *along = NULL, *cells = NULL;
    double *position = NULL, *distance = NULL;
    TRY(iso_out_open(path, &out, err));
    ALLOC(along, n * G, sizeof *along);
    ALLOC(cells, CHUNK * G, sizeof *cells);
    ALLOC(position, CHUNK, sizeof *position);
    ALLOC(distance, CHUNK, sizeof *distance);
    TRY(iso_decode(env, &r->model->v, z, n, NULL, along, NULL, NULL, err));
    job j = {along, cells, n, G, r->model->v.c.likelihood->counts, position, distance};
    fputs("cell\tposition\tdistance\n", out.file);
    for (int64_t at = 0; at < N; at += CHUNK) {
        int64_t some = N - at < CHUNK ? N - at : CHUNK;
        TRY(iso_decode(env, &r->model->v, r->mu + at * L, some, NULL, cells, NULL, NULL, err));
        iso_parallel(env, some, place_cell, &j);
        for (int64_t i = 0; i < some; i++) {
            iso_put_name(out.file, r->obs.index[at + i]);
            fprintf(out.file, "\t%.4f\t%.4f\n", position[i], distance[i]);
        }
    }
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    iso_free(along);
    iso_free(cells);
    iso_free(position);
    iso_free(distance);
    return st;
}
