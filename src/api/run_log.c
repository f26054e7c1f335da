/* run_log.c: log.txt of a run; see run.h. */
#include "run.h"

#include <errno.h>
#include <string.h>

iso_status iso_run_log_open(const char *folder, const iso_dataset *d, const char *command_line, iso_run_log *log,
                            iso_error *err)
{
    iso_status st = ISO_OK;
    char *path = iso_sprintf("%s/log.txt", folder);
    FAIL_IF(!path, ISO_EMEMORY, "out of memory");
    log->file = fopen(path, "w");
    FAIL_IF(!log->file, ISO_EIO, "%s: %s", path, strerror(errno));
    setvbuf(log->file, NULL, _IOLBF, 0);            /* a line is there as soon as its epoch is over */
    fprintf(log->file, "# isolario %s\n# %s\n# %s: ", ISO_VERSION, command_line ? command_line : "(called from a program)", d->path);
    if (d->images) fprintf(log->file, "%lld images of %lld x %lld x %lld; nats per image\n", (long long)d->images->n, (long long)d->images->channels,
                           (long long)d->images->height, (long long)d->images->width);
    else fprintf(log->file, "%lld cells x %lld genes, counts from %s; nats per cell\n", (long long)d->x.n_rows, (long long)d->x.n_cols, d->source);
    fputs("epoch\ttrain_elbo\ttrain_reconstruction\ttrain_kl\tvalidation_elbo\tvalidation_reconstruction\tvalidation_"
          "kl\tkl_weight\t"
          "learning_rate\tgradient_norm\tseconds\n",
          log->file);
done:
    iso_free(path);
    return st;
}

void iso_run_log_epoch(void *log, const iso_epoch *e)
{
    fprintf(((iso_run_log *)log)->file, "%d\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\t%.6g\t%.6g\t%.5g\t%.3f\n", e->epoch,
            e->train_elbo, e->train_reconstruction, e->train_kl, e->validation_elbo, e->validation_reconstruction,
            e->validation_kl, e->kl_weight, e->learning_rate, e->gradient_norm, e->seconds);
}

iso_status iso_run_log_close(iso_run_log *log, const char *last, iso_error *err)
{
    if (!log->file) return ISO_OK;
    fprintf(log->file, "# %s\n", last);
    bool bad = ferror(log->file) != 0;
    bad |= fclose(log->file) != 0;
    log->file = NULL;
    return bad ? iso_fail(err, ISO_EIO, "log.txt could not be written: %s", strerror(errno)) : ISO_OK;
}
