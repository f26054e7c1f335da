/* explore_serve.c: the explorer as a site on this machine, by libmicrohttpd. Answers come from a table in memory, so that no
 * name reaches the file system. A page of another site may make the browser ask here, and DNS may give its name this address: the
 * headers Host and Origin must say this place and no other. */
#include "explore_site.h"

#ifdef ISO_HAVE_MICROHTTPD
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

typedef struct server {
    const iso_site *site;
    char host[2][32];             /* what Host may be */
} server;

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type, const void *bytes, size_t n)
{
    static const char *const headers[][2] = {{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
                                             {"X-Content-Type-Options", "nosniff"},
                                             {"Cross-Origin-Resource-Policy", "same-origin"},
                                             {"Referrer-Policy", "no-referrer"}};
    struct MHD_Response *r = MHD_create_response_from_buffer(n, (void *)bytes, MHD_RESPMEM_PERSISTENT);
    if (!r) return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) MHD_add_response_header(r, headers[i][0], headers[i][1]);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *why)
{
    return answer(c, status, "text/plain; charset=utf-8", why, strlen(why));
}

static bool is_here(const server *s, const char *host)
{
    return host && (strcmp(host, s->host[0]) == 0 || strcmp(host, s->host[1]) == 0);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                              const char *upload, size_t *upload_size, void **state)
{
    const server *s = arg;
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    (void)version, (void)upload, (void)upload_size, (void)state;
    if (!is_here(s, host)) return refuse(c, MHD_HTTP_FORBIDDEN, "this map is served under 127.0.0.1 alone\n");
    if (origin && (strncmp(origin, "http://", 7) != 0 || !is_here(s, origin + 7)))
        return refuse(c, MHD_HTTP_FORBIDDEN, "this map is not for other sites\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD alone\n");
    const iso_site_file *f = iso_site_find(s->site, strcmp(url, "/") == 0 ? "index.html" : *url == '/' ? url + 1 : url);
    return f ? answer(c, MHD_HTTP_OK, f->type, f->bytes, (size_t)f->n) : refuse(c, MHD_HTTP_NOT_FOUND, "no such file\n");
}

iso_status iso_site_listen(int *port, int *out, iso_error *err)
{
    iso_status st = ISO_OK;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FAIL_IF(fd < 0, ISO_EIO, "no socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    FAIL_IF(bind(fd, (struct sockaddr *)&a, size) != 0 || listen(fd, 64) != 0, ISO_EIO,
            "port %d of 127.0.0.1 cannot be had: %s; choose another with --port, or leave it out", *port, strerror(errno));
    FAIL_IF(getsockname(fd, (struct sockaddr *)&a, &size) != 0, ISO_EIO, "no socket: %s", strerror(errno));
    *port = ntohs(a.sin_port);
    *out = fd, fd = -1;
done:
    if (fd >= 0) close(fd);
    return st;
}

/* The desktop's browser, if there is one; its talk is not ours. */
static pid_t open_browser(char *url)
{
    pid_t pid = -1;
    posix_spawn_file_actions_t quiet;
    char *words[] = {"xdg-open", url, NULL};
    if (posix_spawn_file_actions_init(&quiet) != 0) return -1;
    for (int fd = 1; fd <= 2; fd++) posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, words[0], &quiet, NULL, words, environ) != 0) pid = -1;
    posix_spawn_file_actions_destroy(&quiet);
    return pid;
}

iso_status iso_site_serve(iso_env *env, const iso_site *site, int fd, int port, bool browser, iso_error *err)
{
    iso_status st = ISO_OK;
    server s = {.site = site};
    struct MHD_Daemon *daemon = NULL;
    char url[64];
    pid_t pid = -1;
    snprintf(s.host[0], sizeof s.host[0], "127.0.0.1:%d", port);
    snprintf(s.host[1], sizeof s.host[1], "localhost:%d", port);
    snprintf(url, sizeof url, "http://%s/", s.host[0]);
    daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, handle, &s, MHD_OPTION_LISTEN_SOCKET, fd,
                              MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_END);
    FAIL_IF(!daemon, ISO_EIO, "the server does not start: %s", strerror(errno));
    fd = -1;                                                 /* the daemon's now */
    iso_info(env, "the map is at %s until you press Ctrl-C", url);
    if (browser) pid = open_browser(url);
    while (!iso_env_interrupted(env)) nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    iso_env_heeded(env);
done:
    if (daemon) MHD_stop_daemon(daemon);
    if (fd >= 0) close(fd);
    if (pid > 0) waitpid(pid, NULL, WNOHANG);
    return st;
}

#else

static iso_status no_server(iso_error *err)
{
    return iso_fail(err, ISO_EUSAGE, "this build has no server (libmicrohttpd was missing); write the map with -o map.html or -o map/");
}

iso_status iso_site_listen(int *port, int *out, iso_error *err)
{
    (void)port, (void)out;
    return no_server(err);
}

iso_status iso_site_serve(iso_env *env, const iso_site *s, int fd, int port, bool browser, iso_error *err)
{
    (void)env, (void)s, (void)fd, (void)port, (void)browser;
    return no_server(err);
}

#endif
