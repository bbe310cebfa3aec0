#include "gateway/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/metrics_text.h"

enum {
    PROC_FILE_BYTES = 1024,
    US = 1000 * 1000, /* in a second */
    NS = 1000,        /* in a microsecond */
    STAT_START = 19,  /* proc_pid_stat(5): starttime is field 22, and the state field 3 */
};

static uint64_t clock_us(clockid_t id)
{
    struct timespec t = { 0 };

    (void)clock_gettime(id, &t); /* these clocks are always there */
    return (uint64_t)t.tv_sec * US + (uint64_t)t.tv_nsec / NS;
}

/* A file of /proc, which is short. */
static struct str read_proc(const char *path, char out[PROC_FILE_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd == -1)
        return STR_NONE;
    n = read(fd, out, PROC_FILE_BYTES);
    (void)close(fd); /* only read from */
    return str_of(out, n > 0 ? (size_t)n : 0);
}

/* The index-th word of a line; 0 when it is no number. */
static uint64_t number_at(struct str line, size_t index)
{
    struct str word = STR_NONE;
    uint64_t n = 0;

    for (size_t i = 0; i <= index; i++) {
        if (!str_next(&line, ' ', &word))
            return 0;
    }
    (void)str_to_u64(str_trim(word), UINT64_MAX, &n); /* else it stays 0 */
    return n;
}

static uint64_t start_us(void)
{
    char text[PROC_FILE_BYTES];
    struct str stat = read_proc("/proc/self/stat", text);
    /* The name of the program may have spaces, and stands in parentheses. */
    struct str rest = str_trim(str_skip(stat, str_rfind_char(stat, ')') + 1));
    long ticks = sysconf(_SC_CLK_TCK);

    if (rest.n == 0 || ticks <= 0)
        return 0;
    return clock_us(CLOCK_REALTIME) - clock_us(CLOCK_BOOTTIME) +
           number_at(rest, STAT_START) * US / (uint64_t)ticks;
}

/* Linux 6.2 and later say it as the size of the folder; before, they have to be counted, with a system call
 * for each thousand or so. */
static uint64_t count_fds(void)
{
    struct stat st;
    uint64_t count = 0;
    DIR *dir;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    for (const struct dirent *d = readdir(dir); d != NULL; d = readdir(dir))
        count += d->d_name[0] != '.';
    (void)closedir(dir);              /* only read from */
    return count > 0 ? count - 1 : 0; /* without that of the folder */
}

void process_stats_read(struct process_stats *out)
{
    char text[PROC_FILE_BYTES];
    struct str statm = read_proc("/proc/self/statm", text);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct rlimit fds = { 0 };

    (void)getrlimit(RLIMIT_NOFILE, &fds); /* cannot fail for this process */
    *out = (struct process_stats){
        .cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID),
        .start_us = start_us(),
        .virtual_bytes = number_at(statm, 0) * page,
        .resident_bytes = number_at(statm, 1) * page,
        .open_fds = count_fds(),
        .max_fds = fds.rlim_cur,
    };
}

static void add_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
    metrics_text_family(out, name, METRIC_GAUGE, help);
    metrics_text_sample(out, name, NULL, 0, (int64_t)value);
}

void process_stats_add_metrics(const struct process_stats *s, struct buf *out)
{
    metrics_text_family(out, "process_cpu_seconds_total", METRIC_COUNTER,
                        "Time that all threads have used of CPUs.");
    metrics_text_seconds(out, "process_cpu_seconds_total", NULL, 0, s->cpu_us);
    metrics_text_family(out, "process_start_time_seconds", METRIC_GAUGE,
                        "When the process began, in seconds since 1970.");
    metrics_text_seconds(out, "process_start_time_seconds", NULL, 0, s->start_us);
    add_gauge(out, "process_resident_memory_bytes", "Memory in use.", s->resident_bytes);
    add_gauge(out, "process_virtual_memory_bytes", "Address space in use.", s->virtual_bytes);
    add_gauge(out, "process_open_fds", "Descriptors that are open.", s->open_fds);
    add_gauge(out, "process_max_fds", "Descriptors that may be open.", s->max_fds);
}
