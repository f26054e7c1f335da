/* What the program says on standard error; talk.c is part of the program, not of the library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/talk.c"

#include <fcntl.h>
#include <poll.h>

typedef struct stage {
    FILE *out;
    int reader;             /* other end of out */
    talk t;
    char text[8192];
} stage;

/* A pseudo-terminal or a pipe to talk to, which is then read with heard(). */
static void set_stage(stage *s, bool terminal)
{
    int ends[2];
    memset(s, 0, sizeof *s);
    if (terminal) {
        ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
        if (ends[0] < 0) skip();                 /* a container without /dev/pts */
        assert_true(grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0);
        ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
    } else {
        assert_int_equal(pipe(ends), 0);
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    s->reader = ends[0];
    s->out = fdopen(ends[1], "w");
    assert_non_null(s->out);
    talk_start(&s->t, s->out);
}

/* All that comes until nothing has come for a while: on a busy machine a terminal hands a line over in parts. */
static const char *heard(stage *s)
{
    size_t n = 0;
    fflush(s->out);
    while (n < sizeof s->text - 1 && poll(&(struct pollfd){.fd = s->reader, .events = POLLIN}, 1, 50) > 0) {
        ssize_t more = read(s->reader, s->text + n, sizeof s->text - 1 - n);
        if (more <= 0) break;
        n += (size_t)more;
    }
    s->text[n] = '\0';
    return s->text;
}

static void clear_stage(stage *s)
{
    fclose(s->out);
    close(s->reader);
}

static int plain_environment(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    setenv("COLUMNS", "80", 1);
    unsetenv("NO_COLOR");
    return 0;
}

static void a_file_gets_few_lines(void **state)
{
    (void)state;
    stage s;
    set_stage(&s, false);
    for (int i = 0; i < 100; i++) talk_log(&s.t, ISO_LOG_PROGRESS, "epoch", 0.01 * i, 5);
    assert_string_equal(heard(&s), "");                 /* nothing in the first ten seconds */
    s.t.last_progress_s -= 11;
    for (int i = 0; i < 100; i++) talk_log(&s.t, ISO_LOG_PROGRESS, "epoch 3/10", 0.3, 3725.2);
    assert_string_equal(heard(&s), "[isolario]  30%  1:02:05 left  epoch 3/10\n");
    talk_log(&s.t, ISO_LOG_INFO, "reading", 0, -1);
    talk_log(&s.t, ISO_LOG_WARN, "odd", 0, -1);
    assert_string_equal(heard(&s), "[isolario] reading\n[isolario] warning: odd\n");
    clear_stage(&s);
}

static void a_terminal_gets_a_bar(void **state)
{
    (void)state;
    stage s;
    set_stage(&s, true);
    s.t.last_progress_s -= 1;
    talk_log(&s.t, ISO_LOG_PROGRESS, "epoch 5/10", 0.5, 65);
    talk_log(&s.t, ISO_LOG_PROGRESS, "too soon", 0.51, 64);
    assert_string_equal(heard(&s), "\r[############............]  50%  1:05 left  epoch 5/10\033[K");
    talk_log(&s.t, ISO_LOG_WARN, "odd", 0, -1);         /* takes the bar's place */
    assert_string_equal(heard(&s), "\r\033[K[isolario] \033[33mwarning:\033[0m odd\r\n");
    s.t.last_progress_s -= 1;
    talk_log(&s.t, ISO_LOG_PROGRESS, "start", -1, -1);
    assert_string_equal(heard(&s), "\r[........................]   0%  start\033[K");
    talk_log(&s.t, ISO_LOG_PROGRESS, "end", 1, 0);
    assert_string_equal(heard(&s), "\r\033[K");
    setenv("COLUMNS", "20", 1);
    s.t.last_progress_s -= 1;
    talk_log(&s.t, ISO_LOG_PROGRESS, "a long message", 0, -1);
    assert_string_equal(heard(&s), "\r[.................." "\033[K");      /* never wraps */
    clear_stage(&s);
}

static void colour_can_be_refused(void **state)
{
    (void)state;
    stage s;
    setenv("NO_COLOR", "1", 1);
    set_stage(&s, true);
    talk_log(&s.t, ISO_LOG_WARN, "odd", 0, -1);
    assert_string_equal(heard(&s), "[isolario] warning: odd\r\n");
    clear_stage(&s);
    setenv("TERM", "dumb", 1);
    set_stage(&s, true);
    s.t.last_progress_s -= 11;
    talk_log(&s.t, ISO_LOG_PROGRESS, "epoch", 0.5, -1);
    assert_string_equal(heard(&s), "[isolario]  50%  epoch\r\n");
    clear_stage(&s);
}

static void quiet_leaves_warnings_and_errors(void **state)
{
    (void)state;
    stage s;
    set_stage(&s, false);
    s.t.quiet = true;
    s.t.last_progress_s -= 11;
    talk_log(&s.t, ISO_LOG_PROGRESS, "epoch", 0.5, 1);
    talk_log(&s.t, ISO_LOG_INFO, "reading", 0, -1);
    talk_summary(&s.t, "isolario fit", clock_s());
    talk_log(&s.t, ISO_LOG_WARN, "odd", 0, -1);
    talk_error(&s.t, &(iso_error){.status = ISO_EDATA, .where = "x.c:1", .msg = "bad"});
    assert_string_equal(heard(&s), "[isolario] warning: odd\nisolario: error: bad\n");
    s.t.verbose = true;
    talk_error(&s.t, &(iso_error){.status = ISO_EDATA, .where = "x.c:1", .msg = "bad"});
    assert_string_equal(heard(&s), "isolario: error: bad (x.c:1)\n");
    clear_stage(&s);
}

static void json_is_valid_whatever_the_name(void **state)
{
    (void)state;
    stage s;
    set_stage(&s, false);
    s.t.json = true;
    iso_error err = {.status = ISO_EIO, .where = "x.c:1", .msg = "\"a\\b\"\n\x01 \xc3\xa9 \xe2\x82\xac \xff \xc3"};
    talk_error(&s.t, &err);
    assert_string_equal(heard(&s), "{\"status\": 3, \"error\": \"\\\"a\\\\b\\\"\\u000a\\u0001 \xc3\xa9 \xe2\x82\xac "
                                   "\\ufffd \\ufffd\", \"where\": \"x.c:1\"}\n");
    clear_stage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_gets_few_lines, plain_environment),
        cmocka_unit_test_setup(a_terminal_gets_a_bar, plain_environment),
        cmocka_unit_test_setup(colour_can_be_refused, plain_environment),
        cmocka_unit_test_setup(quiet_leaves_warnings_and_errors, plain_environment),
        cmocka_unit_test_setup(json_is_valid_whatever_the_name, plain_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
