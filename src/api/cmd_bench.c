/* cmd_bench.c: `bench step [CELLS]`: a training step, op by op, of counts or images; `bench ops`: each kernel against
 * its reference and against what this machine can do. */
#include "cells_in.h"
#include "commands.h"
#include "kernel_bench.h"
#include "text_out.h"
#include "train/profile.h"

#include <math.h>
#include <string.h>

enum { STEPS = 50, BATCHES = 8 };

/* Counts of made-up cells: gene means are log-normal, dispersion is 2; about 7 % are not zero. */
static iso_status made_up_cells(int64_t n, int64_t genes, uint64_t seed, iso_dataset **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    double *mean = NULL;
    ALLOC(d, 1, sizeof *d);
    ALLOC(mean, genes, sizeof *mean);
    iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_TEST, 0}, 0);
    for (int64_t g = 0; g < genes; g++) mean[g] = exp(-3.7 + 1.6 * iso_rng_normal(&r));
    d->x = (iso_csr){.n_rows = n, .n_cols = genes};
    ALLOC(d->x.indptr, n + 1, sizeof *d->x.indptr);
    ALLOC(d->x.indices, n * genes, sizeof *d->x.indices);
    ALLOC(d->x.values, n * genes, sizeof *d->x.values);
    for (int64_t i = 0; i < n; i++) {
        double depth = exp(0.3 * iso_rng_normal(&r));
        for (int64_t g = 0; g < genes; g++) {
            double x = iso_rng_poisson(&r, depth * mean[g] * iso_rng_gamma(&r, 2) / 2);
            if (x <= 0 && !(g == 0 && i >= 0 && d->x.nnz == d->x.indptr[i])) continue;
            d->x.indices[d->x.nnz] = (int32_t)g;
            d->x.values[d->x.nnz++] = x > 0 ? (float)x : 1;
        }
        d->x.indptr[i + 1] = d->x.nnz;
    }
    FAIL_IF(!(d->path = iso_strdup("made-up cells")) || !(d->source = iso_strdup("X")), ISO_EMEMORY, "out of memory");
    d->obs.n_rows = n, d->var.n_rows = genes;
    ALLOC(d->obs.index, n, sizeof *d->obs.index);
    ALLOC(d->var.index, genes, sizeof *d->var.index);
    for (int64_t i = 0; i < n; i++) FAIL_IF(!(d->obs.index[i] = iso_sprintf("cell%lld", (long long)i + 1)), ISO_EMEMORY, "out of memory");
    for (int64_t g = 0; g < genes; g++) FAIL_IF(!(d->var.index[g] = iso_sprintf("gene%lld", (long long)g + 1)), ISO_EMEMORY, "out of memory");
    *out = d, d = NULL;
done:
    iso_dataset_free(d);
    iso_free(mean);
    return st;
}

static void print_profile(FILE *f, const iso_dataset *d, const iso_options *o, const iso_profile *p)
{
    double batch = (double)iso_opt_int(o, "batch_size");
    const iso_images *im = d->images;
    fprintf(f, "# %s: ", d->path);
    if (im) fprintf(f, "%lld images of %lld x %lld x %lld", (long long)im->n, (long long)im->channels, (long long)im->height, (long long)im->width);
    else fprintf(f, "%lld cells x %lld genes, %.1f %% not zero", (long long)d->x.n_rows, (long long)d->x.n_cols,
                 100.0 * (double)d->x.nnz / (double)d->x.n_rows / (double)d->x.n_cols);
    fprintf(f, "; %s, batches of %g\n", iso_opt_text(o, "likelihood"), batch);
    fprintf(f, "part\tforward_ms\tbackward_ms\tshare\n");
    for (int i = 0; i < p->n_rows; i++) {
        const iso_profile_row *r = &p->rows[i];
        fprintf(f, "%s\t%.3f\t%.3f\t%.3f\n", r->name, 1e3 * r->forward_s, 1e3 * r->backward_s, (r->forward_s + r->backward_s) / p->step_s);
    }
    fprintf(f, "step\t%.3f\t\t1\n%s a second\t%.0f\t\t\n", 1e3 * p->step_s, im ? "images" : "cells", batch / p->step_s);
}

static iso_status bench_step(iso_env *env, const char *path, const iso_options *given, FILE *f, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_options *o = NULL;
    const iso_likelihood *law;
    iso_dataset *d = NULL;
    iso_model *m = NULL;
    iso_bound b = {0};
    iso_profile p = {0};
    FAIL_IF(!(o = iso_resolve_options(given, path && iso_image_sniff(path))), ISO_EMEMORY, "out of memory");
    if (path) {
        TRY(iso_likelihood_find(iso_opt_text(o, "likelihood"), &law, err));
        TRY(iso_read_cells(env, path, law, o, &d, err));
    } else TRY(made_up_cells(BATCHES * iso_opt_int(o, "batch_size"), iso_opt_int(o, "n_genes"), (uint64_t)iso_opt_int(o, "seed"), &d, err));
    TRY(iso_model_new(env, d, o, &m, err));
    TRY(iso_bind(env, m, d, &b, err));
    TRY(iso_profile_steps(env, &m->v, &b.cells, iso_dataset_n_cells(d), iso_opt_int(o, "batch_size"), STEPS, &p, err));
    print_profile(f, d, o, &p);
done:
    iso_profile_clear(&p);
    iso_bound_clear(&b);
    iso_model_free(m);
    iso_dataset_free(d);
    iso_options_free(o);
    return st;
}

iso_status iso_cmd_bench(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_text_out t = {0};
    char *what = NULL, *path = NULL;
    (void)command_line;
    FAIL_IF(!(what = iso_opt_list_item(o, "inputs", 0)), ISO_EMEMORY, "out of memory");
    bool step = strcmp(what, "step") == 0;
    FAIL_IF(!step && strcmp(what, "ops") != 0, ISO_EUSAGE, "bench %s is not known; there are: bench step, bench ops", what);
    if (iso_opt_list_n(o, "inputs") > 1) {
        FAIL_IF(!step, ISO_EUSAGE, "bench ops takes no file");
        FAIL_IF(!(path = iso_opt_list_item(o, "inputs", 1)), ISO_EMEMORY, "out of memory");
    }
    TRY(iso_text_open(o, &t, err));
    if (step) TRY(bench_step(env, path, o, t.file, err));
    else TRY(iso_bench_kernels(env, o, t.file, err));
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    iso_free(what);
    iso_free(path);
    return st;
}
