/* alloc.c: every allocation of the library: zeroed, 64-byte aligned unless it is smaller, size-checked, and made to fail
 * on request. */
#include "base.h"
#include "spill.h"

#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

static int64_t fail_countdown;      /* test hook only; 0 = off */

void iso_alloc_fail_at(int64_t k) { fail_countdown = k; }

bool iso_mul(int64_t a, int64_t b, int64_t *out)
{
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, out);
}

/* In large pages, where the system has them: training goes through more memory a step than a CPU has small pages at hand. */
enum { HUGE_PAGE = 2 << 20 };
static void *large(size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, HUGE_PAGE, bytes)) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);       /* advice: no matter if it is not taken */
#endif
    return p;
}

void *iso_calloc(int64_t n, size_t size)
{
    int64_t bytes;
    if (fail_countdown > 0 && --fail_countdown == 0) return NULL;
    if (size > INT64_MAX || !iso_mul(n, (int64_t)size, &bytes) || bytes > INT64_MAX - 64) return NULL;
    size_t rounded = ((size_t)bytes + 63) / 64 * 64;
    if (bytes < 64) return calloc(1, bytes ? (size_t)bytes : 1);         /* names: a million of them */
    if (iso_spill_wanted(rounded)) return iso_spill_new(rounded);
    void *p = rounded < HUGE_PAGE ? aligned_alloc(64, rounded) : large(rounded);
    if (p) memset(p, 0, rounded);
    return p;
}

void *iso_realloc(void *p, int64_t old_n, int64_t new_n, size_t size)
{
    void *q = iso_calloc(new_n, size);
    if (!q) return NULL;
    if (p) memcpy(q, p, (size_t)(old_n < new_n ? old_n : new_n) * size);
    iso_free(p);
    return q;
}

void iso_free(void *p)
{
    if (!iso_spill_free(p)) free(p);
}

void iso_free_texts(char **texts, int64_t n)
{
    for (int64_t i = 0; texts && i < n; i++) iso_free(texts[i]);
    iso_free(texts);
}

char *iso_strdup(const char *s)
{
    if (!s) return NULL;
    size_t n = strlen(s) + 1;
    char *p = iso_calloc((int64_t)n, 1);
    if (p) memcpy(p, s, n);
    return p;
}

char *iso_sprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : iso_calloc(n + 1, 1);
    if (!p) return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}
