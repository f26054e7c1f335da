/* spill.c: large arrays in unlinked files, for data that is larger than the memory it may take.
 *
 * With a limit (--memory), an array of at least a sixteenth of it is a shared mapping of a temporary file without a
 * name, so that it goes away whatever happens to the process. The system may drop such pages from memory and read them
 * again; while any such array exists a thread looks at how much of this process is resident and lets go of their pages
 * when it nears the limit. The folder is TMPDIR, or else /var/tmp (often /tmp is memory itself).
 *
 * A limit belongs to a process, and iso_free must know its arrays: hence the one table for all. */
#include "base.h"
#include "spill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ARRAYS = 256, LOOK_MS = 2, LEAST_BYTES = 4 << 20 };

typedef struct spilled { char *at; size_t bytes; int fd; } spilled;

static struct {
    pthread_mutex_t lock;
    _Atomic int64_t limit;
    atomic_int n;                           /* arrays in the table; with none, nobody needs to look */
    spilled arrays[MAX_ARRAYS];             /* at = NULL: free */
    bool watched;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

void iso_set_memory_limit(int64_t bytes) { atomic_store(&table.limit, bytes); }

bool iso_spill_wanted(size_t bytes)
{
    int64_t limit = atomic_load(&table.limit);
    return limit > 0 && bytes >= LEAST_BYTES && (int64_t)bytes >= limit / 16;
}

/* Bytes of this process in memory; 0 where the system does not tell. */
static int64_t resident_bytes(void)
{
    long long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lld %lld", &size, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}

/* Ends when the last array is gone. */
static void *watch(void *arg)
{
    (void)arg;
    for (;;) {
        struct timespec nap = {.tv_nsec = LOOK_MS * 1000000};
        nanosleep(&nap, NULL);
        bool over = resident_bytes() > atomic_load(&table.limit) / 4 * 3;
        pthread_mutex_lock(&table.lock);
        table.watched = atomic_load(&table.n) > 0;
        for (int i = 0; over && i < MAX_ARRAYS; i++)
            if (table.arrays[i].at) madvise(table.arrays[i].at, table.arrays[i].bytes, MADV_DONTNEED);
        bool go_on = table.watched;
        pthread_mutex_unlock(&table.lock);
        if (!go_on) return NULL;
    }
}

/* With the lock. Without the thread the arrays still work. */
static void start_watching(void)
{
    pthread_t thread;
    if (table.watched || pthread_create(&thread, NULL, watch, NULL) != 0) return;
    pthread_detach(thread);
    table.watched = true;
}

static int nameless_file(size_t bytes)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    if (!folder || !*folder) folder = "/var/tmp";
    if (snprintf(path, sizeof path, "%s/isolario-XXXXXX", folder) >= (int)sizeof path) return -1;
    int fd = mkstemp(path);
    if (fd < 0) return -1;
    unlink(path);
    if (posix_fallocate(fd, 0, (off_t)bytes) == 0) return fd;      /* room on the disk now, not a signal later */
    close(fd);
    return -1;
}

void *iso_spill_new(size_t bytes)
{
    spilled s = {.bytes = bytes, .fd = nameless_file(bytes)};
    if (s.fd < 0) return NULL;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0);
    int place = -1;
    s.at = at;
    pthread_mutex_lock(&table.lock);
    for (int i = 0; at != MAP_FAILED && place < 0 && i < MAX_ARRAYS; i++)
        if (!table.arrays[i].at) place = i;
    if (place >= 0) {
        table.arrays[place] = s;
        atomic_fetch_add(&table.n, 1);
        start_watching();
    }
    pthread_mutex_unlock(&table.lock);
    if (place >= 0) return at;
    if (at != MAP_FAILED) munmap(at, bytes);
    close(s.fd);
    return NULL;
}

/* The array that holds p; -1: none. */
static int find(const void *p)
{
    for (int i = 0; i < MAX_ARRAYS; i++) {
        const spilled *s = &table.arrays[i];
        if (s->at && (const char *)p >= s->at && (const char *)p < s->at + s->bytes) return i;
    }
    return -1;
}

bool iso_spill_free(void *p)
{
    if (!p || atomic_load(&table.n) == 0) return false;
    pthread_mutex_lock(&table.lock);
    int i = find(p);
    if (i >= 0) {
        munmap(table.arrays[i].at, table.arrays[i].bytes);
        close(table.arrays[i].fd);
        table.arrays[i] = (spilled){0};
        atomic_fetch_sub(&table.n, 1);
    }
    pthread_mutex_unlock(&table.lock);
    return i >= 0;
}

void iso_fetch(void *to, const void *from, size_t bytes)
{
    int fd = -1;
    off_t at = 0;
    if (bytes == 0) return;
    if (atomic_load(&table.n) > 0) {
        pthread_mutex_lock(&table.lock);
        int i = find(from);
        if (i >= 0) fd = table.arrays[i].fd, at = (const char *)from - table.arrays[i].at;
        pthread_mutex_unlock(&table.lock);
    }
    for (size_t got = 0; fd >= 0 && got < bytes;) {
        ssize_t k = pread(fd, (char *)to + got, bytes - got, at + (off_t)got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;                               /* the mapping will do */
        got += (size_t)k;
        if (got == bytes) return;
    }
    memcpy(to, from, bytes);
}
