/* spill.h: for alloc.c alone; see spill.c. */
#ifndef ISO_SPILL_H
#define ISO_SPILL_H

#include <stdbool.h>
#include <stddef.h>

bool iso_spill_wanted(size_t bytes);
void *iso_spill_new(size_t bytes);          /* zeroed, page-aligned; NULL: no room */
bool iso_spill_free(void *p);               /* false: not such an array */

#endif
