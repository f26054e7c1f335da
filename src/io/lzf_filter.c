/* lzf_filter.c: HDF5 filter 32000, h5py's compression="lzf", reading only.
 * Format: each chunk is one LZF block; cd_values[2] is the size of the unpacked chunk in bytes. */
#include "h5.h"

#ifdef ISO_HAVE_LZF
#include <errno.h>
#include <liblzf/lzf.h>
#include <limits.h>

enum { LZF_ID = 32000, LZF_MAX_EXPANSION = 128 };      /* 3 bytes make at most 264 */

static size_t unpack(unsigned flags, size_t n_cd, const unsigned cd[], size_t n_bytes, size_t *buffer_size, void **buffer)
{
    if (!(flags & H5Z_FLAG_REVERSE) || n_bytes == 0 || n_bytes > UINT_MAX / LZF_MAX_EXPANSION) return 0;
    size_t most = n_bytes * LZF_MAX_EXPANSION, size = n_cd >= 3 && cd[2] ? cd[2] : n_bytes * 4;
    for (;;) {
        if (size > most) size = most;
        void *out = H5allocate_memory(size, false);
        if (!out) return 0;
        unsigned got = lzf_decompress(*buffer, (unsigned)n_bytes, out, (unsigned)size);
        if (got) {
            H5free_memory(*buffer);
            *buffer = out, *buffer_size = size;
            return got;
        }
        bool too_small = errno == E2BIG && size < most;
        H5free_memory(out);
        if (!too_small) return 0;
        size *= 2;
    }
}

void h5_register_lzf(void)
{
    static const H5Z_class2_t class = {H5Z_CLASS_T_VERS, LZF_ID, 0, 1, "lzf", NULL, NULL, unpack};
    if (H5Zfilter_avail(LZF_ID) <= 0) H5Zregister(&class);
}
#else
void h5_register_lzf(void) {}
#endif
