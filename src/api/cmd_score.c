/* cmd_score.c: `score RUN CELLS`: ELBO, importance-sampled log p(x) and reconstruction of each cell, tab-separated. */
#include "cells_in.h"
#include "commands.h"
#include "text_out.h"

iso_status iso_cmd_score(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_scored s = {0};
    iso_text_out t = {0};
    double *elbo = NULL, *reconstruction = NULL, *log_p = NULL;
    int samples = (int)iso_opt_int(o, "n_samples");
    (void)command_line;
    TRY(iso_text_open(o, &t, err));
    TRY(iso_scored_open(env, o, &s, err));
    int64_t n = s.data->x.n_rows;
    if (s.model->v.c.autoencoder) {
        iso_warn(env, "an autoencoder has no prior and no log p(x): elbo is its reconstruction, log_p is left empty");
        samples = 0;
    }
    ALLOC(elbo, n, sizeof *elbo);
    ALLOC(reconstruction, n, sizeof *reconstruction);
    ALLOC(log_p, n, sizeof *log_p);
    iso_cell_scores out = {.elbo = elbo, .reconstruction = reconstruction, .log_p = samples ? log_p : NULL};
    TRY(iso_evaluate(s.evaluator, NULL, n, (int)iso_opt_int(o, "n_draws"), samples, (uint64_t)iso_opt_int(o, "seed"),
                     &out, err));
    fprintf(t.file, "cell\telbo\tlog_p\treconstruction\n");
    for (int64_t i = 0; i < n; i++) {
        iso_put_name(t.file, s.data->obs.index[i]);
        fprintf(t.file, "\t%.4f\t", elbo[i]);
        if (samples) fprintf(t.file, "%.4f", log_p[i]);
        fprintf(t.file, "\t%.4f\n", reconstruction[i]);
    }
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    iso_scored_close(&s);
    iso_free(elbo);
    iso_free(reconstruction);
    iso_free(log_p);
    return st;
}
