/* selections.h: names that a table gives to cells, such as the one that the page of `explore` saves. */
#ifndef ISO_SELECTIONS_H
#define ISO_SELECTIONS_H

#include "io/dataset.h"

/* Reads a table of text with a heading: columns "cell" and "selection", or two columns of which the first has the cells.
 * file: of the cells, for messages. column: CATEGORY [cells->n_rows], -1 where the table says nothing, the caller's. A
 * cell that is in two selections on the page has both in its field, "A;B", and that is a category of its own. */
iso_status iso_selections_read(const char *path, const char *file, const iso_frame *cells, const char *name, iso_column *column,
                               iso_error *err);

#endif
