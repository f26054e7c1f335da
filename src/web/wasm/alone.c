/* alone.c: base/ for a program without an operating system, in place of env.c, pool.c, spill.c and kernel/dispatch.c: one
 * thread, no log, no clock, plain C kernels. */
#include "base/spill.h"
#include "kernel/kernel.h"

struct iso_env { int nothing; };

iso_env *iso_env_new(int threads)
{
    (void)threads;
    return iso_calloc(1, sizeof(iso_env));
}

void iso_env_free(iso_env *env) { iso_free(env); }
double iso_now_s(void) { return 0; }

int iso_env_threads(const iso_env *env)
{
    (void)env;
    return 1;
}

bool iso_env_interrupted(const iso_env *env)
{
    (void)env;
    return false;
}

void iso_parallel(iso_env *env, int64_t n_blocks, iso_block_fn *fn, void *arg)
{
    (void)env;
    for (int64_t i = 0; i < n_blocks; i++) fn(arg, i);
}

void iso_later(iso_env *env, int64_t n_blocks, iso_block_fn *fn, iso_last_fn *last, void *arg)
{
    iso_parallel(env, n_blocks, fn, arg);
    last(arg);
}

void iso_later_wait(iso_env *env) { (void)env; }

bool iso_spill_wanted(size_t bytes)
{
    (void)bytes;
    return false;
}

void *iso_spill_new(size_t bytes)
{
    (void)bytes;
    return NULL;
}

bool iso_spill_free(void *p)
{
    (void)p;
    return false;
}

extern const iso_kernels iso_kernels_baseline;
const iso_kernels *const iso_kernel_table[] = {&iso_kernels_baseline, NULL};
const iso_kernels *iso_kernels_best(void) { return &iso_kernels_baseline; }

/* The three calls that wasi-libc's streams make; nothing here writes to a stream. 8: there is no such stream. */
int __imported_wasi_snapshot_preview1_fd_close(int fd);
int __imported_wasi_snapshot_preview1_fd_seek(int fd, int64_t offset, int whence, int to);
int __imported_wasi_snapshot_preview1_fd_write(int fd, int from, int n, int to);

int __imported_wasi_snapshot_preview1_fd_close(int fd)
{
    (void)fd;
    return 8;
}

int __imported_wasi_snapshot_preview1_fd_seek(int fd, int64_t offset, int whence, int to)
{
    (void)fd, (void)offset, (void)whence, (void)to;
    return 8;
}

int __imported_wasi_snapshot_preview1_fd_write(int fd, int from, int n, int to)
{
    (void)fd, (void)from, (void)n, (void)to;
    return 8;
}
