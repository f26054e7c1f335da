/* explore_site.h: the page of `isolario explore` with its data: as one file, as a folder, or as a site in memory to be served. */
#ifndef ISO_EXPLORE_SITE_H
#define ISO_EXPLORE_SITE_H

#include "explore.h"

/* One self-contained file. */
iso_status iso_explore_write_page(const iso_explore *x, const char *path, iso_error *err);

typedef struct iso_site_file {
    char *name;                   /* "index.html", "counts/12.bin" */
    const char *type;             /* for HTTP */
    const uint8_t *bytes;
    int64_t n;
    void *owned;                  /* bytes, if they are the site's own */
} iso_site_file;

/* All files, sorted by name; x must outlive it, and must be per_gene. */
typedef struct iso_site { iso_site_file *file; int64_t n, room; } iso_site;
iso_status iso_site_new(const iso_explore *x, iso_site *s, iso_error *err);
void iso_site_clear(iso_site *s);
const iso_site_file *iso_site_find(const iso_site *s, const char *name);      /* NULL: none */

/* A new folder appears when it is whole; in one that exists files are replaced. */
iso_status iso_site_write(const iso_site *s, const char *folder, iso_error *err);
/* A socket that listens on 127.0.0.1, on a free port if *port is 0; *port becomes the one it got. The caller closes it. */
iso_status iso_site_listen(int *port, int *socket, iso_error *err);
/* Serves the site there until the environment is interrupted. Takes the socket. */
iso_status iso_site_serve(iso_env *env, const iso_site *s, int socket, int port, bool browser, iso_error *err);

#endif
