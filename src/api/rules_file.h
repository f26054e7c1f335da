/* rules_file.h: rules of exclusive genes as text: a tab-separated table, which people may edit. */
#ifndef ISO_RULES_FILE_H
#define ISO_RULES_FILE_H

#include "map/rules.h"
#include "model.h"

/* Adds the rules of the file to r. A line: two genes, then what iso_rules_write wrote, or nothing. Lines that start with #, and
 * empty ones, are skipped. The third field "learned" marks those that fit has found. ISO_EDATA for a gene that the model lacks, with the
 * line's number. missing_ok: no such file is no error. */
iso_status iso_rules_read(const char *path, const iso_model *m, bool missing_ok, iso_rules *r, iso_error *err);
iso_status iso_rules_write(const char *path, const iso_model *m, const iso_rules *r, iso_error *err);

#endif
