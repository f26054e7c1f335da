/* explore_page.h: for explore_site.c. */
#ifndef ISO_EXPLORE_PAGE_H
#define ISO_EXPLORE_PAGE_H

#include "explore.h"

/* index.html, with all data in it (alone) or none. Errors of the stream are the caller's to look for. */
void iso_explore_put_page(const iso_explore *x, bool alone, FILE *f);

#endif
