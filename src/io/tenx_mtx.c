#include "readers.h"
bool tenx_mtx_sniff(const char *path) { (void)path; return false; }
iso_status tenx_mtx_read(iso_env *env, const char *path, const char *layer, iso_dataset *d, iso_error *err)
{ (void)env,(void)layer,(void)d; return iso_fail(err, ISO_EDATA, "%s", path); }
