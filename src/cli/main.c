/* main.c: the program: read the words, run the command, close the streams. */
#include "args.h"
#include "help.h"
#include "talk.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For the signal handler alone. */
static iso_env *running;

/* First signal: stop at the next safe point. Second: at once. */
static void on_signal(int signal_number)
{
    static volatile sig_atomic_t seen;
    static const char note[] = "\n[isolario] stopping at the next safe point; once more stops at once\n";
    (void)signal_number;
    if (seen++) _exit(ISO_EINTERRUPT);
    ssize_t n = write(STDERR_FILENO, note, sizeof note - 1);
    (void)n;
    iso_env_interrupt(running);
}

/* On a stack of its own: with the handler on that of the running code, one interrupted run in seven ended in a broken heap, most
 * likely because oneDNN's products keep numbers below the stack's end, where a signal's frame is laid. The pool's threads block signals. */
static void catch_signals(iso_env *env)
{
    static char stack[1 << 16];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigaltstack(&own, NULL);
    sigemptyset(&action.sa_mask);
    running = env;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* A stream that the shell closed must not become the first file that is opened. */
static void hold_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY) != fd) _exit(ISO_EIO);
    signal(SIGPIPE, SIG_IGN);       /* a reader of the talk that leaves must not end a training */
}

/* All that was printed must have arrived. A reader that left early ends the program as it would any other. */
static iso_status close_stdout(iso_error *err)
{
    bool bad = ferror(stdout) != 0;
    errno = 0;
    if (fclose(stdout) == 0 && !bad) return ISO_OK;
    if (errno == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    *err = (iso_error){.status = ISO_EIO, .where = "main.c"};
    snprintf(err->msg, sizeof err->msg, "cannot write to standard output: %s", errno ? strerror(errno) : "write error");
    return ISO_EIO;
}

/* ------------------------------------------------------------------------------- command line */

/* One word as the shell would read it back; returns the end of what was written: at most 4 bytes a letter and 2. */
static char *quote(const char *word, char *out)
{
    bool plain = *word != '\0';
    for (const char *c = word; *c; c++) plain &= isalnum((unsigned char)*c) || strchr("_-+=.,:/@%^", *c);
    if (plain) return stpcpy(out, word);
    *out++ = '\'';
    for (const char *c = word; *c; c++) {
        if (*c == '\'') out = stpcpy(out, "'\\'");
        *out++ = *c;
    }
    return stpcpy(out, "'");
}

/* The words joined; NULL: no memory. The caller frees it. */
static char *join_words(int argc, char **argv)
{
    size_t n = 1;
    for (int i = 0; i < argc; i++) n += 4 * strlen(argv[i]) + 3;
    char *text = calloc(n, 1), *end = text;
    for (int i = 0; text && i < argc; i++) {
        if (i) *end++ = ' ';
        end = quote(argv[i], end);
    }
    return text;
}

/* ------------------------------------------------------------------------------------ actions */

static bool is_on(const iso_options *o, const char *flag) { return strcmp(iso_options_get(o, flag), "true") == 0; }

static const iso_command_info *find_command(const char *name)
{
    const iso_command_info *c = NULL;
    for (int i = 0; (c = iso_command_row(i)) && strcmp(c->name, name) != 0; i++) {}
    return c;
}

static iso_status out_of_memory(iso_error *err)
{
    *err = (iso_error){.status = ISO_EMEMORY, .where = "main.c", .msg = "out of memory at the start"};
    return ISO_EMEMORY;
}

static iso_status run_command(const char *name, const iso_options *o, int argc, char **argv, talk *t, iso_error *err)
{
    double start_s = clock_s();
    iso_status st = ISO_OK;
    char *command_line = join_words(argc, argv);
    iso_env *env = iso_env_new(atoi(iso_options_get(o, "threads")));
    if (!command_line || !env) {
        st = out_of_memory(err);
        goto done;
    }
    iso_env_set_log(env, talk_log, t);
    catch_signals(env);
    st = iso_command_run(env, name, o, command_line, err);
    if (st == ISO_OK) st = close_stdout(err);
    if (st == ISO_OK) talk_summary(t, command_line, start_s);
done:
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    iso_env_free(env);
    free(command_line);
    return st;
}

/* `help`, `help COMMAND`, `COMMAND --help`. topic NULL: all commands. */
static iso_status print_help(const char *topic, const iso_options *o, bool markdown, iso_error *err)
{
    if (topic && strcmp(topic, "help") == 0) topic = NULL;
    const iso_command_info *c = topic ? find_command(topic) : NULL;
    if (topic && !c) return iso_command_run(NULL, topic, o, NULL, err);     /* unknown: says which name is near */
    if (c) help_command(stdout, c);
    else if (markdown) help_markdown(stdout);
    else help_all(stdout);
    return close_stdout(err);
}

static iso_status act(const arguments *a, const iso_options *o, int argc, char **argv, talk *t, iso_error *err)
{
    if (a->version || a->version_only) {
        fputs(a->version_only ? ISO_VERSION "\n" : iso_version_long(), stdout);
        return close_stdout(err);
    }
    if (a->command && strcmp(a->command, "help") == 0)
        return print_help(iso_options_get(o, "inputs"), o, a->markdown, err);
    if (a->help) return print_help(a->command, o, false, err);
    if (!a->command) {
        help_all(stderr);
        return ISO_EUSAGE;
    }
    return run_command(a->command, o, argc, argv, t, err);
}

int main(int argc, char **argv)
{
    talk t;
    arguments a;
    iso_error err = {0};
    hold_streams();
    talk_start(&t, stderr);
    t.json = arguments_have(argc, argv, "--json");
    iso_options *o = iso_options_new();
    iso_status st = o ? arguments_read(argc, argv, o, &a, &err) : out_of_memory(&err);
    if (st == ISO_OK) {
        t.quiet = is_on(o, "quiet");
        t.verbose = is_on(o, "verbose");
        t.json = is_on(o, "json");
        st = act(&a, o, argc, argv, &t, &err);
    }
    if (*err.msg) talk_error(&t, &err);
    iso_options_free(o);
    return st;
}
