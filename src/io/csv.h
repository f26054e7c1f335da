/* csv.h: tables as text, with a heading; columns of numbers become numbers. */
#ifndef ISO_CSV_H
#define ISO_CSV_H

#include "dataset.h"

/* Comma-separated (or tab-separated, if the heading has a tab and no comma); fields may be quoted. Whole numbers become
 * INT, numbers REAL, everything else STRING; an empty field is missing. The rows have no names: f->index stays NULL. */
iso_status iso_csv_read(const char *path, iso_frame *f, iso_error *err);
/* The same, but every column is STRING: names stay as they are written. */
iso_status iso_csv_read_texts(const char *path, iso_frame *f, iso_error *err);
/* index_name, then the columns; f has an index. */
void iso_csv_write(FILE *out, const iso_frame *f);

#endif
