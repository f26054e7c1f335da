/* table.c: the likelihoods. A new one is a file beside this with a row, named here and in laws.h. */
#include "laws.h"

#include <string.h>

const iso_likelihood *const iso_likelihoods[] = {
    &iso_likelihood_zinb, &iso_likelihood_nb, &iso_likelihood_poisson, &iso_likelihood_gaussian_log1p,
    &iso_likelihood_gaussian, &iso_likelihood_wavelet, &iso_likelihood_photon, &iso_likelihood_mse, &iso_likelihood_feature, NULL,
};

static const char *name_of(const void *arg, int i)
{
    (void)arg;
    return iso_likelihoods[i] ? iso_likelihoods[i]->name : NULL;
}

iso_status iso_likelihood_find(const char *name, const iso_likelihood **out, iso_error *err)
{
    char known[256] = "";
    *out = NULL;
    for (int i = 0; iso_likelihoods[i]; i++) {
        if (name && strcmp(name, iso_likelihoods[i]->name) == 0) {
            *out = iso_likelihoods[i];
            return ISO_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", iso_likelihoods[i]->name);
    }
    const char *near = name ? iso_nearest(name, name_of, NULL) : NULL;
    return iso_fail(err, ISO_EUSAGE, "likelihood '%s' is not known%s%s%s; known are: %s", name ? name : "",
                    near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", known);
}
