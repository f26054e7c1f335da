/* cmd_explore.c: `explore RUN [CELLS]`: the map as a page that can be walked: served here, or written as one file or a folder. */
#include "commands.h"
#include "explore_site.h"
#include "io/report_web.h"

#include <string.h>
#include <unistd.h>

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static iso_status check_output(const iso_options *o, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(iso_web_explorer_wasm.size == 0, ISO_EUSAGE,
            "this build has no explorer: install clang, lld, wasi-libc and libclang-rt-14-dev-wasm32, then configure and build anew");
    FAIL_IF(path && strcmp(path, "-") == 0, ISO_EUSAGE, "a map does not go to standard output; name a file .html or a folder");
    FAIL_IF(path && access(path, F_OK) == 0 && !iso_opt_flag(o, "force"), ISO_EIO,
            "%s exists; choose another --output, or overwrite it with --force", path);
done:
    return st;
}

iso_status iso_cmd_explore(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_explore x = {0};
    iso_site site = {0};
    const char *path = iso_opt_text(o, "output");
    bool one_file = path && ends_with(path, ".html");
    int port = (int)iso_opt_int(o, "port"), fd = -1;
    (void)command_line;
    TRY(check_output(o, path, err));
    if (!path) TRY(iso_site_listen(&port, &fd, err));       /* first: a port that is taken should not cost a wait */
    TRY(iso_explore_open(env, o, !one_file, &x, err));
    if (one_file) {
        TRY(iso_explore_write_page(&x, path, err));
        goto done;
    }
    TRY(iso_site_new(&x, &site, err));
    if (path) TRY(iso_site_write(&site, path, err));
    else {
        int taken = fd;
        fd = -1;
        TRY(iso_site_serve(env, &site, taken, port, iso_opt_flag(o, "browser"), err));
    }
done:
    if (fd >= 0) close(fd);
    iso_site_clear(&site);
    iso_explore_close(&x);
    return st;
}
