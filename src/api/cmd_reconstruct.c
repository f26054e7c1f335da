/* cmd_reconstruct.c: `reconstruct RUN IMAGES`: images as the model sees them again, from their posterior means: without noise. */
#include "cells_in.h"
#include "commands.h"
#include "picture_out.h"
#include "text_out.h"

iso_status iso_cmd_reconstruct(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_scored s = {0};
    float *decoded = NULL, *pixels = NULL, *mu = NULL;
    const char *path;
    (void)command_line;
    TRY(iso_output_path(o, "reconstructed.npz", &path, err));
    TRY(iso_scored_open(env, o, &s, err));
    FAIL_IF(!s.model->images.channels, ISO_EUSAGE, "reconstruct is for images; of counts, use embed and the model's decoder");
    int64_t n = s.data->x.n_rows;
    ALLOC(decoded, n * s.model->n_genes, sizeof *decoded);
    ALLOC(mu, n * s.model->v.c.n_latent, sizeof *mu);
    TRY(iso_embed(s.evaluator, NULL, n, mu, NULL, err));
    TRY(iso_evaluate_reconstructed(s.evaluator, NULL, n, decoded, err));
    TRY(iso_made_pixels(s.model, decoded, n, &pixels, err));
    TRY(iso_made_write(env, s.model, &(iso_made){n, pixels, (const char *const *)s.data->obs.index, mu, 0}, path, err));
done:
    iso_free(decoded);
    iso_free(pixels);
    iso_free(mu);
    iso_scored_close(&s);
    return st;
}
